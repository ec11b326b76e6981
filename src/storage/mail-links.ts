import type { Queryable } from './postgres.ts'

export interface MailLinkRow {
  id: string
  purpose: string
  identityId: string
  email: string
  identitySessionId: string | null
  /** The only browser in which it works, by the hash of its cookie; null works in every browser. */
  browserHash: Buffer | null
  createdAt: Date
  expiresAt: Date
}

const COLUMNS = `id, purpose, identity_id AS "identityId", email, identity_session_id AS "identitySessionId",
  browser_hash AS "browserHash", created_at AS "createdAt", expires_at AS "expiresAt"`

export async function insertMailLink(db: Queryable, link: MailLinkRow): Promise<void> {
  await db.query(
    `INSERT INTO mail_links (id, purpose, identity_id, email, identity_session_id, browser_hash, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      link.id,
      link.purpose,
      link.identityId,
      link.email,
      link.identitySessionId,
      link.browserHash,
      link.createdAt,
      link.expiresAt,
    ],
  )
}

export async function findMailLink(db: Queryable, purpose: string, id: string, now: Date): Promise<MailLinkRow | null> {
  const result = await db.query<MailLinkRow>(
    `SELECT ${COLUMNS} FROM mail_links WHERE id = $1 AND purpose = $2 AND expires_at > $3`,
    [id, purpose, now],
  )
  return result.rows[0] ?? null
}

/** The newest link of this identity for a purpose. */
export async function findMailLinkOf(
  db: Queryable,
  identityId: string,
  purpose: string,
  now: Date,
): Promise<MailLinkRow | null> {
  const result = await db.query<MailLinkRow>(
    `SELECT ${COLUMNS} FROM mail_links WHERE identity_id = $1 AND purpose = $2 AND expires_at > $3 ORDER BY created_at DESC LIMIT 1`,
    [identityId, purpose, now],
  )
  return result.rows[0] ?? null
}

/** Takes the link: of callers that race, one gets it and the others null. */
export async function takeMailLink(db: Queryable, purpose: string, id: string, now: Date): Promise<MailLinkRow | null> {
  const result = await db.query<MailLinkRow>(
    `DELETE FROM mail_links WHERE id = $1 AND purpose = $2 AND expires_at > $3 RETURNING ${COLUMNS}`,
    [id, purpose, now],
  )
  return result.rows[0] ?? null
}

/** Deletes the links of this identity for these purposes. */
export async function deleteMailLinks(db: Queryable, identityId: string, purposes: readonly string[]): Promise<void> {
  await db.query('DELETE FROM mail_links WHERE identity_id = $1 AND purpose = ANY ($2::text[])', [identityId, purposes])
}

/** Deletes pending e-mail changes whose identity session has ended. */
export async function deleteOrphanedEmailChanges(db: Queryable, identityId: string): Promise<void> {
  await db.query(
    `DELETE FROM mail_links l WHERE l.identity_id = $1 AND l.purpose = 'change-address'
       AND NOT EXISTS (SELECT FROM identity_sessions s WHERE s.id = l.identity_session_id AND s.ended_at IS NULL)`,
    [identityId],
  )
}

/** Moves pending e-mail changes of one identity session to another. */
export async function moveEmailChanges(db: Queryable, identityId: string, from: string, to: string): Promise<void> {
  await db.query(
    `UPDATE mail_links SET identity_session_id = $3
     WHERE identity_id = $1 AND purpose = 'change-address' AND identity_session_id = $2`,
    [identityId, from, to],
  )
}

/** Deletes up to `limit` links that have expired; see `deleteEndedFamilies` for its form. @returns how many */
export async function deleteExpiredMailLinks(db: Queryable, now: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM mail_links WHERE id = ANY (
       ARRAY(SELECT id FROM mail_links WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [now, limit],
  )
  return result.rowCount ?? 0
}

import type { Queryable } from './postgres.ts'

export interface FailedMailRow {
  /** The id of its job. */
  id: string
  /** Whom it was for; null when that is no identity. */
  identityId: string | null
  kind: string
  recipient: string | null
  payload: unknown
  /** Why, in words. */
  problem: string
  failedAt: Date
}

/** Keeps a mail that was given up, once; not that of an identity that has been erased. */
export async function insertFailedMail(db: Queryable, mail: FailedMailRow): Promise<void> {
  await db.query(
    `INSERT INTO failed_mails (id, identity_id, kind, recipient, payload, problem, failed_at)
     SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $2::uuid IS NULL OR EXISTS (SELECT 1 FROM identities WHERE id = $2 FOR KEY SHARE)
     ON CONFLICT (id) DO NOTHING`,
    [mail.id, mail.identityId, mail.kind, mail.recipient, JSON.stringify(mail.payload), mail.problem, mail.failedAt],
  )
}

/** Newest first; `before` is the key to go on from. */
export async function listFailedMails(
  db: Queryable,
  before: { failedAt: Date; id: string } | null,
  limit: number,
): Promise<FailedMailRow[]> {
  const result = await db.query<FailedMailRow>(
    `SELECT ${COLUMNS} FROM failed_mails WHERE $1::timestamptz IS NULL OR (failed_at, id) < ($1, $2::uuid)
     ORDER BY failed_at DESC, id DESC LIMIT $3`,
    [before?.failedAt ?? null, before?.id ?? null, limit],
  )
  return result.rows
}

/** How many there are, `limit` at most, and since when. */
export async function countFailedMails(db: Queryable, limit: number): Promise<{ count: number; oldest: Date | null }> {
  const result = await db.query<{ count: number; oldest: Date | null }>(
    `SELECT count(*)::int AS count, min(failed_at) AS oldest
     FROM (SELECT failed_at FROM failed_mails ORDER BY failed_at LIMIT $1) failed`,
    [limit],
  )
  return result.rows[0] ?? { count: 0, oldest: null }
}

/** Takes out up to `limit` of them, the oldest first: those with these ids, or any. */
export async function takeFailedMails(db: Queryable, ids: string[] | null, limit: number): Promise<FailedMailRow[]> {
  const result = await db.query<FailedMailRow>(
    `DELETE FROM failed_mails WHERE id = ANY (ARRAY(
       SELECT id FROM failed_mails WHERE $1::uuid[] IS NULL OR id = ANY ($1) ORDER BY failed_at, id LIMIT $2 FOR UPDATE SKIP LOCKED))
     RETURNING ${COLUMNS}`,
    [ids, limit],
  )
  return result.rows.toSorted((one, other) => one.failedAt.getTime() - other.failedAt.getTime())
}

/** Deletes up to `limit` that failed before then, and returns how many. */
export async function deletePastFailedMails(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM failed_mails WHERE id = ANY (ARRAY(
       SELECT id FROM failed_mails WHERE failed_at < $1 ORDER BY failed_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

const COLUMNS = `id, identity_id AS "identityId", kind, recipient, payload, problem, failed_at AS "failedAt"`

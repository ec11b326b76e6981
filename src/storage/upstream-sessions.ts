import type { Queryable } from './postgres.ts'

/** An identity session that another provider opened. */
export interface UpstreamSessionRow {
  identitySessionId: string
  providerId: string
  subject: string
  /** The session at the provider, where it says so (`sid`). */
  sid: string | null
  /** Whether its user has proved who they are at that moment: at the provider, or with a second factor here. */
  isProven: boolean
}

/** The SQL condition that the session `s` was not opened by a provider at which its user was signed in already. */
export const IS_PROVEN =
  'NOT EXISTS (SELECT FROM upstream_sessions u WHERE u.identity_session_id = s.id AND NOT u.is_proven)'

export async function insertUpstreamSession(
  db: Queryable,
  { identitySessionId, providerId, subject, sid, isProven }: UpstreamSessionRow,
): Promise<void> {
  await db.query(
    `INSERT INTO upstream_sessions (identity_session_id, provider_id, subject, sid, is_proven) VALUES ($1, $2, $3, $4, $5)`,
    [identitySessionId, providerId, subject, sid, isProven],
  )
}

/** A session that is opened in place of another one, such as with one more factor, still is of the provider. */
export async function moveUpstreamSession(db: Queryable, from: string, to: string, isProven: boolean): Promise<void> {
  await db.query(
    'UPDATE upstream_sessions SET identity_session_id = $2, is_proven = is_proven OR $3 WHERE identity_session_id = $1',
    [from, to, isProven],
  )
}

/** False for a session that was opened by a provider at which its user was signed in already. */
export async function isSessionProven(db: Queryable, identitySessionId: string): Promise<boolean> {
  const result = await db.query<{ isProven: boolean }>(
    'SELECT is_proven AS "isProven" FROM upstream_sessions WHERE identity_session_id = $1',
    [identitySessionId],
  )
  return result.rows[0]?.isProven ?? true
}

/** The living sessions that the provider opened: those of a session there, or of an account there, or of both. */
export async function listUpstreamSessions(
  db: Queryable,
  providerId: string,
  { sid, subject }: { sid: string | null; subject: string | null },
): Promise<{ id: string; identityId: string }[]> {
  const result = await db.query<{ id: string; identityId: string }>(
    `SELECT s.id, s.identity_id AS "identityId" FROM upstream_sessions u JOIN identity_sessions s ON s.id = u.identity_session_id
     WHERE u.provider_id = $1 AND ($2::text IS NULL OR u.sid = $2) AND ($3::text IS NULL OR u.subject = $3) AND s.ended_at IS NULL
     ORDER BY s.identity_id, s.id`,
    [providerId, sid, subject],
  )
  return result.rows
}

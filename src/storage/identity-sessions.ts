import { type IdentityRow, meetsTerms, type SignInTerms } from './identities.ts'
import { IDENTITY_LIVES, sessionLives } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'
import { HAS_DOMAINS } from './registration-domains.ts'
import { hasSecondFactor } from './second-factors.ts'
import { IS_PROVEN } from './upstream-sessions.ts'

export interface IdentitySessionRow {
  id: string
  identityId: string
  createdAt: Date
  lastSeenAt: Date
  amr: string[]
  deviceHash: Buffer | null
  browser: string
  address: string
}

export interface SignedInRow extends IdentitySessionRow {
  username: string
  email: string
  emailVerified: boolean
  /** The language and time zone that the user has chosen; null for those of the browser. */
  locale: string | null
  zoneinfo: string | null
  /** The version of the terms of use that was accepted last. */
  termsVersion: string | null
  /** What decides which apps the user may enter: roles, groups, and the roles in single apps by client id. */
  roles: string[]
  groupIds: string[]
  appRoles: IdentityRow['appRoles']
  /** The id of a user of the identity source there; null for an account that is here alone. */
  sourceId: string | null
  /** Whether only the owners of addresses in some domains may register. */
  hasDomains: boolean
}

const COLUMNS = `s.id, s.identity_id AS "identityId", s.created_at AS "createdAt", s.last_seen_at AS "lastSeenAt", s.amr,
  s.device_hash AS "deviceHash", s.browser, s.address`
const LIVING = sessionLives('$1', '$2')

/** False when the identity was disabled or deleted in the meantime, or no longer meets the terms of the sign-in. */
export async function insertIdentitySession(
  db: Queryable,
  session: IdentitySessionRow & { expiresAt: Date; reviewAt: Date; clientId: string | null },
  { passwordMark, signOuts }: SignInTerms,
): Promise<boolean> {
  const result = await db.query({
    name: 'identity-session-insert',
    text: `INSERT INTO identity_sessions (id, identity_id, created_at, last_seen_at, expires_at, amr, device_hash, browser, address, review_at, client_id)
     SELECT $1, i.id, $3, $4, $5, $6, $7, $8, $9, $11, $13 FROM identities i
     WHERE i.id = $2 AND ${IDENTITY_LIVES}
       AND ${meetsTerms('$10', '$12')} FOR SHARE`,
    values: [
      session.id,
      session.identityId,
      session.createdAt,
      session.lastSeenAt,
      session.expiresAt,
      session.amr,
      session.deviceHash,
      session.browser,
      session.address,
      passwordMark,
      session.reviewAt,
      signOuts,
      session.clientId,
    ],
  })
  return result.rowCount === 1
}

/** Asked on every page, so it is one named statement. Null when the session or its identity has ended. */
export async function findSignedIn(
  { pool }: Database,
  id: string,
  now: Date,
  seenSince: Date,
): Promise<SignedInRow | null> {
  const result = await pool.query<SignedInRow>({
    name: 'identity-session-find',
    text: `SELECT ${COLUMNS}, i.username, i.email, i.email_verified AS "emailVerified", i.locale, i.zoneinfo, i.terms_version AS "termsVersion",
             i.roles, i.group_ids AS "groupIds", i.app_roles AS "appRoles", i.source_id AS "sourceId", ${HAS_DOMAINS} AS "hasDomains"
           FROM identity_sessions s JOIN identities i ON i.id = s.identity_id
           WHERE s.id = $3 AND ${LIVING} AND ${IDENTITY_LIVES}`,
    values: [now, seenSince, id],
  })
  return result.rows[0] ?? null
}

/** A session of a user, also one that is over. */
export interface OwnSessionRow extends IdentitySessionRow {
  isLiving: boolean
  endedAt: Date | null
  endCause: string | null
}

/** Null when there is none, or it belongs to another identity. */
export async function findSessionOf(
  { pool }: Database,
  id: string,
  identityId: string,
  now: Date,
  seenSince: Date,
): Promise<OwnSessionRow | null> {
  const result = await pool.query<OwnSessionRow>(
    `SELECT ${COLUMNS}, ${LIVING} AS "isLiving", s.ended_at AS "endedAt", s.end_cause AS "endCause"
     FROM identity_sessions s WHERE s.id = $3 AND s.identity_id = $4`,
    [now, seenSince, id, identityId],
  )
  return result.rows[0] ?? null
}

/** Whether it has ended or not. */
export async function findIdentitySession(db: Queryable, id: string): Promise<IdentitySessionRow | null> {
  const result = await db.query<IdentitySessionRow>(`SELECT ${COLUMNS} FROM identity_sessions s WHERE s.id = $1`, [id])
  return result.rows[0] ?? null
}

export async function updateLastSeen({ pool }: Database, id: string, now: Date, address: string): Promise<void> {
  await pool.query({
    name: 'identity-session-seen',
    text: 'UPDATE identity_sessions SET last_seen_at = $2, address = $3 WHERE id = $1 AND ended_at IS NULL AND last_seen_at < $2',
    values: [id, now, address],
  })
}

/**
 * Notes that a family which follows this session was used; nothing is written when the session was seen after `seenBefore`. The
 * browser itself was not used, so its IP address stays.
 */
export async function updateFollowed({ pool }: Database, id: string, now: Date, seenBefore: Date): Promise<void> {
  await pool.query({
    name: 'identity-session-followed',
    text: 'UPDATE identity_sessions SET last_seen_at = $2 WHERE id = $1 AND ended_at IS NULL AND last_seen_at <= $3',
    values: [id, now, seenBefore],
  })
}

export async function listLivingIdentitySessions(
  { pool }: Database,
  identityId: string,
  now: Date,
  seenSince: Date,
): Promise<IdentitySessionRow[]> {
  const result = await pool.query<IdentitySessionRow>(
    `SELECT ${COLUMNS} FROM identity_sessions s WHERE s.identity_id = $3 AND ${LIVING} ORDER BY s.last_seen_at DESC LIMIT 200`,
    [now, seenSince, identityId],
  )
  return result.rows
}

/** When an identity signed in last, in a browser that is not forgotten yet. */
export async function findLastSignIn({ pool }: Database, identityId: string): Promise<Date | null> {
  const result = await pool.query<{ at: Date | null }>(
    'SELECT max(created_at) AS at FROM identity_sessions WHERE identity_id = $1',
    [identityId],
  )
  return result.rows[0]?.at ?? null
}

/**
 * Reviews up to `limit` living sessions that are due, and locks the expired and idle ones, and those of apps in which no family
 * lives. The others are due again at their earliest possible end.
 */
export async function reviewIdentitySessions(
  db: Queryable,
  now: Date,
  idleSeconds: number,
  limit: number,
): Promise<{ reviewed: number; expired: { id: string; identityId: string; expiresAt: Date }[] }> {
  // A family by its session is looked up in an index; NOT EXISTS would let the planner read all families first.
  const result = await db.query<{ id: string; identityId: string; expiresAt: Date; isOver: boolean }>(
    `WITH due AS (
       SELECT id, identity_id, expires_at, CASE WHEN client_id IS NOT NULL
           AND (SELECT f.id FROM families f WHERE f.identity_session_id = s.id AND f.ended_at IS NULL LIMIT 1) IS NULL THEN review_at
         ELSE least(expires_at, last_seen_at + make_interval(secs => $2)) END AS ends_at FROM identity_sessions s
       WHERE ended_at IS NULL AND review_at <= $1 ORDER BY review_at LIMIT $3 FOR UPDATE SKIP LOCKED),
     living AS (
       UPDATE identity_sessions s SET review_at = due.ends_at FROM due WHERE s.id = due.id AND due.ends_at > $1)
     SELECT id, identity_id AS "identityId", expires_at AS "expiresAt", ends_at <= $1 AS "isOver" FROM due`,
    [now, idleSeconds, limit],
  )
  return { reviewed: result.rows.length, expired: result.rows.filter((row) => row.isOver) }
}

/**
 * Locks an identity and a session of it until the end of this transaction, so that an ending of either waits. False when one of
 * them has ended already, or the sign-in was before `signedInSince` or without the second factor that the identity has. The identity is locked first, as in every transaction that
 * locks both, or two could deadlock.
 */
export async function holdSignedIn(
  db: Queryable,
  { id, identityId }: { id: string; identityId: string },
  { now, seenSince, signedInSince }: { now: Date; seenSince: Date; signedInSince: Date | null },
): Promise<boolean> {
  const result = await db.query({
    name: 'identity-session-hold',
    text: `SELECT FROM identities i JOIN identity_sessions s ON s.identity_id = i.id
           WHERE s.id = $3 AND i.id = $4 AND ${LIVING} AND ${IDENTITY_LIVES}
             AND ($5::timestamptz IS NULL OR (s.created_at >= $5 AND ${IS_PROVEN} AND ('mfa' = ANY (s.amr) OR NOT ${hasSecondFactor('i.id')})))
           FOR NO KEY UPDATE OF i FOR SHARE OF s`,
    values: [now, seenSince, id, identityId, signedInSince],
  })
  return result.rowCount === 1
}

/** Locks a session until the end of this transaction: it cannot end, and no family is opened under it. */
export async function lockIdentitySession(db: Queryable, id: string): Promise<void> {
  await db.query('SELECT FROM identity_sessions WHERE id = $1 FOR UPDATE', [id])
}

/**
 * Deletes up to `limit` sessions that ended before then, unless a family that was opened in them still lives: a sign-in in
 * that browser may take it over. @returns how many went; fewer than `limit` when nothing is left
 */
export async function deleteEndedIdentitySessions(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM identity_sessions WHERE id = ANY (
       ARRAY(SELECT s.id FROM identity_sessions s WHERE s.ended_at < $1
         AND NOT EXISTS (SELECT FROM families f WHERE f.identity_session_id = s.id AND f.ended_at IS NULL)
         ORDER BY s.ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/** Which sessions to end; `except` spares one of them. */
export interface IdentitySessionChoice {
  identityId: string
  id?: string
  except?: string
}

/** @returns the ids that this call ended; none that had ended before. */
export async function markIdentitySessionsEnded(
  db: Queryable,
  { identityId, id, except }: IdentitySessionChoice,
  cause: string,
  now: Date,
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `UPDATE identity_sessions SET ended_at = $1, end_cause = $2
     WHERE identity_id = $3 AND ended_at IS NULL
       AND ($4::uuid IS NULL OR id = $4) AND ($5::uuid IS NULL OR id <> $5)
     RETURNING id`,
    [now, cause, identityId, id ?? null, except ?? null],
  )
  return result.rows.map((row) => row.id)
}

/**
 * Ends the sessions in which an app took the sign-in itself, once the last family in them has ended: no browser has them. A session
 * that another transaction holds is skipped, because it ends, or gets a family, there.
 */
export async function markAppSessionsEnded(
  db: Queryable,
  endedFamilyIds: string[],
  cause: string,
  now: Date,
): Promise<void> {
  await db.query({
    name: 'identity-session-end-of-app',
    text: `UPDATE identity_sessions SET ended_at = $2, end_cause = $3 WHERE id = ANY (
       ARRAY(SELECT s.id FROM identity_sessions s WHERE s.client_id IS NOT NULL AND s.ended_at IS NULL
         AND s.id = ANY (ARRAY(SELECT DISTINCT identity_session_id FROM families WHERE id = ANY ($1)))
         AND NOT EXISTS (SELECT FROM families f WHERE f.identity_session_id = s.id AND f.ended_at IS NULL)
         FOR NO KEY UPDATE OF s SKIP LOCKED))`,
    values: [endedFamilyIds, now, cause],
  })
}

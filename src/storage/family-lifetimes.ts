import { type Moment, sessionLives } from './liveness.ts'
import type { Queryable } from './postgres.ts'

/** How long a family may last: as its app says, else as the portal says, unless it ends with its session. */
export const ownSeconds = (column: 'family_idle' | 'family_max', preset: string) =>
  `make_interval(secs => coalesce(a.${column}, CASE WHEN f.lifetime <> 'session' THEN ${preset}::int END))`

/**
 * Reviews up to `limit` living families that are due, and locks the expired and idle ones. The others are due again at their
 * earliest possible end.
 */
export async function reviewFamilies(
  db: Queryable,
  now: Date,
  limit: number,
): Promise<{ reviewed: number; expired: string[]; idle: string[] }> {
  const result = await db.query<{ id: string; state: 'living' | 'expired' | 'idle' }>(
    `WITH due AS (
       SELECT id, idle_expires_at, expires_at FROM families WHERE ended_at IS NULL AND review_at <= $1
       ORDER BY review_at LIMIT $2 FOR UPDATE SKIP LOCKED),
     living AS (
       UPDATE families f SET review_at = f.idle_expires_at FROM due WHERE f.id = due.id AND due.idle_expires_at > $1)
     SELECT id, CASE WHEN idle_expires_at > $1 THEN 'living' WHEN expires_at <= $1 THEN 'expired' ELSE 'idle' END AS state FROM due`,
    [now, limit],
  )
  const idsOf = (state: string) => result.rows.filter((row) => row.state === state).map((row) => row.id)
  return { reviewed: result.rows.length, expired: idsOf('expired'), idle: idsOf('idle') }
}

/** The adoption of families by a new sign-in, and the lifetimes for those whose expiry it extends. */
export interface Adoption {
  identityId: string
  /** The identity session that takes over, and when it ends at the latest. */
  sessionId: string
  sessionEnd: Date
  /** The identity session that the same browser has had until now. */
  before: string | null
  deviceHash: Buffer | null
  familyIdle: number
  familyMax: number
  familyRenewal: string
}

/**
 * A sign-in adopts the living families that the same user has opened in this browser under an earlier sign-in, ended or not. It
 * extends the expiry of those that follow the session, and of those whose app wants it, as if they were opened now. Families
 * that followed an ended session stay ended.
 */
export async function adoptFamilies(db: Queryable, adoption: Adoption, { now, seenSince }: Moment): Promise<void> {
  await db.query({
    name: 'families-adopt',
    text: `WITH adopted AS (
       SELECT f.id, f.lifetime = 'session' OR coalesce(a.family_renewal, $8) = 'sign-in' AS "isRenewed",
         least($4::timestamptz + ${ownSeconds('family_max', '$6')}, CASE WHEN f.lifetime = 'session' THEN $9::timestamptz END) AS absolute,
         $4::timestamptz + ${ownSeconds('family_idle', '$7')} AS idle
       FROM identity_sessions s JOIN families f ON f.identity_session_id = s.id JOIN apps a ON a.client_id = f.client_id
       WHERE s.identity_id = $1 AND s.id <> $2 AND (s.id = $3 OR s.device_hash = $10)
         AND f.ended_at IS NULL AND f.idle_expires_at > $4 AND (f.lifetime <> 'session' OR ${sessionLives('$4', '$5')}))
     UPDATE families f SET identity_session_id = $2,
       expires_at = CASE WHEN "isRenewed" THEN absolute ELSE f.expires_at END,
       idle_expires_at = CASE WHEN "isRenewed" THEN least(absolute, idle) ELSE f.idle_expires_at END,
       review_at = CASE WHEN "isRenewed" THEN least(f.review_at, absolute, idle) ELSE f.review_at END
     FROM adopted WHERE f.id = adopted.id AND f.ended_at IS NULL`,
    values: [
      adoption.identityId,
      adoption.sessionId,
      adoption.before,
      now,
      seenSince,
      adoption.familyMax,
      adoption.familyIdle,
      adoption.familyRenewal,
      adoption.sessionEnd,
      adoption.deviceHash,
    ],
  })
}

import type { EndedFamily } from './family-ends.ts'
import type { Queryable } from './postgres.ts'

export type StaleFamily = Omit<EndedFamily, 'takesLogouts'>

/**
 * Marks the application tokens of an identity's living families as stale that have an older version of its claims. The time never
 * goes back, so that tokens without a version stay stale.
 */
export async function markFamiliesStale(
  db: Queryable,
  identityId: string,
  version: number,
  now: Date,
): Promise<StaleFamily[]> {
  const result = await db.query<StaleFamily>(
    `UPDATE families f SET claims_version = $2, stale_since = greatest($3, f.stale_since)
     FROM apps a WHERE f.identity_id = $1 AND f.ended_at IS NULL AND a.client_id = f.client_id
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    [identityId, version, now],
  )
  return result.rows
}

/** An entry of the revocation feed. */
export interface RevocationRow {
  id: string
  kind: 'ended' | 'stale'
  at: Date
  /** The oldest version of the claims whose tokens are valid; null where none is. */
  version: number | null
}

/** Families that have ended, or whose tokens have become stale, from then on. */
export async function listRevocations(db: Queryable, from: Date): Promise<RevocationRow[]> {
  // An upper bound lets the planner, which does not know $1, estimate that these are few.
  const result = await db.query<RevocationRow>({
    name: 'families-revoked',
    text: `SELECT id, 'ended' AS kind, ended_at AS at, NULL::int AS version FROM families WHERE ended_at >= $1 AND ended_at < 'infinity'
           UNION ALL SELECT id, 'ended', ended_at, NULL FROM erased_families WHERE ended_at >= $1 AND ended_at < 'infinity'
           UNION ALL SELECT id, 'stale', stale_since, claims_version FROM families WHERE stale_since >= $1 AND stale_since < 'infinity'`,
    values: [from],
  })
  return result.rows
}

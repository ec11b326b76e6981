import type { EndedFamily } from './family-ends.ts'
import type { Queryable } from './postgres.ts'

export type StaleFamily = Omit<EndedFamily, 'takesLogouts'>

/**
 * Marks the application tokens of the living families of these identities as stale that have an older version of their claims.
 * The time never goes back, so that tokens without a version stay stale.
 */
export async function markFamiliesStale(db: Queryable, identityIds: string[], now: Date): Promise<StaleFamily[]> {
  const result = await db.query<StaleFamily>(
    `UPDATE families f SET claims_version = i.claims_version, stale_since = greatest($2, f.stale_since)
     FROM apps a, identities i
     WHERE f.identity_id = ANY ($1) AND f.ended_at IS NULL AND a.client_id = f.client_id AND i.id = f.identity_id
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    [identityIds, now],
  )
  return result.rows
}

/** Claims whose values have changed: by name, those made of these attributes, or the roles in this app. */
export interface ChangedClaims {
  claims?: string[]
  attributes?: string[]
  rolesIn?: string
}

/** Marks the application tokens as stale that contain one of these claims, as `markFamiliesStale` marks all. */
export async function markCarryingFamiliesStale(
  db: Queryable,
  identityId: string,
  version: number,
  { claims = [], attributes = [], rolesIn }: ChangedClaims,
  now: Date,
): Promise<StaleFamily[]> {
  const result = await db.query<StaleFamily>(
    `UPDATE families f SET claims_version = $2, stale_since = greatest($3, f.stale_since)
     FROM apps a WHERE f.identity_id = $1 AND f.ended_at IS NULL AND a.client_id = f.client_id
       AND (a.client_id = $6 OR a.application_token_claims && $4::text[] OR EXISTS (
         SELECT FROM jsonb_each_text(a.attribute_claims) m
         WHERE m.value = ANY ($5::text[]) AND m.key = ANY (a.application_token_claims)))
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    [identityId, version, now, claims, attributes, rolesIn ?? null],
  )
  return result.rows
}

/** Locks the families that these identities have of an app. */
export async function lockFamiliesOfHolders(db: Queryable, clientId: string, identityIds: string[]): Promise<void> {
  await db.query(
    `SELECT FROM families WHERE client_id = $1 AND identity_id = ANY ($2) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE`,
    [clientId, identityIds],
  )
}

/** Marks the application tokens of an app as stale that these identities have with an older version of their claims. */
export async function markFamiliesOfHoldersStale(
  db: Queryable,
  clientId: string,
  identityIds: string[],
  now: Date,
): Promise<StaleFamily[]> {
  const result = await db.query<StaleFamily>(
    `UPDATE families f SET claims_version = i.claims_version, stale_since = greatest($3, f.stale_since)
     FROM apps a, identities i
     WHERE f.client_id = $1 AND f.identity_id = ANY ($2) AND f.ended_at IS NULL AND a.client_id = f.client_id AND i.id = f.identity_id
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    [clientId, identityIds, now],
  )
  return result.rows
}

/** An entry of the revocation feed. */
export interface RevocationRow {
  id: string
  kind: 'ended' | 'stale' | 'clients'
  /** The time of the ending or change. Of a client, its tokens from before are revoked. */
  at: Date
  /** The oldest version of the claims whose tokens are valid; null where none is. */
  version: number | null
}

/** Families that have ended, or whose tokens have become stale, and clients whose tokens were revoked, from then on. */
export async function listRevocations(db: Queryable, from: Date): Promise<RevocationRow[]> {
  // An upper bound lets the planner, which does not know $1, estimate that these are few.
  const result = await db.query<RevocationRow>({
    name: 'revocations-list',
    text: `SELECT id::text, 'ended' AS kind, ended_at AS at, NULL::int AS version FROM families WHERE ended_at >= $1 AND ended_at < 'infinity'
           UNION ALL SELECT id::text, 'ended', ended_at, NULL FROM erased_families WHERE ended_at >= $1 AND ended_at < 'infinity'
           UNION ALL SELECT id::text, 'stale', stale_since, claims_version FROM families WHERE stale_since >= $1 AND stale_since < 'infinity'
           UNION ALL SELECT client_id, 'clients', revoked_before, NULL FROM apps WHERE revoked_before >= $1 AND revoked_before < 'infinity'`,
    values: [from],
  })
  return result.rows
}

import { APP_CLAIM_COLUMNS, type AppClaimColumns } from './claim-sources.ts'
import { APP_LIVES, followsLiving, IDENTITY_LIVES, MAY_ENTER, type Moment } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'

/** A family, joined with the current state of its identity and its app. */
export interface FamilyRow extends AppClaimColumns {
  id: string
  clientId: string
  identityId: string
  identitySessionId: string | null
  generation: number
  currentHash: Buffer
  previousHash: Buffer | null
  rotatedAt: Date | null
  /** When earlier generations were replaced, the oldest first: those that were inside the grace window, the newest few. */
  earlierRotations: Date[]
  scope: string
  claims: string | null
  sid: string | null
  acr: string | null
  amr: string[]
  authTime: number
  jkt: string | null
  x5t: string | null
  /** What it was granted of APIs: scopes, by identifier. Null for none. */
  resources: Record<string, string> | null
  createdAt: Date
  lastUsedAt: Date
  idleExpiresAt: Date
  expiresAt: Date
  browser: string
  address: string
  lifetime: string
  /** When the claims of its application tokens last changed. */
  staleSince: Date | null
  /** Application tokens with an older claims version are stale. */
  oldestValidVersion: number
  firstRotatedAt: Date | null
  /** Clients that refreshed it, each `IP-address User-Agent`, the last one first. */
  seen: string[]
  endedAt: Date | null
  endCause: string | null
  endBrowser: string | null
  endAddress: string | null
  endGeneration: number | null
  /** It follows an identity session that is over. */
  sessionOver: boolean
  /** By an operator, or deleted by its owner. */
  identityDisabled: boolean
  roles: string[]
  /** Of those roles. */
  claimsVersion: number
  appDisabled: boolean
  /** The user may not enter the app. */
  accessWithdrawn: boolean
  appName: string
  /** A public client: it has no secret. */
  appIsPublic: boolean
  /** Its app has a URI for logout tokens, or for events. */
  takesNotifications: boolean
  audience: string
  applicationTokenTtl: number | null
  /** A refresh that asks for no scope gives an ID token too, signed with this. */
  refreshIdToken: boolean
  idTokenAlg: string
  /** Of tokens for the audience of the app itself. */
  applicationTokenAlg: string
  tokenKeyId: string | null
  rotationGrace: number | null
  rotationGraceProven: number | null
}

const COLUMNS = `f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.identity_session_id AS "identitySessionId", f.generation,
  f.current_hash AS "currentHash", f.previous_hash AS "previousHash", f.rotated_at AS "rotatedAt",
  coalesce(f.earlier_rotations, '{}') AS "earlierRotations", f.scope, f.claims, f.sid, f.acr,
  f.amr, f.auth_time AS "authTime", f.jkt, f.x5t, f.resources, f.created_at AS "createdAt", f.last_used_at AS "lastUsedAt", f.idle_expires_at AS "idleExpiresAt",
  f.expires_at AS "expiresAt", f.browser, f.address, f.lifetime, f.stale_since AS "staleSince", f.claims_version AS "oldestValidVersion", f.first_rotated_at AS "firstRotatedAt", f.seen,
  f.ended_at AS "endedAt", f.end_cause AS "endCause", f.end_browser AS "endBrowser", f.end_address AS "endAddress", f.end_generation AS "endGeneration",
  NOT (${IDENTITY_LIVES}) AS "identityDisabled", i.roles, i.claims_version AS "claimsVersion", NOT (${APP_LIVES}) AS "appDisabled", NOT ${MAY_ENTER} AS "accessWithdrawn", a.name AS "appName", a.is_public AS "appIsPublic", a.audience,
  a.backchannel_logout_uri IS NOT NULL OR a.event_receiver_uri IS NOT NULL AS "takesNotifications",
  a.application_token_ttl AS "applicationTokenTtl", a.refresh_id_token AS "refreshIdToken", a.id_token_alg AS "idTokenAlg", a.application_token_alg AS "applicationTokenAlg", a.token_key_id AS "tokenKeyId", a.rotation_grace AS "rotationGrace",
  a.rotation_grace_proven AS "rotationGraceProven", ${APP_CLAIM_COLUMNS}`

const JOINED = 'families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id'

export async function findFamily(db: Queryable, id: string, { now, seenSince }: Moment): Promise<FamilyRow | null> {
  const result = await db.query<FamilyRow>({
    name: 'family-find',
    text: `SELECT ${COLUMNS}, NOT ${followsLiving('$2', '$3')} AS "sessionOver" FROM ${JOINED} WHERE f.id = $1`,
    values: [id, now, seenSince],
  })
  return result.rows[0] ?? null
}

/** All living families, and the newest `endedLimit` ended ones of each app; replaced ones only where there is room. */
export async function listFamilies(
  { pool }: Database,
  identityId: string,
  { now, seenSince }: Moment,
  endedLimit: number,
): Promise<FamilyRow[]> {
  const result = await pool.query<FamilyRow>(
    `SELECT * FROM (
       SELECT ${COLUMNS}, NOT ${followsLiving('$2', '$4')} AS "sessionOver", row_number() OVER (
         PARTITION BY f.client_id, f.ended_at IS NULL AND f.idle_expires_at > $2
           ORDER BY f.replaced_by IS NOT NULL, coalesce(f.ended_at, f.created_at) DESC) AS place,
         f.ended_at IS NULL AND f.idle_expires_at > $2 AS living
       FROM ${JOINED} WHERE f.identity_id = $1) listed
     WHERE living OR place <= $3
     ORDER BY "lastUsedAt" DESC LIMIT 1000`,
    [identityId, now, endedLimit, seenSince],
  )
  return result.rows
}

/** Families to list: of an identity, of an app, or of both; and from where on. */
export interface FamilyQuery {
  identityId: string | null
  clientId: string | null
  after: { createdAt: Date; id: string } | null
  limit: number
}

/** Newest first: all families of an identity (of one app, if given), or the ones of an app that have not ended. */
export async function searchFamilies(
  db: Queryable,
  { identityId, clientId, after, limit }: FamilyQuery,
  { now, seenSince }: Moment,
): Promise<FamilyRow[]> {
  const chosen =
    identityId === null
      ? 'f.client_id = $2 AND f.ended_at IS NULL AND $1::uuid IS NULL'
      : 'f.identity_id = $1 AND ($2::text IS NULL OR f.client_id = $2)'
  const result = await db.query<FamilyRow>(
    `SELECT ${COLUMNS}, NOT ${followsLiving('$3', '$4')} AS "sessionOver" FROM ${JOINED}
     WHERE ${chosen} AND ($6::timestamptz IS NULL OR (f.created_at, f.id) < ($6, $7::uuid)) ORDER BY f.created_at DESC, f.id DESC LIMIT $5`,
    [identityId, clientId, now, seenSince, limit, after?.createdAt ?? null, after?.id ?? null],
  )
  return result.rows
}

export async function countEndedFamilies(
  { pool }: Database,
  identityId: string,
  now: Date,
): Promise<Map<string, number>> {
  const result = await pool.query<{ clientId: string; count: number }>(
    `SELECT client_id AS "clientId", count(*)::int AS count FROM families
     WHERE identity_id = $1 AND (ended_at IS NOT NULL OR idle_expires_at <= $2) GROUP BY client_id`,
    [identityId, now],
  )
  return new Map(result.rows.map((row) => [row.clientId, row.count]))
}

/** How many families have not ended. */
export async function countLivingFamilies(db: Queryable): Promise<number> {
  const result = await db.query<{ count: number }>('SELECT count(*)::int AS count FROM families WHERE ended_at IS NULL')
  return result.rows[0]?.count ?? 0
}

import { type AppProof, provesApp } from './apps.ts'
import { APP_LIVES, familyLives, followsLiving, IDENTITY_LIVES, type Moment, sessionLives } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'

/** A family, joined with the current state of its identity and its app. */
export interface FamilyRow {
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
  rotationGrace: number | null
  rotationGraceProven: number | null
}

const COLUMNS = `f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.identity_session_id AS "identitySessionId", f.generation,
  f.current_hash AS "currentHash", f.previous_hash AS "previousHash", f.rotated_at AS "rotatedAt",
  coalesce(f.earlier_rotations, '{}') AS "earlierRotations", f.scope, f.claims, f.sid, f.acr,
  f.amr, f.auth_time AS "authTime", f.jkt, f.created_at AS "createdAt", f.last_used_at AS "lastUsedAt", f.idle_expires_at AS "idleExpiresAt",
  f.expires_at AS "expiresAt", f.browser, f.address, f.lifetime, f.stale_since AS "staleSince", f.claims_version AS "oldestValidVersion", f.first_rotated_at AS "firstRotatedAt", f.seen,
  f.ended_at AS "endedAt", f.end_cause AS "endCause", f.end_browser AS "endBrowser", f.end_address AS "endAddress", f.end_generation AS "endGeneration",
  NOT (${IDENTITY_LIVES}) AS "identityDisabled", i.roles, i.claims_version AS "claimsVersion", NOT (${APP_LIVES}) AS "appDisabled", a.name AS "appName", a.is_public AS "appIsPublic", a.audience,
  a.backchannel_logout_uri IS NOT NULL OR a.event_receiver_uri IS NOT NULL AS "takesNotifications",
  a.application_token_ttl AS "applicationTokenTtl", a.refresh_id_token AS "refreshIdToken", a.id_token_alg AS "idTokenAlg", a.rotation_grace AS "rotationGrace",
  a.rotation_grace_proven AS "rotationGraceProven"`
const JOINED = 'families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id'

/** How long a family may last: as its app says, else as the portal says, unless it ends with its session. */
export const ownSeconds = (column: 'family_idle' | 'family_max', preset: string) =>
  `make_interval(secs => coalesce(a.${column}, CASE WHEN f.lifetime <> 'session' THEN ${preset}::int END))`

export interface NewFamily {
  id: string
  clientId: string
  identityId: string
  identitySessionId: string
  currentHash: Buffer
  scope: string
  claims: string | null
  sid: string | null
  acr: string | null
  amr: string[]
  authTime: number
  jkt: string | null
  lifetime: string
  /** Null with a lifetime that sets no end of its own. */
  idleExpiresAt: Date | null
  expiresAt: Date | null
  /** Of the claims in its first application token, which is signed by now. */
  claimsVersion: number
  /** By an authorization with `prompt=none`. */
  openedSilently: boolean
  /** How long an application token lives (seconds) of an app that sets no time of its own. */
  defaultTokenSeconds: number
}

/**
 * Opens the family in the row of `source`, and inserts the audit event. A family that is opened silently replaces those that were
 * opened silently in the same identity session for the same app, have no further scope, have never been refreshed, and whose
 * only application token has expired. SKIP LOCKED: a family that is being refreshed or ended stays, and no exchange waits for
 * one, so there is no deadlock. Of a refresh and a replacement that race, the first to commit wins. LATERAL: only a silent
 * exchange looks for others.
 */
export const OPENING = `opened AS (
  INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, claims, sid, acr, amr, auth_time, jkt, created_at,
    last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address, claims_version, stale_since, opened_silently)
  SELECT id, client_id, identity_id, session_id, current_hash, scope, claims, sid, acr, amr, auth_time, jkt, now,
    now, idle, absolute, idle, lifetime, browser, address, claims_version, stale_since, opened_silently FROM source),
  untouched AS (
  SELECT silent.id FROM source, LATERAL (
    SELECT f.id FROM families f
    WHERE f.identity_session_id = source.session_id AND f.client_id = source.client_id AND f.opened_silently AND f.ended_at IS NULL
      AND f.generation = 0 AND f.created_at <= source.now - make_interval(secs => source.token_seconds) AND f.idle_expires_at > source.now
      AND f.lifetime = source.lifetime AND string_to_array(source.scope, ' ') @> string_to_array(f.scope, ' ')
    FOR NO KEY UPDATE SKIP LOCKED) silent
  WHERE source.opened_silently),
  replaced AS (
  UPDATE families f SET ended_at = source.now, end_cause = 'replaced', end_browser = source.browser, end_address = source.address,
    replaced_by = source.id
  FROM source, untouched WHERE f.id = untouched.id RETURNING f.id),
  written AS (
  INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, cause, browser, address)
  SELECT now, 'family_ended', identity_id, client_id, replaced.id, 'replaced', browser, address FROM source, replaced
  UNION ALL SELECT now, 'family_opened', identity_id, client_id, id, NULL, browser, address FROM source)`

/** The ids of the replaced families, as a column beside those of `source`. */
export const REPLACED_IDS = 'ARRAY(SELECT id FROM replaced) AS replaced'

/**
 * Opens a family with the client info of its identity session and inserts the audit event, in one statement. Null when the session
 * has ended, or the identity or the app is disabled in the meantime: a code must not outlive its sign-in. A family that follows
 * its session lasts no longer than that. When roles have changed in the meantime, its first token is stale from the start.
 * @returns the ids of the families that it replaced
 */
export async function insertFamily(db: Queryable, family: NewFamily, now: Date): Promise<string[] | null> {
  const result = await db.query<{ replaced: string[] }>({
    name: 'family-insert',
    text: `WITH source AS (
       SELECT $1::uuid AS id, a.client_id, i.id AS identity_id, s.id AS session_id, $5::bytea AS current_hash, $6 AS scope, $7 AS claims, $8 AS sid,
         $9 AS acr, $10::text[] AS amr, $11::int AS auth_time, $12 AS jkt, $13::timestamptz AS now, e.idle, e.absolute, $16 AS lifetime, s.browser,
         s.address, i.claims_version, CASE WHEN i.claims_version <> $17::int THEN $13::timestamptz END AS stale_since, $18::boolean AS opened_silently,
         coalesce(a.application_token_ttl, $19::int) AS token_seconds
       FROM identity_sessions s JOIN identities i ON i.id = s.identity_id JOIN apps a ON a.client_id = $2,
         LATERAL (SELECT least($14::timestamptz, $15::timestamptz, CASE WHEN $16::text = 'session' THEN s.expires_at END) AS idle,
           least($15::timestamptz, CASE WHEN $16::text = 'session' THEN s.expires_at END) AS absolute) e
       WHERE s.id = $4 AND i.id = $3 AND s.ended_at IS NULL AND s.expires_at > $13 AND ${IDENTITY_LIVES} AND ${APP_LIVES}
       FOR SHARE OF i, s, a),
     ${OPENING}
     SELECT ${REPLACED_IDS} FROM source`,
    values: [
      family.id,
      family.clientId,
      family.identityId,
      family.identitySessionId,
      family.currentHash,
      family.scope,
      family.claims,
      family.sid,
      family.acr,
      family.amr,
      family.authTime,
      family.jkt,
      now,
      family.idleExpiresAt,
      family.expiresAt,
      family.lifetime,
      family.claimsVersion,
      family.openedSilently,
      family.defaultTokenSeconds,
    ],
  })
  return result.rows[0]?.replaced ?? null
}

export async function findFamily(db: Queryable, id: string, { now, seenSince }: Moment): Promise<FamilyRow | null> {
  const result = await db.query<FamilyRow>({
    name: 'family-find',
    text: `SELECT ${COLUMNS}, NOT ${followsLiving('$2', '$3')} AS "sessionOver" FROM ${JOINED} WHERE f.id = $1`,
    values: [id, now, seenSince],
  })
  return result.rows[0] ?? null
}

export interface Advance {
  id: string
  clientId: string
  presentedHash: Buffer
  successorHash: Buffer
  /** Scopes the app asks for; null asks for all. */
  scopes: string[] | null
  /** Thumbprint of the key that made the DPoP proof. */
  jkt: string | null
  /** Absent when the app is authenticated already. With it, a family whose ID token needs claims by name is not rotated. */
  proof?: AppProof
  defaultIdleSeconds: number
  /** The grace window of apps that name none (seconds). */
  defaultGraceSeconds: number
  /** The client that asks: `IP-address User-Agent`. */
  seen: string
}

/** What a token response needs, besides what the app has sent. */
export type AdvancedFamily = Pick<
  FamilyRow,
  | 'identityId'
  | 'scope'
  | 'claims'
  | 'sid'
  | 'acr'
  | 'amr'
  | 'authTime'
  | 'roles'
  | 'audience'
  | 'applicationTokenTtl'
  | 'refreshIdToken'
  | 'idTokenAlg'
  | 'claimsVersion'
  | 'oldestValidVersion'
> & {
  /** The identity session that it lives and ends with, if it does. */
  followedSessionId: string | null
}

/** How many different clients that refreshed a family its row keeps. */
const SEEN_KEPT = 5

/** How many rotations before the last the row of a family keeps, of those inside the grace window. */
export const EARLIER_ROTATIONS_KEPT = 63

/** Without a grace window a duplicate within this time (seconds) is a double click: it is refused, and ends nothing. */
export const RACE_SECONDS = 2

/** The new value of `earlier_rotations`: with the previous rotation, without those outside the window or beyond the limit. */
const earlierRotations = (now: string, presetGrace: string) => {
  const since = `${now}::timestamptz - make_interval(secs => greatest(coalesce(a.rotation_grace, ${presetGrace}::int), ${RACE_SECONDS}))`
  const tooMany = `cardinality(f.earlier_rotations) - ${EARLIER_ROTATIONS_KEPT - 1}`
  return `CASE WHEN f.rotated_at > ${since} THEN
    (f.earlier_rotations || f.rotated_at)[1 + greatest(0, width_bucket(${since}, f.earlier_rotations), ${tooMany}) :] END`
}

/** The rotation, for families that meet this condition too. */
const advanceText = (follows: string) => `UPDATE families f
  SET previous_hash = f.current_hash, current_hash = $4, generation = f.generation + 1, rotated_at = $5, last_used_at = $5,
      earlier_rotations = ${earlierRotations('$5', '$12')},
      first_rotated_at = coalesce(f.first_rotated_at, $5),
      seen = CASE WHEN f.seen[1] = $11 THEN f.seen ELSE (array_prepend($11, array_remove(f.seen, $11)))[1:${SEEN_KEPT}] END,
      idle_expires_at = least(f.expires_at, $5::timestamptz + ${ownSeconds('family_idle', '$8')})
  FROM identities i, apps a
  WHERE f.id = $1 AND f.client_id = $2 AND f.current_hash = $3 AND i.id = f.identity_id AND a.client_id = f.client_id
    AND ${familyLives('$5', follows)}
    AND (f.jkt IS NULL OR f.jkt = $6) AND ($7::text[] IS NULL OR string_to_array(f.scope, ' ') @> $7)
    AND (NOT $9::boolean OR (${provesApp('a', '$10', '$5')} AND NOT (a.refresh_id_token AND f.claims IS NOT NULL)))
  RETURNING f.identity_id AS "identityId", f.scope, f.claims, f.sid, f.acr, f.amr, f.auth_time AS "authTime", i.roles,
    i.claims_version AS "claimsVersion", f.claims_version AS "oldestValidVersion", a.audience,
    a.application_token_ttl AS "applicationTokenTtl", a.refresh_id_token AS "refreshIdToken", a.id_token_alg AS "idTokenAlg",
    CASE WHEN f.lifetime = 'session' THEN f.identity_session_id END AS "followedSessionId"`

const ADVANCE_FREE = advanceText(`f.lifetime <> 'session'`)
const ADVANCE_ANY = advanceText(followsLiving('$5', '$13'))

/**
 * Refresh token rotation: one conditional update with every condition in it (compare and set). Of callers that race, in any
 * number of processes, exactly one gets a row. Null says only that no row changed, not why. A family that follows its identity
 * session is rotated only with `looksAtSession`: that check adds a tenth to the cost, and most families follow none.
 */
export async function advanceFamily(
  db: Queryable,
  advance: Advance,
  { now, seenSince }: Moment,
  looksAtSession: boolean,
): Promise<AdvancedFamily | null> {
  const result = await db.query<AdvancedFamily>({
    name: looksAtSession ? 'family-advance-any' : 'family-advance',
    text: looksAtSession ? ADVANCE_ANY : ADVANCE_FREE,
    values: [
      advance.id,
      advance.clientId,
      advance.presentedHash,
      advance.successorHash,
      now,
      advance.jkt,
      advance.scopes,
      advance.defaultIdleSeconds,
      advance.proof !== undefined,
      advance.proof?.secretHash ?? null,
      advance.seen,
      advance.defaultGraceSeconds,
      ...(looksAtSession ? [seenSince] : []),
    ],
  })
  return result.rows[0] ?? null
}

/** Which families to end. Every choice names an owner, so no mistake ends the families of all. */
export type FamilyChoice =
  | { id: string; identityId?: string }
  | { identityId: string; clientId?: string; exceptSessionId?: string }
  | { identitySessionIds: string[]; lifetimes: string[] }
  | { ids: string[] }

export interface EndedFamily {
  id: string
  clientId: string
  identityId: string
  sid: string | null
  /** Whether its app has a URI for logout tokens (OpenID Connect Back-Channel Logout), and one for events (RFC 8935). */
  takesLogouts: boolean
  takesEvents: boolean
}

/** The cause, the client, and the generation of the replaced refresh token that was reused. */
export interface FamilyEnd {
  cause: string
  browser: string | null
  address: string | null
  generation: number | null
}

/** @returns the families that this call ended. Of callers that race, one ends each. */
export async function markFamiliesEnded(
  db: Queryable,
  choice: FamilyChoice,
  end: FamilyEnd,
  now: Date,
): Promise<EndedFamily[]> {
  if ('ids' in choice && choice.ids.length === 0) return []
  if ('identitySessionIds' in choice && choice.identitySessionIds.length === 0) return []
  const values: unknown[] = [now, end.cause, end.browser, end.address, end.generation]
  const conditions = ['a.client_id = f.client_id', 'f.ended_at IS NULL']
  const where = (condition: string, value: unknown) => conditions.push(condition.replace('?', `$${values.push(value)}`))

  if ('id' in choice) where('f.id = ?', choice.id)
  if ('ids' in choice) where('f.id = ANY (?::uuid[])', choice.ids)
  if ('identityId' in choice && choice.identityId !== undefined) where('f.identity_id = ?', choice.identityId)
  if ('clientId' in choice && choice.clientId !== undefined) where('f.client_id = ?', choice.clientId)
  if ('exceptSessionId' in choice && choice.exceptSessionId !== undefined)
    where('f.identity_session_id IS DISTINCT FROM ?::uuid', choice.exceptSessionId)
  if ('identitySessionIds' in choice) {
    where('f.identity_session_id = ANY (?::uuid[])', choice.identitySessionIds)
    where('f.lifetime = ANY (?)', choice.lifetimes)
  }
  const result = await db.query<EndedFamily>(
    `UPDATE families f SET ended_at = $1, end_cause = $2, end_browser = $3, end_address = $4, end_generation = $5
     FROM apps a WHERE ${conditions.join(' AND ')}
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.backchannel_logout_uri IS NOT NULL AS "takesLogouts", a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    values,
  )
  return result.rows
}

/**
 * The families that these have replaced, and those that they had replaced before, the oldest first. They ended then, and their
 * app was not notified.
 */
export async function listReplacedBy(db: Queryable, ids: string[]): Promise<EndedFamily[]> {
  if (ids.length === 0) return []
  const result = await db.query<EndedFamily>({
    name: 'families-replaced-by',
    text: `WITH RECURSIVE gone AS (
        SELECT id, created_at, client_id, identity_id, sid FROM families WHERE replaced_by = ANY ($1::uuid[])
        UNION ALL
        SELECT f.id, f.created_at, f.client_id, f.identity_id, f.sid FROM gone JOIN families f ON f.replaced_by = gone.id)
      SELECT gone.id, gone.client_id AS "clientId", gone.identity_id AS "identityId", gone.sid,
        a.backchannel_logout_uri IS NOT NULL AS "takesLogouts", a.event_receiver_uri IS NOT NULL AS "takesEvents"
      FROM gone JOIN apps a ON a.client_id = gone.client_id ORDER BY gone.created_at`,
    values: [ids],
  })
  return result.rows
}

/**
 * Locks the living families of an identity until the transaction ends: refreshes in progress have finished then, and later ones
 * wait.
 */
export async function lockFamiliesOf(db: Queryable, identityId: string): Promise<void> {
  await db.query('SELECT FROM families WHERE identity_id = $1 AND ended_at IS NULL FOR NO KEY UPDATE', [identityId])
}

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

/** Up to `limit` living families of an app that is disabled, and stays so until this transaction has ended them. */
export async function lockFamiliesOfDisabledApp(db: Queryable, clientId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT f.id FROM apps a JOIN families f ON f.client_id = a.client_id
     WHERE a.client_id = $1 AND a.disabled_at IS NOT NULL AND f.ended_at IS NULL LIMIT $2 FOR SHARE OF a FOR UPDATE OF f`,
    [clientId, limit],
  )
  return result.rows.map((row) => row.id)
}

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

/** Newest first: all families of an identity (of one app, if given), or the ones of an app that have not ended. */
export async function searchFamilies(
  db: Queryable,
  identityId: string | null,
  clientId: string | null,
  { now, seenSince }: Moment,
  limit: number,
): Promise<FamilyRow[]> {
  const chosen =
    identityId === null
      ? 'f.client_id = $2 AND f.ended_at IS NULL AND $1::uuid IS NULL'
      : 'f.identity_id = $1 AND ($2::text IS NULL OR f.client_id = $2)'
  const result = await db.query<FamilyRow>(
    `SELECT ${COLUMNS}, NOT ${followsLiving('$3', '$4')} AS "sessionOver" FROM ${JOINED}
     WHERE ${chosen} ORDER BY f.created_at DESC LIMIT $5`,
    [identityId, clientId, now, seenSince, limit],
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

/**
 * Deletes up to `limit` families that ended before then. SKIP LOCKED: no process waits for another. @returns how many were
 * deleted; fewer than `limit` when the rest is locked.
 */
export async function deleteEndedFamilies(db: Queryable, before: Date, limit: number): Promise<number> {
  // An array and an order leave the planner one way, by the index, however many rows there are to choose from.
  const result = await db.query(
    `DELETE FROM families WHERE id = ANY (
       ARRAY(SELECT id FROM families WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/**
 * Deletes up to `limit` families of an identity, living or not. The ids of those that ended after `since` stay, for the
 * revocation feed. @returns how many were deleted
 */
export async function eraseFamiliesOf(db: Queryable, identityId: string, since: Date, limit: number): Promise<number> {
  const result = await db.query<{ count: number }>(
    `WITH gone AS (DELETE FROM families WHERE id = ANY (ARRAY(SELECT id FROM families WHERE identity_id = $1 LIMIT $2))
       RETURNING id, ended_at),
     kept AS (INSERT INTO erased_families SELECT id, ended_at FROM gone WHERE ended_at > $3)
     SELECT count(*)::int AS count FROM gone`,
    [identityId, limit, since],
  )
  return result.rows[0]?.count ?? 0
}

/** Deletes up to `limit` ids of erased families that ended before then. @returns how many were deleted */
export async function deleteErasedFamilies(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM erased_families WHERE id = ANY (
       ARRAY(SELECT id FROM erased_families WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

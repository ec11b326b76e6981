import type { App as AppRow } from './client/client.ts'
import { APP_LIVES, MAY_ENTER } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'
import { hasPrefix } from './prefixes.ts'
import { insertRow, updateRow } from './rows.ts'

export type { AppRow }

export async function insertApp(db: Queryable, app: AppRow): Promise<void> {
  await insertRow(db, 'apps', app)
}

/** Also an app that is disabled. The protocol library asks on every request, so it is a named statement. */
export async function findApp({ pool }: Database, clientId: string): Promise<AppRow | null> {
  const result = await pool.query<AppRow>({
    name: 'app-find',
    text: `SELECT ${COLUMNS} FROM apps WHERE client_id = $1`,
    values: [clientId],
  })
  return result.rows[0] ?? null
}

/** The hash of the client secret an app sent; null from a public app, which sends none. */
export interface AppProof {
  secretHash: string | null
}

/** The SQL condition of client authentication of an app; `secretHash` and `now` are parameters. */
export const provesApp = (app: string, secretHash: string, now: string) =>
  `CASE WHEN ${app}.is_public THEN ${secretHash}::text IS NULL
    ELSE ${provesSecret(app, secretHash, now)} END`

/** The same of a client that has a secret, an app or an API. */
export const provesSecret = (client: string, secretHash: string, now: string) =>
  `${secretHash} IN (${client}.secret_hash, CASE WHEN ${client}.previous_secret_until > ${now} THEN ${client}.previous_secret_hash END)`

/** The SQL condition that tokens of an app need not be bound to a key (DPoP) or a certificate. */
export const takesBearerTokens = (app: string) => `NOT ${app}.require_dpop AND NOT ${app}.bind_certificate`

/**
 * The SQL condition that a token of this app is bound as the app requires: to the key of a DPoP proof (RFC 9449), or to a
 * certificate (RFC 8705). `jkt` and `x5t` are parameters, null for none.
 */
export const isBoundAsRequired = (app: string, jkt: string, x5t: string) =>
  `(NOT ${app}.require_dpop OR ${jkt}::text IS NOT NULL) AND (NOT ${app}.bind_certificate OR ${x5t}::text IS NOT NULL)`

/** An app in a list: its row, and the key of its name in the order. */
export type ListedApp = AppRow & { nameKey: string }

/** Which apps to list: those whose name or client id begins with `prefix`, enabled or disabled, from after the key `after` on. */
export interface AppListing {
  prefix: string
  isDisabled: boolean | null
  after: [nameKey: string, clientId: string] | null
  limit: number
}

/** By name. */
export async function findAppsByName(
  { pool }: Database,
  { prefix, isDisabled, after, limit }: AppListing,
): Promise<ListedApp[]> {
  const key = 'lower(name) COLLATE "C", client_id COLLATE "C"'
  const select = (condition: string) => `(SELECT *, ${key.replace(',', ' AS name_key,')} AS id_key FROM apps
     WHERE ${condition} AND deleted_at IS NULL AND ($2::boolean IS NULL OR (disabled_at IS NOT NULL) = $2)
       AND (${key}) > ($3::text COLLATE "C", $4::text COLLATE "C") ORDER BY ${key} LIMIT $5)`
  const found = prefix === '' ? ["$1 = ''"] : [hasPrefix('lower(name)', 'lower($1)'), hasPrefix('client_id', '$1')]
  const result = await pool.query<ListedApp>(
    `SELECT ${COLUMNS}, name_key AS "nameKey" FROM (SELECT DISTINCT ON (name_key, id_key) * FROM (${found.map(select).join(' UNION ALL ')}) found
     ORDER BY name_key, id_key LIMIT $5) listed`,
    [prefix, isDisabled, ...(after ?? ['', '']), limit],
  )
  return result.rows
}

/** How many families of an app live, and of how many users; counted up to `most` families. */
export async function countFamilies(
  { pool }: Database,
  clientId: string,
  most: number,
): Promise<{ families: number; users: number }> {
  const result = await pool.query<{ families: number; users: number }>(
    `SELECT count(*)::int AS families, count(DISTINCT identity_id)::int AS users
     FROM (SELECT identity_id FROM families WHERE client_id = $1 AND ended_at IS NULL LIMIT $2) living`,
    [clientId, most],
  )
  return result.rows[0] ?? { families: 0, users: 0 }
}

/**
 * The longest life (seconds) that an application token may have which is out now. `preset` is that of apps and APIs without one
 * of their own; one that was changed since then may have had up to `most`.
 */
export async function findLongestTokenLife(
  { pool }: Database,
  preset: number,
  { since, most }: { since: Date; most: number },
): Promise<number> {
  const result = await pool.query<{ longest: number }>({
    name: 'apps-longest-token-life',
    text: `SELECT greatest($1::int, max(CASE WHEN updated_at > $2 AND updated_at > created_at THEN $3::int ELSE application_token_ttl END)) AS longest
           FROM (SELECT application_token_ttl, created_at, updated_at FROM apps UNION ALL SELECT token_ttl, created_at, updated_at FROM apis) lives`,
    values: [preset, since, most],
  })
  return result.rows[0]?.longest ?? preset
}

/** What the pages for people show of an app. */
export type AppLook = Pick<AppRow, 'clientId' | 'name' | 'homeUri' | 'description' | 'icon' | 'colour'>

/** The enabled apps with a home, and these others; a disabled app has none. By name, and no more than a page can hold. */
export async function listAppLooks({ pool }: Database, identityId: string, others: string[]): Promise<AppLook[]> {
  const result = await pool.query<AppLook>({
    name: 'apps-looks',
    text: `SELECT a.client_id AS "clientId", a.name, CASE WHEN ${APP_LIVES} AND ${MAY_ENTER} THEN home_uri END AS "homeUri", description, icon, colour
           FROM apps a, identities i
           WHERE i.id = $2 AND ((${APP_LIVES} AND home_uri IS NOT NULL AND ${MAY_ENTER}) OR client_id = ANY ($1))
           ORDER BY client_id = ANY ($1) DESC, lower(a.name), client_id LIMIT 1000`,
    values: [others, identityId],
  })
  return result.rows
}

/** Whether any app, also one that is disabled, has this algorithm for its ID tokens, or an API for its application tokens. */
export async function isSigningAlgUsed({ pool }: Database, alg: string): Promise<boolean> {
  const { rowCount } = await pool.query({
    name: 'apps-signing-alg-used',
    text: '(SELECT FROM apps WHERE id_token_alg = $1 LIMIT 1) UNION ALL (SELECT FROM apis WHERE signing_alg = $1 LIMIT 1)',
    values: [alg],
  })
  return (rowCount ?? 0) > 0
}

/**
 * Whether another app or an API has this audience, too: of apps those whose application tokens are signed with a shared key, or
 * with `orAnyOther` any.
 */
export async function isAudienceShared(
  db: Queryable,
  clientId: string,
  audience: string,
  orAnyOther: boolean,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `(SELECT FROM apps WHERE audience = $2 AND client_id <> $1 AND deleted_at IS NULL AND ($3 OR application_token_alg = 'HS256') LIMIT 1)
     UNION ALL (SELECT FROM apis WHERE identifier = $2 AND $3)`,
    [clientId, audience, orAnyOther],
  )
  return (rowCount ?? 0) > 0
}

/** The enabled apps that share a key with the portal, by client id. */
export async function listAppsWithTokenKey({ pool }: Database): Promise<string[]> {
  const result = await pool.query<{ clientId: string }>(
    `SELECT client_id AS "clientId" FROM apps WHERE token_key_id IS NOT NULL AND disabled_at IS NULL ORDER BY client_id`,
  )
  return result.rows.map(({ clientId }) => clientId)
}

export async function updateApp(db: Queryable, clientId: string, change: Partial<AppRow>, now: Date): Promise<AppRow> {
  const changed = await updateRow<AppRow>(db, 'apps', ['client_id', clientId], { ...change, updatedAt: now }, COLUMNS)
  if (changed === null) throw new Error(`there is no app ${clientId}`)
  return changed
}

/** The names of the roles of an app, which stay as they are until this transaction ends; null when there is no such app. */
export async function holdAppRoles(db: Queryable, clientId: string): Promise<string[] | null> {
  const result = await db.query<{ roles: string[] }>(
    'SELECT roles FROM apps WHERE client_id = $1 AND deleted_at IS NULL FOR SHARE',
    [clientId],
  )
  return result.rows[0]?.roles ?? null
}

/** Locks an app: one transaction at a time changes it, and no family is opened meanwhile. Null when there is none. */
export async function lockApp(db: Queryable, clientId: string): Promise<AppRow | null> {
  const result = await db.query<AppRow>(`SELECT ${COLUMNS} FROM apps WHERE client_id = $1 FOR NO KEY UPDATE`, [
    clientId,
  ])
  return result.rows[0] ?? null
}

/** Whether an app has a family that has not ended. */
export async function hasFamilies(db: Queryable, clientId: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT FROM families WHERE client_id = $1 AND ended_at IS NULL LIMIT 1', [
    clientId,
  ])
  return rowCount === 1
}

/** Apps whose access has changed, with families that have not been looked through since. */
export async function listAppsWithAccessChange(db: Queryable): Promise<{ clientId: string; accessChangedAt: Date }[]> {
  const result = await db.query<{ clientId: string; accessChangedAt: Date }>(
    `SELECT client_id AS "clientId", access_changed_at AS "accessChangedAt" FROM apps WHERE access_changed_at IS NOT NULL`,
  )
  return result.rows
}

/** The families of the app have been looked through since this change. */
export async function clearAccessChange(db: Queryable, clientId: string, changedAt: Date): Promise<void> {
  await db.query('UPDATE apps SET access_changed_at = NULL WHERE client_id = $1 AND access_changed_at = $2', [
    clientId,
    changedAt,
  ])
}

/** The apps that are disabled, also those that are deleted. */
export async function listDisabledApps(db: Queryable): Promise<Pick<AppRow, 'clientId' | 'deletedAt'>[]> {
  const result = await db.query<Pick<AppRow, 'clientId' | 'deletedAt'>>(
    'SELECT client_id AS "clientId", deleted_at AS "deletedAt" FROM apps WHERE disabled_at IS NOT NULL',
  )
  return result.rows
}

const COLUMNS = `client_id AS "clientId", name, is_public AS "isPublic", is_native AS "isNative", secret_hash AS "secretHash",
  previous_secret_hash AS "previousSecretHash", previous_secret_until AS "previousSecretUntil", redirect_uris AS "redirectUris",
  post_logout_redirect_uris AS "postLogoutRedirectUris", audience, scope, allow_no_pkce AS "allowNoPkce", id_token_alg AS "idTokenAlg",
  simple_api AS "simpleApi", self_assignable_roles AS "selfAssignableRoles", application_token_alg AS "applicationTokenAlg", token_key_id AS "tokenKeyId",
  refresh_id_token AS "refreshIdToken", allow_offline AS "allowOffline",
  application_token_ttl AS "applicationTokenTtl", family_idle AS "familyIdle", family_max AS "familyMax", rotation_grace AS "rotationGrace",
  rotation_grace_proven AS "rotationGraceProven",
  backchannel_logout_uri AS "backchannelLogoutUri", event_receiver_uri AS "eventReceiverUri", family_lifetime AS "familyLifetime",
  family_renewal AS "familyRenewal", home_uri AS "homeUri", description, icon, colour, first_time_notice AS "firstTimeNotice", is_service AS "isService",
  is_device AS "isDevice", is_third_party AS "isThirdParty", first_party_direct AS "firstPartyDirect", auth_method AS "authMethod", jwks, jwks_uri AS "jwksUri", tls_subject_dn AS "tlsSubjectDn",
  security_profile AS "securityProfile", require_par AS "requirePar", require_signed_request AS "requireSignedRequest", require_dpop AS "requireDpop",
  bind_certificate AS "bindCertificate", id_token_claims AS "idTokenClaims", application_token_claims AS "applicationTokenClaims",
  attribute_claims AS "attributeClaims", is_pairwise AS "isPairwise", roles, access, allowed_roles AS "allowedRoles",
  allowed_groups AS "allowedGroups", access_changed_at AS "accessChangedAt", created_at AS "createdAt", updated_at AS "updatedAt", disabled_at AS "disabledAt",
  deleted_at AS "deletedAt", revoked_before AS "revokedBefore"`

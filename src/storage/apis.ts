import type { Api as ApiRow } from './client/client.ts'
import type { Database, Queryable } from './postgres.ts'
import { hasPrefix } from './prefixes.ts'
import { insertRow, updateRow } from './rows.ts'

export type { ApiRow }

export async function insertApi(db: Queryable, api: ApiRow): Promise<void> {
  await insertRow(db, 'apis', api)
}

/** Inserts an API, or gives the one there is the scopes that it lacks. True for the call that changed anything. */
export async function settleApi(db: Queryable, api: ApiRow): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'api-settle',
    text: `INSERT INTO apis AS a (identifier, client_id, name, scopes, signing_alg, auth_method, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
           ON CONFLICT (identifier) DO UPDATE SET updated_at = EXCLUDED.updated_at,
             scopes = ARRAY(SELECT DISTINCT unnest(a.scopes || EXCLUDED.scopes) ORDER BY 1)
           WHERE NOT a.scopes @> EXCLUDED.scopes`,
    values: [api.identifier, api.clientId, api.name, api.scopes, api.signingAlg, api.authMethod, api.createdAt],
  })
  return rowCount === 1
}

export async function findApi({ pool }: Database, identifier: string): Promise<ApiRow | null> {
  const result = await pool.query<ApiRow>({
    name: 'api-find',
    text: `SELECT ${COLUMNS} FROM apis WHERE identifier = $1`,
    values: [identifier],
  })
  return result.rows[0] ?? null
}

/** The API whose credential has this client id. */
export async function findApiByClientId({ pool }: Database, clientId: string): Promise<ApiRow | null> {
  const result = await pool.query<ApiRow>({
    name: 'api-find-by-client-id',
    text: `SELECT ${COLUMNS} FROM apis WHERE client_id = $1`,
    values: [clientId],
  })
  return result.rows[0] ?? null
}

/** An API in a list: its row, and the key of its name in the order. */
export type ListedApi = ApiRow & { nameKey: string }

/** The APIs whose name or identifier begins with `prefix`, by name, from after the key `after` on. */
export async function findApisByName(
  { pool }: Database,
  { prefix, after, limit }: { prefix: string; after: [nameKey: string, identifier: string] | null; limit: number },
): Promise<ListedApi[]> {
  const key = 'lower(name) COLLATE "C", identifier COLLATE "C"'
  const select = (condition: string) => `(SELECT *, ${key.replace(',', ' AS name_key,')} AS id_key FROM apis
     WHERE ${condition} AND (${key}) > ($2::text COLLATE "C", $3::text COLLATE "C") ORDER BY ${key} LIMIT $4)`
  const found = prefix === '' ? ["$1 = ''"] : [hasPrefix('lower(name)', 'lower($1)'), hasPrefix('identifier', '$1')]
  const result = await pool.query<ListedApi>(
    `SELECT ${COLUMNS}, name_key AS "nameKey" FROM (SELECT DISTINCT ON (name_key, id_key) * FROM (${found.map(select).join(' UNION ALL ')}) found
     ORDER BY name_key, id_key LIMIT $4) listed`,
    [prefix, ...(after ?? ['', '']), limit],
  )
  return result.rows
}

/** The apps that may have something of an API, `limit` at most. */
export async function listAppsOfApi(
  { pool }: Database,
  identifier: string,
  limit: number,
): Promise<{ clientId: string; name: string; kind: string; scopes: string[] }[]> {
  const result = await pool.query<{ clientId: string; name: string; kind: string; scopes: string[] }>(
    `SELECT g.client_id AS "clientId", a.name, g.kind, g.scopes FROM app_apis g JOIN apps a ON a.client_id = g.client_id
     WHERE g.identifier = $1 ORDER BY g.client_id, g.kind LIMIT $2`,
    [identifier, limit],
  )
  return result.rows
}

/** Null when there is no such API any more. */
export async function updateApi(
  db: Queryable,
  identifier: string,
  change: Partial<ApiRow>,
  now: Date,
): Promise<ApiRow | null> {
  return updateRow<ApiRow>(db, 'apis', ['identifier', identifier], { ...change, updatedAt: now }, COLUMNS)
}

/**
 * Also deletes what apps may have of it, which changes these apps: tokens that they got for it may be out. False when there is no
 * such API any more.
 */
export async function deleteApi(db: Queryable, identifier: string, now: Date): Promise<boolean> {
  await db.query(
    'UPDATE apps SET updated_at = $2 WHERE client_id IN (SELECT client_id FROM app_apis WHERE identifier = $1)',
    [identifier, now],
  )
  const { rowCount } = await db.query('DELETE FROM apis WHERE identifier = $1', [identifier])
  return rowCount === 1
}

const COLUMNS = `identifier, client_id AS "clientId", name, scopes, token_ttl AS "tokenTtl", signing_alg AS "signingAlg", auth_method AS "authMethod",
  secret_hash AS "secretHash", previous_secret_hash AS "previousSecretHash", previous_secret_until AS "previousSecretUntil", jwks, jwks_uri AS "jwksUri",
  created_at AS "createdAt", updated_at AS "updatedAt"`

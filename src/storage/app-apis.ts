import type { Database, Queryable } from './postgres.ts'

/** How an app gets tokens for an API: with `resource` (RFC 8707), or in exchange for a token that it got itself (RFC 8693). */
export type ApiGrantKind = 'request' | 'exchange'

/** What an app may have of an API. */
export interface AppApiRow {
  clientId: string
  identifier: string
  kind: ApiGrantKind
  scopes: string[]
}

/** Those of one app, or all; by identifier. */
export async function listAppApis({ pool }: Database, clientId: string | null = null): Promise<AppApiRow[]> {
  const result = await pool.query<AppApiRow>({
    name: 'app-apis-list',
    text: `SELECT client_id AS "clientId", identifier, kind, scopes FROM app_apis
           WHERE $1::text IS NULL OR client_id = $1 ORDER BY client_id, identifier, kind`,
    values: [clientId],
  })
  return result.rows
}

/** Whether an app may have something of this API, in any way. */
export async function hasApi(db: Queryable, clientId: string, identifier: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT FROM app_apis WHERE client_id = $1 AND identifier = $2 LIMIT 1', [
    clientId,
    identifier,
  ])
  return rowCount === 1
}

/** An API that an app may have tokens for, and what a token for it needs. */
export interface GrantedApi {
  identifier: string
  /** What the app may have of it. */
  scopes: string[]
  /** Seconds; null leaves it to the app. */
  tokenTtl: number | null
  signingAlg: string
}

/** The APIs that an app may ask for with `resource` (RFC 8707); of one identifier, or all. */
export async function listRequestableApis(
  db: Queryable,
  clientId: string,
  identifier: string | null = null,
): Promise<GrantedApi[]> {
  const result = await db.query<GrantedApi>({
    name: 'app-apis-requestable',
    text: `SELECT ${GRANTED_COLUMNS} FROM ${GRANTED_APIS} WHERE g.client_id = $1 AND g.kind = 'request' AND ($2::text IS NULL OR g.identifier = $2)`,
    values: [clientId, identifier],
  })
  return result.rows
}

export const GRANTED_APIS = 'app_apis g JOIN apis r ON r.identifier = g.identifier'
const GRANTED_COLUMNS = 'g.identifier, g.scopes, r.token_ttl AS "tokenTtl", r.signing_alg AS "signingAlg"'

/** Whether an app may call any API for users, and this one, which is null when it may not. */
export async function findExchangeTarget(
  { pool }: Database,
  clientId: string,
  identifier: string | null,
): Promise<{ mayExchange: boolean; target: GrantedApi | null }> {
  const result = await pool.query<GrantedApi>({
    name: 'app-apis-exchange',
    text: `SELECT ${GRANTED_COLUMNS} FROM ${GRANTED_APIS}
           WHERE g.client_id = $1 AND g.kind = 'exchange' ORDER BY (g.identifier = $2) DESC NULLS LAST LIMIT 1`,
    values: [clientId, identifier],
  })
  const [first] = result.rows
  return { mayExchange: first !== undefined, target: first?.identifier === identifier ? (first ?? null) : null }
}

/** Replaces what the app may have in this way. @throws a foreign key violation for an API that has been deleted */
export async function replaceAppApis(
  db: Queryable,
  clientId: string,
  kind: ApiGrantKind,
  apis: Pick<AppApiRow, 'identifier' | 'scopes'>[],
): Promise<void> {
  await db.query('DELETE FROM app_apis WHERE client_id = $1 AND kind = $2', [clientId, kind])
  for (const { identifier, scopes } of apis) {
    await db.query('INSERT INTO app_apis (client_id, identifier, kind, scopes) VALUES ($1, $2, $3, $4)', [
      clientId,
      identifier,
      kind,
      scopes,
    ])
  }
}

/** Takes scopes that an API no longer has from the apps that may have them. */
export async function keepAppApiScopes(db: Queryable, identifier: string, scopes: string[]): Promise<void> {
  await db.query(
    `UPDATE app_apis SET scopes = ARRAY(SELECT unnest(scopes) INTERSECT SELECT unnest($2::text[])) WHERE identifier = $1`,
    [identifier, scopes],
  )
}

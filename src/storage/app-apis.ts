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

/** An API that an app may call for users, and the scopes that it may have there. */
export interface ExchangeTargetRow {
  identifier: string
  scopes: string[]
  tokenTtl: number | null
  signingAlg: string
}

/** Whether an app may call any API for users, and this one, which is null when it may not. */
export async function findExchangeTarget(
  { pool }: Database,
  clientId: string,
  identifier: string | null,
): Promise<{ mayExchange: boolean; target: ExchangeTargetRow | null }> {
  const result = await pool.query<ExchangeTargetRow>({
    name: 'app-apis-exchange',
    text: `SELECT g.identifier, g.scopes, i.token_ttl AS "tokenTtl", i.signing_alg AS "signingAlg"
           FROM app_apis g JOIN apis i ON i.identifier = g.identifier
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

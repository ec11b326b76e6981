import { type AppProof, provesApp, takesBearerTokens } from './apps.ts'
import type { Queryable } from './postgres.ts'

/** A service, with one of the APIs that it may have tokens for; these columns are null where it has none. */
export interface ServiceGrantRow {
  audience: string
  scope: string
  applicationTokenTtl: number | null
  identifier: string | null
  /** What the service may do there. */
  scopes: string[] | null
  tokenTtl: number | null
  signingAlg: string | null
}

/** @param resource the API that the request names; null where it names none, and then at most two APIs are listed */
export async function listServiceGrants(
  db: Queryable,
  clientId: string,
  resource: string | null,
): Promise<ServiceGrantRow[]> {
  const result = await db.query<ServiceGrantRow>({
    name: 'service-grants',
    text: GRANTS,
    values: [clientId, resource],
  })
  return result.rows
}

/** The same for a service that is not authenticated yet, and whose tokens need no proof of a key. */
export async function listServiceGrantsUnproved(
  db: Queryable,
  clientId: string,
  resource: string | null,
  proof: AppProof,
  now: Date,
): Promise<ServiceGrantRow[]> {
  const result = await db.query<ServiceGrantRow>({
    name: 'service-grants-unproved',
    text: `${GRANTS} AND ${takesBearerTokens('a')} AND ${provesApp('a', '$3', '$4')}`,
    values: [clientId, resource, proof.secretHash, now],
  })
  return result.rows
}

const GRANTS = `SELECT a.audience, a.scope, a.application_token_ttl AS "applicationTokenTtl",
    granted.identifier, granted.scopes, granted.token_ttl AS "tokenTtl", granted.signing_alg AS "signingAlg"
  FROM apps a LEFT JOIN LATERAL (
    SELECT g.identifier, g.scopes, i.token_ttl, i.signing_alg FROM app_apis g JOIN apis i ON i.identifier = g.identifier
    WHERE g.client_id = a.client_id AND g.kind = 'request' AND ($2::text IS NULL OR g.identifier = $2) LIMIT 2
  ) granted ON true
  WHERE a.client_id = $1 AND a.is_service AND a.disabled_at IS NULL`

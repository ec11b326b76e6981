import { randomUUID } from 'node:crypto'
import type { AppProof } from '../../storage/apps.ts'
import { listServiceGrants, listServiceGrantsUnproved, type ServiceGrantRow } from '../../storage/service-tokens.ts'
import { findServiceScopes } from '../../storage/token-callers.ts'
import { APPLICATION_ALG, signJwtInBackground, verifyJwt } from '../keys/jwts.ts'
import type { SigningAlg } from '../keys/signing-keys.ts'
import type { Confirmation, ServiceTokenClaims } from '../service-token-claims.ts'
import type { Services } from '../services.ts'
import { epochSeconds } from '../time.ts'
import { mayBeIdentifier } from './apis.ts'

/** What a service asks for (RFC 6749 §4.4). */
export interface ServiceTokenRequest {
  clientId: string
  /** The identifier of an API (RFC 8707); null leaves the choice to the portal. */
  resource: string | null
  /** Null asks for every scope that is granted. */
  scopes: string[] | null
}

export interface IssuedServiceToken {
  kind: 'issued'
  token: string
  /** Seconds. */
  expiresIn: number
  scope: string
  audience: string
}

export type ServiceTokenOutcome =
  | IssuedServiceToken
  | { kind: 'not-a-service' | 'unknown-target' }
  /** `scopes` are those that are not granted; empty where none are. */
  | { kind: 'scope-exceeded'; scopes: string[] }

/** The token that an authenticated service asks for, or why it gets none. Nothing is stored. */
export async function issueServiceToken(
  services: Services,
  request: ServiceTokenRequest,
  confirmation: Confirmation,
): Promise<ServiceTokenOutcome> {
  if (!isSendable(request)) return { kind: 'unknown-target' }
  const now = services.clock()
  const grants = await listServiceGrants(services.storage.pool, request.clientId, request.resource)
  return issue(services, request, grants, confirmation, now)
}

/**
 * The same for a service that is not authenticated yet: its proof is one more condition of the one statement. Null when any
 * condition fails, also that its tokens need no proof of a key; `issueServiceToken` says why once it is authenticated.
 */
export async function issueServiceTokenUnproved(
  services: Services,
  request: ServiceTokenRequest,
  proof: AppProof,
): Promise<IssuedServiceToken | null> {
  if (!isSendable(request)) return null
  const now = services.clock()
  const { pool } = services.storage
  const grants = await listServiceGrantsUnproved(pool, request.clientId, request.resource, proof, now)
  const outcome = await issue(services, request, grants, {}, now)
  return outcome.kind === 'issued' ? outcome : null
}

async function issue(
  services: Services,
  { clientId, resource, scopes }: ServiceTokenRequest,
  grants: ServiceGrantRow[],
  confirmation: Confirmation,
  now: Date,
): Promise<ServiceTokenOutcome> {
  const target = targetOf(grants, resource)
  if (target === null) return { kind: grants.length === 0 ? 'not-a-service' : 'unknown-target' }
  const exceeding = (scopes ?? []).filter((scope) => !target.scopes.includes(scope))
  // Scopes that an API has lost are taken from the apps that had them, which may leave nothing.
  if (exceeding.length > 0 || (target.isApi && target.scopes.length === 0))
    return { kind: 'scope-exceeded', scopes: exceeding }

  const { audience } = target
  const scope = (scopes ?? target.scopes).join(' ')
  const expiresIn = target.ttl ?? services.lifetimes.applicationToken
  const iat = epochSeconds(now)
  const claims: ServiceTokenClaims = {
    iss: services.publicUrl,
    sub: clientId,
    aud: audience,
    client_id: clientId,
    iat,
    exp: iat + expiresIn,
    jti: randomUUID(),
    ...(scope === '' ? {} : { scope }),
    ...(Object.keys(confirmation).length === 0 ? {} : { cnf: confirmation }),
  }
  const token = await signJwtInBackground(services.keys.signer(target.alg), 'application', claims)
  return { kind: 'issued', token, expiresIn, scope, audience }
}

/**
 * The claims of a service token for an API of this portal, as far as the token itself says; null for a wrong signature, an expired
 * token, another audience, and the token of a user.
 */
export function readServiceToken(services: Services, token: string, audience: string): ServiceTokenClaims | null {
  const claims = verifyJwt(services, token, 'application') as (ServiceTokenClaims & { fam?: string }) | null
  const isValid = claims !== null && claims.exp > epochSeconds(services.clock())
  return isValid && claims.aud === audience && claims.fam === undefined ? claims : null
}

/**
 * The scopes of such a token that its service still has, in one read. Null when the service is disabled or was disabled since, or
 * may have no token for the API any more.
 */
export async function scopesStillGranted(services: Services, claims: ServiceTokenClaims): Promise<string[] | null> {
  const granted = await findServiceScopes(services.storage.pool, claims.client_id, claims.aud, claims.iat)
  return granted && (claims.scope ?? '').split(' ').filter((scope) => granted.includes(scope))
}

interface Target {
  audience: string
  isApi: boolean
  scopes: string[]
  ttl: number | null
  alg: SigningAlg
}

function isSendable({ resource }: ServiceTokenRequest): boolean {
  return resource === null || mayBeIdentifier(resource)
}

/** The API that the request names, or the only one there is; without either, what the service has for itself. */
function targetOf(grants: ServiceGrantRow[], resource: string | null): Target | null {
  const [grant] = grants
  if (grant === undefined) return null
  const { identifier, audience, scope, applicationTokenTtl, signingAlg } = grant
  if (identifier !== null && grants.length === 1) {
    const ttl = grant.tokenTtl ?? applicationTokenTtl
    return { audience: identifier, isApi: true, scopes: grant.scopes ?? [], ttl, alg: signingAlg as SigningAlg }
  }
  if (resource !== null && resource !== audience) return null
  const scopes = scope.split(' ').filter(Boolean)
  return { audience, isApi: false, scopes, ttl: applicationTokenTtl, alg: APPLICATION_ALG }
}

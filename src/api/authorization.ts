import type { IncomingMessage } from 'node:http'
import { adminApiOf } from '../domain/apps/apis.ts'
import { readServiceToken, scopesStillGranted } from '../domain/apps/service-tokens.ts'
import type { Confirmation, ServiceTokenClaims } from '../domain/service-token-claims.ts'
import type { Services } from '../domain/services.ts'
import { Problem } from './problems.ts'

/** What a request proves beside its token; null for a wrong proof. */
export type FindPresentedKeys = (
  req: IncomingMessage,
  presented: { token: string; clientId: string; url: string },
) => Promise<Confirmation | null>

/** A service that calls an API for operators, and what it may do there. */
export interface Caller {
  clientId: string
  scopes: string[]
}

/**
 * The token of a request, as far as it can be judged without the stores: a token of a service for the admin API (client credentials,
 * RFC 6749 §4.4), not that of a user, and with the proof of the key or certificate that it is bound to.
 * @throws Problem
 */
export async function readCaller(
  services: Services,
  findPresentedKeys: FindPresentedKeys,
  req: IncomingMessage,
): Promise<ServiceTokenClaims> {
  const { authorization } = req.headers
  // A second one would be ambiguous, and Node.js keeps the first alone.
  const isOne = (req.headersDistinct['authorization'] ?? []).length <= 1
  const [, scheme = '', token = ''] = /^(Bearer|DPoP) +([\w.~+/-]+=*)$/i.exec(authorization ?? '') ?? []
  if (authorization === undefined) throw unauthorized('unauthorized', 'the request has no application token')
  const claims = isOne && token !== '' ? readServiceToken(services, token, adminApiOf(services)) : null
  if (claims === null) throw unauthorized('invalid_token', 'the token is not one of a service for this API, or expired')

  const { jkt, 'x5t#S256': x5t } = claims.cnf ?? {}
  const isDpop = scheme.toLowerCase() === 'dpop'
  if (isDpop !== (jkt !== undefined))
    throw unauthorized('invalid_token', `the scheme of this token is ${isDpop ? 'Bearer' : 'DPoP'}`)
  if (claims.cnf === undefined) return claims
  const url = `${services.publicUrl}${(req.url ?? '').split('?', 1)[0]}`
  const shown = await findPresentedKeys(req, { token, clientId: claims.client_id, url })
  if (shown === null || shown.jkt !== jkt) throw unauthorized('invalid_token', 'the DPoP proof is missing or wrong')
  if (x5t !== undefined && shown['x5t#S256'] !== x5t)
    throw unauthorized('invalid_token', 'the token is bound to a certificate, which the request does not show')
  return claims
}

/** The service behind a token that `readCaller` has read, in one statement. @throws Problem */
export async function findCaller(services: Services, claims: ServiceTokenClaims): Promise<Caller> {
  const scopes = await scopesStillGranted(services, claims)
  if (scopes === null) throw unauthorized('invalid_token', 'the service is disabled, or may not use this API')
  return { clientId: claims.client_id, scopes }
}

/** The services in the name of a caller, for the audit log. */
export function inNameOf(services: Services, { clientId, scopes }: Caller, req: IncomingMessage): Services {
  const isNarrow = !scopes.includes('admin:write')
  return { ...services, operator: { name: clientId, id: clientId, address: req.clientInfo.address, isNarrow } }
}

/** The scopes that would do, in a refusal (RFC 6750 §3). @param isBound the token came with a DPoP proof */
export function insufficientScope(scopes: string[]): Problem {
  const header = `Bearer realm="${REALM}", error="insufficient_scope", scope="${scopes.join(' ')}"`
  return new Problem('insufficient_scope', `the token has none of the scopes ${scopes.join(', ')}`, {
    'WWW-Authenticate': header,
  })
}

const REALM = 'Gatehouse administration'

function unauthorized(code: 'unauthorized' | 'invalid_token', detail: string): Problem {
  const error = code === 'unauthorized' ? '' : `, error="invalid_token", error_description="${detail}"`
  const challenges = [`Bearer realm="${REALM}"${error}`, `DPoP realm="${REALM}"${error}`]
  return new Problem(code, detail, { 'WWW-Authenticate': challenges.join(', ') })
}

import { type JwtClaims, verifyJwt } from '../domain/keys/jwts.ts'
import type { Services } from '../domain/services.ts'

/**
 * The `id_token_hint` of an authorization or logout request may be months old (RP-Initiated Logout 1.0 §2). The library accepts
 * an expired ID token, but not one whose key is no longer published. It also accepts any other JWT of the portal as an ID
 * token: an API that sees an application token could sign out its user.
 * @throws when the hint is anything but an ID token of this app
 */
export function readIdTokenHint(services: Services, hint: string, clientId: string): JwtClaims {
  const claims = verifyJwt(services, hint, 'id')
  if (claims === null || claims['aud'] !== clientId || !SHAPE.every(([name, type]) => typeof claims[name] === type))
    throw new Error('the hint is not an ID token of this app')
  return claims
}

/** The claims of every ID token (OpenID Connect Core §2). */
const SHAPE = [
  ['sub', 'string'],
  ['iat', 'number'],
  ['exp', 'number'],
] as const

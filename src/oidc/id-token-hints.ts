import { type JwtClaims, verifyJwt } from '../domain/keys/jwts.ts'
import type { Services } from '../domain/services.ts'

/**
 * An app shows an ID token as a hint of whom it means, at authorization and when it signs somebody out, and it may be months old
 * (RP-Initiated Logout 1.0 §2). The library forgives that it has expired, but knows no key that is not published any more, and
 * takes any other JWT of ours for an ID token: whoever sees an application token could sign its user out.
 * @throws when the hint is anything but an ID token of this app
 */
export function readIdTokenHint(services: Services, hint: string, clientId: string): JwtClaims {
  const claims = verifyJwt(services, hint, 'id')
  if (claims === null || claims['aud'] !== clientId || !SHAPE.every(([name, type]) => typeof claims[name] === type))
    throw new Error('the hint is not an ID token of this app')
  return claims
}

/** What every ID token has (OpenID Connect Core §2). */
const SHAPE = [
  ['sub', 'string'],
  ['iat', 'number'],
  ['exp', 'number'],
] as const

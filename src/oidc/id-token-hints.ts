import type { AppRow } from '../domain/apps/apps.ts'
import { type JwtClaims, verifyJwt, verifySharedJwt } from '../domain/keys/jwts.ts'
import { SHARED_ALG, sharedKeyOf } from '../domain/keys/shared-keys.ts'
import type { Services } from '../domain/services.ts'

/**
 * The `id_token_hint` of an authorization or logout request may be months old (RP-Initiated Logout 1.0 §2). The library accepts
 * an expired ID token, but not one whose key is no longer published. It also accepts any other JWT of the portal as an ID
 * token: an API that sees an application token could sign out its user.
 * @throws when the hint is anything but an ID token of this app
 */
export function readIdTokenHint(services: Services, hint: string, app: AppRow): JwtClaims {
  const claims = verifyJwt(services, hint, 'id') ?? sharedClaims(services, hint, app)
  if (claims === null || claims['aud'] !== app.clientId || !SHAPE.every(([name, type]) => typeof claims[name] === type))
    throw new Error('the hint is not an ID token of this app')
  return claims as JwtClaims
}

/** An app that has another algorithm by now does not verify with its shared key any more, and neither does the portal. */
function sharedClaims(services: Services, hint: string, app: AppRow): Record<string, unknown> | null {
  const key = app.idTokenAlg === SHARED_ALG ? sharedKeyOf(services, app) : null
  return key && verifySharedJwt(services, key, hint, 'id')
}

/** The claims of every ID token (OpenID Connect Core §2). */
const SHAPE = [
  ['sub', 'string'],
  ['iat', 'number'],
  ['exp', 'number'],
] as const

import { errors, type Client, type KoaContextWithOIDC } from 'oidc-provider'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { CLOCK_TOLERANCE } from './client-assertions.ts'

/** The longest life of a request object under FAPI 2.0 Message Signing §5.3.1 (seconds). */
const LONGEST_LIFE = 3600

/** The `typ` of a request object (RFC 9101 §10.8), and the general one. */
const TYPES = ['jwt', 'oauth-authz-req+jwt', 'application/oauth-authz-req+jwt']

/**
 * What the portal demands of a request object (JAR, RFC 9101) beside the library, which checks `iss`, `aud` and `nbf` before
 * this, and the signature after it.
 * @throws InvalidRequestObject
 */
export function checkRequestObjectWith(services: Services) {
  return async function checkRequestObject(
    ctx: KoaContextWithOIDC,
    { sub, exp, nbf, iat }: Record<string, unknown>,
    { typ, alg }: Record<string, unknown>,
    client: Client,
  ): Promise<void> {
    // It was checked when it was pushed.
    if (ctx.oidc.entities.PushedAuthorizationRequest !== undefined) return
    const refuse = (why: string) => new errors.InvalidRequestObject(why)
    const now = epochSeconds(services.clock())

    if (typ !== undefined && !(typeof typ === 'string' && TYPES.includes(typ.toLowerCase())))
      throw refuse('the typ of the request object is that of another kind of JWT')
    // Browsers see request objects, and one with this sub could pass for a client assertion (RFC 9101 §10.8).
    if (sub === client.clientId) throw refuse('a request object must not have the client id as sub')
    if (exp !== undefined && (exp as number) <= now) throw refuse('the request object has expired')
    if (iat !== undefined && (iat as number) - now > CLOCK_TOLERANCE)
      throw refuse('the request object was issued in the future')
    if (client.app.securityProfile !== 'fapi2') return

    if (alg === 'RS256') throw refuse('FAPI 2.0 allows no RS256')
    if (exp === undefined || nbf === undefined) throw refuse('FAPI 2.0 needs exp and nbf in a request object')
    const life = (exp as number) - (nbf as number)
    if (!(life > 0 && life <= LONGEST_LIFE)) throw refuse('the request object is valid for longer than an hour')
    if (now - (nbf as number) > LONGEST_LIFE) throw refuse('the request object is older than an hour')
  }
}

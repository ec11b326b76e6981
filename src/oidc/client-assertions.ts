import { errors, type Client, type KoaContextWithOIDC } from 'oidc-provider'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { exchangeState } from './exchange-state.ts'

/** The algorithms of what clients sign: assertions and request objects. Never an HMAC, because no secret is stored. */
export const CLIENT_ALGS = ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519'] as const

/** How far the clock of a client may be ahead of the portal's, or behind (seconds). FAPI 2.0 §5.3.2.1 asks for 10 to 60. */
export const CLOCK_TOLERANCE = 15

/** The longest time to its expiry that an assertion may have (seconds): its replay mark is stored for as long. */
const LONGEST_LIFE = 600

/** The `typ` of a client assertion (RFC 7523bis), and the general one. A JWT of another type is not one. */
const TYPES = ['jwt', 'client-authentication+jwt', 'application/client-authentication+jwt']

/**
 * What the portal demands of a client assertion (`private_key_jwt`, RFC 7523 §3) beside the library, which has verified its
 * signature, `iss`, `sub`, `exp` and `nbf` by now. The library remembers its `jti` next.
 * @throws InvalidClientAuth
 */
export function checkAssertionWith(services: Services) {
  return async function checkAssertion(
    ctx: KoaContextWithOIDC,
    { aud, exp, iat }: Record<string, unknown>,
    { typ, alg }: Record<string, unknown>,
    client: Client,
  ): Promise<void> {
    const isFapi = client.api === undefined && client.app.securityProfile === 'fapi2'
    const refuse = (why: string) => new errors.InvalidClientAuth(why)
    const now = epochSeconds(services.clock())

    if (typ !== undefined && !(typeof typ === 'string' && TYPES.includes(typ.toLowerCase())))
      throw refuse('the typ of the client assertion is that of another kind of JWT')
    if (isFapi && alg === 'RS256') throw refuse('FAPI 2.0 allows no RS256')
    // An assertion for several servers could be used at each by the others (RFC 7523bis). FAPI 2.0 takes the issuer only.
    const own = isFapi ? [services.publicUrl] : [services.publicUrl, ctx.oidc.urlFor('token')]
    const isOwn = (value: unknown) => own.includes(value as string)
    if (Array.isArray(aud) ? isFapi || !aud.every(isOwn) : !isOwn(aud))
      throw refuse('the aud of the client assertion is not the issuer alone')
    if ((exp as number) - now > LONGEST_LIFE + CLOCK_TOLERANCE)
      throw refuse(`the client assertion is valid for longer than ${LONGEST_LIFE} seconds`)
    if (iat !== undefined && (iat as number) - now > CLOCK_TOLERANCE)
      throw refuse('the client assertion was issued in the future')
    exchangeState(ctx).marks = 'assertion'
  }
}

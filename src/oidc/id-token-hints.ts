import type Provider from 'oidc-provider'
import { verifyJwt } from '../domain/keys/jwts.ts'
import type { Services } from '../domain/services.ts'

/**
 * An app shows an ID token as a hint of whom it means, at authorization and when it signs somebody out, and it may be months old
 * (RP-Initiated Logout 1.0 §2). The library forgives that it has expired, but knows no key that is not published any more, and
 * takes any other JWT of ours for an ID token: whoever sees an application token could sign its user out.
 */
export function acceptOnlyIdTokensAsHints(provider: Provider, services: Services): void {
  provider.IdToken.validate = async (hint, client) => {
    const payload = verifyJwt(services, hint, 'id')
    if (
      payload === null ||
      payload['aud'] !== client.clientId ||
      !SHAPE.every(([claim, type]) => typeof payload[claim] === type)
    )
      throw new Error('the hint is not an ID token of this app')
    return { header: {}, payload }
  }
}

/** What every ID token has (OpenID Connect Core §2). */
const SHAPE = [
  ['sub', 'string'],
  ['iat', 'number'],
  ['exp', 'number'],
] as const

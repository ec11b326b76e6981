import Provider from 'oidc-provider'
import { findApplicationToken } from '../../domain/families/application-tokens.ts'
import type { Services } from '../../domain/services.ts'
import { exchangeState } from '../exchange-state.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * Application tokens (the OAuth access tokens, RFC 9068 JWTs) are computed, so they are not stored. They are found by verifying
 * them and reading their family. The audience is left out on purpose: the library's userinfo refuses tokens that have one, and
 * the portal, which issued the token, may read it for its user.
 */
export function applicationTokenAdapter(services: Services): AdapterMethods {
  return {
    async find(token) {
      const found = await findApplicationToken(services, token)
      if (found === null || found.isStale) return undefined
      const { claims, family } = found
      exchangeState(Provider.ctx).presentedFamily = family
      return {
        kind: 'AccessToken',
        jti: token,
        grantId: family.id,
        accountId: family.identityId,
        clientId: family.clientId,
        iat: claims.iat,
        exp: claims.exp,
        scope: claims.scope,
        claims: family.claims === null ? undefined : JSON.parse(family.claims),
        jkt: claims.cnf?.jkt,
        'x5t#S256': claims.cnf?.['x5t#S256'],
      }
    },
  }
}

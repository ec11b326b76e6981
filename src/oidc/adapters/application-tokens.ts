import Provider from 'oidc-provider'
import { findApplicationToken } from '../../domain/families/application-tokens.ts'
import type { Services } from '../../domain/services.ts'
import { rememberFamily } from '../grants.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * Application tokens are computed, so there is nothing to store; they are found by verifying them and looking at their
 * family. The audience is left out on purpose: the library's userinfo refuses tokens that have one, and the portal, which
 * issued this one, is entitled to read it for the person it names.
 */
export function applicationTokenAdapter(services: Services): AdapterMethods {
  return {
    async find(token) {
      const found = await findApplicationToken(services, token)
      if (found === null || found.isStale) return undefined
      const { claims, family } = found
      rememberFamily(Provider.ctx, family)
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
      }
    },
  }
}

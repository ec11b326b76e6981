import Provider, { type AdapterPayload } from 'oidc-provider'
import { type FamilyRow, findLivingFamily } from '../../domain/families/families.ts'
import type { Services } from '../../domain/services.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { exchangeState } from '../exchange-state.ts'
import { resourceOf } from '../resources.ts'
import { epochSeconds } from '../../domain/time.ts'

/** A family as the library's Grant: pending inside its code, then the row, for as long as the family is active. */
export function grantAdapter(services: Services): AdapterMethods {
  return {
    async find(id) {
      const { pendingFamily, presentedFamily } = exchangeState(Provider.ctx)
      if (pendingFamily?.grant.jti === id) return pendingFamily.grant
      const family = presentedFamily?.id === id ? presentedFamily : await findLivingFamily(services, id)
      return family === null ? undefined : grantOfFamily(family)
    },
  }
}

function grantOfFamily(family: FamilyRow): AdapterPayload {
  const claims = JSON.parse(family.claims ?? '{}') as { id_token?: object; userinfo?: object }
  return {
    kind: 'Grant',
    jti: family.id,
    accountId: family.identityId,
    clientId: family.clientId,
    iat: epochSeconds(family.createdAt),
    exp: epochSeconds(family.expiresAt),
    openid: {
      scope: family.scope,
      claims: [...Object.keys(claims.id_token ?? {}), ...Object.keys(claims.userinfo ?? {})],
    },
    resources: { ...family.resources, [resourceOf(family.audience)]: family.scope },
  }
}

import Provider, { type AccessToken, type Client, errors } from 'oidc-provider'
import { endFamilies } from '../../domain/endings/endings.ts'
import { openDeviceFamily } from '../../domain/families/device-families.ts'
import { findFamilyOf, isLiving, openFamily, type OpeningFamily } from '../../domain/families/families.ts'
import type { Services } from '../../domain/services.ts'
import type { PortalAccount } from '../account.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import type { CodeRecord } from '../code-records.ts'
import { exchangeState } from '../exchange-state.ts'
import { isTlsMethod } from '../mutual-tls.ts'
import { epochSeconds } from '../../domain/time.ts'
import { resourceOf } from '../resources.ts'
import { isWithdrawn, withdrawFamily } from './withdrawn-families.ts'

/** What a family has, of the scopes of its code: for the app's own audience, and of each API. */
function grantedTo(
  { openid, resources = {} }: CodeRecord['pending']['grant'],
  scope: string,
  own: string,
): Pick<OpeningFamily, 'scope' | 'resources'> {
  const asked = scope.split(' ')
  const keep = (granted: string) => asked.filter((each) => granted.split(' ').includes(each)).join(' ')
  const apis = Object.entries(resources).filter(([identifier]) => identifier !== own)
  return {
    scope: keep(`${openid?.scope ?? ''} ${resources[own] ?? ''}`),
    resources: apis.length === 0 ? null : Object.fromEntries(apis.map(([api, granted]) => [api, keep(granted)])),
  }
}

/** The library's refresh tokens are families: the first token opens one, and revoking the token ends it. */
export function refreshTokenAdapter(services: Services): AdapterMethods {
  return {
    async upsert(refreshToken, payload) {
      const { ctx } = Provider
      const { pendingFamily: pending } = exchangeState(ctx)
      const client = ctx?.oidc.client
      if (pending === undefined || client === undefined) throw new Error('a refresh token was made without a code')

      const id = payload.grantId as string
      const family = {
        id,
        refreshToken,
        clientId: client.clientId,
        identityId: payload.accountId as string,
        ...grantedTo(
          pending.grant as CodeRecord['pending']['grant'],
          payload.scope ?? '',
          resourceOf(client.app.audience),
        ),
        claims: payload.claims === undefined ? null : JSON.stringify(payload.claims),
        sid: payload.sid ?? null,
        acr: payload.acr ?? null,
        amr: payload.amr ?? [],
        authTime: payload.authTime ?? epochSeconds(services.clock()),
        jkt: payload.jkt ?? null,
        x5t: boundCertificate(client, ctx?.oidc.entities.AccessToken),
        claimsVersion: (ctx?.oidc.account as PortalAccount | undefined)?.identity.claimsVersion ?? 0,
        app: client.app,
      }
      const { device, identitySessionId, openedSilently = false } = pending
      const opened =
        device !== undefined
          ? await openDeviceFamily(services, family, device.approval, device.clientInfo)
          : identitySessionId === null
            ? null
            : await openFamily(services, { ...family, identitySessionId, openedSilently })
      if (opened === null) throw new errors.InvalidGrant('the sign-in this code came from has ended')
      exchangeState(ctx).future = opened

      // Another exchange may have shown the same code after this one took it and before the family existed. Exactly one of them
      // is always answered, and its tokens are revoked before they can be used a second time.
      if (await isWithdrawn(services, id))
        await endFamilies(services, { id }, 'code_reuse', ctx?.req.clientInfo ?? null)
    },
    async find(refreshToken) {
      const found = await findFamilyOf(services, refreshToken)
      if (found === null || !isLiving(found.family, services.clock())) return undefined
      const { family, standing } = found
      exchangeState(Provider.ctx).presentedFamily = family
      const isAnswered = standing === 'current' || standing === 'excused'
      // A replaced token may still revoke its family (RFC 7009): only the app can hold one.
      if (!isAnswered && Provider.ctx?.oidc.route !== 'revocation') return undefined
      return {
        kind: 'RefreshToken',
        jti: refreshToken,
        grantId: family.id,
        accountId: family.identityId,
        clientId: family.clientId,
        iat: epochSeconds(family.rotatedAt ?? family.createdAt),
        exp: epochSeconds(family.idleExpiresAt),
        scope: family.scope,
        sid: family.sid ?? undefined,
        jkt: family.jkt ?? undefined,
        'x5t#S256': family.x5t ?? undefined,
      }
    },
    async revokeByGrantId(familyId) {
      const { ctx } = Provider
      const clientInfo = ctx?.req.clientInfo ?? null
      // At the token endpoint, the library revokes for one reason: a code that was used before.
      if (ctx?.oidc.route === 'token') await withdrawFamily(services, familyId, clientInfo)
      else await endFamilies(services, { id: familyId }, 'revoked_by_app', clientInfo)
    },
  }
}

/**
 * The certificate that each refresh must come with: that of the first token. An app that authenticates with its certificate has
 * it checked at each refresh anyway, and may renew it (RFC 8705 §6.3).
 */
function boundCertificate({ app }: Client, first: AccessToken | undefined): string | null {
  return isTlsMethod(app.authMethod) ? null : (first?.['x5t#S256'] ?? null)
}

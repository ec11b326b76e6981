import Provider, { type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider'
import {
  type DevicePoll,
  keepDeviceRequest,
  mayAskForDevice,
  pollDeviceRequest,
  useDeviceCode,
} from '../../domain/families/device-codes.ts'
import type { Services } from '../../domain/services.ts'
import { acrOf } from '../../domain/sign-in/authentication-context.ts'
import { askedAccess } from '../asked-access.ts'
import { exchangeState } from '../exchange-state.ts'
import { loadExistingGrant } from '../grants.ts'
import { keepsSid } from '../protocol-session.ts'
import { checkResource } from '../resources.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { isRequestTooLong, TOO_LONG } from './begun-interactions.ts'

/** What the protocol keeps of a request for the tokens after its approval. */
interface KeptRequest {
  granted: Pick<AdapterPayload, 'openid' | 'resources'>
  scope: string
  resource: string | string[]
  claims: Record<string, unknown> | null
}

/** The codes of the device flow (RFC 8628). The user answers on a page of the portal; the library issues the codes and answers the device. */
export function deviceCodeAdapter(services: Services): AdapterMethods {
  return {
    async upsert(deviceCode, { userCode }) {
      const { ctx } = Provider
      if (ctx === undefined) throw new Error('a device code was made outside of a request')
      if (isRequestTooLong(ctx.oidc.params ?? {})) throw new errors.InvalidRequest(TOO_LONG)
      const { clientInfo } = ctx.req
      if (!(await mayAskForDevice(services, clientInfo.address))) throw new TooManyRequests()
      const { browser, address } = clientInfo
      const request = {
        clientId: ctx.oidc.client?.clientId as string,
        device: { browser, address },
        asked: askedAccess(ctx),
        ...authenticationAskedIn(ctx),
        protocol: await keptOf(ctx),
      }
      // One in billions; the device asks again.
      if (!(await keepDeviceRequest(services, deviceCode, userCode as string, request))) throw new TooManyRequests()
    },
    async find(deviceCode) {
      const { ctx } = Provider
      const poll = await pollDeviceRequest(services, deviceCode, ctx?.oidc.client?.clientId)
      return payloadOf(deviceCode, poll, ctx)
    },
    async consume(deviceCode) {
      await checkResource(services, Provider.ctx)
      if (!(await useDeviceCode(services, deviceCode))) throw new errors.InvalidGrant('device code already consumed')
    },
  }
}

/** The code as the library reads it. @throws errors of RFC 8628 §3.5 that the library has no state for */
function payloadOf(
  deviceCode: string,
  poll: DevicePoll,
  ctx: KoaContextWithOIDC | undefined,
): AdapterPayload | undefined {
  const code = { kind: 'DeviceCode', jti: deviceCode, clientId: ctx?.oidc.client?.clientId as string }
  switch (poll.kind) {
    case 'unknown':
      return undefined
    case 'other-app':
      // The library says that the app is another one.
      return { ...code, clientId: '' }
    case 'expired':
      throw new errors.ExpiredToken('device code is expired')
    case 'too-fast':
      throw new errors.SlowDown()
    case 'pending':
      return code
    case 'denied':
      return { ...code, error: 'access_denied', errorDescription: 'the person did not want to continue' }
    case 'approved': {
      const { approval, request } = poll
      const { granted, scope, resource, claims } = request.protocol as KeptRequest
      const { familyId: grantId, identityId: accountId, amr, authTime } = approval
      const { client } = ctx?.oidc ?? {}
      exchangeState(ctx).pendingFamily = {
        grant: { kind: 'Grant', jti: grantId, accountId, clientId: code.clientId, ...granted },
        identitySessionId: null,
        device: { approval, clientInfo: request.device },
      }
      return {
        ...code,
        grantId,
        accountId,
        amr,
        acr: acrOf(amr),
        authTime,
        scope,
        resource,
        ...(claims === null ? {} : { claims }),
        ...(client !== undefined && keepsSid(client.app) ? { sid: grantId } : {}),
      }
    }
  }
}

/** What the library would make of the request once a user is known, who decides on nothing of it but yes or no. */
async function keptOf(ctx: KoaContextWithOIDC): Promise<KeptRequest> {
  const grant = await loadExistingGrant(ctx)
  const { requestParamScopes, requestParamOIDCScopes, resourceServers, params } = ctx.oidc
  const resources = Object.keys(resourceServers ?? {})
  const scopes = [
    grant.getOIDCScopeFiltered(requestParamOIDCScopes),
    ...resources.map((resource) => grant.getResourceScopeFiltered(resource, requestParamScopes)),
  ].flatMap((list) => list.split(' ').filter(Boolean))
  const { openid, resources: granted } = grant as unknown as AdapterPayload
  const claims = params?.['claims']
  return {
    granted: { openid, resources: granted },
    scope: [...new Set(scopes)].join(' '),
    resource: resources.length === 1 ? (resources[0] as string) : resources,
    claims: typeof claims === 'string' ? (JSON.parse(claims) as Record<string, unknown>) : null,
  }
}

/** Which sign-in the app asks for (`acr_values`, the `claims` parameter, `max_age`; RFC 9470 §4). */
function authenticationAskedIn({ oidc }: KoaContextWithOIDC): { acrValues: string[]; maxAge: number | null } {
  const { acr_values: acrValues, max_age: maxAge, claims } = oidc.params as Record<string, unknown>
  const asked = typeof claims === 'string' ? (JSON.parse(claims) as ClaimsRequest).id_token?.acr : null
  const { value, values } = asked ?? {}
  const named = typeof acrValues === 'string' ? acrValues.split(' ') : (values ?? (value === undefined ? [] : [value]))
  if (!Array.isArray(named)) throw new errors.InvalidRequest('invalid claims.id_token.acr.values type')
  return {
    acrValues: named.filter((each): each is string => typeof each === 'string'),
    maxAge: maxAge === undefined ? null : Number(maxAge),
  }
}

/** The `claims` parameter, as far as it is read here (OpenID Connect Core §5.5.1.1). */
interface ClaimsRequest {
  id_token?: { acr?: { value?: unknown; values?: unknown } | null } | null
}

class TooManyRequests extends errors.OIDCProviderError {
  constructor() {
    super(429, 'temporarily_unavailable')
    this.error_description = 'too many devices asked from this address; wait, then try again'
  }
}

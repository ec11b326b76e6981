import Provider, { errors } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import { CODE_LIFE } from './authorization-codes.ts'
import { isRequestTooLong, TOO_LONG } from './begun-interactions.ts'
import { takePlace } from './places.ts'
import { protocolRecordAdapter } from './protocol-records.ts'
import type { AdapterMethods } from './adapter-methods.ts'

const KIND = 'PushedAuthorizationRequest'
/** Those of one public client for one IP address. */
const PLACES = { act: 'pushed-request', kind: KIND, most: 100, seconds: CODE_LIFE }

/**
 * Pushed authorization requests (PAR, RFC 9126). A public client has no secret, so anyone can push in its name. Beyond the
 * limit, each request replaces the oldest from the same IP address. A browser uses its own at once, and a neighbour behind the
 * same address is not refused.
 */
export function pushedRequestAdapter(services: Services): AdapterMethods {
  const adapter = protocolRecordAdapter(services, KIND)
  return {
    ...adapter,
    async upsert(id, payload, expiresIn) {
      const { ctx } = Provider
      if (ctx === undefined) throw new Error('a request was pushed outside of a request')
      // A request object may hold more than parameters, and is stored as it is.
      const signed = ctx.oidc.body?.['request'] as string | undefined
      const claims = Buffer.from(signed?.split('.')[1] ?? '', 'base64url').toString()
      if (isRequestTooLong({ ...ctx.oidc.params, ...(claims === '' ? {} : { claims }) }))
        throw new errors.InvalidRequest(TOO_LONG)
      const { client } = ctx.oidc
      if (client?.app.isPublic === true)
        await takePlace(services, PLACES, [client.clientId, ctx.req.clientInfo.address], id)
      await adapter.upsert?.(id, payload, expiresIn)
    },
  }
}

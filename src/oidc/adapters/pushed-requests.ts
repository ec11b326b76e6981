import Provider, { errors } from 'oidc-provider'
import { ipKey } from '../../domain/limits/ip-keys.ts'
import { decryptWithAny, encrypt } from '../../domain/keys/encryption.ts'
import type { Services } from '../../domain/services.ts'
import { hourlyCounter } from '../../domain/limits/attempt-counters.ts'
import { CODE_LIFE } from './authorization-codes.ts'
import { isRequestTooLong, TOO_LONG } from './begun-interactions.ts'
import { protocolRecordAdapter } from './protocol-records.ts'
import type { AdapterMethods } from './adapter-methods.ts'

const KIND = 'PushedAuthorizationRequest'
const PLACE_KIND = 'PushedRequestPlace'
/** The most PAR requests of one public client that are stored for one IP address (IPv6: its /64). */
const LIVING_AT_MOST = 100

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
      if (client?.app.isPublic === true) await takePlace(services, client.clientId, ctx.req.clientInfo.address, id)
      await adapter.upsert?.(id, payload, expiresIn)
    },
  }
}

async function takePlace(services: Services, clientId: string, address: string, id: string): Promise<void> {
  const { counters, protocolRecords } = services.storage
  const whose = JSON.stringify([clientId, ipKey(address)])
  const { name, free, seconds } = hourlyCounter(services, 'pushed-request', whose, LIVING_AT_MOST)
  const { points } = await counters.add(name, seconds)
  const place = `${name}:${points % free}`
  const before = await protocolRecords.find(PLACE_KIND, place)
  // Ids are secrets, and only their hashes are stored elsewhere.
  const keys = services.secrets.map((each) => each.interactionEncryption)
  const displaced = before === null ? null : decryptWithAny(before.payload['id'] as string, place, keys)
  if (displaced !== null) await protocolRecords.delete(KIND, displaced.plaintext)
  await protocolRecords.put(
    PLACE_KIND,
    place,
    { id: encrypt(id, place, services.secrets[0].interactionEncryption) },
    CODE_LIFE,
  )
}

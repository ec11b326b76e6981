import Provider, { errors } from 'oidc-provider'
import { addressKey } from '../../domain/limits/ip-keys.ts'
import { decryptWithAny, encrypt } from '../../domain/keys/encryption.ts'
import type { Portal } from '../../domain/services.ts'
import { hourlyTally } from '../../domain/limits/attempt-counters.ts'
import { CODE_LIFE } from './authorization-codes.ts'
import { isTooLong, TOO_LONG } from '../begun-interactions.ts'
import { handshakeAdapter } from './protocol-records.ts'
import type { Model } from './adapter-methods.ts'

const KIND = 'PushedAuthorizationRequest'
const PLACE_KIND = 'PushedRequestPlace'
/** Living requests of one public client from one IP address (IPv6: its /64). */
const LIVING_AT_MOST = 100

/**
 * Pushed authorization requests (RFC 9126). A public client proves nothing, so anybody can push in its name: each request then
 * takes the place of an older one from the same IP address. The oldest gives way, because a browser uses its own at once, and
 * a neighbour behind the same address is not refused.
 */
export function pushedRequestAdapter(portal: Portal): Model {
  const adapter = handshakeAdapter(portal, KIND)
  return {
    ...adapter,
    async upsert(id, payload, expiresIn) {
      const { ctx } = Provider
      if (ctx === undefined) throw new Error('a request was pushed outside of a request')
      if (isTooLong(ctx.oidc.params ?? {})) throw new errors.InvalidRequest(TOO_LONG)
      const { client } = ctx.oidc
      if (client?.app.isPublic === true) await takePlace(portal, client.clientId, ctx.req.place.address, id)
      await adapter.upsert?.(id, payload, expiresIn)
    },
  }
}

async function takePlace(portal: Portal, clientId: string, address: string, id: string): Promise<void> {
  const { counters, handshakes } = portal.storage
  const whose = JSON.stringify([clientId, addressKey(address)])
  const { name, free, seconds } = hourlyTally(portal, 'pushed-request', whose, LIVING_AT_MOST)
  const { points } = await counters.add(name, seconds)
  const place = `${name}:${points % free}`
  const before = await handshakes.find(PLACE_KIND, place)
  // Ids are secrets, and only hashes of them are kept elsewhere.
  const keys = portal.secrets.map((each) => each.interactionEncryption)
  const displaced = before === null ? null : decryptWithAny(before.payload['id'] as string, place, keys)
  if (displaced !== null) await handshakes.delete(KIND, displaced.plaintext)
  await handshakes.put(
    PLACE_KIND,
    place,
    { id: encrypt(id, place, portal.secrets[0].interactionEncryption) },
    CODE_LIFE,
  )
}

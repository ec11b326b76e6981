import { hourlyCounter } from '../../domain/limits/attempt-counters.ts'
import { decryptWithAny, encrypt } from '../../domain/keys/encryption.ts'
import { ipKey } from '../../domain/limits/ip-keys.ts'
import type { Services } from '../../domain/services.ts'

/** What strangers can have stored without a secret, and how much of it. */
export interface Places {
  /** In the name of the counter. */
  act: string
  /** The kind of the protocol records. */
  kind: string
  /** How many records are kept for one client and IP address (IPv6: its /64). */
  most: number
  /** How long one lives (seconds). */
  seconds: number
}

/**
 * Finds a place for one more protocol record that a stranger has stored. Beyond the limit, each replaces the oldest from the same
 * IP address, so a neighbour behind that address is not refused.
 */
export async function takePlace(
  services: Services,
  { act, kind, most, seconds: life }: Places,
  [clientId, address]: [string, string],
  id: string,
): Promise<void> {
  const { counters, protocolRecords } = services.storage
  const whose = JSON.stringify([clientId, ipKey(address)])
  const { name, free, seconds } = hourlyCounter(services, act, whose, most)
  const { points } = await counters.add(name, seconds)
  const place = `${name}:${points % free}`
  const placeKind = `${kind}Place`
  const before = await protocolRecords.find(placeKind, place)
  // Ids are secrets, and only their hashes are stored elsewhere.
  const keys = services.secrets.map((each) => each.interactionEncryption)
  const displaced = before === null ? null : decryptWithAny(before.payload['id'] as string, place, keys)
  if (displaced !== null) await protocolRecords.delete(kind, displaced.plaintext)
  await protocolRecords.put(
    placeKind,
    place,
    { id: encrypt(id, place, services.secrets[0].interactionEncryption) },
    life,
  )
}

import type { Services } from '../../src/domain/services.ts'
import { connect, elsewhere, familyRow, refresh, successorIn } from '../../src/testing/portal/connections.ts'
import type { Seeded } from '../../src/testing/portal/seeded.ts'

/** When a thief uses the copied token: before the owner, between two uses by the owner, or after them. */
export const ORDERS = {
  before: ['thief', 'owner', 'thief', 'owner'],
  between: ['owner', 'thief', 'owner', 'thief'],
  after: ['owner', 'owner', 'thief', 'owner'],
} as const
export type Order = keyof typeof ORDERS

export interface Theft {
  /** Whether the thief got a token. */
  gained: boolean
  /** Whether reuse detection had ended the family when each of the two had used it twice. */
  detected: boolean
}

/** A refresh token is copied, and both use theirs. */
export async function steal(
  services: Services,
  identityId: string,
  isProven: boolean,
  order: Order,
  random: Seeded,
): Promise<Theft> {
  let now = services.clock().getTime()
  const own = { ...services, clock: () => new Date(now) }
  // A DPoP-bound family: the thief has the token, and not the key.
  const holder = isProven ? { jkt: 'key' } : {}
  const connection = await connect(own, identityId, 'photos', holder)
  let owner = connection.refreshToken
  for (let count = random.below(3); count > 0; count--) {
    now += 300_000
    owner = successorIn(await refresh(own, { ...connection, refreshToken: owner }, holder))
  }
  let thief = owner
  let gained = false

  for (const who of ORDERS[order]) {
    // Some thieves are fast enough for the grace window; after that, both use theirs minutes apart.
    const isQuick = who === 'thief' && !gained && random.chance(50)
    now += (isQuick ? 1 + random.below(25) : 31 + random.below(600)) * 1000
    const refreshToken = who === 'owner' ? owner : thief
    const answer =
      who === 'owner'
        ? await refresh(own, { ...connection, refreshToken }, holder)
        : await refresh(own, { ...connection, refreshToken }, { clientInfo: elsewhere, jkt: null })
    if (answer.kind !== 'rotated') {
      if ((await familyRow(own, connection)).endedAt !== null) break
      continue
    }
    if (who === 'owner') owner = answer.refreshToken
    else [thief, gained] = [answer.refreshToken, true]
  }
  const { endCause } = await familyRow(own, connection)
  return { gained, detected: endCause === 'reuse' || endCause === 'own_reuse' }
}

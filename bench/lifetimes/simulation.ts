import { createApp } from '../../src/domain/apps/apps.ts'
import type { Services } from '../../src/domain/services.ts'
import { notesApp, photosApp } from '../../src/testing/portal/apps.ts'
import { addIdentity } from '../../src/testing/portal/identities.ts'
import { ada } from '../../src/testing/portal/people.ts'
import { seeded } from '../../src/testing/portal/seeded.ts'
import { type Kind, KINDS, type Life, live } from './client.ts'
import { type Order, ORDERS, steal } from './theft.ts'

export interface Size {
  clients: number
  /** The minimum, over all clients. */
  refreshes: number
  thefts: number
}

export interface Honest extends Life {
  kind: Kind
  /** Whether its app authenticates at each refresh. */
  isProven: boolean
  clients: number
}

export interface Stolen {
  order: Order
  isProven: boolean
  thefts: number
  gained: number
  detected: number
  /** A thief had a token, and the family survived two uses by each: there must be none. */
  missed: number
}

/** As many at once as the pool has connections. */
const LANES = 8

/** The portal's policy with these windows: a lost answer is excused for as long as a family may be idle. */
export const LIFETIMES_ENV = { FAMILY_MAX: '315360000', ROTATION_GRACE_PROVEN: '2592000' }

/** Honest clients and thieves over years of virtual time; the same seed gives the same run. */
export async function simulate(
  services: Services,
  size: Size,
  seed = 1,
): Promise<{ honest: Honest[]; stolen: Stolen[] }> {
  await createApp(services, 'notes', notesApp)
  await createApp(services, 'photos', photosApp)
  const identityId = await addIdentity(services, ada)

  const honest: Honest[] = [true, false].flatMap((isProven) =>
    KINDS.map((kind) => ({ kind, isProven, clients: 0, refreshes: 0, ended: 0, excluded: 0 })),
  )
  await inLanes(size.clients, async (client) => {
    const row = honest[client % honest.length] as Honest
    const each = Math.ceil(size.refreshes / size.clients)
    const random = seeded(seed * 1_000_003 + client)
    const life = await live(services, identityId, row.isProven ? 'notes' : 'photos', row.kind, random, each)
    row.clients++
    for (const figure of ['refreshes', 'ended', 'excluded'] as const) row[figure] += life[figure]
  })

  const stolen: Stolen[] = [true, false].flatMap((isProven) =>
    (Object.keys(ORDERS) as Order[]).map((order) => {
      return { order, isProven, thefts: 0, gained: 0, detected: 0, missed: 0 }
    }),
  )
  await inLanes(size.thefts, async (theft) => {
    const row = stolen[theft % stolen.length] as Stolen
    const random = seeded(seed * 2_000_003 + theft)
    const { gained, detected } = await steal(services, identityId, row.isProven, row.order, random)
    row.thefts++
    row.gained += Number(gained)
    row.detected += Number(detected)
    row.missed += Number(gained && !detected)
  })
  return { honest, stolen }
}

async function inLanes(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (next < count) await work(next++)
    }),
  )
}

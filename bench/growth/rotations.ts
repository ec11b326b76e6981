import { setTimeout as sleep } from 'node:timers/promises'
import { rotate } from '../../src/domain/families/families.ts'
import type { Services } from '../../src/domain/services.ts'
import type { Queryable } from '../../src/storage/postgres.ts'
import { say } from '../output.ts'
import type { GrownPortal } from './grown-portal.ts'
import type { HeldFamily } from './held-families.ts'
import { measureSizes, type Sizes } from './sizes.ts'

/** The table after many rotations. */
export interface Wear {
  rotations: number
  before: Sizes
  after: Sizes
}

const PLACE = { browser: 'bench', address: '127.0.0.1' }
/** PostgreSQL updates its statistics shortly after a connection ends. */
const COUNTING_LIMIT_MS = 10_000
const PROGRESS_EVERY = 100_000

/** Rotates as the portal does, but without HTTP and without waiting for the disk: neither affects the table's size. */
export async function rotateMany({ rules, held, openHastyRules }: GrownPortal, rotations: number): Promise<Wear> {
  const before = await measureSizes(rules.storage.pool)
  const hasty = await openHastyRules()
  const startedAt = performance.now()
  let begun = 0
  try {
    await Promise.all(
      held.map(async (own) => {
        while (begun < rotations && own.length > 0) {
          if (++begun % PROGRESS_EVERY === 0) say(`  ${begun} of ${rotations} rotations`)
          await rotateOne(hasty, own[Math.floor(Math.random() * own.length)] as HeldFamily)
        }
      }),
    )
  } finally {
    await hasty.storage.close()
  }
  say(`${begun} rotations in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return { rotations: begun, before, after: await measureOnceCounted(rules.storage.pool, before.updates + begun) }
}

async function rotateOne(services: Services, family: HeldFamily): Promise<void> {
  const { refreshToken, app } = family
  const rotation = await rotate(services, {
    refreshToken,
    clientId: app.id,
    scopes: null,
    audience: 'default',
    jkt: null,
    clientInfo: PLACE,
  })
  if (rotation.kind !== 'rotated') throw new Error(`a rotation ended as ${JSON.stringify(rotation)}`)
  family.refreshToken = rotation.refreshToken
}

async function measureOnceCounted(db: Queryable, updates: number): Promise<Sizes> {
  const deadline = performance.now() + COUNTING_LIMIT_MS
  for (;;) {
    const sizes = await measureSizes(db)
    if (sizes.updates >= updates || performance.now() > deadline) return sizes
    await sleep(100)
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Services } from '../../src/domain/services.ts'
import { pruneFamilies } from '../../src/domain/pruning.ts'
import { addSeconds } from '../../src/domain/time.ts'
import { addFamilies, peopleOf } from '../../src/testing/portal/crowd.ts'
import { runSlice, type Slice } from '../load.ts'
import { say } from '../output.ts'
import { type GrownPortal, settle } from './grown-portal.ts'
import type { GrowthPace } from './pace.ts'

/** Refreshes before pruning and beside it. */
export interface PruningRounds {
  before: Slice[]
  /** Only slices that lie completely within pruning. */
  during: Slice[]
  /** How many families were deleted beside those, in how long. */
  families: number
  seconds: number
}

/** From here on, family numbers are unique to this test. */
const FIRST_NUMBER = 1_000_000_000
/** The portal prunes every minute. */
const BEGIN_LIMIT_MS = 120_000

export async function measurePruning(portal: GrownPortal, pace: GrowthPace): Promise<PruningRounds> {
  const { rules } = portal
  const before: Slice[] = []
  while (before.length < pace.slicesBefore) before.push(await refresh(portal, pace.pruningSeconds))

  const longAgo = addSeconds(rules.clock(), -2 * rules.lifetimes.familyHistory)
  await addBacklog(portal, pace.backlog, longAgo)
  const count = async () => countEndedBefore(rules, longAgo)
  const waiting = await count()
  await settle(rules)
  say(`${waiting} families wait to be pruned`)

  const [beside] = await Promise.all([
    measureBeside(portal, waiting, count, pace.pruningSeconds),
    pace.prunesHere ? pruneFamilies(rules) : null,
  ])
  return { before, ...beside }
}

async function measureBeside(
  portal: GrownPortal,
  waiting: number,
  count: () => Promise<number>,
  seconds: number,
): Promise<Omit<PruningRounds, 'before'>> {
  const deadline = performance.now() + BEGIN_LIMIT_MS
  let atFirst = await count()
  for (; atFirst === waiting; atFirst = await count()) {
    if (performance.now() > deadline) throw new Error('pruning has not begun')
    await sleep(50)
  }

  const startedAt = performance.now()
  const looks: { slice: Slice; left: number; at: number }[] = []
  for (let left = atFirst; left > 0;) {
    const slice = await refresh(portal, seconds)
    const now = await count()
    if (now === left) break
    left = now
    looks.push({ slice, left, at: performance.now() })
  }
  // Pruning ended within the last slice.
  looks.pop()
  const { left, at } = looks.at(-1) ?? { left: atFirst, at: startedAt }
  say(`${atFirst - left} families pruned beside ${looks.length} slices`)
  return {
    during: looks.map(({ slice }) => slice),
    families: atFirst - left,
    seconds: (at - startedAt) / 1000,
  }
}

async function refresh({ port, crowd }: GrownPortal, seconds: number): Promise<Slice> {
  const slice = await runSlice(port, crowd.clients, seconds)
  if (slice.firstError !== null) say(`  ${slice.firstError}`)
  return slice
}

/** Families that ended at that time or, most of them, earlier. */
async function addBacklog({ rules, families, apps }: GrownPortal, count: number, at: Date): Promise<void> {
  const crowd = {
    families: { from: FIRST_NUMBER, count },
    people: peopleOf(families),
    clientIds: apps.map(({ id }) => id),
    endedPercent: 100,
  }
  await addFamilies(rules.storage.pool, crowd, at)
}

async function countEndedBefore({ storage }: Services, at: Date): Promise<number> {
  const { rows } = await storage.pool.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM families WHERE ended_at <= $1',
    [at],
  )
  return rows[0]?.count ?? 0
}

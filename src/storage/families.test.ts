import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../main/services.ts'
import { readConfig } from '../config.ts'
import { createApp } from '../domain/apps/apps.ts'
import type { Services } from '../domain/services.ts'
import { createLogger } from '../logger.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { type Connection, connect, refresh, successorIn } from '../testing/portal/connections.ts'
import { addFamilies, addPeople, peopleOf } from '../testing/portal/crowd.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

const CROWD = 2000
const FAMILIES = 40
const ROUNDS = 25
const LANES = 5

let folder: TemporaryFolder
let services: Services

// On a server of its own: a long transaction anywhere on a server, and other tests have some, holds up the cleaning of
// pages everywhere on it, and with it HOT updates.
before(async () => {
  folder = await makeTemporaryFolder('families')
  const config = readConfig({ NODE_ENV: 'test', GATEHOUSE_SECRET: TEST_SECRET, DATA_DIR: folder.path })
  services = await openServices(config, createLogger('silent'))
})
after(async () => {
  await services.storage.close()
  await folder.remove()
})

interface Growth {
  updates: number
  hot: number
  /** Pages of the table, and of every index by its name. */
  table: number
  indexes: Record<string, number>
}

test('a thousand rotations are HOT updates: no index gets an entry, and the table hardly a page', async () => {
  const adaId = await addIdentity(services, ada)
  await createApp(services, 'notes', notesApp)
  const people = peopleOf(CROWD)
  await addPeople(services.storage.pool, people, services.clock())
  // Among others, as in life: ten transactions at once on one page find no room there, nor anything they may clean up yet.
  const families: Connection[] = []
  for (let from = 0; from < CROWD; from += CROWD / FAMILIES) {
    const crowd = { families: { from, count: CROWD / FAMILIES }, people, clientIds: ['notes'], endedPercent: 30 }
    await addFamilies(services.storage.pool, crowd, services.clock())
    families.push(await connect(services, adaId, 'notes'))
  }

  const before = await measure(0)
  // Fewer at once than there are connections, so that on a slow disk no caller waits for one too long.
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const family of families.filter((_, index) => index % LANES === lane)) {
        family.refreshToken = successorIn(await refresh(services, family))
      }
    }
  })
  await Promise.all(lanes)
  const now = await measure(before.updates + FAMILIES * ROUNDS)

  const updates = now.updates - before.updates
  assert.equal(updates, FAMILIES * ROUNDS)
  const hot = now.hot - before.hot
  assert.ok(hot >= updates * 0.99, `${hot} of ${updates}`)
  assert.deepEqual(now.indexes, before.indexes)
  assert.ok(now.table <= before.table * 1.05, `${before.table} pages became ${now.table}`)
})

/** What the table has grown by; the server counts late, so this waits until it has counted so many updates. */
async function measure(expectedUpdates: number): Promise<Growth> {
  for (let tries = 0; ; tries++) {
    const counted = await services.storage.pool.query<{ updates: number; hot: number; table: number }>(
      `SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot, (pg_relation_size(relid) / 8192)::int AS table
       FROM pg_stat_user_tables WHERE relname = 'families'`,
    )
    const found = counted.rows[0] as Omit<Growth, 'indexes'>
    if (found.updates < expectedUpdates && tries < 400) {
      await sleep(25)
      continue
    }
    const sizes = await services.storage.pool.query<{ name: string; pages: number }>(
      `SELECT indexrelname AS name, (pg_relation_size(indexrelid) / 8192)::int AS pages FROM pg_stat_user_indexes WHERE relname = 'families'`,
    )
    return { ...found, indexes: Object.fromEntries(sizes.rows.map(({ name, pages }) => [name, pages])) }
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApp } from '../../src/domain/apps/apps.ts'
import { notesApp } from '../../src/testing/portal/apps.ts'
import { openTestPortal } from '../../src/testing/portal/open-portal.ts'
import { measureReads } from './measurement.ts'
import { clientIdsOf, populate } from './population.ts'
import { knownIn } from './questions.ts'

// A small installation. Reading a small table as a whole would be cheaper than an index, so the planner is told not to.
const POPULATION = { people: 4000, families: 12_000, apps: 20, groups: 50, groupsEach: 3, events: 20_000 }

test('no list, search or page of the administration reads a large table from one end to the other', async () => {
  const portal = await openTestPortal()
  try {
    for (const clientId of clientIdsOf(POPULATION)) await createApp(portal, clientId, notesApp)
    await populate(portal.storage.pool, POPULATION, portal.clock())
    await portal.storage.pool.query('ANALYZE')
    const db = await portal.storage.pool.connect()
    await db.query('SET enable_seqscan = off')
    const answered = await measureReads(portal, db, await knownIn(db)).finally(() => db.release())
    assert.ok(answered.length > 3)
    assert.deepEqual(
      answered
        .filter(({ scanned }) => scanned.length > 0)
        .map(({ name, scanned, slowest }) => ({ name, scanned, slowest })),
      [],
    )
  } finally {
    await portal.close()
  }
})

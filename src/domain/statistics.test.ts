import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { closeServices, openServices } from '../main/services.ts'
import { createLogger } from '../logger.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { connect, elsewhere, home, REFRESHES, successorIn } from '../testing/portal/connections.ts'
import { createClock, type TestClock } from '../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { createApp } from './apps/apps.ts'
import { endFamilies } from './endings/endings.ts'
import type { Services } from './services.ts'
import { signIn } from './sign-in/sign-in.ts'
import {
  condenseTallies,
  countLivingFamilies,
  readStatistics,
  type StatisticsKind,
  type StatisticsRange,
  writeCounts,
} from './statistics.ts'
import { Tally } from './tally.ts'

const HOUR = 3600
const DAY = 24 * HOUR

let database: TestDatabase
let clock: TestClock
let services: Services
let adaId: string

before(async () => {
  database = await createDatabase()
  clock = createClock()
  services = await open()
  adaId = await addIdentity(services, ada)
  await createApp(services, 'notes', notesApp)
  await createApp(services, 'photos', photosApp)
})
beforeEach(async () => {
  services.tally.take()
  await services.storage.pool.query('TRUNCATE tallies')
})
after(async () => {
  await closeServices(services)
  await database.drop()
})

/** A process of the portal. */
async function open(): Promise<Services> {
  return openServices(testConfig(database), createLogger('silent'), clock)
}

/** The sum of each number that is not zero, as `kind app`. */
async function sums(range: StatisticsRange = 'hour', clientId: string | null = null): Promise<Record<string, number>> {
  const { series } = await readStatistics(services, range, clientId)
  return Object.fromEntries(
    series.map(({ kind, clientId: app, counts }) => [
      app === null ? kind : `${kind} ${app}`,
      counts.reduce<number>((sum, count) => sum + (count ?? 0), 0),
    ]),
  )
}

for (const [way, refresh] of Object.entries(REFRESHES)) {
  test(`what happens to people and apps is counted, refreshed the ${way} way`, async () => {
    const notes = await connect(services, adaId, 'notes')
    const photos = await connect(services, adaId, 'photos', { identitySessionId: notes.identitySessionId })
    const next = successorIn(await refresh(services, notes))
    successorIn(await refresh(services, { ...notes, refreshToken: next }))
    clock.advance(120)
    assert.equal((await refresh(services, notes, { clientInfo: elsewhere })).kind, 'refused')
    assert.equal((await refresh(services, notes, { clientInfo: elsewhere })).kind, 'refused')
    assert.equal((await refresh(services, { ...notes, refreshToken: 'nonsense' })).kind, 'refused')
    await endFamilies(services, { id: photos.familyId }, 'ended_by_person', home)
    const attempt = { clientInfo: home, deviceHash: null }
    await signIn(services, { ...attempt, login: 'ada', password: 'wrong' })
    await signIn(services, { ...attempt, login: 'nobody', password: 'wrong' })
    // What a signed-in user confirms is no sign-in.
    await signIn(services, { ...attempt, login: 'ada', password: 'wrong', confirms: 'identity' })
    await writeCounts(services)

    const ofNotes = {
      'family_opened notes': 1,
      'refresh notes': 2,
      'refused_refresh notes': 3,
      'reuse notes': 1,
      'family_ended notes': 1,
    }
    const ofPhotos = { 'family_opened photos': 1, 'family_ended photos': 1 }
    assert.deepEqual(await sums(), { sign_in: 1, failed_sign_in: 2, ...ofNotes, ...ofPhotos })
    assert.deepEqual(await sums('month', 'notes'), ofNotes)
    assert.deepEqual(await sums('day', 'of-no-app'), {})
  })
}

test('processes that write at the same moment lose and double nothing', async () => {
  const tallies = Array.from({ length: 12 }, () => new Tally(clock))
  for (let round = 0; round < 5; round++) {
    for (const [number, tally] of tallies.entries()) {
      // Each in another order: without one order in the statement they would deadlock.
      const apps = Array.from({ length: 20 }, (_, index) => `app-${(index * 7 + number) % 20}`)
      for (const app of apps) tally.count('refresh', app, number + 1)
    }
    await Promise.all(tallies.map((tally) => writeCounts({ tally, storage: services.storage })))
  }
  const counts = Object.values(await sums())
  assert.deepEqual(
    counts,
    Array.from({ length: 20 }, () => 5 * 78),
  )
})

test('counts that could not be written are written later, once', async () => {
  const other = await open()
  await closeServices(other)
  services.tally.count('sign_in')
  await assert.rejects(writeCounts({ tally: services.tally, storage: other.storage }))
  services.tally.count('sign_in')
  await writeCounts(services)
  await writeCounts(services)
  assert.deepEqual(await sums(), { sign_in: 2 })
})

test('a process that stops writes what it has counted; one that is killed loses only that', async () => {
  const [stopped, killed] = [await open(), await open()]
  killed.tally.count('sign_in', '', 100)
  await writeCounts(killed)
  killed.tally.count('sign_in')
  stopped.tally.count('sign_in', '', 10)
  await closeServices(stopped)
  await killed.storage.close()
  assert.deepEqual(await sums(), { sign_in: 110 })
})

test('hours and days begin on the hour and at midnight, and the last one is now', async () => {
  for (const [range, length, count] of [
    ['hour', 300, 12],
    ['day', HOUR, 24],
    ['month', DAY, 30],
  ] as const) {
    services.tally.count('sign_in')
    await writeCounts(services)
    const { times, seconds, series } = await readStatistics(services, range, null)
    assert.equal(seconds, length)
    assert.equal(times.length, count)
    assert.ok(times.every((time) => time.getTime() % (length * 1000) === 0))
    const last = times.at(-1) as Date
    assert.ok(last <= clock() && clock().getTime() - last.getTime() < length * 1000)
    assert.ok((series[0]?.counts.at(-1) ?? 0) > 0)
  }
})

test('counts grow coarser with age, and no sum changes', async () => {
  // Each five minutes for three days, then a day each for two months.
  await services.storage.pool.query(
    `INSERT INTO tallies SELECT date_bin('5 minutes', $1::timestamptz - interval '5 minutes' * n, 'epoch'), 300, 'refresh', 'notes', 1
     FROM generate_series(0, 12 * 24 * 7) n`,
    [clock()],
  )
  await services.storage.pool.query(
    `INSERT INTO tallies SELECT date_bin('1 hour', $1::timestamptz - interval '1 hour' * n, 'epoch'), 3600, 'living_families', '', 100 + n % 24
     FROM generate_series(0, 24 * 7) n`,
    [clock()],
  )
  const before = [await readStatistics(services, 'hour', null), await readStatistics(services, 'month', null)]
  const rowsBefore = await rows()
  await Promise.all([condenseTallies(services, undefined, 0), condenseTallies(services, undefined, 0)])
  await condenseTallies(services, undefined, 0)
  assert.deepEqual(
    [await readStatistics(services, 'hour', null), await readStatistics(services, 'month', null)],
    before,
  )
  assert.ok((await rows()) < rowsBefore / 8, `${await rows()} of ${rowsBefore}`)
  assert.equal(await condenseTallies(services, undefined, 0), 0)

  clock.advance(402 * DAY)
  await condenseTallies(services, undefined, 0)
  assert.equal(await rows(), 0)
})

async function rows(): Promise<number> {
  const result = await services.storage.pool.query<{ count: number }>('SELECT count(*)::int AS count FROM tallies')
  return result.rows[0]?.count ?? 0
}

test('living families are counted once an hour, by one of the processes that want to', async () => {
  await services.storage.pool.query(
    `UPDATE families SET ended_at = now(), end_cause = 'expired' WHERE ended_at IS NULL`,
  )
  const first = await connect(services, adaId, 'notes')
  await connect(services, adaId, 'notes')
  await connect(services, adaId, 'photos')
  await endFamilies(services, { id: first.familyId }, 'ended_by_person', home)
  services.tally.take()
  const counted = await Promise.all(Array.from({ length: 6 }, () => countLivingFamilies(services)))
  assert.equal(counted.filter(Boolean).length, 1)
  const expected = { living_families: 2, 'living_families notes': 1, 'living_families photos': 1 }
  assert.deepEqual(await sums('day'), expected)
  assert.equal(await countLivingFamilies(services), false)
  clock.advance(HOUR)
  assert.equal(await countLivingFamilies(services), true)
  const { series } = await readStatistics(services, 'day', null)
  const total = series.find(
    ({ kind, clientId }) => kind === ('living_families' satisfies StatisticsKind) && clientId === null,
  )
  // What was not read is no zero.
  assert.deepEqual(total?.counts.slice(-3), [null, 2, 2])
})

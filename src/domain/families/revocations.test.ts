import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../../main/services.ts'
import { createLogger } from '../../logger.ts'
import { transaction } from '../../storage/postgres.ts'
import { mailApi } from '../../testing/portal/apis.ts'
import { notesApp, robotService } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { connect, home } from '../../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { testConfig } from '../../testing/portal/open-portal.ts'
import { changeApi, createApi } from '../apps/apis.ts'
import { type AppRow, changeApp, createApp, disableApp, enableApp, findApp } from '../apps/apps.ts'
import { deleteAccount } from '../accounts/deletions.ts'
import { endFamilies, endIn } from '../endings/endings.ts'
import { eraseAccount } from '../accounts/erasure.ts'
import { changeRoles } from '../identities/identities.ts'
import type { Services } from '../services.ts'
import { pruneErasedFamilies } from '../pruning.ts'
import { MOST_WAITING, Revocations } from './revocations.ts'
import { epochSeconds } from '../time.ts'

/** Application tokens live five minutes, and a family is listed a minute longer, and until the next minute begins. */
const WINDOW = 360
const EVERYTHING = 0

let database: TestDatabase
let clock: TestClock
let services: Services
let another: Services
let adaId: string

before(async () => {
  database = await createDatabase()
  // The first second of a minute.
  clock = createClock(new Date('2026-11-21T12:00:00.500Z'))
  services = await openServices(testConfig(database), createLogger('silent'), clock)
  another = await openServices(testConfig(database), createLogger('silent'), clock)
  adaId = await addIdentity(services, ada)
  await createApp(services, 'notes', notesApp)
})
after(async () => {
  await services.storage.close()
  await another.storage.close()
  await database.drop()
})
// Nothing of a test before is listed any more.
beforeEach(() => clock.advance(3600))

/** Reads the database now, also when that has just been done. */
async function look(revocations: Revocations): Promise<Revocations> {
  await sleep(5)
  await revocations.look()
  return revocations
}

function watch(on = services): Revocations {
  return new Revocations(on, 1)
}

async function listed(
  revocations: Revocations,
  kind: 'ended' | 'stale' | 'clients' = 'ended',
): Promise<Record<string, number>> {
  return (await look(revocations)).list(EVERYTHING)[kind]
}

async function endOne(): Promise<string> {
  const { familyId } = await connect(services, adaId, 'notes')
  await endFamilies(services, { id: familyId }, 'ended_by_person', home)
  return familyId
}

test('an app that was disabled is listed, and its tokens from before stay revoked once it is enabled again', async () => {
  await createApp(services, 'robot', robotService)
  const robot = async () => (await findApp(services, 'robot')) as AppRow
  const revocations = watch()
  assert.deepEqual(await listed(revocations, 'clients'), {})
  await enableApp(services, await robot())
  assert.deepEqual(await listed(revocations, 'clients'), {})

  const disabledIn = epochSeconds(clock())
  await disableApp(services, await robot())
  assert.ok((await listed(revocations, 'clients'))['robot']! > disabledIn)
  await enableApp(services, await robot())
  assert.deepEqual(await listed(revocations, 'clients'), { robot: disabledIn + 1 })

  await disableApp(services, await robot())
  clock.advance(20)
  await enableApp(services, await robot())
  assert.deepEqual(await listed(revocations, 'clients'), { robot: disabledIn + 20 })
  // An app that was changed may have given out tokens of any life.
  clock.advance(2 * 3600)
  assert.deepEqual(await listed(revocations, 'clients'), {})
})

test('a family that has ended is listed with its second, and a living one is not', async () => {
  await connect(services, adaId, 'notes')
  const ended = await endOne()
  const revocations = await look(watch())
  assert.deepEqual(revocations.list(EVERYTHING), {
    window: WINDOW,
    ended: { [ended]: epochSeconds(clock()) },
    claims_version: {},
    stale: {},
    clients: {},
    revoked_keys: [],
  })
})

test('a family is listed for as long as its tokens may live, and then dropped by old and new processes', async () => {
  const watching = watch()
  const ended = await endOne()
  assert.ok(ended in (await listed(watching)))
  clock.advance(WINDOW - 1)
  assert.ok(ended in (await listed(watching)))
  assert.ok(ended in (await listed(watch(another))))
  const before = watching.version
  clock.advance(61)
  assert.deepEqual(await listed(watching), {})
  assert.deepEqual(await listed(watch(another)), {})
  assert.notEqual(watching.version, before)
})

test('the window follows the app or API whose tokens live longest, and for an hour the one it had', async () => {
  await createApp(services, 'slow', { ...notesApp, applicationTokenTtl: 1800 })
  const watching = await look(watch())
  assert.equal(watching.list(EVERYTHING).window, 1860)
  const ended = await endOne()
  clock.advance(61)
  await changeApp(services, (await findApp(services, 'slow')) as AppRow, { applicationTokenTtl: null })
  clock.advance(1700)
  assert.equal((await look(watching)).list(EVERYTHING).window, 3660)
  assert.ok(ended in (await listed(watch(another))))
  clock.advance(3600)
  assert.equal((await look(watching)).list(EVERYTHING).window, WINDOW)

  const { api } = await createApi(services, 'https://slow.example.test/', { ...mailApi, tokenTtl: 1200 })
  clock.advance(61)
  assert.equal((await look(watching)).list(EVERYTHING).window, 1260)
  await changeApi(services, api, { tokenTtl: null })
  clock.advance(7200)
  assert.equal((await look(watching)).list(EVERYTHING).window, WINDOW)
})

test('two processes that know the same name it by the same version, in whatever order they learned it', async () => {
  const [first, second] = [watch(), watch(another)]
  await look(first)
  const empty = first.version
  assert.equal((await look(second)).version, empty)
  await endOne()
  await look(first)
  const one = first.version
  assert.notEqual(one, empty)
  await endOne()
  await look(first)
  await look(second)
  assert.equal(second.version, first.version)
  assert.notEqual(first.version, one)
})

test('an ending that is rolled back was never there', async () => {
  const watching = await look(watch())
  const { version } = watching
  const { familyId } = await connect(services, adaId, 'notes')
  const broken = transaction(services.storage.pool, async (db) => {
    await endIn(services, db, { families: { id: familyId } }, { cause: 'operator', clientInfo: null }, clock())
    assert.deepEqual(await listed(watching), {})
    throw new Error('rolled back')
  })
  await assert.rejects(broken, /rolled back/)
  assert.deepEqual(await listed(watching), {})
  assert.equal(watching.version, version)
})

for (const [what, seconds] of [
  ['half a minute', 30],
  ['four minutes', 240],
] as const) {
  test(`an ending that commits ${what} after it was written is not lost, nor for clients that were answered meanwhile`, async () => {
    const watching = await look(watch())
    const { familyId } = await connect(services, adaId, 'notes')
    let told = 0
    await transaction(another.storage.pool, async (db) => {
      await endIn(another, db, { families: { id: familyId } }, { cause: 'operator', clientInfo: null }, clock())
      clock.advance(seconds)
      const newer = await endOne()
      assert.deepEqual(Object.keys(await listed(watching)), [newer])
      told = epochSeconds(clock())
    })
    clock.advance(seconds < 60 ? 1 : 60)
    await look(watching)
    assert.ok(familyId in watching.list(EVERYTHING).ended)
    assert.ok(familyId in watching.list(watching.newsFrom(told)).ended)
  })
}

test('a client that was answered before gets only what is new since', async () => {
  const watching = watch()
  const old = await endOne()
  await look(watching)
  clock.advance(180)
  const told = epochSeconds(clock())
  const fresh = await endOne()
  await look(watching)
  assert.deepEqual(Object.keys(watching.list(watching.newsFrom(told)).ended), [fresh])
  assert.deepEqual(Object.keys(watching.list(watching.newsFrom(null)).ended).toSorted(), [old, fresh].toSorted())
  // A client that is further behind than entries are kept gets everything, and one that is ahead the newest entries at most.
  assert.equal(watching.newsFrom(told - 3600), 0)
  assert.deepEqual(Object.keys(watching.list(watching.newsFrom(told + 3600)).ended), [fresh])
})

test('erasing a user at once removes no ending from the list', async () => {
  const leaver = await addIdentity(services, grace)
  const { familyId } = await connect(services, leaver, 'notes')
  const watching = await look(watch(another))
  await deleteAccount(services, leaver, null, 0)
  assert.equal(await eraseAccount(services, leaver), true)
  assert.deepEqual(await listed(watching), { [familyId]: epochSeconds(clock()) })
  assert.deepEqual(await listed(watch()), await listed(watching))
  assert.equal(await pruneErasedFamilies(services), 0)
  clock.advance(3721)
  assert.equal(await pruneErasedFamilies(services), 1)
})

test('a change of roles lists the living families with the new version, and by time those whose tokens have none', async () => {
  const { familyId } = await connect(services, adaId, 'notes')
  const watching = await look(watch())
  await changeRoles(services, adaId, ['editor'])
  const next = epochSeconds(clock()) + 1
  const { stale, claims_version: versions } = (await look(watching)).list(EVERYTHING)
  assert.deepEqual([stale[familyId], versions[familyId]], [next, 1])

  const { version } = watching
  await changeRoles(services, adaId, [])
  const again = (await look(watching)).list(EVERYTHING)
  assert.deepEqual([again.stale[familyId], again.claims_version[familyId]], [next, 2])
  assert.notEqual(watching.version, version)
})

test('a waiting request is answered when a family ends, and an aborted one is not waited for', async () => {
  const revocations = await look(new Revocations(services, 20))
  const gone = new AbortController()
  const { version } = revocations
  const waiting = [1, 2].map(() => revocations.waitForChange(version, 20_000, new AbortController().signal))
  const leaving = revocations.waitForChange(version, 20_000, gone.signal)
  gone.abort()
  await leaving
  assert.equal(revocations.version, version)
  await endOne()
  assert.deepEqual(await Promise.all(waiting), [true, true])
  assert.notEqual(revocations.version, version)
})

test('without news a wait ends when its time is over, and at once when the portal stops', async () => {
  const revocations = await look(new Revocations(services, 20))
  const { version } = revocations
  const { signal } = new AbortController()
  await revocations.waitForChange(version, 30, signal)
  const waiting = revocations.waitForChange(version, 20_000, signal)
  revocations.stop()
  await waiting
  assert.equal(revocations.version, version)
  assert.equal(await revocations.waitForChange(version, 20_000, signal), false)
})

test('a bounded number of requests may wait, and the next one is answered at once', async () => {
  const revocations = await look(new Revocations(services, 20))
  const { signal } = new AbortController()
  const { version } = revocations
  const crowd = Array.from({ length: MOST_WAITING }, () => revocations.waitForChange(version, 20_000, signal))
  assert.equal(await revocations.waitForChange(version, 20_000, signal), false)
  revocations.stop()
  await Promise.all(crowd)
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { disableApp, findApp, type AppRow, changeApp } from '../domain/apps/apps.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import { listNotifications, type Notification, resendNotifications } from '../domain/endings/notifications.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { addFamilies, addPeople } from '../testing/portal/crowd.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { ada } from '../testing/portal/people.ts'
import { type Receiver, type ReceiverAnswer, startReceiver } from '../testing/network/receiver.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const HOUR = 3600
const DAY = 24 * HOUR

const clock = createClock()
let database: TestDatabase
let server: TestServer
let adaId: string
const receivers: Receiver[] = []

before(async () => {
  database = await createDatabase()
  server = await startTestServer({ database, clock })
  adaId = await server.addIdentity(ada)
})
// What is retried for ever would keep the next test's database busy.
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close()
})
after(async () => {
  await server.close()
  await database.drop()
})

interface TestApp {
  clientId: string
  receiver: Receiver
}

/** An app that listens for logouts, and a real server that hears them. */
async function addApp(answer: ReceiverAnswer = 'right'): Promise<TestApp> {
  const clientId = `app-${randomUUID().slice(0, 8)}`
  const receiver = await listen(clientId)
  receiver.answer = answer
  await server.addApp(clientId, { ...notesApp, backchannelLogoutUri: receiver.uri })
  return { clientId, receiver }
}

async function listen(clientId: string, port?: number): Promise<Receiver> {
  const receiver = await startReceiver({ issuer: server.url, clientId, clock, ...(port === undefined ? {} : { port }) })
  receivers.push(receiver)
  return receiver
}

async function endOne(clientId: string): Promise<string> {
  const { familyId } = await connect(server.services, adaId, clientId)
  clock.advance(1)
  await endFamilies(server.services, { id: familyId }, 'ended_by_person', home)
  return familyId
}

async function endSome(clientId: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let number = 0; number < count; number++) ids.push(await endOne(clientId))
  return ids
}

/** The wait before the next attempt is over. */
async function skipWaiting(queue = 'notices'): Promise<void> {
  await server.services.storage.pool.query(
    `UPDATE queue.job SET start_after = now() WHERE name = $1 AND state < 'active'`,
    [queue],
  )
}

async function until(isTrue: () => boolean | Promise<boolean>, meanwhile = async () => {}): Promise<void> {
  for (let looks = 0; !(await isTrue()); looks++) {
    if (looks > 300) throw new Error(`it did not come to that: ${server.log().slice(-2000)}`)
    await meanwhile()
    await sleep(30)
  }
}

/** How far each is, the oldest first. */
async function statesOf(clientId: string): Promise<string[]> {
  return (await listNotifications(server.services, { clientId }, 100)).map(({ state }) => state).toReversed()
}

async function attemptsOf(clientId: string): Promise<number> {
  return (await listNotifications(server.services, { clientId }, 100)).reduce((sum, { attempts }) => sum + attempts, 0)
}

const familiesIn = ({ logouts }: Receiver) => logouts.map(({ fam }) => fam)

test('an app is told of what has ended in the order in which it ended, once', async () => {
  const { clientId, receiver } = await addApp()
  const ended = await endSome(clientId, 8)
  await receiver.waitForLogouts(8)
  assert.deepEqual(familiesIn(receiver), ended)
  await until(async () => (await statesOf(clientId)).every((state) => state === 'confirmed'))
  assert.equal(receiver.attempts.length, 8)
  const [newest] = await listNotifications(server.services, { clientId }, 1)
  const { attempts, problem, lastAttemptAt, confirmedAt } = newest as Notification
  assert.deepEqual([attempts, problem, lastAttemptAt, confirmedAt], [1, null, clock(), clock()])

  // As when a process dies after the app has confirmed, and before its job is done.
  const { jobs, pool } = server.services.storage
  await jobs.putAll('notices', [{ payload: { notice: newest?.id }, key: 'again' }], pool)
  const isDone = `SELECT 1 FROM queue.job WHERE name = 'notices' AND singleton_key = 'again' AND state = 'completed'`
  await until(async () => (await pool.query(isDone)).rowCount === 1)
  assert.equal(receiver.attempts.length, 8)
})

test('of ten apps one never answers, one fails and one is slow: the other seven are told meanwhile', async () => {
  const apps = await Promise.all(Array.from({ length: 10 }, async () => addApp()))
  const [silent, failing, slow, ...good] = apps as [TestApp, TestApp, TestApp, ...TestApp[]]
  silent.receiver.answer = 'never'
  failing.receiver.answer = { status: 500 }
  slow.receiver.answer = { afterMs: 2500 }
  for (const { clientId } of apps) await connect(server.services, adaId, clientId)
  for (const { clientId } of apps) await connect(server.services, adaId, clientId)
  await endFamilies(server.services, { identityId: adaId }, 'password_changed', home)
  await Promise.all(good.map(async ({ receiver }) => receiver.waitForLogouts(2)))
  await failing.receiver.waitForAttempts(2)
  assert.deepEqual(await statesOf(silent.clientId), ['waiting', 'waiting'])
  assert.equal(silent.receiver.attempts.length, 1)
  assert.deepEqual(await statesOf(failing.clientId), ['waiting', 'waiting'])
  // The second is not tried before the first is through.
  assert.equal(new Set(failing.receiver.attempts.map(({ claims }) => claims.jti)).size, 1)
  await until(() => server.log().includes(`"app":"${failing.clientId}"`))
  assert.match(
    server.log(),
    /"problem":"answered 500 Internal Server Error","next":"waiting","msg":"a back-channel notification failed"/,
  )
})

test('an app that was down for a day gets everything when it is back, in order, once', async () => {
  const { clientId, receiver } = await addApp()
  await receiver.close()
  const ended: string[] = []
  for (let quarter = 0; quarter < 4; quarter++) {
    ended.push(await endOne(clientId))
    const before = await attemptsOf(clientId)
    await until(async () => (await attemptsOf(clientId)) > before, skipWaiting)
    clock.advance(6 * HOUR)
  }
  assert.deepEqual(await statesOf(clientId), ['waiting', 'waiting', 'waiting', 'waiting'])
  const back = await listen(clientId, Number(new URL(receiver.uri).port))
  await until(() => back.logouts.length === 4, skipWaiting)
  assert.deepEqual(familiesIn(back), ended)
  await until(async () => (await statesOf(clientId)).every((state) => state === 'confirmed'))
  assert.equal(back.attempts.length, 4)
})

test('an app that does not answer for three days is given up, and told all the same when an operator says so', async () => {
  const { clientId, receiver } = await addApp()
  await receiver.close()
  const ended = await endSome(clientId, 3)
  await until(async () => (await attemptsOf(clientId)) > 0, skipWaiting)
  clock.advance(3 * DAY - 3)
  const before = await attemptsOf(clientId)
  await until(async () => (await attemptsOf(clientId)) > before, skipWaiting)
  assert.deepEqual(await statesOf(clientId), ['waiting', 'waiting', 'waiting'])
  clock.advance(3)
  await until(async () => (await statesOf(clientId)).every((state) => state === 'given-up'), skipWaiting)
  const [newest] = await listNotifications(server.services, { clientId, state: 'given-up' }, 1)
  assert.equal(newest?.problem, 'its address refuses connections')

  clock.advance(DAY)
  const back = await listen(clientId, Number(new URL(receiver.uri).port))
  back.answer = { status: 503 }
  assert.equal((await resendNotifications(server.services, { clientId })).length, 3)
  // It is as patient as the first time.
  await until(() => back.attempts.length > 1, skipWaiting)
  assert.deepEqual(await statesOf(clientId), ['waiting', 'waiting', 'waiting'])
  back.answer = 'right'
  await until(() => back.logouts.length === 3, skipWaiting)
  assert.deepEqual(familiesIn(back), ended)
  assert.equal(back.logouts.at(-1)?.jti, newest?.id)
  assert.deepEqual(await resendNotifications(server.services, { clientId }), [])
})

test('a notice that its app refuses again and again lets those behind it pass, and arrives later', async () => {
  const { clientId, receiver } = await addApp({ status: 500 })
  const [poisoned, ...others] = await endSome(clientId, 3)
  await until(async () => (await attemptsOf(clientId)) >= 5, skipWaiting)
  receiver.answer = 'right'
  await until(() => receiver.logouts.length === 2, skipWaiting)
  assert.deepEqual(familiesIn(receiver), others)
  assert.equal(receiver.attempts.filter(({ claims }) => claims['fam'] === poisoned).length, 5)
  assert.match(server.log(), /"next":"aside"/)
  await until(
    () => receiver.logouts.length === 3,
    async () => skipWaiting('late-notices'),
  )
  assert.equal(receiver.logouts.at(-1)?.fam, poisoned)
})

test('an app that has no address any more is told nothing more, and that is said', async () => {
  const { clientId, receiver } = await addApp('hang up')
  await endOne(clientId)
  await receiver.waitForAttempts(1)
  await changeApp(server.services, (await findApp(server.services, clientId)) as AppRow, {
    backchannelLogoutUri: null,
  })
  await until(async () => (await statesOf(clientId))[0] === 'given-up', skipWaiting)
  const [notice] = await listNotifications(server.services, { clientId }, 1)
  assert.equal(notice?.problem, 'takes no such notices any more')
})

test('two portals share the work, and send nothing twice', async () => {
  const other = await startTestServer({ database, clock, env: { PUBLIC_URL: server.url } })
  const apps = await Promise.all([addApp(), addApp(), addApp()])
  for (let count = 0; count < 12; count++)
    for (const { clientId } of apps) await connect(server.services, adaId, clientId)
  await endFamilies(server.services, { identityId: adaId }, 'signed_out_everywhere', home)
  await Promise.all(apps.map(async ({ receiver }) => receiver.waitForLogouts(12)))
  await other.close()
  for (const { receiver } of apps) assert.equal(receiver.attempts.length, 12)
})

test('a thousand families of an app end at once, while the refreshes of another go on', async () => {
  const { pool } = server.services.storage
  const { clientId, receiver } = await addApp()
  await addPeople(pool, 200, clock())
  await addFamilies(
    pool,
    { families: { from: 0, count: 1000 }, people: 200, clientIds: [clientId], endedPercent: 0 },
    clock(),
  )
  const photos = new Client(
    server.url,
    'photos',
    await server.addApp('photos', photosApp),
    photosApp.redirectUris[0] as string,
  )
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  let { refresh_token: token } = await photos.connect(browser)

  await disableApp(server.services, (await findApp(server.services, clientId)) as AppRow)
  for (let count = 0; count < 100; count++) {
    const response = await photos.refresh(token)
    assert.equal(response.status, 200)
    token = ((await response.json()) as Tokens).refresh_token
  }
  const told = familiesIn(receiver)
  assert.ok(told.length > 0)
  assert.equal(new Set(told).size, told.length)
  const queued = await server.services.storage.pool.query('SELECT 1 FROM notices WHERE client_id = $1', [clientId])
  assert.equal(queued.rowCount, 1000)
})

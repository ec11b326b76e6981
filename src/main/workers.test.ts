import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from './services.ts'
import { createApp } from '../domain/apps/apps.ts'
import { createLogger } from '../logger.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET, testConfig } from '../testing/portal/open-portal.ts'

const LOOPS = 4

let database: TestDatabase
let port: number
let portal: Running

before(async () => {
  database = await createDatabase()
  port = await findFreePort()
  portal = start({})
  await portal.says('Apps discover it')
})
after(async () => {
  await portal.kill()
  await portal.finished
  await database.drop()
})

function start(env: Record<string, string>): Running {
  const given = { PORT: String(port), DATABASE_URL: database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  return startGatehouse(['serve'], { ...given, WORKERS: '2', ...env })
}

test('two workers answer on one port, and the portal says once that it is ready', async () => {
  assert.equal((await untilAnsweredBy(2)).size, 2)
  assert.equal(portal.printed().match(/^Gatehouse is ready at /gm)?.length, 1)
  assert.equal(await ask('/readyz'), 200)
})

test('a refresh token goes from worker to worker, and its family lives', async () => {
  const rules = await openServices(testConfig(database, { PORT: String(port) }), createLogger('silent'))
  await addIdentity(rules, ada)
  const { secret } = await createApp(rules, 'notes', notesApp)
  await rules.storage.close()
  const url = `http://localhost:${port}`
  const browser = new Browser(url)
  await browser.signIn(ada)
  const app = new Client(url, 'notes', secret, notesApp.redirectUris[0] as string)
  let { refresh_token: token } = await app.connect(browser)

  const from = portal.printed().length
  for (let turn = 0; turn < 20; turn++) {
    const response = await app.refresh(token, {}, { connection: 'close' })
    assert.equal(response.status, 200)
    const tokens = (await response.json()) as Tokens
    assert.notEqual(tokens.refresh_token, token)
    token = tokens.refresh_token
  }
  assert.equal(answeringSince(from).size, 2)
})

test('a worker that is killed is replaced, and the others answer meanwhile', async () => {
  const [victim] = await untilAnsweredBy(2)
  // What the victim is answering dies with it.
  const load = startLoad(false)
  process.kill(victim as number, 'SIGKILL')
  await portal.says(`"pid":${victim},"code":null,"signal":"SIGKILL"`)
  assert.equal(await ask('/readyz'), 200)
  assert.equal((await untilAnsweredBy(2)).has(victim as number), false)
  await load.abandon()

  const answers = await Promise.all(Array.from({ length: 40 }, async () => ask('/oauth/jwks')))
  assert.deepEqual(new Set(answers), new Set([200]))
})

test('a worker that is told to end loses no request, and is replaced', async () => {
  const [leaving] = await untilAnsweredBy(2)
  const load = startLoad(true)
  process.kill(leaving as number, 'SIGTERM')
  await portal.says(`"pid":${leaving},"code":0`)
  assert.equal((await untilAnsweredBy(2)).has(leaving as number), false)
  await load.end()
  assert.deepEqual(load.failures(), [])
})

test('a rolling restart replaces every worker and loses no request', async () => {
  const old = await untilAnsweredBy(2)
  const loads = [startLoad(true), startLoad(false)]
  portal.child.kill('SIGHUP')
  await portal.says('every worker has been restarted')
  const now = await untilAnsweredBy(2)
  for (const load of loads) {
    await load.end()
    assert.ok(load.count() > LOOPS)
    assert.deepEqual(load.failures(), [])
  }
  assert.deepEqual(
    [...now].filter((pid) => old.has(pid)),
    [],
  )
})

test('a portal whose port is taken says so once, and ends with 1', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { code, stdout, stderr } = await start({ PORT: String((taken.address() as { port: number }).port) }).finished
  taken.close()
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^gatehouse: [^\n]*EADDRINUSE[^\n]*\n$/)
})

test('a portal without its database says so once, and ends with 1', async () => {
  const env = { PORT: '0', DATABASE_URL: 'postgresql://user:CANARY@127.0.0.1:1/db', WORKERS: '3' }
  const { code, stdout, stderr } = await start(env).finished
  assert.equal(code, 1)
  assert.match(stderr, /^gatehouse: [^\n]*ECONNREFUSED[^\n]*\n$/)
  assert.doesNotMatch(stdout + stderr, /CANARY/)
})

test('workers whose first process is killed end by themselves', async () => {
  const orphaned = start({ PORT: String(await findFreePort()) })
  await orphaned.says('Gatehouse is ready')
  orphaned.child.kill('SIGKILL')
  // Its output is over when the last process that could write to it has ended.
  assert.equal((await orphaned.finished).stderr, '')
})

test('Ctrl-C, which every process hears and some twice, loses no request that was sent before it', async () => {
  const workers = await untilAnsweredBy(2)
  const loads = [startLoad(true), startLoad(false)]
  while (loads.some((load) => load.count() < 20)) await sleep(10)
  const processes = [portal.child.pid as number, ...workers]
  const start = performance.now()
  for (const pid of processes) process.kill(pid, 'SIGINT')
  portal.child.kill('SIGINT')

  const { code, stderr, stdout } = await portal.finished
  assert.equal(code, 0)
  assert.equal(stderr, '')
  assert.doesNotMatch(stdout.slice(stdout.lastIndexOf('"msg":"stopping"')), /is replaced/)
  for (const load of loads) {
    await load.end()
    assert.deepEqual(load.failures(start), [])
  }
})

/** The status of an answer on a connection of its own, unless an agent has one. */
async function ask(path: string, agent: Agent | false = false): Promise<number> {
  const sent = get({ host: '127.0.0.1', port, path, agent, headers: { host: `localhost:${port}` } })
  sent.setTimeout(10_000, () => sent.destroy(new Error('no answer')))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  return response.statusCode ?? 0
}

/** The processes that have logged an answer since this position of the output. */
function answeringSince(position: number): Set<number> {
  const lines = portal
    .printed()
    .slice(position)
    .matchAll(/"pid":(\d+),"requestId"/g)
  return new Set([...lines].map(([, pid]) => Number(pid)))
}

/** Asks on fresh connections until so many processes have answered. */
async function untilAnsweredBy(count: number): Promise<Set<number>> {
  const from = portal.printed().length
  while (answeringSince(from).size < count) {
    await ask('/healthz').catch(() => {})
    await sleep(5)
  }
  return answeringSince(from)
}

/** Some loops that ask one thing after the other, each on a connection it keeps or on a fresh one every time. */
function startLoad(keepAlive: boolean) {
  const agent = new Agent({ keepAlive, maxSockets: LOOPS })
  const answers: { sentAt: number; answer: unknown }[] = []
  let isOver = false
  const loop = async () => {
    while (!isOver) {
      const sentAt = performance.now()
      const answer: unknown = await ask('/oauth/jwks', agent).catch((error: unknown) => error)
      answers.push({ sentAt, answer })
      // The process has ended.
      if (answer instanceof Error) await sleep(5)
    }
  }
  const loops = Promise.all(Array.from({ length: LOOPS }, loop))
  return {
    count: () => answers.length,
    /** What else than 200 has come of what was sent before then. */
    failures: (before = Infinity) =>
      answers.filter(({ sentAt, answer }) => sentAt < before && answer !== 200).map(({ answer }) => answer),
    async end() {
      isOver = true
      await loops
      agent.destroy()
    },
    /** Ends without waiting for answers. */
    async abandon() {
      isOver = true
      agent.destroy()
      await loops
    },
  }
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as dial, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { createApp } from '../domain/apps/apps.ts'
import { createLogger } from '../logger.ts'
import { openServices } from '../main/services.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect } from '../testing/portal/connections.ts'
import { createMigratedDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { type Finished, gatehouse, printed, type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { codeOf } from '../testing/portal/totp.ts'

const OLD = 'the old root secret of 32 bytes or more'
const NEW = 'the new root secret of 32 bytes or more'
/** Together they refresh a hundred times in a second. */
const CHAINS = 20
const PAUSE_MS = 200

interface Process {
  port: number
  running: Running
}

let database: TestDatabase
let front: Awaited<ReturnType<typeof openFront>>
let url: string
let processes: Process[] = []

before(async () => {
  database = await createMigratedDatabase()
  front = await openFront()
  url = `http://localhost:${front.port}`
})
after(async () => {
  for (const { running } of processes) await running.kill()
  front.close()
  await database.drop()
})

/** What stands in front of the two processes: each connection goes to the next of those that may have one. */
async function openFront() {
  const open = new Set<number>()
  /** Connections whose last word is the client's, by the port that they lead to. */
  const unanswered = new Map<Socket, number>()
  let turn = 0
  const server = createServer((client) => {
    const ports = [...open]
    const port = ports[turn++ % ports.length] as number
    const target = dial(port, '127.0.0.1')
    unanswered.set(client, port)
    client.on('data', () => unanswered.set(client, port))
    target.on('data', () => unanswered.delete(client))
    for (const each of [client, target])
      each
        .on('error', () => [client, target].forEach((socket) => socket.destroy()))
        .on('close', () => unanswered.delete(client))
    client.pipe(target).pipe(client)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    open,
    /** Sends nothing more there, and waits for what was sent. */
    async leave(port: number) {
      open.delete(port)
      while ([...unanswered.values()].includes(port)) await sleep(5)
    },
    close: () => server.close(),
  }
}

function environment(secret: string): Record<string, string> {
  const { databaseUrl: DATABASE_URL } = database
  return { NODE_ENV: 'test', PUBLIC_URL: url, DATABASE_URL, GATEHOUSE_SECRET: secret, KEY_ROTATION: '90d' }
}

async function serve(secret: string): Promise<Process> {
  const port = await findFreePort()
  const running = startGatehouse(['serve'], { ...environment(secret), PORT: String(port), HOST: '127.0.0.1' })
  await running.says('Apps discover it')
  front.open.add(port)
  return { port, running }
}

/** One process after the other: the load goes to the other, until its successor is ready. */
async function restartEach(secret: string): Promise<void> {
  for (const [index, { port, running }] of processes.entries()) {
    await front.leave(port)
    running.child.kill('SIGTERM')
    assert.equal((await running.finished).code, 0)
    processes[index] = await serve(secret)
  }
}

const keys = async (args: string[], secret: string): Promise<Finished> =>
  gatehouse(['keys', ...args, '--json'], environment(secret))

/** Refreshes one token after the other, each once, and verifies what it gets, as an API does that caches the keys. */
function startLoad(app: Client, first: string[]) {
  const fetchKeys = () => createRemoteJWKSet(new URL(`${url}/oauth/jwks`), { headers: { connection: 'close' } })
  let jwks = fetchKeys()
  const failures: string[] = []
  const signers = new Set<string>()
  let [count, isOver] = [0, false]
  const chains = first.map(async (token, chain) => {
    await sleep((chain * PAUSE_MS) / CHAINS)
    for (let current = token; !isOver; await sleep(PAUSE_MS)) {
      const answer = await app.refresh(current, {}, { connection: 'close' }).catch((error: unknown) => String(error))
      const text = typeof answer === 'string' ? answer : await answer.text()
      count++
      if (typeof answer === 'string' || answer.status !== 200) return void failures.push(`refresh: ${text}`)
      const tokens = JSON.parse(text) as Tokens
      current = tokens.refresh_token
      signers.add(decodeProtectedHeader(tokens.access_token).kid as string)
      await jwtVerify(tokens.access_token, jwks, { issuer: url, audience: 'notes' }).catch((error: unknown) =>
        failures.push(String(error)),
      )
    }
  })
  return {
    failures,
    signers,
    count: () => count,
    /** As after ten minutes: what was fetched before is no longer used. */
    emptyCache: () => (jwks = fetchKeys()),
    async end() {
      isOver = true
      await Promise.all(chains)
    },
  }
}

test('signing keys and the root secret are rotated under load in two processes, and no request fails', async () => {
  const config = testConfig(database, { ...environment(OLD), PORT: String(front.port) })
  const rules = await openServices(config, createLogger('silent'))
  const identityId = await addIdentity(rules, ada)
  const { secret } = await createApp(rules, 'notes', notesApp)
  const app = new Client(url, 'notes', secret, notesApp.redirectUris[0] as string)
  const tokens = await Promise.all(
    Array.from({ length: CHAINS + 1 }, async () => (await connect(rules, identityId, 'notes')).refreshToken),
  )
  const unused = tokens.pop() as string
  const { pool } = rules.storage
  // The keys have signed for 90 days, less a few minutes.
  await pool.query("UPDATE signing_keys SET signs_from = signs_from - interval '90 days' + interval '5 minutes'")
  await rules.passwords.close()
  processes = [await serve(OLD), await serve(OLD)]
  const browser = new Browser(url)
  await browser.signIn(ada)
  const phone = await addTotp(browser, new Date())

  const load = startLoad(app, tokens)
  const states = async () => {
    const listed = printed<{ state: string }[]>(await keys(['list'], OLD)).map(({ state }) => state)
    return [listed.filter((state) => state === 'next').length, listed.filter((state) => state === 'signing').length]
  }
  // Both processes look for keys that are due.
  while ((await states())[0] === 0) await sleep(100)
  assert.deepEqual(await states(), [3, 3])
  // Their quarter of an hour passes, and with it the time for which an API may keep what it fetched.
  load.emptyCache()
  await pool.query('UPDATE signing_keys SET signs_from = now() WHERE signs_from > now()')

  // Too early: it is refused, and harms nothing that the running processes need at their next start.
  assert.match((await keys(['rewrap'], `${NEW},${OLD}`)).stderr, /2 running processes do not have the first secret/)
  await restartEach(`${OLD},${NEW}`)
  assert.match((await keys(['rewrap'], NEW)).stderr, /does not open the signing keys/)
  await restartEach(`${NEW},${OLD}`)
  const rewrapped = await keys(['rewrap'], `${NEW},${OLD}`)
  assert.equal(rewrapped.code, 0, rewrapped.stderr)
  const answer = printed<{ can_remove: boolean; rewrapped: { totp_keys: number }; left: { what: string }[] }>(rewrapped)
  assert.deepEqual([answer.can_remove, answer.rewrapped.totp_keys], [true, 1])
  assert.ok(answer.left.some(({ what }) => what === 'refresh_tokens'))
  await restartEach(NEW)
  await load.end()

  assert.deepEqual(load.failures, [])
  assert.ok(load.count() > 100)
  assert.equal(load.signers.size, 2)
  // However often both have looked meanwhile, they made one set.
  assert.equal((await pool.query('SELECT FROM signing_keys')).rowCount, 6)
  assert.equal((await browser.get('/dashboard')).status, 200)
  assert.equal((await app.refresh(unused)).status, 200)
  const another = new Browser(url)
  await another.signIn(ada)
  const code = await another.post('/login/second-factor', { code: codeOf(phone.key, new Date(), 1) })
  assert.equal(code.status, 303, await code.text())
  const secrets = printed<{ state: string }[]>(await keys(['secrets'], NEW)).map(({ state }) => state)
  assert.deepEqual(secrets.toSorted(), ['kept', 'signing'])
  // The old secret opens nothing any more.
  assert.match((await keys(['list'], OLD)).stderr, /GATEHOUSE_SECRET does not open/)
  await rules.storage.close()
})

// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, test } from 'node:test'
import { createApp } from './domain/apps/apps.ts'
import { createLogger } from './logger.ts'
import { openServices } from './main/services.ts'
import { findFreePort } from './storage/embedded/free-port.ts'
import { notesApp, photosApp } from './testing/portal/apps.ts'
import { Browser } from './testing/browser/browser.ts'
import { Client } from './testing/browser/client.ts'
import { createDatabase, type StorageKind } from './testing/portal/databases.ts'
import { listEndpoints } from './testing/portal/endpoints.ts'
import { Fuzzer, MARK, type Sense } from './testing/network/fuzzer.ts'
import { startGatehouse } from './testing/portal/gatehouse.ts'
import { flood, open, watch } from './testing/network/hostile-connections.ts'
import { addIdentity } from './testing/portal/identities.ts'
import { ada, grace } from './testing/portal/people.ts'
import { TEST_SECRET, testConfig } from './testing/portal/open-portal.ts'
import { Random } from './testing/portal/random.ts'

/** FUZZ_REQUESTS makes it longer; FUZZ_SEED repeats a run (with the same number of requests). */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32))
const AT_ONCE = 12
/** Stops a hang (ms): a connection that nothing ends stays open for an hour. */
const PATIENCE = 120_000

const COMBINATIONS = [
  [1, 'postgres'],
  [2, 'postgres'],
  [1, 'postgres+redis'],
  [2, 'postgres+redis'],
] as const

const cleanUps: (() => Promise<void>)[] = []
after(async () => {
  for (const cleanUp of cleanUps) await cleanUp()
})

for (const [index, [workers, kind]] of COMBINATIONS.entries()) {
  const count = Math.ceil(REQUESTS / COMBINATIONS.length)
  const seed = (SEED + index) % 2 ** 32
  test(`${count} hostile requests to ${workers} workers on ${kind}, from the seed FUZZ_SEED=${SEED}`, async () => {
    const { portal, port, sense } = await serve(workers, kind)
    const random = new Random(seed)
    const fuzzer = new Fuzzer(random, listEndpoints(), sense)
    const last = `GET /healthz HTTP/1.1\r\nHost: ${sense.host}\r\nConnection: close\r\n\r\n`
    const statuses = new Map<number, number>()

    let sent = 0
    await flood(count, AT_ONCE, async () => {
      if (sent >= count) return
      const isGarbage = random.is(0.2)
      const requests = Array.from({ length: isGarbage ? 1 : 1 + random.below(6) }, () => fuzzer.request())
      if (isGarbage) requests.push(fuzzer.garbage())
      sent += requests.length
      const ending = isGarbage ? random.pick(['half-close', 'reset'] as const) : random.is(0.1) ? 'reset' : 'read'
      const bytes = requests.join('') + (ending === 'read' ? last : '')

      const received = await exchange(port, bytes, ending, random.is(0.1) ? random.below(bytes.length) : null)
      for (const problem of problemsIn(received, statuses))
        assert.fail(`${problem}\n--- sent ---\n${bytes}\n--- received ---\n${received}`)
    })

    console.log(
      `  ${[...statuses]
        .toSorted()
        .map(([status, times]) => `${status}: ${times}`)
        .join(', ')}`,
    )
    assert.ok((statuses.get(200) ?? 0) > count / 20)
    assert.ok((statuses.get(400) ?? 0) > 0)
    assert.doesNotMatch(portal.printed(), /"level":"(?:error|fatal)"|is replaced/)
    portal.child.kill('SIGTERM')
    const { code, stderr } = await portal.finished
    assert.deepEqual([code, stderr], [0, ''])
  })
}

/** Sends these bytes, in two pieces if they are cut, and returns what came back. Fails when nothing ends the connection. */
async function exchange(
  port: number,
  bytes: string,
  ending: 'read' | 'half-close' | 'reset',
  cut: number | null,
): Promise<string> {
  const socket = await open(port)
  const outcome = watch(socket, PATIENCE)
  if (cut !== null) {
    socket.write(bytes.slice(0, cut), 'latin1')
    await new Promise(setImmediate)
  }
  socket.write(bytes.slice(cut ?? 0), 'latin1')
  if (ending === 'half-close') socket.end()
  if (ending === 'reset') {
    await new Promise(setImmediate)
    socket.resetAndDestroy()
  }
  const { received, isClosed } = await outcome
  assert.ok(isClosed || ending === 'reset', `not closed in time\n--- sent ---\n${bytes}\n--- received ---\n${received}`)
  return received
}

/** What is wrong with the answers of one connection. Counts their statuses. */
function* problemsIn(received: string, statuses: Map<number, number>): Generator<string> {
  for (const [, status = '', head = '', body = ''] of received.matchAll(ANSWER)) {
    statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1)
    if (status.startsWith('5') && !(status === '503' && /^Retry-After: \d+\r$/im.test(head))) yield `answered ${status}`
    if (/^X-Fuzz:/im.test(head)) yield 'a value became a header'
    if (/^Content-Type: text\/html/im.test(head) && body.includes(MARK)) yield 'a value became HTML'
  }
}

const ANSWER = /HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n((?:(?!HTTP\/1\.1 \d{3} )[^])*)/g

async function serve(workers: number, kind: StorageKind) {
  const database = await createDatabase(kind)
  const port = await findFreePort()
  const env = {
    PORT: String(port),
    WORKERS: String(workers),
    DATABASE_URL: database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'warn',
    TRUST_PROXY: '1',
    STORE_TIMEOUT_MS: '15000',
    KEEP_ALIVE_TIMEOUT: '3600',
    ...(database.redisUrl === null ? {} : { REDIS_URL: database.redisUrl }),
  }
  const portal = startGatehouse(['serve'], env)
  cleanUps.push(async () => {
    await portal.kill()
    await database.drop()
  })
  await portal.says('Apps discover it')
  return { portal, port, sense: await makeSense(testConfig(database, env)) }
}

/** People who are signed in, apps and their tokens. */
async function makeSense(config: ReturnType<typeof testConfig>): Promise<Sense> {
  const rules = await openServices(config, createLogger('silent'))
  await addIdentity(rules, ada)
  await addIdentity(rules, grace)
  const { secret } = await createApp(rules, 'notes', notesApp)
  await createApp(rules, 'photos', photosApp)
  await rules.storage.close()

  const { publicUrl: origin } = config
  const notes = new Client(origin, 'notes', secret, notesApp.redirectUris[0] as string)
  const cookies: string[] = []
  const tokens = []
  for (const person of [ada, grace, ada, ada]) {
    const browser = new Browser(origin)
    await browser.signIn(person)
    tokens.push(await notes.connect(browser))
    cookies.push(await browser.jar.getCookieString(origin))
  }
  const query = new URL(notes.authorizeUrl()).searchParams
  const fields = Object.fromEntries([...query].map(([name, value]) => [name, [value]]))
  return {
    host: new URL(origin).host,
    origin,
    cookies: [...cookies, 'identity=s%3Ax.y; protocol=x; protocol.sig=y; interaction=z'],
    authorizations: [
      `Basic ${Buffer.from(`notes:${secret}`).toString('base64')}`,
      `Bearer ${tokens[0]?.access_token}`,
      `DPoP ${tokens[1]?.access_token}`,
      'Basic !!!',
      'Basic Og==',
      `Basic ${Buffer.from('%zz:\0').toString('base64')}`,
      `Bearer ${MARK}`,
    ],
    fields: {
      ...fields,
      client_id: ['notes', 'photos'],
      client_secret: [secret as string],
      grant_type: ['refresh_token', 'authorization_code', 'client_credentials'],
      refresh_token: tokens.map(({ refresh_token: token }) => token),
      token: tokens.flatMap(({ access_token: access, refresh_token: refresh }) => [access, refresh]),
      access_token: [tokens[0]?.access_token as string],
      id_token_hint: [tokens[0]?.id_token as string],
      token_type_hint: ['access_token', 'refresh_token'],
      code: ['123456', 'x'.repeat(43)],
      code_verifier: [notes.verifier],
      prompt: ['none', 'login', 'consent', 'select_account'],
      resource: ['notes', 'https://photos.example.test/api'],
      post_logout_redirect_uri: [notesApp.postLogoutRedirectUris[0] as string],
      return_to: ['/dashboard', '/settings'],
      since: ['0', '1'],
      before: ['2026-01-01T00:00:00Z'],
      username: ['ada', 'mallory'],
      login: ['ada', 'nobody@example.test'],
      email: ['ada@example.test', 'mallory@example.test'],
      password: ['wrong'],
      password_confirmation: ['wrong'],
      current_password: ['wrong'],
      new_password: ['another password that is long'],
      credential: ['{}', '{"id":"x","response":{}}'],
      name: ['My key'],
      everywhere: ['yes'],
      logout: ['yes'],
      xsrf: ['x'],
    },
  }
}

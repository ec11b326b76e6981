import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { browserMessage } from '../src/domain/user-agents.ts'
import { Browser } from '../src/testing/browser/browser.ts'
import { Client } from '../src/testing/browser/client.ts'
import { addFamilies, addPeople } from '../src/testing/portal/crowd.ts'
import { gatehouse } from '../src/testing/portal/gatehouse.ts'
import { standBefore } from '../src/testing/network/outage.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { pinCores } from './cores.ts'
import { createDatabase } from './database.ts'
import { rounded } from './figures.ts'
import { describeMachine, introduceMachine } from './machine.ts'
import { table } from './markdown.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { withStores } from './stores.ts'
import { startPortal } from './subjects/portal.ts'
import { type Person, REDIRECT_URI, type Subject } from './subjects/subject.ts'

/** The longest wait of one request while something else ran. */
interface Stall {
  while: string
  request: string
  longest_ms: number
  goal_ms: number
}

/** How long requests wait for unrelated work. @returns the exit code */
export async function runStalls(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'none')
  return withStores(true, async ({ postgres, redis, server }) => {
    const database = await createDatabase(postgres.url)
    const folder = await makeTemporaryFolder('bench')
    const outage = await standBefore(redis?.url ?? '')
    const secret = randomBytes(48).toString('base64url')
    const env = { GATEHOUSE_SECRET: secret, REGISTRATIONS_PER_HOUR: '1000000' }
    const portal = await startPortal(
      {
        databaseUrl: database.url,
        redisUrl: outage.url,
        folder: folder.path,
        prefix: cores.prefix,
        profileFolder: null,
        env,
      },
      async () => fill(database.url),
    )
    try {
      const stalls = [
        await duringHostilePasswords(portal),
        await duringEndings(portal, {
          DATABASE_URL: database.url,
          GATEHOUSE_SECRET: secret,
          PUBLIC_URL: portal.origin,
        }),
        await whileRedisHangs(portal, () => outage.hang()),
        ofUserAgents(),
      ]
      const machine = describeMachine(server.words, redis?.origin ?? null, cores.words)
      publish(options, { machine, stalls }, () => describe(machine, stalls))
      return stalls.every((stall) => stall.longest_ms <= stall.goal_ms) ? 0 : 1
    } finally {
      await portal.stop()
      await outage.close()
      await database.drop()
      await folder.remove()
    }
  })
}

/** A thousand families of the app whose families end. */
async function fill(databaseUrl: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 })
  const now = new Date()
  const families = { from: 0, count: 1000 }
  await addPeople(pool, 200, now)
  await addFamilies(pool, { families, people: 200, clientIds: ['photos'], endedPercent: 0 }, now)
  await pool.end()
}

async function duringHostilePasswords({ origin }: Subject): Promise<Stall> {
  const hostile = Array.from({ length: 30 }, async (_, index) => {
    const password = `${index}${'a4@b8c({<d6e3f9g'.repeat(12)}`
    const form = { username: `crowd-${index}`, email: '', password, password_confirmation: password }
    return (await new Browser(origin).post('/register', form)).text()
  })
  const longest = await longestUntil(Promise.all(hostile), async () => (await fetch(`${origin}/healthz`)).text())
  return { while: '30 hostile passwords are judged', request: '/healthz', longest_ms: longest, goal_ms: 500 }
}

async function duringEndings(portal: Subject, env: Record<string, string>): Promise<Stall> {
  const browser = new Browser(portal.origin)
  await portal.signIn(browser, portal.people[0] as Person)
  const { id, secret } = portal.introspectedApp
  const notes = new Client(portal.origin, id, secret, REDIRECT_URI)
  let { refresh_token: token } = await notes.connect(browser)
  const refresh = async () => {
    const answer = (await (await notes.refresh(token)).json()) as { refresh_token: string }
    token = answer.refresh_token
  }
  const longest = await longestUntil(gatehouse(['app', 'disable', 'photos'], env), refresh)
  return { while: '1,000 families of another app end', request: 'refresh', longest_ms: longest, goal_ms: 1000 }
}

async function whileRedisHangs({ origin }: Subject, hang: () => void): Promise<Stall> {
  hang()
  let longest = 0
  for (let turn = 0; turn < 20; turn++) {
    const guess = { login: `stranger-${turn}`, password: 'a password that fits no account' }
    longest = Math.max(longest, await timeOf(async () => (await new Browser(origin).post('/login', guess)).text()))
  }
  return { while: 'Redis hangs', request: 'a sign-in with a wrong password', longest_ms: longest, goal_ms: 2500 }
}

function ofUserAgents(): Stall {
  const start = performance.now()
  for (const piece of ['Mozilla/5.0 (', 'Version/', 'a'.repeat(10), '; ', 'Linux '])
    browserMessage(piece.repeat(40).slice(0, 400))
  const longest = rounded(performance.now() - start, 1)
  return {
    while: '5 hostile User-Agent headers are read',
    request: 'the event loop',
    longest_ms: longest,
    goal_ms: 100,
  }
}

/** Sends one request after the other until `end`; the slowest (ms). */
async function longestUntil(end: Promise<unknown>, ask: () => Promise<unknown>): Promise<number> {
  let isOver = false
  const ending = end.finally(() => (isOver = true))
  let longest = 0
  while (!isOver) longest = Math.max(longest, await timeOf(ask))
  await ending
  say(`longest wait: ${longest} ms`)
  return longest
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return rounded(performance.now() - start, 1)
}

function describe(machine: ReturnType<typeof describeMachine>, stalls: Stall[]): string {
  const rows = stalls.map((stall) => [stall.while, stall.request, `${stall.longest_ms} ms`, `${stall.goal_ms} ms`])
  return `${introduceMachine(machine)}\n\n${table(['while', 'waits', 'longest', 'goal'], rows)}\n`
}

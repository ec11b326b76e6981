import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { readConfig } from './config.ts'
import { createApp } from './domain/apps/apps.ts'
import { openServices } from './main/services.ts'
import { createLogger } from './logger.ts'
import { findFreePort } from './storage/embedded/free-port.ts'
import { notesApp } from './testing/portal/apps.ts'
import { Browser } from './testing/browser/browser.ts'
import { Client } from './testing/browser/client.ts'
import { createDatabase } from './testing/portal/databases.ts'
import { type Running, startGatehouse } from './testing/portal/gatehouse.ts'
import { addIdentity } from './testing/portal/identities.ts'
import { standBefore } from './testing/network/outage.ts'
import { ada } from './testing/portal/people.ts'
import { TEST_SECRET } from './testing/portal/open-portal.ts'
import { serviceAddress } from './testing/services/addresses.ts'
import { makeTemporaryFolder, type TemporaryFolder } from './testing/services/temporary-folder.ts'

/** How often the connections are cut; `OUTAGE_ROUNDS=2000 npm test -- unit src/outages.test.ts` for a long run. */
const ROUNDS = Number(process.env['OUTAGE_ROUNDS'] ?? 60)
/** Shutdowns of PostgreSQL: fast, immediate, and a crash. */
const RESTARTS = ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const
const CLIENTS = 24
const BROWSERS = 4

let folder: TemporaryFolder

before(async () => {
  folder = await makeTemporaryFolder('outages')
})
after(() => folder.remove())

test('no process ends when the connections to PostgreSQL and Redis are cut under load', async (context) => {
  const database = await createDatabase('postgres+redis')
  const postgres = await standBefore(database.databaseUrl)
  const redis = await standBefore(database.redisUrl as string)
  const admin = new pg.Client(serviceAddress('TEST_DATABASE_URL'))
  await admin.connect()
  const env = await environment({
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    IN_PROCESS_WORKER: 'false',
  })
  const portal = await start(['serve'], 'Gatehouse is ready', env)
  const worker = await start(['worker'], 'Gatehouse sends', env)
  const load = await startLoad(env)
  try {
    for (let round = 0; round < ROUNDS && portal.child.exitCode === null; round++) {
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [
        new URL(database.databaseUrl).pathname.slice(1),
      ])
      if (round % 10 === 0) await redis.cut().then(() => redis.restore())
      // Now at once, now when there are transactions under way again.
      await sleep((round * 37) % 150)
    }
    await load.stop()
    await untilReady(env)
    await assertAlive(portal, worker)
    // A stop does not need the stores either.
    await Promise.all([postgres.cut(), redis.cut()])
    await assertStops(portal, worker)
  } finally {
    await portal.kill()
    await worker.kill()
    await admin.end()
    await postgres.close()
    await redis.close()
    await database.drop()
  }
  assert.deepEqual(load.problems(), [])
  context.diagnostic(load.summary())
})

test('no process ends when the embedded database is restarted under load', async (context) => {
  const env = await environment({ DATA_DIR: folder.path })
  const portal = await start(['serve'], 'Gatehouse is ready', env)
  const load = await startLoad(env)
  try {
    for (const signal of RESTARTS) {
      process.kill(await postmaster(folder.path), signal)
      await sleep(200)
      await untilReady(env)
    }
    await load.stop()
    await assertAlive(portal)
    process.kill(await postmaster(folder.path), 'SIGKILL')
    await assertStops(portal)
  } finally {
    await portal.kill()
  }
  assert.deepEqual(load.problems(), [])
  context.diagnostic(load.summary())
})

async function environment(env: Record<string, string>): Promise<Record<string, string> & { PUBLIC_URL: string }> {
  const port = String(await findFreePort())
  return {
    NODE_ENV: 'test',
    PORT: port,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'silent',
    LOGIN_ATTEMPTS_BEFORE_DELAY: '100',
    IP_BLOCK_AFTER: '0',
    DATA_DIR: folder.path,
    ...env,
  }
}

async function start(args: string[], words: string, env: Record<string, string>): Promise<Running> {
  const running = startGatehouse(args, env)
  await running.says(words)
  return running
}

async function assertAlive(...processes: Running[]): Promise<void> {
  for (const { child, finished } of processes) {
    if (child.exitCode !== null) assert.fail((await finished).stderr)
  }
}

async function assertStops(...processes: Running[]): Promise<void> {
  for (const { child } of processes) child.kill('SIGTERM')
  for (const { finished } of processes) {
    const { code, stderr } = await finished
    assert.deepEqual([code, stderr], [0, ''])
  }
}

interface Load {
  /** Lets every client finish. */
  stop(): Promise<void>
  /** Every answer that was neither right nor a 503 that says when to come again. */
  problems(): string[]
  summary(): string
}

/** Clients that sign in, connect an app, refresh, read pages and revoke, as fast as they are answered. */
async function startLoad(env: Record<string, string> & { PUBLIC_URL: string }): Promise<Load> {
  const rules = await openServices(readConfig({ ...env, STORE_TIMEOUT_MS: '15000' }), createLogger('silent'))
  await addIdentity(rules, ada)
  const { secret } = await createApp(rules, 'notes', notesApp)
  await rules.passwords.close()
  await rules.storage.close()

  const notes = new Client(env.PUBLIC_URL, 'notes', secret, notesApp.redirectUris[0] as string)
  const browsers = Array.from({ length: BROWSERS }, () => new Browser(env.PUBLIC_URL))
  for (const browser of browsers) await browser.signIn(ada)
  const problems: string[] = []
  let isStopping = false
  let count = 0
  let busy = 0

  const asked = async (request: Promise<Response>): Promise<Response> => {
    count++
    const response = await request
    if (response.status === 503) busy++
    if (response.status >= 500 && (response.status !== 503 || response.headers.get('retry-after') === null))
      problems.push(`${response.status} ${response.url}`)
    return response
  }
  const act = async (browser: Browser, number: number): Promise<void> => {
    const authorized = await asked(browser.get(notes.authorizeUrl()))
    const code = new URL(authorized.headers.get('location') ?? '', env.PUBLIC_URL).searchParams.get('code')
    if (code !== null) {
      const exchanged = await asked(notes.exchange(code))
      const { refresh_token: token } = (await exchanged.json()) as { refresh_token?: string }
      if (token !== undefined) {
        await asked(notes.refresh(token))
        await asked(notes.revoke(token))
      }
    }
    await asked(browser.get(number % 2 === 0 ? '/dashboard' : '/activity'))
    if (number % 8 === 0) await asked(browser.post('/login', { login: 'ada', password: ada.password }))
    if (number % 8 === 4) await asked(browser.post('/forgot-password', { email: ada.email }))
  }
  const clients = Array.from({ length: CLIENTS }, async (_, number) => {
    const browser = browsers[number % BROWSERS] as Browser
    while (!isStopping) {
      await act(browser, number).catch((error: Error) => {
        problems.push(`${error.message} ${String((error.cause as Error | undefined)?.message)}`)
        isStopping = true
      })
    }
  })
  return {
    problems: () => [...new Set(problems)],
    summary: () => `${count} answers, ${busy} of them 503`,
    async stop() {
      isStopping = true
      await Promise.all(clients)
    },
  }
}

async function untilReady({ PUBLIC_URL: url }: { PUBLIC_URL: string }): Promise<void> {
  for (let tries = 0; (await fetch(`${url}/readyz`)).status !== 200; tries++) {
    // A minute: a loaded machine takes its time to recover a database.
    assert.ok(tries < 1200, 'it does not come back')
    await sleep(50)
  }
}

async function postmaster(dataDir: string): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, 'postgres/cluster/postmaster.pid'), 'utf8'), 10)
}

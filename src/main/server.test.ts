import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import pg from 'pg'

let database: TestDatabase
let db: pg.Client
const running: Running[] = []

before(async () => {
  database = await createDatabase()
  db = new pg.Client({ connectionString: database.databaseUrl })
  await db.connect()
})
after(async () => {
  for (const portal of running) await portal.kill()
  await db.end()
  await database.drop()
})

async function serve(): Promise<Running & { url: string }> {
  const port = await findFreePort()
  const env = { PORT: String(port), DATABASE_URL: database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const portal = { ...startGatehouse(['serve'], env), url: `http://localhost:${port}` }
  running.push(portal)
  return portal
}

async function stop(portal: Running): Promise<number | null> {
  portal.child.kill('SIGTERM')
  return (await portal.finished).code
}

test('two portals that start at the same moment on one empty database both work, on the same accounts', async () => {
  const portals = await Promise.all([serve(), serve()])
  await Promise.all(portals.map((portal) => portal.says(`Gatehouse is ready at ${portal.url}\n`)))
  const [first, second] = portals.map((portal) => new Browser(portal.url)) as [Browser, Browser]
  const registration = { username: ada.username, email: ada.email, password: ada.password }
  const registered = await first.post('/register', { ...registration, password_confirmation: ada.password })
  assert.equal(registered.status, 303)
  await second.signIn(ada)
  assert.equal((await second.get('/dashboard')).status, 200)

  const keys = await Promise.all(portals.map(async ({ url }) => (await fetch(`${url}/oauth/jwks`)).json()))
  assert.deepEqual(keys[0], keys[1])
  assert.deepEqual(await Promise.all(portals.map(stop)), [0, 0])
})

test('a portal that is told to stop finishes what it was asked, takes nothing new, and ends with 0', async () => {
  const portal = await serve()
  await portal.says('Gatehouse is ready')
  const browser = new Browser(portal.url)
  // A connection that has been used and is kept open must not hold the portal up.
  await (await fetch(`${portal.url}/healthz`)).text()

  await db.query('BEGIN')
  await db.query('LOCK TABLE identities IN ACCESS EXCLUSIVE MODE')
  const signingIn = browser.post('/login', { login: 'ada', password: ada.password })
  const waiting = "SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted AND relation = 'identities'::regclass"
  while ((await db.query<{ count: number }>(waiting)).rows[0]?.count !== 1);
  portal.child.kill('SIGTERM')
  await portal.says('"msg":"stopping"')
  portal.child.kill('SIGTERM')
  await assert.rejects(new Browser(portal.url).get('/login'))
  await db.query('ROLLBACK')

  assert.equal((await signingIn).status, 303)
  assert.equal((await portal.finished).code, 0)
})

test('a signal during the start stops the start', async () => {
  const portal = await serve()
  // Told before it says anything, it may be at any point of its start; it may not hang, and leaves nothing locked.
  setTimeout(() => portal.child.kill('SIGTERM'), 900)
  const { code } = await portal.finished
  assert.ok(code === 0 || code === null)
  await db.query('SELECT pg_advisory_lock(72707369)')
  await db.query('SELECT pg_advisory_unlock(72707369)')
})

test('a port that is taken is said on one line, and ends with 1', async () => {
  const portal = await serve()
  await portal.says('Gatehouse is ready')
  const env = { PORT: new URL(portal.url).port, DATABASE_URL: database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const second = await startGatehouse(['serve'], env).finished
  assert.equal(second.code, 1)
  assert.match(second.stderr, /^gatehouse: listen EADDRINUSE[^\n]*\n$/)
  assert.equal(await stop(portal), 0)
})

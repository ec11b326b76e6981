import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { type Outage, standBefore } from '../../testing/network/outage.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let database: TestDatabase
let postgres: Outage
let redis: Outage
let server: TestServer
let notes: Client
let browser: Browser

before(async () => {
  database = await createDatabase('postgres+redis')
  postgres = await standBefore(database.databaseUrl)
  redis = await standBefore(database.redisUrl as string)
  server = await startTestServer({
    database: { ...database, databaseUrl: postgres.url, redisUrl: redis.url },
    // As it comes: how soon people are told is what this is about.
    env: { STORE_TIMEOUT_MS: '1500' },
  })
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  browser = new Browser(server.url)
  await browser.signIn(ada)
  await notes.connect(browser)
})
after(async () => {
  await server.close()
  await postgres.close()
  await redis.close()
  await database.drop()
})

async function waitUntilReady(): Promise<void> {
  while ((await fetch(`${server.url}/readyz`)).status !== 200) await sleep(20)
}

for (const [store, outageOf, hangs] of [
  ['PostgreSQL is gone', () => postgres, false],
  ['PostgreSQL hangs', () => postgres, true],
  ['Redis is gone', () => redis, false],
  ['Redis hangs', () => redis, true],
] as const) {
  test(`while ${store} every user is told so, and none is signed out`, async () => {
    const { refresh_token: refreshToken } = await notes.connect(browser)
    const outage = outageOf()
    if (hangs) outage.hang()
    else await outage.cut()

    try {
      const [health, ready, ...pages] = await Promise.all([
        fetch(`${server.url}/healthz`),
        fetch(`${server.url}/readyz`),
        browser.get('/dashboard'),
        browser.get('/activity'),
        browser.post('/login', { login: 'ada', password: ada.password }),
        browser.post('/logout', {}),
        browser.post('/logout', { everywhere: 'yes' }),
      ])
      assert.equal(health?.status, 200)
      assert.equal(ready?.status, 503)
      assert.ok(Number(ready?.headers.get('retry-after')) > 0)
      for (const response of pages) {
        assert.equal(response.status, 503, response.url)
        assert.ok(Number(response.headers.get('retry-after')) > 0)
        assert.deepEqual(response.headers.getSetCookie(), [])
        assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
        const page = await readPage(response)
        assert.equal(page.heading, 'Please try again in a moment')
        assert.match(page.text, /Nothing was lost\. Try again in a few seconds\./)
        assert.doesNotMatch(page.html, /ECONN|postgres|redis|prisma|timeout|\.ts:/i)
        const reference = /<code>(\w+)<\/code>/.exec(page.html)?.[1] as string
        assert.equal(reference, response.headers.get('x-request-id'))
        assert.match(server.log(), new RegExp(`"level":"error"[^\n]*"requestId":"${reference}"`))
      }
      const authorize = await browser.get(notes.authorizeUrl())
      assert.equal(authorize.status, 503)
      assert.ok(Number(authorize.headers.get('retry-after')) > 0)
      assert.deepEqual(authorize.headers.getSetCookie(), [])
      if (store.startsWith('PostgreSQL')) {
        const refresh = await notes.refresh(refreshToken)
        assert.equal(refresh.status, 503)
        assert.ok(Number(refresh.headers.get('retry-after')) > 0)
        assert.equal(((await refresh.json()) as Record<string, unknown>)['error'], 'temporarily_unavailable')
      }
    } finally {
      await outage.restore()
    }

    await waitUntilReady()
    const page = await readPage(await browser.get('/dashboard'))
    assert.equal(page.status, 200)
    assert.equal((await notes.refresh(refreshToken)).status, 200)
    await notes.connect(browser)
  })
}

test('a mistake of the portal itself is dull outside and precise inside', async () => {
  const { pool } = server.services.storage
  await pool.query('ALTER TABLE audit_events RENAME TO audit_events_away')
  try {
    const response = await browser.get('/activity')
    const page = await readPage(response)
    assert.equal(page.status, 500)
    assert.equal(page.heading, 'Something went wrong')
    assert.doesNotMatch(page.html, /audit_events|relation|SELECT|\.ts:/)
    const reference = response.headers.get('x-request-id') as string
    assert.ok(page.html.includes(reference))
    assert.match(
      server.log(),
      new RegExp(`"requestId":"${reference}","error":\\{[^\n]*relation \\\\"audit_events\\\\" does not exist`),
    )
  } finally {
    await pool.query('ALTER TABLE audit_events_away RENAME TO audit_events')
  }
})

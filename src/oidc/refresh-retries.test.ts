import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { notesApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { type Outage, standBefore } from '../testing/network/outage.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const clock = createClock()
let database: TestDatabase
let outage: Outage
let server: TestServer
let operator: pg.Client
let notes: Client
let browser: Browser

before(async () => {
  database = await createDatabase()
  outage = await standBefore(database.databaseUrl)
  const reached = { ...database, databaseUrl: outage.url }
  server = await startTestServer({ database: reached, clock, env: { STORE_TIMEOUT_MS: '1500' } })
  await server.addIdentity(ada)
  const callback = 'https://notes.example.test/callback'
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), callback)
  operator = new pg.Client({ connectionString: database.databaseUrl })
  await operator.connect()
})
after(async () => {
  await operator.end()
  await server.close()
  await outage.close()
  await database.drop()
})
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

interface Trouble {
  begin(familyId: string): Promise<unknown>
  end(): Promise<unknown>
}

const databaseName = async () =>
  (await operator.query<{ name: string }>('SELECT current_database() AS name')).rows[0]?.name as string
const disconnectOthers = async () =>
  operator.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
const setting = (set: string, reset: string): Trouble => ({
  async begin() {
    await operator.query(`ALTER DATABASE ${await databaseName()} SET ${set}`)
    await disconnectOthers()
  },
  async end() {
    await operator.query(`ALTER DATABASE ${await databaseName()} RESET ${reset}`)
    await disconnectOthers()
  },
})
/** Something else holds the row for longer than a refresh may wait. */
const held: Trouble = {
  async begin(familyId) {
    await operator.query('BEGIN')
    await operator.query('SELECT FROM families WHERE id = $1 FOR UPDATE', [familyId])
  },
  end: () => operator.query('ROLLBACK'),
}

const TROUBLES: Record<string, Trouble> = {
  'the database refuses connections': { begin: () => outage.cut(), end: () => outage.restore() },
  'the database does not answer': { begin: async () => outage.hang(), end: () => outage.restore() },
  'the database is a standby after a failover': setting(
    'default_transaction_read_only = on',
    'default_transaction_read_only',
  ),
  'the database cancels what takes long': {
    async begin(familyId) {
      await setting("statement_timeout = '200ms'", 'statement_timeout').begin(familyId)
      await held.begin(familyId)
    },
    async end() {
      await held.end()
      await setting('', 'statement_timeout').end()
    },
  },
  'the row is locked for too long': held,
}

for (const [what, trouble] of Object.entries(TROUBLES)) {
  for (const [way, extra] of [
    ['plain', {}],
    ['library', { unrelated: '1' }],
  ] as const) {
    test(`a refresh is told to come back later, and then succeeds, when ${what} (${way})`, async () => {
      const tokens = await notes.connect(browser)
      await trouble.begin(claimsOf(tokens.access_token)['fam'] as string)
      try {
        const response = await notes.refresh(tokens.refresh_token, extra)
        const problem = await problemIn(response)
        assert.deepEqual([problem.status, problem.error], [503, 'temporarily_unavailable'])
        assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
      } finally {
        await trouble.end()
      }
      await tokensIn(await untilAvailable(() => notes.refresh(tokens.refresh_token, extra)))
    })
  }
}

/** A connection that was broken is noticed when it is used. */
async function untilAvailable(ask: () => Promise<Response>): Promise<Response> {
  for (let tries = 0; ; tries++) {
    const response = await ask()
    if (response.status !== 503 || tries === 20) return response
    await response.text()
  }
}

test('a duplicate gets the same refresh token, a fresh application token, and expiries counted from now', async () => {
  const first = await notes.connect(browser)
  const second = await tokensIn(await notes.refresh(first.refresh_token))
  clock.advance(20)
  const again: Tokens = await tokensIn(await notes.refresh(first.refresh_token))
  assert.equal(again.refresh_token, second.refresh_token)
  const [before, now] = [claimsOf(second.access_token), claimsOf(again.access_token)] as { [claim: string]: number }[]
  assert.notEqual(now?.['jti'], before?.['jti'])
  assert.deepEqual([now?.['iat'], now?.['exp']], [(before?.['iat'] ?? 0) + 20, (before?.['exp'] ?? 0) + 20])
  assert.equal(again.expires_in, second.expires_in)
})

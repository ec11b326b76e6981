import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { gatehouse } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer } from '../testing/portal/server.ts'
import { startPgbouncer } from '../testing/services/pgbouncer.ts'
import type { Service } from '../testing/services/service.ts'
import { migrate } from './migrations.ts'

let database: TestDatabase
let pooler: Service
let pooled: TestDatabase

before(async () => {
  database = await createDatabase()
  pooler = await startPgbouncer(database.databaseUrl)
  pooled = { ...database, databaseUrl: pooler.url }
})
after(async () => {
  await pooler.stop()
  await database.drop()
})

test('processes that start together through a pooler migrate once, and leave no lock behind', async () => {
  const applied = await Promise.all(Array.from({ length: 4 }, async () => migrate(pooled.databaseUrl)))
  assert.equal(applied.flat().length, new Set(applied.flat()).size)
  assert.ok(applied.flat().length > 0)
  assert.deepEqual(await migrate(database.databaseUrl), [])
})

test('a pooler that loses prepared statements is found at the start, and the setting for it named', async () => {
  const env = { GATEHOUSE_SECRET: TEST_SECRET, DATABASE_URL: pooled.databaseUrl }
  const { code, stdout, stderr } = await gatehouse(['user', 'list'], env)
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /connection pooler in transaction mode.*PREPARED_STATEMENTS=off/)
  assert.doesNotMatch(stderr, /postgresql:/)
  assert.equal((await gatehouse(['user', 'list'], { ...env, PREPARED_STATEMENTS: 'off' })).code, 0)
})

test('with unnamed statements a portal does everything through a pooler, many requests at once', async () => {
  const server = await startTestServer({ database: pooled, env: { PREPARED_STATEMENTS: 'off' } })
  try {
    await server.addIdentity(ada)
    const redirectUri = 'https://notes.example.test/callback'
    const notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), redirectUri)
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    const tokens = await Promise.all(Array.from({ length: 8 }, async () => notes.connect(browser)))
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        tokens.map(async (each, index) => {
          const response = await notes.refresh(each.refresh_token)
          assert.equal(response.status, 200)
          tokens[index] = (await response.json()) as Tokens
        }),
      )
    }
    assert.equal((await browser.get('/dashboard')).status, 200)
    assert.equal((await browser.post('/logout', {})).status, 303)
    assert.doesNotMatch(server.log(), /"level":"error"/)
  } finally {
    await server.close()
  }
})

test('a schema in the URL, which a pooler does not pass on, is refused with what to do instead, and that works', async () => {
  const own = await createDatabase('pgbouncer')
  try {
    const env = { GATEHOUSE_SECRET: TEST_SECRET, ...own.env }
    const refused = await gatehouse(['user', 'list'], { ...env, DATABASE_URL: `${own.databaseUrl}?schema=own` })
    assert.deepEqual([refused.code, refused.stdout], [1, ''])
    assert.match(refused.stderr, /leave it out of DATABASE_URL and set it with ALTER ROLE … SET search_path/)
    assert.doesNotMatch(refused.stderr, /postgresql:/)

    const { pathname, username } = new URL(own.databaseUrl)
    await ask(
      own.databaseUrl,
      `CREATE SCHEMA own; ALTER ROLE ${username} IN DATABASE ${pathname.slice(1)} SET search_path = own`,
    )
    // The connections of the pooler to PostgreSQL are from before.
    await ask(
      database.databaseUrl,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${pathname.slice(1)}'`,
    )
    assert.equal((await gatehouse(['user', 'list'], { ...env, DATABASE_URL: own.databaseUrl })).code, 0)
    const tables = await ask(
      own.databaseUrl,
      `SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('identities', 'families')`,
    )
    assert.deepEqual(tables, [{ schemaname: 'own' }])
  } finally {
    await own.drop()
  }
})

async function ask(connectionString: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<object>(statement)).rows
  } finally {
    await client.end()
  }
}

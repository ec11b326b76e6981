import assert from 'node:assert/strict'
import { chown, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { selfSigned } from '../testing/network/certificate.ts'
import { Client } from '../testing/browser/client.ts'
import { createDatabase, createOwnedDatabase } from '../testing/portal/databases.ts'
import { gatehouse } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer } from '../testing/portal/server.ts'
import { thisMachine } from '../testing/services/machine.ts'
import { type Cluster, startCluster } from '../testing/services/postgres-cluster.ts'
import { schemaOf, settleTls, withSchema } from './database-url.ts'

test('the schema of a URL is found however it is written', () => {
  const url = (query: string) => `postgresql://u:p@h/d${query}`
  for (const [query, schema] of [
    ['', null],
    ['?sslmode=disable', null],
    ['?schema=', null],
    ['?schema=portal', 'portal'],
    ['?search_path=portal,public', 'portal'],
    ['?search_path=%22My%20Portal%22', 'My Portal'],
    ['?options=-c%20search_path%3Dportal', 'portal'],
    ['?options=-csearch_path=portal', 'portal'],
    ['?options=--search_path%3Dportal%20-c%20work_mem%3D8MB', 'portal'],
    ['?options=-c%20work_mem%3D8MB', null],
  ] as const) {
    assert.equal(schemaOf(url(query)), schema, query)
    assert.equal(schemaOf(withSchema(url(query))), schema, query)
  }
  const { searchParams } = new URL(withSchema(url('?options=--search_path%3Dold%20-c%20work_mem%3D8MB'), 'My Portal'))
  assert.equal(searchParams.get('options'), '-c work_mem=8MB -c search_path="My\\ Portal"')
})

const relations = `SELECT DISTINCT n.nspname AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1`

for (const query of ['?schema=Portal-1', '?options=-c%20search_path%3Dportal', '?search_path=portal']) {
  test(`with ${query} a portal keeps everything in that schema`, async () => {
    const { ownerUrl, portalUrl, drop } = await createOwnedDatabase()
    const schema = schemaOf(portalUrl + query)
    const env = { DATABASE_URL: portalUrl + query, DATABASE_MIGRATION_URL: ownerUrl }
    const server = await startTestServer({
      database: { databaseUrl: portalUrl + query, redisUrl: null, drop: async () => {} },
      env,
    })
    try {
      await server.addIdentity(ada)
      const secret = await server.addApp('notes', notesApp)
      const notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
      const browser = new Browser(server.url)
      // Its confirmation is queued.
      const fields = { username: 'grace', email: 'grace@example.test', password: ada.password }
      await browser.post('/register', { ...fields, password_confirmation: ada.password })
      await browser.signIn(ada)
      assert.equal((await notes.refresh((await notes.connect(browser)).refresh_token)).status, 200)
      assert.equal((await browser.get('/dashboard')).status, 200)
      await server.services.storage.pool.query(`SELECT anonymize_audit_events(gen_random_uuid(), '{}', '{}')`)
      assert.doesNotMatch(server.log(), /"level":"error"/)
      const client = new pg.Client(ownerUrl)
      await client.connect()
      const { rows } = await client.query<{ schema: string }>(relations)
      await client.end()
      assert.deepEqual(
        rows.map((row) => row.schema),
        [schema],
      )
    } finally {
      await server.close()
      await drop()
    }
  })
}

test('two portals live in two schemas of one database', async () => {
  const { databaseUrl, drop } = await createDatabase()
  try {
    for (const schema of ['one', 'two']) {
      const env = { DATABASE_URL: `${databaseUrl}?schema=${schema}`, GATEHOUSE_SECRET: TEST_SECRET }
      const user = ['user', 'create', '--username', 'ada', '--email', ada.email, '--password-stdin', '--json']
      assert.equal((await gatehouse(user, env, `${ada.password}\n`)).code, 0)
      const listed = await gatehouse(['user', 'list', '--json'], env)
      assert.equal((JSON.parse(listed.stdout) as unknown[]).length, 1)
    }
  } finally {
    await drop()
  }
})

let cluster: Cluster
let url: string

before(async () => {
  cluster = await startCluster(thisMachine, 'password')
  url = `postgresql://postgres:password@127.0.0.1:${cluster.port}/postgres`
  await cluster.ready(() => encrypts('disable'))
})
after(() => cluster.stop())

/** Whether a connection is encrypted when the URL says this. */
async function encrypts(sslmode: string): Promise<boolean> {
  return (await asks(sslmode, 'SELECT ssl AS answer FROM pg_stat_ssl WHERE pid = pg_backend_pid()')) === true
}

async function asks(sslmode: string, question: string): Promise<unknown> {
  const client = new pg.Client(await settleTls(`${url}?sslmode=${sslmode}`))
  await client.connect()
  const { rows } = await client.query<{ answer: unknown }>(question)
  await client.end()
  return rows[0]?.answer
}

/** Lets only such connections in. */
async function accept(kind: 'host' | 'hostssl' | 'hostnossl', sslmode: string): Promise<void> {
  const file = (await asks(sslmode, 'SELECT setting AS answer FROM pg_settings WHERE name = $$hba_file$$')) as string
  await writeFile(file, `${kind} all all 127.0.0.1/32 scram-sha-256\n`)
  await asks(sslmode, 'SELECT pg_reload_conf() AS answer')
}

test('sslmode prefer and allow mean what libpq means, with and without TLS', async () => {
  // A server without TLS.
  assert.deepEqual([await encrypts('prefer'), await encrypts('allow')], [false, false])
  await assert.rejects(encrypts('verify-full'), /does not support SSL/)

  const folder = (await asks(
    'disable',
    'SELECT setting AS answer FROM pg_settings WHERE name = $$data_directory$$',
  )) as string
  const { uid, gid } = await stat(folder)
  for (const [name, content] of [
    ['server.key', selfSigned.key],
    ['server.crt', selfSigned.cert],
  ] as const) {
    await writeFile(join(folder, name), content, { mode: 0o600 })
    await chown(join(folder, name), uid, gid)
  }
  await asks('disable', 'ALTER SYSTEM SET ssl = on')
  await accept('host', 'disable')
  while (!(await encrypts('prefer'))) assert.equal(await asks('disable', 'SELECT 1 AS answer'), 1)
  // Its certificate is its own, which libpq does not mind here.
  assert.equal(await encrypts('allow'), false)
  await assert.rejects(encrypts('verify-full'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })

  await accept('hostssl', 'allow')
  while (!(await encrypts('allow'))) assert.equal(await encrypts('prefer'), true)
  await accept('hostnossl', 'allow')
  while (await encrypts('prefer')) assert.equal(await encrypts('prefer').then((each) => typeof each), 'boolean')
  assert.equal(await encrypts('allow'), false)
})

test('what is not about TLS is not tried twice', async () => {
  const wrong = url.replace(':password@', ':wrong@')
  await assert.rejects(settleTls(`${wrong}?sslmode=allow`), { code: '28P01' })
  const closed = url.replace(`:${cluster.port}/`, ':1/')
  await assert.rejects(settleTls(`${closed}?sslmode=prefer`), { code: 'ECONNREFUSED' })
})

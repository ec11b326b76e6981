import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type pg from 'pg'
import { deleteAccount } from '../domain/accounts/deletions.ts'
import { eraseDeletedAccounts } from '../domain/accounts/erasure.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { createOwnedDatabase, type OwnedDatabase } from '../testing/portal/databases.ts'
import { gatehouse, printed } from '../testing/portal/gatehouse.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { sealAuditLog } from '../domain/audit/sealing.ts'
import { verifyAuditLog } from '../domain/audit/verification.ts'
import { withClient } from '../testing/portal/template-database.ts'
import { migrate } from './migrations.ts'
import { anonymizeAuditEvents } from './audit.ts'
import { transaction } from './postgres.ts'

let owned: OwnedDatabase

before(async () => {
  owned = await createOwnedDatabase()
})
after(() => owned.drop())

/** Without periodic jobs, one of which erases deleted accounts. */
const IDLE = { IN_PROCESS_WORKER: 'false' }
const DENIED = { code: '42501' }

for (const [kind, start] of [
  [
    'the embedded database',
    async () => startTestServer({ database: { databaseUrl: '', redisUrl: null, drop: async () => {} }, env: IDLE }),
  ],
  [
    'a PostgreSQL with a role for migrations',
    async () => {
      const database = { databaseUrl: owned.portalUrl, redisUrl: null, drop: async () => {} }
      return startTestServer({ database, env: { ...IDLE, DATABASE_MIGRATION_URL: owned.ownerUrl } })
    },
  ],
] satisfies [string, () => Promise<TestServer>][]) {
  describe(`a portal on ${kind}`, () => {
    let server: TestServer
    let pool: pg.Pool
    let adaId: string
    let graceId: string

    before(async () => {
      server = await start()
      pool = server.services.storage.pool
      adaId = await server.addIdentity(ada)
      graceId = await server.addIdentity(grace)
    })
    after(() => server.close())

    test('does everything it is for', async () => {
      const notes = new Client(
        server.url,
        'notes',
        await server.addApp('notes', notesApp),
        notesApp.redirectUris[0] as string,
      )
      const browser = new Browser(server.url)
      await browser.signIn(ada)
      const { refresh_token: token } = await notes.connect(browser)
      assert.equal((await notes.refresh(token)).status, 200)
      assert.equal((await notes.revoke(token)).status, 200)
      for (const page of ['/dashboard', '/activity', '/settings', '/settings/export'])
        assert.equal((await browser.get(page)).status, 200, page)
      assert.equal((await browser.post('/forgot-password', { email: ada.email })).status, 200)
      const mails = await pool.query(`SELECT 1 FROM queue.job WHERE name = 'mail'`)
      assert.notEqual(mails.rowCount, 0)
      await deleteAccount(server.services, adaId, null, 0)
      assert.equal(await eraseDeletedAccounts(server.services), 1)
      const left = await pool.query(`SELECT 1 FROM audit_events WHERE kind = 'registered' AND identity_id IS NULL`)
      assert.equal(left.rowCount, 1)
      assert.notEqual(await sealAuditLog(server.services), 0)
      assert.deepEqual((await verifyAuditLog(server.services, null, 0)).findings, [])
    })

    for (const statement of [
      'UPDATE audit_events SET browser = NULL',
      'UPDATE audit_events SET at = now() WHERE false',
      'DELETE FROM audit_events',
      'TRUNCATE audit_events',
      'DROP TABLE audit_events',
      'ALTER TABLE audit_events DISABLE TRIGGER ALL',
      'ALTER TABLE families ADD COLUMN more int',
      'CREATE TABLE more (id int)',
      'CREATE TABLE queue.more (id int)',
      'CREATE SCHEMA more',
      `CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      'CREATE OR REPLACE FUNCTION anonymize_audit_events(identity uuid, ids bigint[], proofs bytea[]) RETURNS bigint LANGUAGE sql AS $$SELECT 1$$',
      'UPDATE audit_checkpoints SET root = previous',
      'DELETE FROM audit_checkpoints',
      'TRUNCATE audit_checkpoints',
      'INSERT INTO audit_retention (seconds) VALUES (1)',
      `UPDATE audit_retention SET seconds = 1`,
      'INSERT INTO _prisma_migrations SELECT * FROM _prisma_migrations',
      'CREATE ROLE more',
      'CREATE DATABASE more',
      `SELECT pg_read_file('PG_VERSION')`,
      `COPY audit_events TO PROGRAM 'cat'`,
      `SELECT pg_reload_conf()`,
    ]) {
      test(`cannot ${statement}`, async () => {
        await assert.rejects(pool.query(statement), DENIED)
      })
    }

    test('cannot make itself more, nor take from an account that is not deleted what its audit log says', async () => {
      const { rows } = await pool.query<{ role: string; isSuper: boolean; memberships: number }>(
        `SELECT rolname AS role, rolsuper OR rolcreaterole OR rolcreatedb AS "isSuper",
           (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid) AS memberships FROM pg_roles r WHERE rolname = current_user`,
      )
      assert.deepEqual([rows[0]?.isSuper, rows[0]?.memberships], [false, 0])
      await assert.rejects(pool.query(`ALTER ROLE ${rows[0]?.role} SUPERUSER`), DENIED)

      const logged = async () => (await pool.query('SELECT * FROM audit_events WHERE identity_id = $1', [graceId])).rows
      const before = await logged()
      assert.notEqual(before.length, 0)
      const ids = before.map(({ id }) => id as string)
      const proofs = ids.map(() => Buffer.from('proof'))
      assert.equal(await anonymizeAuditEvents(pool, graceId, ids, proofs), 0)
      assert.deepEqual(await logged(), before)

      // Nor by a table of its own that comes before the real one.
      const deceived = transaction(pool, async (db) => {
        await db.query('CREATE TEMP TABLE identities AS SELECT $1::uuid AS id, now() AS erased_from', [graceId])
        return anonymizeAuditEvents(db, graceId, ids, proofs)
      })
      assert.ok([0, '42501'].includes(await deceived.catch((error: { code: string }) => error.code)))
      assert.deepEqual(await logged(), before)
    })
  })
}

test('the owner of the tables, who is no superuser, cannot change the audit log by a plain statement either', async () => {
  const { ownerUrl, drop } = await createOwnedDatabase()
  try {
    await migrate(ownerUrl)
    await withClient(ownerUrl, async (client) => {
      await client.query(`INSERT INTO audit_events (at, kind) VALUES (now(), 'signed_in')`)
      for (const act of [
        'UPDATE audit_events SET at = now()',
        'DELETE FROM audit_checkpoints',
        'TRUNCATE audit_events',
      ])
        await assert.rejects(client.query(act), { ...DENIED, message: /^audit_\w+ is append-only$/ }, act)
    })
  } finally {
    await drop()
  }
})

test('a portal that is given no role for migrations starts on a database that is up to date, and says what it lacks on another', async () => {
  const { ownerUrl, portalUrl, drop } = await createOwnedDatabase()
  try {
    const env = { DATABASE_URL: portalUrl, GATEHOUSE_SECRET: TEST_SECRET }
    const early = await gatehouse(['migrate'], env)
    assert.deepEqual([early.code, early.stdout], [1, ''])
    assert.match(
      early.stderr,
      /^gatehouse: the role of the database may not migrate it \([^\n]*\): run "gatehouse migrate"[^\n]*\n$/,
    )

    const { applied } = printed(await gatehouse(['migrate', '--json'], { ...env, DATABASE_MIGRATION_URL: ownerUrl }))
    assert.notDeepEqual(applied, [])
    assert.deepEqual(printed(await gatehouse(['migrate', '--json'], env)), { applied: [] })
    assert.deepEqual(printed(await gatehouse(['app', 'list', '--json'], env)), [])
  } finally {
    await drop()
  }
})

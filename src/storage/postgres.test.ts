import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type pg from 'pg'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { terminateWhenReady } from '../testing/network/terminated.ts'
import { migrate } from './migrations.ts'
import { afterCommit, isUnavailable, openPostgres, type Postgres, type Queryable, transaction } from './postgres.ts'

let database: TestDatabase
let postgres: Postgres

before(async () => {
  database = await createDatabase()
  postgres = openPostgres(database.databaseUrl, () => {}, { connection: 15_000, query: 15_000 })
})
after(async () => {
  await postgres.close()
  await database.drop()
})

test('what has happened is said once it is committed, and not before', async () => {
  const said: string[] = []
  await transaction(postgres.pool, async (db) => {
    afterCommit(db, () => said.push('ended'))
    await db.query('SELECT 1')
    assert.deepEqual(said, [])
  })
  assert.deepEqual(said, ['ended'])
})

test('what was rolled back is never said, not by the next transaction on that connection either', async () => {
  const said: string[] = []
  const connections: Queryable[] = []
  const fail = transaction(postgres.pool, async (db) => {
    connections.push(db)
    afterCommit(db, () => said.push('ended'))
    await db.query('SELECT no_such_column')
  })
  await assert.rejects(fail, /no_such_column/)
  await transaction(postgres.pool, async (db) => void connections.push(db))
  assert.equal(connections[0], connections[1])
  assert.deepEqual(said, [])
})

test('afterCommit without a transaction throws', async () => {
  assert.throws(() => afterCommit(postgres.pool, () => {}), /no transaction/)
})

test('a connection that is terminated between two statements fails its transaction, and not the process', async () => {
  const failing = transaction(postgres.pool, async (db) => {
    const { rows } = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    // Not `once` of node:events, which rejects on the error that comes before the end.
    const ended = new Promise((resolve) => (db as pg.PoolClient).once('end', resolve))
    await postgres.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await ended
    await db.query('SELECT 1')
  })
  await assert.rejects(failing, isUnavailable)
  assert.equal(await transaction(postgres.pool, async (db) => (await db.query('SELECT 1')).rowCount), 1)
})

test('a connection that is terminated in the packet that opens it fails what it was for, and not the process', async () => {
  const way = await terminateWhenReady(database.databaseUrl)
  const { pool, prisma, close } = openPostgres(way.url, () => {}, { connection: 15_000, query: 15_000 })
  const client = await prisma()
  for (const work of [
    async () => transaction(pool, async (db) => db.query('SELECT 1')),
    async () => pool.query('SELECT 1'),
    async () => pool.query({ name: 'named', text: 'SELECT 1' }),
    async () => client.$transaction(async (db) => db.identity.count()),
    async () => migrate(way.url),
  ])
    await assert.rejects(work, isUnavailable, work.toString())
  await close()
  await way.close()
})

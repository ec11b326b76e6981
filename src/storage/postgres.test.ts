import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDatabase, type TestDatabase } from '../testing/databases.ts'
import { afterCommit, openPostgres, type Postgres, type Queryable, transaction } from './postgres.ts'

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

test('whoever has no transaction is told so, instead of never being heard', async () => {
  assert.throws(() => afterCommit(postgres.pool, () => {}), /no transaction/)
})

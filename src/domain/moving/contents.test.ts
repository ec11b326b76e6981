import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createMigratedDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { LEFT_BEHIND, MOVED_COLUMNS, MOVED_KEYS, MOVED_TABLES } from './contents.ts'

let database: TestDatabase
let client: pg.Client
before(async () => {
  database = await createMigratedDatabase()
  client = new pg.Client({ connectionString: database.databaseUrl })
  await client.connect()
})
after(async () => {
  await client.end()
  await database.drop()
})

async function query<Row extends object>(sql: string): Promise<Row[]> {
  return (await client.query<Row>(sql)).rows
}

test('every table and column of the database is in an export, or is left behind for a reason', async () => {
  const found = await query<{ table: string; column: string }>(
    `SELECT table_name AS table, column_name AS column FROM information_schema.columns WHERE table_schema = current_schema()`,
  )
  const tables = Map.groupBy(found, ({ table }) => table)
  assert.deepEqual([...tables.keys()].toSorted(), [...MOVED_COLUMNS.keys(), ...Object.keys(LEFT_BEHIND)].toSorted())
  for (const { table, columns, leftBehind = {} } of MOVED_COLUMNS.values())
    assert.deepEqual(
      [...columns, ...Object.keys(leftBehind)].toSorted(),
      tables
        .get(table)
        ?.map(({ column }) => column)
        .toSorted(),
      `decide whether an export has the new columns of ${table} (domain/moving/)`,
    )
})

test('every table comes after those that it refers to, and is read by its primary key', async () => {
  const references = await query<{ table: string; to: string }>(
    `SELECT conrelid::regclass::text AS table, confrelid::regclass::text AS to FROM pg_constraint
     WHERE contype = 'f' AND connamespace = current_schema()::regnamespace`,
  )
  const order = [...MOVED_COLUMNS.keys()]
  const early = references.filter(
    ({ table, to }) => MOVED_COLUMNS.has(table) && MOVED_COLUMNS.has(to) && order.indexOf(to) >= order.indexOf(table),
  )
  assert.deepEqual(early, [])

  const keys = await query<{ table: string; columns: string[] }>(
    `SELECT conrelid::regclass::text AS table, array_agg(attname::text) AS columns
     FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey) WHERE contype = 'p' GROUP BY 1`,
  )
  for (const { table, key } of [...MOVED_KEYS, ...MOVED_TABLES])
    assert.deepEqual(keys.find((each) => each.table === table)?.columns, [key])
})

test('what is encrypted in the database is opened for the file', async () => {
  const columns = [...MOVED_COLUMNS.values()]
  const encrypted = columns.flatMap((each) => each.columns.filter((name) => /encrypted|kept/.test(name)))
  assert.deepEqual(encrypted.toSorted(), columns.flatMap(({ sealed }) => sealed?.column ?? []).toSorted())
})

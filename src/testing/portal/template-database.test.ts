import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import pg from 'pg'
import { migrate } from '../../storage/migrations.ts'
import { createDatabase, createMigratedDatabase } from './databases.ts'
import { serviceAddress } from '../services/addresses.ts'
import { administer, copyTemplate } from './template-database.ts'

/** Every column of every table, in the order of their names. */
async function tablesOf(databaseUrl: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(
      `SELECT table_schema, table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns
       WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3`,
    )
    return rows
  } finally {
    await client.end()
  }
}

test('a copy has the tables that the migrations make, and lacks none', async (context) => {
  const [copy, empty] = [await createMigratedDatabase(), await createDatabase()]
  context.after(async () => Promise.all([copy.drop(), empty.drop()]))
  assert.deepEqual(await migrate(copy.databaseUrl), [])
  assert.ok((await migrate(empty.databaseUrl)).length > 0)
  assert.deepEqual(await tablesOf(copy.databaseUrl), await tablesOf(empty.databaseUrl))
})

test('all who need the first copy at the same moment get one', async (context) => {
  const server = serviceAddress('TEST_DATABASE_URL')
  const template = `gatehouse_test_${randomBytes(6).toString('hex')}`
  const copies = [1, 2, 3, 4].map((number) => `${template}_${number}`)
  context.after(async () => {
    for (const name of [...copies, template]) await administer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  })
  await Promise.all(copies.map(async (name) => copyTemplate(name, server, template)))
  for (const name of copies)
    assert.deepEqual(await migrate(Object.assign(new URL(server), { pathname: `/${name}` }).href), [])
})

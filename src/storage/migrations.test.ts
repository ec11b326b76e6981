import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { migrate } from './migrations.ts'

const PRISMA = join(import.meta.dirname, '../../prisma')
const MIGRATIONS = join(PRISMA, 'migrations')

let database: TestDatabase
let client: pg.Client
let root: TemporaryFolder
let folders = 0

before(async () => {
  root = await makeTemporaryFolder('migrations')
})
after(() => root.remove())
beforeEach(async () => {
  database = await createDatabase()
  client = new pg.Client(database.databaseUrl)
  await client.connect()
})
afterEach(async () => {
  await client.end()
  await database.drop()
})

test('an empty database gets every migration, in order, once', async () => {
  const names = (await readdir(MIGRATIONS, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
  assert.deepEqual(await migrate(database.databaseUrl), names)
  assert.deepEqual(await migrate(database.databaseUrl), [])
})

test('processes that start together apply each migration once', async () => {
  const folder = await writeMigrations({
    '1_slow': 'CREATE TABLE slow (id int); SELECT pg_sleep(0.2)',
    '2_next': 'CREATE TABLE next (id int)',
  })
  const applied = await Promise.all(Array.from({ length: 5 }, async () => migrate(database.databaseUrl, { folder })))
  assert.deepEqual(applied.flat(), ['1_slow', '2_next'])
  assert.equal(applied.filter((names) => names.length === 2).length, 1)
})

test('a process that is killed in the middle of a migration leaves nothing of it, and the next one goes on', async () => {
  const folder = await writeMigrations({
    '1_done': 'CREATE TABLE done (id int)',
    '2_half': 'CREATE TABLE half (id int); SELECT pg_sleep(1); CREATE TABLE whole (id int)',
  })
  const program = `import { migrate } from ${JSON.stringify(join(import.meta.dirname, 'migrations.ts'))}
await migrate(${JSON.stringify(database.databaseUrl)}, { folder: ${JSON.stringify(folder)} })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'inherit' })
  while (!(await recordedNames()).includes('1_done')) await sleep(10)
  child.kill('SIGKILL')
  await once(child, 'close')

  assert.deepEqual(await recordedNames(), ['1_done'])
  assert.equal(await exists('half'), false)
  assert.deepEqual(await migrate(database.databaseUrl, { folder }), ['2_half'])
  assert.deepEqual([await exists('half'), await exists('whole')], [true, true])
})

test('a migration that fails is named, leaves nothing behind, and is tried again', async () => {
  const broken = { '1_done': 'CREATE TABLE done (id int)', '2_broken': 'CREATE TABLE half (id int); SELECT 1 / 0' }
  const folder = await writeMigrations(broken)
  await assert.rejects(migrate(database.databaseUrl, { folder }), { message: 'migration 2_broken failed' })
  assert.deepEqual(await recordedNames(), ['1_done'])
  assert.equal(await exists('half'), false)
  await writeFile(join(folder, '2_broken/migration.sql'), 'CREATE TABLE half (id int)')
  assert.deepEqual(await migrate(database.databaseUrl, { folder }), ['2_broken'])
})

test('a migration that was changed after it was applied is refused, and nothing after it is applied', async () => {
  const folder = await writeMigrations({ '1_first': 'CREATE TABLE first (id int)' })
  await migrate(database.databaseUrl, { folder })
  await writeFile(join(folder, '1_first/migration.sql'), 'CREATE TABLE first (id bigint)')
  await mkdir(join(folder, '2_second'))
  await writeFile(join(folder, '2_second/migration.sql'), 'CREATE TABLE second (id int)')
  await assert.rejects(migrate(database.databaseUrl, { folder }), {
    message: 'migration 1_first was changed after this database applied it',
  })
  assert.equal(await exists('second'), false)
})

test('what Prisma has applied is not applied again', async () => {
  const sql = 'CREATE TABLE first (id int)'
  const folder = await writeMigrations({ '1_first': sql, '2_second': 'CREATE TABLE second (id int)' })
  // Prisma's own words for its table and its row.
  await client.query(`CREATE TABLE _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL,
    logs TEXT, rolled_back_at TIMESTAMPTZ, started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)`)
  await client.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count) VALUES ('1', $1, '1_first', now(), 1)`,
    [createHash('sha256').update(sql).digest('hex')],
  )
  assert.deepEqual(await migrate(database.databaseUrl, { folder }), ['2_second'])
})

test('every applied migration leaves the row that Prisma would have left', async () => {
  await migrate(database.databaseUrl)
  const result = await client.query<Record<string, unknown>>('SELECT * FROM _prisma_migrations')
  for (const row of result.rows) {
    const sql = await readFile(join(MIGRATIONS, String(row['migration_name']), 'migration.sql'))
    assert.match(String(row['id']), /^[0-9a-f-]{36}$/)
    assert.equal(row['checksum'], createHash('sha256').update(sql).digest('hex'))
    assert.ok(row['finished_at'] instanceof Date)
    assert.deepEqual([row['logs'], row['rolled_back_at'], row['applied_steps_count']], [null, null, 1])
  }
})

test('the migrations make the tables, columns, defaults, indexes and references that the schema describes', async () => {
  await migrate(database.databaseUrl)
  const schema = parseSchema(await readFile(join(PRISMA, 'schema.prisma'), 'utf8'))
  assert.deepEqual(await readColumns(), schema.flatMap(({ columns }) => columns).toSorted())
  assert.deepEqual(await readIndexes(), schema.flatMap(({ indexes }) => indexes).toSorted())
  assert.deepEqual(await readReferences(), schema.flatMap(({ references }) => references).toSorted())
})

test('no index names a column that a rotation or a page view writes', async () => {
  await migrate(database.databaseUrl)
  const written = {
    families: /\b(generation|current_hash|previous_hash|rotated_at|last_used_at|idle_expires_at)\b/,
    identity_sessions: /\b(last_seen_at|address)\b/,
  }
  for (const [table, columns] of Object.entries(written)) {
    const ofTable = (await readIndexes()).filter((definition) => definition.includes(` ON ${table} `))
    assert.notEqual(ofTable.length, 0)
    for (const definition of ofTable) assert.doesNotMatch(definition, columns)
  }
})

test('pages of families have room for what a rotation writes', async () => {
  await migrate(database.databaseUrl)
  const options = await client.query<{ reloptions: string[] }>(
    `SELECT reloptions FROM pg_class WHERE relname = 'families'`,
  )
  assert.deepEqual(options.rows[0]?.reloptions, ['fillfactor=70'])
})

async function writeMigrations(migrations: Record<string, string>): Promise<string> {
  const folder = join(root.path, String(folders++))
  for (const [name, sql] of Object.entries(migrations)) {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'migration.sql'), sql)
  }
  await writeFile(join(folder, 'migration_lock.toml'), 'provider = "postgresql"')
  return folder
}

async function recordedNames(): Promise<string[]> {
  if (!(await exists('_prisma_migrations'))) return []
  const result = await client.query<{ name: string }>(
    'SELECT migration_name AS name FROM _prisma_migrations ORDER BY 1',
  )
  return result.rows.map(({ name }) => name)
}

async function exists(table: string): Promise<boolean> {
  const result = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
  return result.rows[0]?.found === true
}

async function readColumns(): Promise<string[]> {
  const result = await client.query<{ line: string }>(
    `SELECT concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'required' ELSE 'optional' END,
       pg_get_expr(d.adbin, d.adrelid)) AS line
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> '_prisma_migrations'`,
  )
  return result.rows.map(({ line }) => line).toSorted()
}

async function readIndexes(): Promise<string[]> {
  const result = await client.query<{ line: string }>(
    `SELECT replace(indexdef, 'public.', '') AS line FROM pg_indexes WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`,
  )
  return result.rows.map(({ line }) => line).toSorted()
}

async function readReferences(): Promise<string[]> {
  const result = await client.query<{ line: string }>(
    `SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS line FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace`,
  )
  return result.rows.map(({ line }) => line).toSorted()
}

interface Table {
  columns: string[]
  indexes: string[]
  references: string[]
}

/** The part of Prisma's language that our schema is written in, as PostgreSQL would say it. */
function parseSchema(text: string): Table[] {
  const models = [...text.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)].map(([, model, body]) => ({
    model: model as string,
    lines: (body as string).split('\n').map((line) => line.replace(/\/\/.*/, '').trim()),
    // What PostgreSQL can and Prisma's language cannot say stands there as PostgreSQL would say it.
    comments: (body as string).split('\n').flatMap((line) => /^\s*\/\/ (.*)/.exec(line)?.[1] ?? []),
  }))
  const tables = new Map(
    models.map(({ model, lines }) => [model, lines.map((line) => /@@map\("(.+?)"\)/.exec(line)?.[1]).find(Boolean)]),
  )
  return models.map(({ model, lines, comments }) => {
    const table = tables.get(model) as string
    const fields = lines.flatMap((line) => {
      const [, name, type, list, optional, rest] = /^(\w+)\s+(\w+)(\[\])?(\?)?(.*)$/.exec(line) ?? []
      return name === undefined || type === undefined
        ? []
        : [{ name, type, isList: list !== undefined, isOptional: optional !== undefined, rest: rest ?? '' }]
    })
    const columnOf = (field: string) => {
      const rest = fields.find(({ name }) => name === field)?.rest ?? ''
      return /@map\("(.+?)"\)/.exec(rest)?.[1] ?? field
    }
    const columnsIn = (list: string) => list.split(/\s*,\s*(?![^(]*\))/).map((each) => each.trim())

    return {
      columns: fields
        .filter(({ type }) => !tables.has(type))
        .map(({ name, type, isList, isOptional, rest }) => {
          const required = isOptional || isList ? 'optional' : 'required'
          const preset = defaultOf(table, columnOf(name), rest)
          return [table, columnOf(name), typeOf(type, rest) + (isList ? '[]' : ''), required, preset]
            .filter((part) => part !== '')
            .join(' ')
        }),
      indexes: [
        ...fields.flatMap(({ name, rest }) => [
          ...(/@id\b/.test(rest)
            ? [`CREATE UNIQUE INDEX ${table}_pkey ON ${table} USING btree (${columnOf(name)})`]
            : []),
          ...(/@unique\b/.test(rest)
            ? [`CREATE UNIQUE INDEX ${table}_${columnOf(name)}_key ON ${table} USING btree (${columnOf(name)})`]
            : []),
        ]),
        ...lines.flatMap((line) => {
          const list = /^@@id\(\[(.*)\]\)$/.exec(line)?.[1]
          const columns = list === undefined ? '' : columnsIn(list).map(columnOf).join(', ')
          return columns === '' ? [] : [`CREATE UNIQUE INDEX ${table}_pkey ON ${table} USING btree (${columns})`]
        }),
        ...lines.flatMap((line) => {
          const list = /^@@index\(\[(.*)\]\)$/.exec(line)?.[1]
          if (list === undefined) return []
          const parts = columnsIn(list).map((part) => ({
            column: columnOf(part.replace(/\(.*/, '')),
            order: part.includes('sort: Desc') ? ' DESC' : '',
          }))
          const name = `${table}_${parts.map(({ column }) => column).join('_')}_idx`
          const columns = parts.map(({ column, order }) => column + order).join(', ')
          return [`CREATE INDEX ${name} ON ${table} USING btree (${columns})`]
        }),
        ...comments.filter((line) => /^CREATE (?:UNIQUE )?INDEX /.test(line)),
      ],
      references: fields.flatMap(({ type, rest }) => {
        const [, own, foreign, onDelete] =
          /@relation\(fields: \[(\w+)\], references: \[(\w+)\], onDelete: (\w+)\)/.exec(rest) ?? []
        if (own === undefined) return []
        const target = models.find((each) => each.model === type)?.lines.find((line) => line.startsWith(`${foreign} `))
        const column = /@map\("(.+?)"\)/.exec(target ?? '')?.[1] ?? foreign
        const action = onDelete === 'SetNull' ? 'SET NULL' : onDelete?.toUpperCase()
        return [
          `${table} ${table}_${columnOf(own)}_fkey FOREIGN KEY (${columnOf(own)}) REFERENCES ${tables.get(type)}(${column}) ON UPDATE CASCADE ON DELETE ${action}`,
        ]
      }),
    }
  })
}

function typeOf(type: string, rest: string): string {
  const native = /@db\.(\w+)(?:\((\d+)\))?/.exec(rest)
  switch (native?.[1]) {
    case 'Uuid':
      return 'uuid'
    case 'Json':
      return 'json'
    case 'Timestamptz':
      return `timestamp(${native[2]}) with time zone`
    case 'Timestamp':
      return `timestamp(${native[2]}) without time zone`
    default: {
      const types = {
        String: 'text',
        Boolean: 'boolean',
        Int: 'integer',
        BigInt: 'bigint',
        Bytes: 'bytea',
        Json: 'jsonb',
      }
      return types[type as keyof typeof types]
    }
  }
}

function defaultOf(table: string, column: string, rest: string): string {
  const preset = /@default\((.*?)\)(?:\s|$)/.exec(rest)?.[1]
  if (preset === undefined) return ''
  if (preset === 'autoincrement()') return `nextval('${table}_${column}_seq'::regclass)`
  if (preset === '[]') return rest.includes('@db.Uuid') ? 'ARRAY[]::uuid[]' : 'ARRAY[]::text[]'
  const type = preset === '"{}"' ? 'jsonb' : 'text'
  return preset.startsWith('"') ? `'${preset.slice(1, -1)}'::${type}` : preset
}

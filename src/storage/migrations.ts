import { createHash, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { schemaOf, withSchema } from './database-url.ts'
import { currentSchema, DatabaseUnfit, keepFromEndingTheProcess, type Queryable } from './postgres.ts'
import { migrateQueues } from './queue-tables.ts'
import { writeAuditRetention } from './audit-retention.ts'
import { grantToPortal } from './role.ts'
import { clientClassOf } from './embedded/scram-client.ts'

const FOLDER = join(import.meta.dirname, '../../prisma/migrations')

// The number `prisma migrate` takes for its own advisory lock, so that the two wait for each other as well.
const LOCK = 72707369

/**
 * Applies the missing migrations, one transaction each, under an advisory lock, so that processes that start together wait.
 * Keeps Prisma's own table, so `prisma migrate deploy` and this are interchangeable; brings the tables of the job queue up
 * to date, too. Where none is missing nothing is written, so this also works with a role that may not change tables.
 * @param url of the owner of the tables; `portalUrl` of running portals, whose role gets what they need when it is another one
 * @returns the names applied now, in order.
 */
export async function migrate(
  url: string,
  { folder = FOLDER, portalUrl = url, auditRetention }: MigrationOptions = {},
): Promise<string[]> {
  const schema = schemaOf(url) ?? schemaOf(portalUrl)
  const connectionString = withSchema(url, schema)
  return withClient(connectionString, async (guard) => {
    await lock(guard)
    try {
      return await withClient(connectionString, async (client) => {
        await makeSchema(client, schema)
        const applied = await applyMissing(client, folder)
        await migrateQueues(client)
        if (roleOf(portalUrl) !== roleOf(url)) await grantToPortal(client, roleOf(portalUrl))
        if (auditRetention !== undefined) await writeAuditRetention(client, auditRetention)
        return applied
      })
    } catch (error) {
      if ((error as { code?: unknown }).code === INSUFFICIENT_PRIVILEGE) throw new MigrationRefused(error)
      throw error
    } finally {
      // What gives the lock back is the end of its transaction: a pooler keeps the connection.
      await guard.query('ROLLBACK').catch(() => {})
    }
  })
}

export interface MigrationOptions {
  folder?: string
  portalUrl?: string
  /** How long audit events are kept (seconds; null for ever); left out, what the database has stays. */
  auditRetention?: number | null | undefined
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new (clientClassOf(connectionString))({
    connectionString,
    connectionTimeoutMillis: 10_000,
    application_name: `gatehouse/${process.pid}`,
  })
  keepFromEndingTheProcess(client)
  await client.connect().catch((error: unknown) => {
    if (!isAboutOptions(error)) throw error
    throw new DatabaseUnfit(
      'the connection pooler takes no schema from the URL: leave it out of DATABASE_URL and set it with ALTER ROLE … SET search_path',
      { cause: error },
    )
  })
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** PgBouncer refuses startup parameters that it does not know (SQLSTATE 08P01), and `options` is one: it carries the schema. */
function isAboutOptions(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return code === '08P01' && /startup parameter.*(options|search_path)/.test(String(message))
}

/** Holds the advisory lock in a transaction of its own: a pooler in transaction mode does not keep session locks. */
async function lock(guard: pg.Client): Promise<void> {
  await guard.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0')
  await guard.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
}

/** The schema that the URL names, as Prisma does it. */
async function makeSchema(client: pg.Client, schema: string | null): Promise<void> {
  if (schema === null) return
  const found = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  if (found.rowCount === 0) await client.query(`CREATE SCHEMA ${client.escapeIdentifier(schema)}`)
  const current = await currentSchema(client)
  if (current !== schema)
    throw new DatabaseUnfit(
      `the database is migrated in schema ${current}, not in ${schema} as the URL says: behind a connection pooler, set it with ALTER ROLE … SET search_path`,
    )
}

/** SQLSTATE 42501. */
const INSUFFICIENT_PRIVILEGE = '42501'

/** The database must be migrated, and this role may not do that. */
export class MigrationRefused extends Error {
  constructor(cause: unknown) {
    super(
      `the role of the database may not migrate it (${(cause as Error).message}): run "gatehouse migrate" with DATABASE_MIGRATION_URL`,
      { cause },
    )
  }
}

/** The migrations of this version that the database lacks, and those it has that this version does not know. Changes nothing. */
export async function compareMigrations(
  db: Queryable,
  folder = FOLDER,
): Promise<{ pending: string[]; unknown: string[] }> {
  const known = migrationNames(folder)
  const applied = (await exists(db, '_prisma_migrations')) ? [...(await findChecksums(db)).keys()] : []
  return {
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)).toSorted(),
  }
}

async function applyMissing(client: pg.Client, folder: string): Promise<string[]> {
  if (!(await exists(client, '_prisma_migrations'))) await client.query(TABLE)
  const checksums = await findChecksums(client)

  const applied: string[] = []
  for (const name of migrationNames(folder)) {
    const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8')
    const checksum = createHash('sha256').update(sql).digest('hex')
    const known = checksums.get(name)
    if (known !== undefined && known !== checksum) {
      throw new Error(`migration ${name} was changed after this database applied it`)
    }
    if (known === undefined) {
      await apply(client, name, sql, checksum)
      applied.push(name)
    }
  }
  return applied
}

function roleOf(url: string): string {
  return decodeURIComponent(new URL(url).username)
}

/** The checksums of applied migrations, by their names. */
async function findChecksums(db: Queryable): Promise<Map<string, string>> {
  const done = await db.query<{ migration_name: string; checksum: string }>(
    'SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  )
  return new Map(done.rows.map((row) => [row.migration_name, row.checksum]))
}

async function exists(client: Queryable, table: string): Promise<boolean> {
  const result = await client.query<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [table])
  return result.rows[0]?.found === true
}

function migrationNames(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted()
}

async function apply(client: pg.Client, name: string, sql: string, checksum: string): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query(sql)
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), now(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    if ((error as { code?: unknown }).code === INSUFFICIENT_PRIVILEGE) throw error
    throw new Error(`migration ${name} failed`, { cause: error })
  }
}

const TABLE = `CREATE TABLE _prisma_migrations (
  id varchar(36) PRIMARY KEY,
  checksum varchar(64) NOT NULL,
  finished_at timestamptz,
  migration_name varchar(255) NOT NULL,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0
)`

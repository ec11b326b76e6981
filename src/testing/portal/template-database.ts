import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { migrate } from '../../storage/migrations.ts'

const ROOT = join(import.meta.dirname, '../../..')
const PREFIX = 'gatehouse_template_'
/** The key of an advisory lock: one process makes the template, the others wait. */
const LOCK = 72_707_370
/** SQLSTATE of a missing database. */
const UNDEFINED_DATABASE = '3D000'

/** Creates a database as a copy of a migrated template, which is made when a server first needs it. */
export async function copyTemplate(name: string, server: string, template = templateName()): Promise<void> {
  const statement = `CREATE DATABASE ${name} TEMPLATE ${template}`
  try {
    await administer(server, statement)
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNDEFINED_DATABASE) throw error
    await makeTemplate(template, server)
    await administer(server, statement)
  }
}

/** The templates on a server. */
export async function dropTemplates(server: string): Promise<void> {
  await withClient(server, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      'SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)',
      [PREFIX],
    )
    for (const { name } of rows) await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  })
}

export async function administer(server: string, statement: string): Promise<void> {
  await withClient(server, async (client) => client.query(statement))
}

/** Other migrations, or another version of the job queue, need another template. */
function templateName(): string {
  const hash = createHash('sha256').update(readFileSync(join(ROOT, 'package.json')))
  for (const file of globSync('prisma/migrations/*/migration.sql', { cwd: ROOT }).toSorted())
    hash.update(readFileSync(join(ROOT, file)))
  return `${PREFIX}${hash.digest('hex').slice(0, 16)}`
}

async function makeTemplate(template: string, server: string): Promise<void> {
  await withClient(server, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template])
    if (found.rowCount !== 0) return
    // Under another name, so that only a complete template is copied.
    const unfinished = `${template}_unfinished`
    await client.query(`DROP DATABASE IF EXISTS ${unfinished}`)
    await client.query(`CREATE DATABASE ${unfinished}`)
    await migrate(Object.assign(new URL(server), { pathname: `/${unfinished}` }).href)
    await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${template}`)
  })
}

export async function withClient(server: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: server })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

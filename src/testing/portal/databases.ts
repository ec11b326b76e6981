import { randomBytes } from 'node:crypto'
import { type EmbeddedPostgres, startEmbedded } from '../../storage/embedded/embedded.ts'
import { startPgbouncer } from '../services/pgbouncer.ts'
import { UNFLUSHED } from '../services/postgres-cluster.ts'
import { serviceAddress } from '../services/addresses.ts'
import { administer, copyTemplate, withClient } from './template-database.ts'

export interface TestDatabase {
  databaseUrl: string
  redisUrl: string | null
  /** Further settings of the portal. */
  env?: Record<string, string>
  drop(): Promise<void>
}

/** The three ways to run the portal. A suite about storage runs over all of them. */
export const STORAGES = ['embedded', 'postgres', 'postgres+redis'] as const

/** The same, and PostgreSQL behind PgBouncer in transaction mode. */
export type StorageKind = (typeof STORAGES)[number] | 'pgbouncer'

/** An empty database for one test, on the servers of the test command. */
export async function createDatabase(kind: StorageKind = 'postgres'): Promise<TestDatabase> {
  return create(kind, (name, server) => administer(server, `CREATE DATABASE ${name}`))
}

/** The same with all tables, empty. A copy takes a third of the time of the migrations. */
export async function createMigratedDatabase(kind: StorageKind = 'postgres'): Promise<TestDatabase> {
  return create(kind, async (name, server) => copyTemplate(name, server))
}

async function create(kind: StorageKind, make: (name: string, server: string) => Promise<void>): Promise<TestDatabase> {
  const embedded = kind === 'embedded' ? await startUnflushed(serviceAddress('TEST_EMBEDDED_DIR')) : null
  const server = embedded?.ownerUrl ?? serviceAddress('TEST_DATABASE_URL')
  const name = `gatehouse_test_${randomBytes(6).toString('hex')}`
  await make(name, server)

  const url = new URL(server)
  url.pathname = `/${name}`
  const pooler = kind === 'pgbouncer' ? await startPgbouncer(url.href) : null
  return {
    databaseUrl: pooler?.url ?? url.href,
    ...(pooler === null ? {} : { env: { PREPARED_STATEMENTS: 'off' } }),
    // One Redis serves every test, and in all of them the same people make attempts from the same IP address.
    redisUrl: kind === 'postgres+redis' ? `${serviceAddress('TEST_REDIS_URL')}?keyPrefix=${name}:` : null,
    async drop() {
      await pooler?.stop()
      await administer(server, `DROP DATABASE ${name} WITH (FORCE)`)
      await embedded?.leave()
    },
  }
}

/** The embedded database that all test files share, as fast as the other servers of the tests. */
async function startUnflushed(folder: string): Promise<EmbeddedPostgres> {
  const embedded = await startEmbedded(folder)
  await withClient(embedded.ownerUrl, async (client) => {
    const { rows } = await client.query<{ fsync: string }>('SHOW fsync')
    if (rows[0]?.fsync === 'off') return
    for (const [name, value] of Object.entries(UNFLUSHED)) await client.query(`ALTER SYSTEM SET ${name} = ${value}`)
    await client.query('SELECT pg_reload_conf()')
  })
  return embedded
}

export interface OwnedDatabase {
  /** Of a role that owns nothing. */
  portalUrl: string
  ownerUrl: string
  drop(): Promise<void>
}

/** An empty database with two roles, as an operator prepares it for a portal that may not change its tables. */
export async function createOwnedDatabase(): Promise<OwnedDatabase> {
  const { databaseUrl, drop } = await createDatabase()
  const database = new URL(databaseUrl).pathname.slice(1)
  const owner = `${database}_owner`
  const portal = `${database}_portal`
  await administer(
    serviceAddress('TEST_DATABASE_URL'),
    `CREATE ROLE ${owner} LOGIN PASSWORD 'password'; CREATE ROLE ${portal} LOGIN PASSWORD 'password';
     ALTER DATABASE ${database} OWNER TO ${owner}`,
  )
  const urlOf = (username: string) => Object.assign(new URL(databaseUrl), { username, password: 'password' }).href
  return {
    ownerUrl: urlOf(owner),
    portalUrl: urlOf(portal),
    async drop() {
      await drop()
      await administer(serviceAddress('TEST_DATABASE_URL'), `DROP ROLE ${owner}, ${portal}`)
    },
  }
}

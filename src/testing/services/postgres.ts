import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { installPackages } from './apt.ts'
import { startContainer } from './docker.ts'
import { thisMachine, type Machine } from './machine.ts'
import { MAX_CONNECTIONS, optionsOf, type Settings, startCluster } from './postgres-cluster.ts'
import type { Service } from './service.ts'
import { firstThatWorks } from './ways.ts'

const IMAGE = 'postgres:17-alpine'

/**
 * A PostgreSQL server with a role that may create databases: that of DATABASE_URL, or a new one with these settings. @throws
 * Error that lists everything that was tried.
 */
export async function startPostgres(machine: Machine = thisMachine, settings: Settings = {}): Promise<Service> {
  const given = machine.env['DATABASE_URL']
  if (given) return useGiven(given)

  return firstThatWorks('PostgreSQL', 'Install its server, start Docker, or set DATABASE_URL.', [
    { name: 'installed server', take: () => startInstalled(machine, settings) },
    { name: 'Docker', take: () => startDocker(machine, settings) },
    { name: 'apt-get', take: () => installAndStart(machine, settings) },
  ])
}

async function useGiven(url: string): Promise<Service> {
  const version = await askVersion(url).catch((error: Error) => {
    throw new Error(`The PostgreSQL of DATABASE_URL cannot be used: ${error.message || error.name}`, { cause: error })
  })
  return { url, origin: `PostgreSQL ${version} of DATABASE_URL`, stop: async () => undefined }
}

async function startInstalled(machine: Machine, settings: Settings): Promise<Service> {
  const password = makePassword()
  const cluster = await startCluster(machine, password, settings)
  const url = urlOf(password, cluster.port)
  try {
    const version = await cluster.ready(() => askVersion(url))
    return { url, origin: `PostgreSQL ${version} from ${cluster.programs}`, stop: cluster.stop }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

async function startDocker(machine: Machine, settings: Settings): Promise<Service> {
  const password = makePassword()
  const container = await startContainer(machine, {
    image: IMAGE,
    port: 5432,
    env: { POSTGRES_PASSWORD: password },
    command: optionsOf({ max_connections: MAX_CONNECTIONS, ...settings }),
  })
  const url = urlOf(password, container.port)
  try {
    const version = await container.ready(() => askVersion(url))
    return { url, origin: `PostgreSQL ${version} from Docker's ${IMAGE}`, stop: container.stop }
  } catch (error) {
    await container.stop()
    throw error
  }
}

async function installAndStart(machine: Machine, settings: Settings): Promise<Service> {
  await installPackages(machine, 'postgresql')
  return startInstalled(machine, settings)
}

/** Hexadecimal, so that it needs no escaping anywhere. */
function makePassword(): string {
  return randomBytes(16).toString('hex')
}

function urlOf(password: string, port: number): string {
  return `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`
}

async function askVersion(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; may_create: boolean }>(
      `select current_setting('server_version') as version, rolcreatedb or rolsuper as may_create
         from pg_roles where rolname = current_user`,
    )
    if (rows[0]?.may_create !== true) throw new Error('its role may not create databases')
    return rows[0].version
  } finally {
    await client.end().catch(() => undefined)
  }
}

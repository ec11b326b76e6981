import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { installPackages } from './apt.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { findUnprivilegedUser } from './postgres-cluster.ts'
import { launch } from './server-process.ts'
import type { Service } from './service.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { firstThatWorks } from './ways.ts'

/**
 * A PgBouncer in transaction mode in front of the server of this URL, with its credentials and for all its databases.
 * @throws Error that says everything that was tried.
 */
export async function startPgbouncer(databaseUrl: string, machine: Machine = thisMachine): Promise<Service> {
  return firstThatWorks('PgBouncer', 'Install it.', [
    { name: 'installed program', take: () => startInstalled(databaseUrl, machine) },
    {
      name: 'apt-get',
      async take() {
        await installPackages(machine, 'pgbouncer')
        return startInstalled(databaseUrl, machine)
      },
    },
  ])
}

async function startInstalled(databaseUrl: string, machine: Machine): Promise<Service> {
  const program = findProgram({ ...machine, programFolders: [...machine.programFolders, '/usr/sbin'] }, 'pgbouncer')
  if (program === null) throw new Error('there is no pgbouncer in PATH or the usual places')

  const behind = new URL(databaseUrl)
  const [user, password] = [behind.username, behind.password].map(decodeURIComponent) as [string, string]
  const port = await findFreePort()
  const folder = await makeTemporaryFolder('pgbouncer')
  const users = join(folder.path, 'users')
  const settings = join(folder.path, 'pgbouncer.ini')
  // It does not run as root, and its user must read both.
  await writeFile(users, `"${user}" "${password}"\n`, { mode: 0o644 })
  await writeFile(
    settings,
    `[databases]
* = host=${behind.hostname} port=${behind.port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 5
`,
  )
  const server = launch(program, [settings], {
    folder: folder.path,
    endSignal: 'SIGTERM',
    killSignal: 'SIGKILL',
    user: machine.isRoot ? await findUnprivilegedUser(machine) : null,
  })
  const stop = async () => {
    await server.stop()
    await folder.remove()
  }
  const url = Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(port) }).href
  try {
    await server.ready(() => connect(url))
    return { url, origin: `PgBouncer from ${program}`, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function connect(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  try {
    await client.connect()
    await client.query('SELECT 1')
  } finally {
    await client.end().catch(() => undefined)
  }
}

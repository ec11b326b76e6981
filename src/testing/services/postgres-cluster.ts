import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import { findFolderOf, type Machine } from './machine.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { launch, type ServerProcess, type User } from './server-process.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'

export interface Cluster extends ServerProcess {
  port: number
  /** The folder of the programs that run it. */
  programs: string
}

/** Parameters of postgresql.conf. */
export type Settings = Record<string, string | number>

/**
 * A commit outlives the server, but not the machine. Making and dropping a database, which nearly every test file does, flushes
 * some hundred files otherwise.
 */
export const UNFLUSHED: Settings = { fsync: 'off', full_page_writes: 'off' }

export const MAX_CONNECTIONS = 200
const INITDB_LIMIT = 120_000

/** A PostgreSQL cluster in a new folder, on loopback only. It is durable, as in production, unless the settings say otherwise. */
export async function startCluster(machine: Machine, password: string, settings: Settings = {}): Promise<Cluster> {
  const programs = findFolderOf(machine, 'initdb', 'postgres')
  if (programs === null) throw new Error('there is no folder with initdb and postgres in PATH or the usual places')

  const user = machine.isRoot ? await findUnprivilegedUser(machine) : null
  const folder = await makeTemporaryFolder('postgres')
  try {
    const data = await initialise(join(programs, 'initdb'), folder.path, password, user)
    const port = await findFreePort()
    const server = launch(
      join(programs, 'postgres'),
      ['-D', data, ...optionsOf({ ...usualSettings(port), ...settings })],
      {
        folder: folder.path,
        endSignal: 'SIGINT',
        // Not SIGKILL, which would leave its shared memory behind.
        killSignal: 'SIGQUIT',
        user,
      },
    )
    const stop = async () => {
      await server.stop()
      await folder.remove()
    }
    return { port, programs, ready: server.ready, stop }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

async function initialise(initdb: string, folder: string, password: string, user: User | null): Promise<string> {
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (user !== null) {
    await Promise.all([chown(data, user.uid, user.gid), chown(passwordFile, user.uid, user.gid)])
  }
  await run(
    initdb,
    [
      '--pgdata',
      data,
      '--username=postgres',
      '--pwfile',
      passwordFile,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
    ].concat(['--no-locale', '--no-sync']),
    { limit: INITDB_LIMIT, cwd: folder, ...user },
  )
  await rm(passwordFile)
  return data
}

function usualSettings(port: number): Settings {
  return {
    listen_addresses: '127.0.0.1',
    port,
    max_connections: MAX_CONNECTIONS,
    unix_socket_directories: '',
  }
}

/** As arguments of the server. */
export function optionsOf(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

// PostgreSQL refuses to run as root.
export async function findUnprivilegedUser(machine: Machine): Promise<User> {
  for (const name of ['postgres', 'nobody']) {
    try {
      const ask = (flag: string) => run('id', [flag, name], { limit: 10_000, env: machine.env })
      return { uid: Number(await ask('-u')), gid: Number(await ask('-g')) }
    } catch {
      continue
    }
  }
  throw new Error('this program does not run as root, and there is neither a user postgres nor nobody')
}

import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findBinaries, type Binaries } from './binaries.ts'
import { findOwner, isSearchable, SYSTEM_FOLDER, type Owner } from './owner.ts'
import { findFreePort } from './free-port.ts'
import { keepFromEndingTheProcess } from '../postgres.ts'
import { ScramClient } from './scram-client.ts'

export interface EmbeddedPostgres {
  /** Of the role of a running portal, which can change neither tables nor audit events. */
  url: string
  /** Of the owner of the tables, for migrations. */
  ownerUrl: string
  /** Leaves; the last process to leave stops the server. */
  leave(): Promise<void>
}

const START_LIMIT_MS = 30_000
/** After so long (ms) a warning says what the start waits for. */
const QUIET_MS = 3000
const DATABASE = 'gatehouse'
const OWNER = 'gatehouse'
const ROLE = 'gatehouse_portal'
// The advisory lock for reference counting: every process that uses the server holds it, shared.
const PRESENCE = 72707370

/**
 * The embedded database: a real PostgreSQL on loopback with its data in `dataDir`. It is created at the first start, joined when
 * it is running already, and restarted when it dies. It is reference-counted through a shared advisory lock, so the last process
 * that leaves stops it. Any number of processes may call this at once. `onTrouble` is called when the server must be found again.
 */
export async function startEmbedded(
  dataDir: string,
  onTrouble: (error: unknown) => void = () => {},
): Promise<EmbeddedPostgres> {
  const owner = await findOwner()
  await fs.mkdir(dataDir, { recursive: true })
  const binaries = await findBinaries(owner, dataDir)
  const home = await findOrCreateHome(dataDir, binaries, owner)
  const password = (await fs.readFile(join(home, 'password'), 'utf8')).trim()
  const cluster = join(home, 'cluster')

  const find = async (port: number | null) => joinOrStart({ cluster, home, password, binaries, owner, port, onTrouble })
  const presence = await stay(find, password, onTrouble)
  return {
    url: urlOf(ROLE, passwordOfRole(password), presence.port),
    ownerUrl: urlOf(OWNER, password, presence.port),
    leave: () => presence.end(cluster),
  }
}

/** True where an embedded database has been made, whether it runs or not. */
export async function hasEmbedded(dataDir: string): Promise<boolean> {
  return exists(join(dataDir, 'postgres', 'password'))
}

/** `require_auth` (libpq) refuses any other server: after a crash another program may listen on the port. */
function urlOf(role: string, password: string, port: number): string {
  return `postgresql://${role}:${password}@127.0.0.1:${port}/${DATABASE}?require_auth=scram-sha-256`
}

/** The password is derived from the owner's, so that every process knows it and one file is enough. */
function passwordOfRole(ownerPassword: string): string {
  return createHmac('sha256', ownerPassword).update(ROLE).digest('base64url')
}

/** `DATA_DIR/postgres` holds the password and the cluster; it is renamed into place when complete, so a kill leaves no half. */
async function findOrCreateHome(dataDir: string, binaries: Binaries, owner: Owner | null): Promise<string> {
  const home = join(dataDir, 'postgres')
  if (!(await exists(join(home, 'password')))) {
    // The server refuses to run as root, and its user cannot enter a folder that is closed to others (such as /root).
    const elsewhere = owner !== null && !(await isSearchable(dataDir))
    const parent = elsewhere ? SYSTEM_FOLDER : dataDir
    await fs.mkdir(parent, { recursive: true })
    if (elsewhere) await fs.chmod(parent, 0o755)
    const draft = await fs.mkdtemp(join(parent, elsewhere ? 'postgres-' : '.postgres-'))
    await fs.chmod(draft, 0o755)
    await initialize(draft, binaries, owner)
    try {
      await (elsewhere ? fs.symlink(draft, home) : fs.rename(draft, home))
    } catch (error) {
      if (!['EEXIST', 'ENOTEMPTY'].includes(codeOf(error))) throw error
      // Another process was faster; its cluster is used.
      await fs.rm(draft, { recursive: true })
    }
  }
  return fs.realpath(home)
}

async function initialize(home: string, binaries: Binaries, owner: Owner | null): Promise<void> {
  const password = randomBytes(24).toString('base64url')
  await fs.writeFile(join(home, 'password'), password, { mode: 0o600 })

  const cluster = join(home, 'cluster')
  const passwordForInitdb = join(home, 'initdb-password')
  await fs.mkdir(cluster, { mode: 0o700 })
  await fs.writeFile(passwordForInitdb, password, { mode: 0o600 })
  if (owner !== null) {
    await fs.chown(cluster, owner.uid, owner.gid)
    await fs.chown(passwordForInitdb, owner.uid, owner.gid)
  }
  const args = [
    '-D',
    cluster,
    '-U',
    OWNER,
    '-A',
    'scram-sha-256',
    `--pwfile=${passwordForInitdb}`,
    '-E',
    'UTF8',
    '--no-locale',
  ]
  const [program, ...words] = [...(hasUserName() ? [] : AS_NOBODY), binaries.initdb, ...args]
  const child = spawn(program as string, words, {
    ...launch(binaries, owner),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const code = await exitOf(child)
  await fs.rm(passwordForInitdb)
  if (code === 0) return
  const advice = hasUserName()
    ? ''
    : `; the user id ${process.getuid?.()} has no name here, which initdb asks for: add it to /etc/passwd, or set DATABASE_URL`
  throw new Error(`the embedded database could not be made: ${complaint.trim()}${advice}`)
}

/** initdb asks for the name of its user, which a container that runs with any user id does not have. */
function hasUserName(): boolean {
  try {
    userInfo()
    return true
  } catch {
    return false
  }
}

/** Runs in a user namespace, where the same user has the name `nobody`. Its files belong to the user outside. */
const AS_NOBODY = ['/usr/bin/unshare', '--user', '--map-user=65534', '--map-group=65534', '--']

/** What `joinOrStart` needs to find the server of a cluster, or to start it. */
interface Search {
  cluster: string
  home: string
  password: string
  binaries: Binaries
  owner: Owner | null
  /** Null for any port. */
  port: number | null
  onTrouble: (error: unknown) => void
}

/** The port of the living server on this cluster, which is started when there is none. */
async function joinOrStart({ cluster, home, password, binaries, owner, port, onTrouble }: Search): Promise<number> {
  const begun = Date.now()
  let isQuiet = true
  const isInTime = () => {
    if (isQuiet && Date.now() > begun + QUIET_MS) {
      isQuiet = false
      onTrouble(
        new Error(`waiting for the server of the embedded database, whose log is ${join(home, 'postgres.log')}`),
      )
    }
    return Date.now() < begun + START_LIMIT_MS
  }
  while (isInTime()) {
    const running = await readPostmaster(cluster)
    if (running !== null) {
      if (await serves(running.port, password, cluster)) return running.port
      if (await isForeign(running.pid)) {
        onTrouble(new Error(`postmaster.pid named process ${running.pid}, which is no PostgreSQL, and was removed`))
        await fs.rm(join(cluster, 'postmaster.pid'), { force: true })
      }
    }

    // PostgreSQL itself refuses a second server on one cluster, so the process that loses this race joins the winner's server.
    const exited = await start(cluster, home, binaries, owner, port ?? (await findFreePort()))
    while (isInTime() && !exited.yes) {
      const started = await readPostmaster(cluster)
      if (started !== null && (await serves(started.port, password, cluster))) return started.port
      await sleep(25)
    }
    await sleep(100)
  }
  throw new Error(`the embedded database did not start; its log is ${join(home, 'postgres.log')}`)
}

/**
 * True for a process that lives and is no PostgreSQL: after a crash or in a new container its id belongs to another program,
 * and PostgreSQL would take that for a server of the same cluster. False where the command line of a process cannot be read.
 */
async function isForeign(pid: number): Promise<boolean> {
  const commandLine = await fs.readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine !== '' && !/(?:^|\/)postgres(?:\0|:|$)/.test(commandLine)
}

async function start(
  cluster: string,
  home: string,
  binaries: Binaries,
  owner: Owner | null,
  port: number,
): Promise<{ yes: boolean }> {
  const log = await fs.open(
    join(home, 'postgres.log'),
    constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY,
    0o600,
  )
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '100',
    // Parameters are personal data, and the log is a plain file.
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_min_error_statement: 'panic',
  }
  const args = ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // Detached: Ctrl-C in the terminal must reach the portal first, which stops the server when its work is done.
  const child = spawn(binaries.postgres, args, {
    ...launch(binaries, owner),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  const exited = { yes: false }
  child.once('exit', () => (exited.yes = true))
  child.once('error', () => (exited.yes = true))
  child.unref()
  await log.close()
  return exited
}

/**
 * Holds the shared advisory lock on a connection of its own, because a pool closes idle connections. When the connection breaks,
 * the server has died, and is started again.
 */
async function stay(
  find: (port: number | null) => Promise<number>,
  password: string,
  onTrouble: (error: unknown) => void,
): Promise<{ port: number; end(cluster: string): Promise<void> }> {
  let left = false
  let returning = Promise.resolve()
  // The last process to leave stops the server under its own connection, which is no trouble.
  const tell = (error: unknown) => {
    if (!left) onTrouble(error)
  }
  const watch = (present: pg.Client) => {
    present.once('end', () => {
      if (!left) returning = comeBack()
    })
    return present
  }
  const comeBack = async () => {
    while (!left) {
      try {
        // The same port, because the URLs of all processes name it.
        client = watch((await enter(async () => find(port), password, tell)).client)
        return
      } catch (error) {
        onTrouble(error)
        await sleep(500)
      }
    }
  }

  const first = await enter(async () => find(null), password, tell)
  const { port } = first
  let client = watch(first.client)
  return {
    port,
    async end(cluster) {
      left = true
      // While the server is being restarted, this process is about to take the lock again.
      await returning
      await stopUnlessUsed(client, cluster).catch(onTrouble)
      await client.end().catch(onTrouble)
    },
  }
}

/** Takes the shared lock: from here on no process that leaves stops the server. */
async function enter(
  find: () => Promise<number>,
  password: string,
  onTrouble: (error: unknown) => void,
): Promise<{ client: pg.Client; port: number }> {
  const limit = Date.now() + START_LIMIT_MS
  while (true) {
    const port = await find()
    const client = connection(port, password)
    client.on('error', onTrouble)
    try {
      await client.connect()
      await client.query('SELECT pg_advisory_lock_shared($1)', [PRESENCE])
      await createDatabase(client)
      await createRole(client, passwordOfRole(password))
      return { client, port }
    } catch (error) {
      // The last process was just stopping the server that was found.
      await client.end().catch(onTrouble)
      if (Date.now() > limit) throw error
      await sleep(25)
    }
  }
}

/** Every process shares the lock, so one that gets it exclusively is the last, and no process joins while it is held. */
async function stopUnlessUsed(client: pg.Client, cluster: string): Promise<void> {
  const running = await readPostmaster(cluster)
  await client.query('SELECT pg_advisory_unlock_shared($1)', [PRESENCE])
  const result = await client.query<{ alone: boolean }>('SELECT pg_try_advisory_lock($1) AS alone', [PRESENCE])
  if (running === null || result.rows[0]?.alone !== true) return

  process.kill(running.pid, 'SIGINT')
  const isRunning = async () => (await readPostmaster(cluster))?.pid === running.pid
  for (let tries = 0; tries < 200 && (await isRunning()); tries++) await sleep(25)
}

/** True when the server on that port is the right one: it accepts the password and has this data folder. */
async function serves(port: number, password: string, cluster: string): Promise<boolean> {
  return ask(port, password, async (client) => {
    const result = await client.query<{ data_directory: string }>('SHOW data_directory')
    return result.rows[0]?.data_directory === cluster
  }).catch(() => false)
}

async function createDatabase(client: pg.Client): Promise<void> {
  const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
  if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`).catch(unlessMade)
}

/** Creates the role, also in a cluster of a version that had one role only. Migrations grant its privileges. */
async function createRole(client: pg.Client, password: string): Promise<void> {
  const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [ROLE])
  if (found.rowCount !== 0) return
  // Several statements without values are one transaction.
  const statements = `CREATE ROLE ${ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD ${client.escapeLiteral(password)};
    REVOKE ALL ON DATABASE ${DATABASE} FROM PUBLIC; GRANT CONNECT ON DATABASE ${DATABASE} TO ${ROLE}`
  await client.query(statements).catch(unlessMade)
}

/** Another process has made it in the meantime (duplicate_database, duplicate_object, or a unique violation of the catalog). */
function unlessMade(error: unknown): void {
  if (!['42P04', '42710', '23505'].includes(codeOf(error))) throw error
}

async function ask<T>(port: number, password: string, question: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = connection(port, password)
  keepFromEndingTheProcess(client)
  await client.connect()
  try {
    return await question(client)
  } finally {
    await client.end()
  }
}

function connection(port: number, password: string): pg.Client {
  return new ScramClient({
    host: '127.0.0.1',
    port,
    user: OWNER,
    password,
    database: 'postgres',
    connectionTimeoutMillis: 2000,
    keepAlive: true,
  })
}

/** Reads postmaster.pid: the process id is on its first line, the port on the fourth. */
async function readPostmaster(cluster: string): Promise<{ pid: number; port: number } | null> {
  const text = await fs.readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  const port = Number(lines[3])
  return pid > 0 && port > 0 ? { pid, port } : null
}

function launch(binaries: Binaries, owner: Owner | null) {
  return {
    cwd: dirname(binaries.postgres),
    env: {
      LD_LIBRARY_PATH: binaries.libraries,
      LC_ALL: 'C',
      TZ: 'UTC',
      ...(process.platform === 'win32' ? process.env : {}),
    },
    ...owner,
  }
}

/** Null also for a program that does not exist. */
async function exitOf(child: ChildProcess): Promise<number | null> {
  return once(child, 'exit').then(
    ([code]) => code as number | null,
    () => null,
  )
}

async function exists(path: string): Promise<boolean> {
  return fs.access(path).then(
    () => true,
    () => false,
  )
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code)
}

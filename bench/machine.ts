import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import pg from 'pg'
import { statOf } from './processes.ts'

/** The machine and software of a measurement. */
export interface MachineWords {
  cpu: string
  cores: number
  memory_gb: number
  os: string
  node: string
  postgres: string
  redis: string | null
  pinning: string
  date: string
}

export function describeMachine(postgres: string, redis: string | null, pinning: string): MachineWords {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    os: `${distribution() ?? type()}, ${type()} ${release()}`,
    node: process.version,
    postgres,
    redis,
    pinning,
    date: new Date().toISOString().slice(0, 10),
  }
}

/** The first lines of every report. */
export function introduceMachine({
  cpu,
  cores,
  memory_gb,
  os,
  node,
  postgres,
  redis,
  pinning,
  date,
}: MachineWords): string {
  return `${cpu}, ${cores} cores, ${memory_gb} GB; ${os}; Node ${node}; PostgreSQL ${postgres}${redis === null ? '' : `; ${redis}`}; ${date}.
Cores: ${pinning}.`
}

export interface DatabaseServer {
  /** Its version and durability settings. */
  words: string
  /** Its first process; null on another machine, or where the operating system does not report it. */
  pid: number | null
}

export async function lookAtDatabase(url: string): Promise<DatabaseServer> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ version: string; fsync: string; commit: string; backend: number }>(
      `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
         current_setting('synchronous_commit') AS commit, pg_backend_pid() AS backend`,
    )
    const [row] = rows
    if (row === undefined) throw new Error('PostgreSQL does not say what it is')
    // On another machine the same number is another process, or none.
    const backend = statOf(row.backend)
    return {
      words: `${row.version}, fsync=${row.fsync}, synchronous_commit=${row.commit}`,
      pid: backend?.name.startsWith('postgres') === true ? backend.parent : null,
    }
  } finally {
    await client.end()
  }
}

function distribution(): string | null {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}

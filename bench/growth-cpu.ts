import { readdirSync, readFileSync } from 'node:fs'
import type pg from 'pg'

/** Linux counts in hundredths of a second. */
const MICROSECONDS_PER_TICK = 10_000

interface ProcessTimes {
  parent: number
  own: number
  /** Of children that have ended. */
  reaped: number
}

/** Processor time (µs) that a process has used so far; NaN where there is no /proc. */
export function cpuOf(pid: number): number {
  const times = read(pid)
  return times === null ? Number.NaN : times.own * MICROSECONDS_PER_TICK
}

/** The same of a server with all its children, those that have ended as well. */
export function cpuOfTree(pid: number): number {
  const root = read(pid)
  if (root === null) return Number.NaN
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => read(Number(name)))
    .filter((times) => times !== null && times.parent === pid)
  const ticks = children.reduce((sum, child) => sum + (child?.own ?? 0), root.own + root.reaped)
  return ticks * MICROSECONDS_PER_TICK
}

/** The server behind a connection, when it is on this machine. */
export async function findPostmaster(db: pg.Client): Promise<number> {
  const result = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return read(result.rows[0]?.pid as number)?.parent ?? -1
}

function read(pid: number): ProcessTimes | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name before it may hold anything, brackets and spaces too.
    const fields: number[] = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const field = (number: number) => fields[number - 3] ?? Number.NaN
    return { parent: field(4), own: field(14) + field(15), reaped: field(16) + field(17) }
  } catch {
    return null
  }
}

import { median, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { table, whole } from '../markdown.ts'
import type { Memory } from './memory.ts'

export interface Start {
  readyMs: number
  /** Null where it was not measured. */
  memory: Memory | null
}

export interface Spread {
  median: number
  least: number
  most: number
}

export interface StartResult {
  name: string
  starts: number
  /** From the start of the process to the first 200 of /readyz. */
  ready_ms: Spread
  /** Idle since; null where the operating system does not report it, or there is no such process. */
  rss_mb: Spread | null
  pss_mb: Spread | null
  database_pss_mb: Spread | null
}

export function resultOf(name: string, starts: Start[]): StartResult {
  const memory = (figure: keyof Memory) => spreadOf(starts.flatMap((start) => start.memory?.[figure] ?? []))
  return {
    name,
    starts: starts.length,
    ready_ms: spreadOf(starts.map(({ readyMs }) => readyMs)) as Spread,
    rss_mb: memory('rss_mb'),
    pss_mb: memory('pss_mb'),
    database_pss_mb: memory('database_pss_mb'),
  }
}

export function describeStarts(
  machine: MachineWords,
  coldMs: number,
  results: StartResult[],
  settleSeconds: number,
): string {
  const starts = results[0]?.starts ?? 0
  return `${introduceMachine(machine)}
${starts} starts of each, in turns; median (least–most). Memory ${settleSeconds} s after the start, without a request: RSS of a portal that is one process, PSS of all its processes, PSS of the embedded PostgreSQL.
Node's compile cache is in a folder of its own here, filled by one start of each that does not count. Before that, on PostgreSQL with nothing in the cache: ${whole(coldMs)} ms.

${table(
  ['start', '/readyz ms', 'RSS MB', 'PSS MB', 'database PSS MB'],
  results.map((result) => [
    result.name,
    words(result.ready_ms),
    words(result.rss_mb),
    words(result.pss_mb),
    words(result.database_pss_mb),
  ]),
)}`
}

/** Null when there is nothing. */
function spreadOf(values: number[]): Spread | null {
  if (values.length === 0) return null
  return {
    median: rounded(median(values), 1),
    least: rounded(Math.min(...values), 1),
    most: rounded(Math.max(...values), 1),
  }
}

function words(spread: Spread | null): string {
  if (spread === null) return '–'
  const { median, least, most } = spread
  return least === most ? whole(median) : `${whole(median)} (${whole(least)}–${whole(most)})`
}

import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { CoresChoice } from './options.ts'

/** CPU pinning: which cores each process may use. */
export interface Cores {
  /** The command prefix of a measured program; empty without pinning. */
  prefix: string[]
  /** The method, for the report. */
  words: string
}

/**
 * Gives the measured process the first cores (usually one) exclusively. The load generator and, because children inherit it,
 * the stores it starts from now on share the others.
 */
export function pinCores(choice: CoresChoice, measured = 1): Cores {
  const count = cpus().length
  if (choice === 'none') return { prefix: [], words: 'nothing pinned: everything shares all cores' }
  if (count <= measured) return { prefix: [], words: `nothing pinned: there are no more than ${count} cores` }
  try {
    const others = range(measured, count - 1)
    execFileSync('taskset', ['-apc', others, String(process.pid)], { stdio: 'ignore' })
    return {
      prefix: onFirstCores(measured),
      words: `whatever is measured alone on core ${range(0, measured - 1)}; PostgreSQL, Redis and the load generator on core ${others}`,
    }
  } catch {
    return { prefix: [], words: 'nothing pinned: taskset is not here or may not pin' }
  }
}

/** The command prefix of a program that runs on this many of the first cores. */
export function onFirstCores(count: number): string[] {
  return ['taskset', '-c', range(0, count - 1)]
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`
}

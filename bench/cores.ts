import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { CoresChoice } from './options.ts'

/** Which cores whom the harness lets run on. */
export interface Cores {
  /** In front of a program that is measured; empty where nothing is pinned. */
  prefix: string[]
  /** What was done, for whoever reads the figures. */
  words: string
}

/**
 * Gives whatever is measured the first cores (usually one) for itself; the load generator and, because children inherit it,
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

/** In front of a program that is to run on so many of the first cores. */
export function onFirstCores(count: number): string[] {
  return ['taskset', '-c', range(0, count - 1)]
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`
}

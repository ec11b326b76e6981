import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'

/** Which cores whom the harness lets run on. */
export interface Cores {
  /** In front of a program that is measured; empty where nothing is pinned. */
  prefix: string[]
  /** What was done, for whoever reads the figures. */
  words: string
}

/**
 * Gives whatever is measured the first core for itself; the load generator and, because children inherit it, the stores it
 * starts from now on share the others.
 */
export function pinCores(choice: 'pin' | 'none'): Cores {
  const count = cpus().length
  if (choice === 'none') return { prefix: [], words: 'nothing pinned, as asked' }
  if (count < 2) return { prefix: [], words: 'nothing pinned: there is one core for everything' }
  try {
    const others = count === 2 ? '1' : `1-${count - 1}`
    execFileSync('taskset', ['-apc', others, String(process.pid)], { stdio: 'ignore' })
    return {
      prefix: ['taskset', '-c', '0'],
      words: `each subject alone on core 0; PostgreSQL, Redis and the load generator on ${count === 2 ? 'core 1' : `cores ${others}`}`,
    }
  } catch {
    return { prefix: [], words: 'nothing pinned: taskset is not here or may not pin' }
  }
}

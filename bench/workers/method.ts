import { cpus } from 'node:os'
import { type Cores, onFirstCores, pinCores } from '../cores.ts'
import { whyNoCpuQuota } from './cpu-quota.ts'

/** How every worker is given the same CPU, so that two can be compared with one. */
export interface Method {
  /** How much of a core a worker may use; null for as much as it gets, which compares nothing but the cost of a request. */
  share: number | null
  /** Whether the kernel has to keep it to that, because it has no core to itself. */
  hasQuota: boolean
  /** The numbers of workers that are compared; the first is 1. */
  counts: number[]
  /** In front of a portal of so many workers. */
  prefixFor(workers: number): string[]
  words: string
}

/** The load generator and PostgreSQL. */
const OTHER_CORES = 2
/** Of a core: two of these, PostgreSQL and the load generator leave something of two cores. */
const QUOTA = 0.25

/** Cores where there are enough; else quotas; else neither. Pins this process and what it starts from now on. */
export async function chooseMethod(): Promise<Method> {
  const counts = [1, 2, 4].filter((count) => count + OTHER_CORES <= cpus().length)
  if (counts.length > 1) {
    const most = counts.at(-1) as number
    const cores: Cores = pinCores('pin', most)
    if (cores.prefix.length > 0)
      return {
        share: 1,
        hasQuota: false,
        counts,
        prefixFor: onFirstCores,
        words: `${cores.words}; a core for each worker`,
      }
  }
  const missing = await whyNoCpuQuota()
  const shared = { counts: [1, 2], prefixFor: () => [] }
  if (missing === null)
    return {
      ...shared,
      share: QUOTA,
      hasQuota: true,
      words: `all shared, because ${cpus().length} cannot be parted between workers and load; every worker may use ${QUOTA * 100} % of one (cgroup)`,
    }
  return {
    ...shared,
    share: null,
    hasQuota: false,
    words: `all shared, so only the CPU of a request compares: there are no ${2 + OTHER_CORES} cores, and no quotas (${missing})`,
  }
}

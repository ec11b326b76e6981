import { cpus } from 'node:os'
import { type Cores, onFirstCores, pinCores } from '../cores.ts'
import { whyNoCpuQuota } from './cpu-quota.ts'

/** How every worker gets the same CPU, so that two can be compared with one. */
export interface Method {
  /** The share of a core that a worker may use; null without a limit, which compares only the cost of a request. */
  share: number | null
  /** Whether the kernel must enforce it, because a worker has no core to itself. */
  hasQuota: boolean
  /** The compared numbers of workers; the first is 1. */
  counts: number[]
  /** The command prefix of a portal with this many workers. */
  prefixFor(workers: number): string[]
  words: string
}

/** The load generator and PostgreSQL. */
const OTHER_CORES = 2
/** Share of a core: two workers, PostgreSQL and the load generator leave some of two cores idle. */
const QUOTA = 0.25

/** Cores where there are enough; else quotas; else neither. Pins this process and its later children. */
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

import { setTimeout as sleep } from 'node:timers/promises'
import type { JobWithMetadata, PgBoss } from 'pg-boss'

/** Jobs in hand at once. */
const AT_ONCE = 100
/** A stop waits so long (ms) for the jobs in hand; those that take longer are handed out again when they expire. */
const STOP_LIMIT_MS = 10_000

type Boss = Pick<PgBoss, 'fetch' | 'complete' | 'fail'>
type Job = Pick<JobWithMetadata, 'id' | 'data' | 'retryCount'>

/** What becomes of a job; what throws is tried again, too. */
export type JobOutcome = 'done' | 'again'

export interface Lanes {
  /** Takes nothing new, and lets what is in hand finish. */
  stop(): Promise<void>
}

/**
 * Does the jobs of a queue, many at once, each without waiting for any other; where the queue keeps an order, it hands out
 * the next of a lane when the one before is done. It is looked at every `pollMs`, and when something is done.
 */
export function workLanes(
  boss: Boss,
  queue: string,
  handler: (payload: unknown) => Promise<JobOutcome>,
  { pollMs, onError }: { pollMs: number; onError: (error: Error) => void },
): Lanes {
  const inHand = new Set<Promise<void>>()
  let isStopping = false
  let wake = () => {}

  async function run(): Promise<void> {
    while (!isStopping) {
      const woken = new Promise<void>((resolve) => (wake = resolve))
      const timer = setTimeout(wake, pollMs)
      for (const job of await fetch()) begin(job)
      await woken
      clearTimeout(timer)
    }
  }

  async function fetch(): Promise<Job[]> {
    const batchSize = AT_ONCE - inHand.size
    if (batchSize === 0) return []
    try {
      return await boss.fetch(queue, { batchSize })
    } catch (error) {
      onError(error as Error)
      return []
    }
  }

  function begin(job: Job): void {
    const work = settle(job)
      .catch(onError)
      .finally(() => {
        inHand.delete(work)
        wake()
      })
    inHand.add(work)
  }

  /** What cannot be settled because the database is away is handed out again when it expires. */
  async function settle(job: Job): Promise<void> {
    if ((await outcomeOf(job)) === 'done') await boss.complete(queue, job)
    else await boss.fail(queue, job)
  }

  async function outcomeOf(job: Job): Promise<JobOutcome> {
    try {
      return await handler(job.data)
    } catch (error) {
      onError(error as Error)
      return 'again'
    }
  }

  const running = run()
  return {
    async stop() {
      isStopping = true
      wake()
      await running
      const limit = new AbortController()
      await Promise.race([Promise.all(inHand), sleep(STOP_LIMIT_MS, undefined, limit).catch(() => {})])
      limit.abort()
    },
  }
}

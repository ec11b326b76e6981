import { setTimeout as sleep } from 'node:timers/promises'
import type { JobWithMetadata, PgBoss } from 'pg-boss'

/** A stop waits so long (ms) for the jobs in hand; those that take longer are handed out again when they expire. */
const STOP_LIMIT_MS = 10_000

type Boss = Pick<PgBoss, 'fetch' | 'complete' | 'fail'>
type Job = Pick<JobWithMetadata, 'id' | 'data' | 'retryCount'>

/** What becomes of a job; what throws is tried again, too. */
export type JobOutcome = 'done' | 'again'

export interface JobWorker {
  /** Takes nothing new, and lets what is in hand finish. */
  stop(): Promise<void>
}

export interface Pace {
  /** How often the queue is looked at (ms), beside whenever a job is done. */
  everyMs: number
  /** Jobs in hand at most. */
  atOnce: number
}

/**
 * Does the jobs of a queue, several at once, each without waiting for any other; where the queue keeps an order, it hands
 * out the next of a key when the one before is done.
 */
export function startJobWorker(
  boss: Boss,
  queue: string,
  { everyMs, atOnce }: Pace,
  handler: (payload: unknown, id: string) => Promise<JobOutcome>,
  onError: (error: Error) => void,
): JobWorker {
  const inHand = new Set<Promise<void>>()
  let isStopping = false
  let wake = () => {}

  async function run(): Promise<void> {
    while (!isStopping) {
      const woken = new Promise<void>((resolve) => (wake = resolve))
      const timer = setTimeout(wake, everyMs)
      for (const job of await fetch()) begin(job)
      await woken
      clearTimeout(timer)
    }
  }

  async function fetch(): Promise<Job[]> {
    const batchSize = atOnce - inHand.size
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
      return await handler(job.data, job.id)
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

import { setTimeout as sleep } from 'node:timers/promises'
import type { JobWithMetadata, PgBoss } from 'pg-boss'

/** A graceful stop waits so long (ms) for the running jobs; those that take longer run again when they expire. */
const STOP_LIMIT_MS = 10_000

type Boss = Pick<PgBoss, 'fetch' | 'complete' | 'fail'>
type Job = Pick<JobWithMetadata, 'id' | 'data' | 'retryCount'>

/** The outcome of a job. One that throws is retried, too. */
export type JobOutcome = 'done' | 'again'

/** `tries` is how often the job was tried before. */
export type JobHandler = (payload: unknown, id: string, tries: number) => Promise<JobOutcome>

export interface JobWorker {
  /** Fetches no more jobs, and lets the running ones finish. */
  stop(): Promise<void>
}

export interface Pace {
  /** How often the queue is polled (ms), besides each time a job is done. */
  everyMs: number
  /** Running jobs at most. */
  atOnce: number
}

/**
 * Works the jobs of a queue, several at once, independently. In a queue with ordering keys, the next job of a key is fetched when
 * the one before is done.
 */
export function startJobWorker(
  boss: Boss,
  queue: string,
  { everyMs, atOnce }: Pace,
  handler: JobHandler,
  onError: (error: Error) => void,
): JobWorker {
  const running = new Set<Promise<void>>()
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
    const batchSize = atOnce - running.size
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
        running.delete(work)
        wake()
      })
    running.add(work)
  }

  /** A job whose outcome cannot be stored, because the database is unavailable, runs again when it expires. */
  async function settle(job: Job): Promise<void> {
    if ((await outcomeOf(job)) === 'done') await boss.complete(queue, job)
    else await boss.fail(queue, job)
  }

  async function outcomeOf(job: Job): Promise<JobOutcome> {
    try {
      return await handler(job.data, job.id, job.retryCount)
    } catch (error) {
      onError(error as Error)
      return 'again'
    }
  }

  const loop = run()
  return {
    async stop() {
      isStopping = true
      wake()
      await loop
      const limit = new AbortController()
      await Promise.race([Promise.all(running), sleep(STOP_LIMIT_MS, undefined, limit).catch(() => {})])
      limit.abort()
    },
  }
}

import { randomUUID } from 'node:crypto'
import type { PgBoss } from 'pg-boss'
import { type JobOutcome, type JobWorker, type Pace, startJobWorker } from './job-worker.ts'
import { currentSchema, type Queryable } from './postgres.ts'
import { asPgBossSchema, queueSchemaOf } from './queue-tables.ts'

/** Work that must be done, if need be later and again: it is written down in the database, with whatever it belongs to. */
export interface Jobs {
  /** Puts a job in its queue, for now or later; inside a transaction it is there when, and only when, that commits. */
  put(queue: QueueName, payload: object, db?: Queryable, afterSeconds?: number): Promise<void>
  /** Several at once; those with one key are done in their order, the next when the one before is done. */
  putAll(queue: QueueName, jobs: { payload: object; key: string }[], db: Queryable): Promise<void>
  /**
   * Does the jobs of a queue as they come, those with one key one after the other. What throws, or wants to, is tried
   * again, later each time, until the queue gives up; any number of processes share the work.
   */
  work(queue: QueueName, pace: Pace, handler: (payload: unknown, id: string) => Promise<JobOutcome>): Promise<void>
  /** Lets the jobs in hand finish. */
  close(): Promise<void>
}

export type QueueName = keyof typeof QUEUES

const HOUR = 3600
/** Retries begin after half a minute and double up to six hours, so a mail server may be away for three days. */
const QUEUES = {
  mail: {
    retryLimit: 20,
    retryDelay: 30,
    retryBackoff: true,
    retryDelayMax: 6 * HOUR,
    // A process that was killed with a mail in hand may have sent it: once more is better than not at all.
    expireInSeconds: 120,
    // Addresses are in it, which nobody needs once the mail has left.
    deleteAfterSeconds: HOUR,
    retentionSeconds: 7 * 24 * HOUR,
  },
  notices: {
    policy: 'key_strict_fifo',
    // Whoever delivers decides when to give up: a job that fails for good would hold up those behind it for ever.
    retryLimit: 1_000_000,
    retryDelay: 1,
    retryBackoff: true,
    retryDelayMax: HOUR,
    // Longer than any app is given to answer.
    expireInSeconds: 30,
    deleteAfterSeconds: HOUR,
    retentionSeconds: 30 * 24 * HOUR,
  },
  // Those that an app refuses although it answers: out of the way of the others, in no order.
  'late-notices': {
    retryLimit: 1_000_000,
    retryDelay: 60,
    retryBackoff: true,
    retryDelayMax: 24 * HOUR,
    expireInSeconds: 30,
    deleteAfterSeconds: HOUR,
    retentionSeconds: 30 * 24 * HOUR,
  },
}

/** What a process that was killed had in hand is looked for this often (seconds), beside its time to expire. */
const EXPIRED_EVERY = 10
/** What is done is deleted this often (seconds), once its time is over. */
const DELETED_EVERY = 600

/** The queues of pg-boss, which begin when they are first needed; their tables are made with all others. */
export function openJobs(db: Queryable, onError: (error: Error) => void): Jobs {
  let opened: Promise<PgBoss> | null = null
  const workers: JobWorker[] = []
  const boss = async () => {
    // A failure must not stay: the database may be back.
    opened ??= open(db, onError).catch((error: unknown) => {
      opened = null
      throw error
    })
    return opened
  }

  return {
    async put(queue, payload, within, startAfter = 0) {
      await (await boss()).send(queue, payload, { startAfter, ...(within && { db: asPgBoss(within) }) })
    },
    async putAll(queue, jobs, within) {
      // What is queued in one moment is done in the order of its ids.
      const ids = jobs.map(() => randomUUID()).toSorted()
      const rows = jobs.map(({ payload: data, key: singletonKey }, index) => {
        return { id: ids[index] as string, data, singletonKey }
      })
      await (await boss()).insert(queue, rows, { db: asPgBoss(within) })
    },
    async work(queue, pace, handler) {
      workers.push(startJobWorker(await boss(), queue, pace, handler, onError))
    },
    async close() {
      const stopped = (await opened)?.stop({ graceful: true, close: false, timeout: 10_000 })
      await Promise.all([stopped, ...workers.map(async (each) => each.stop())])
    },
  }
}

async function open(db: Queryable, onError: (error: Error) => void): Promise<PgBoss> {
  // Loaded when something is first queued or done, because most commands do neither.
  const { PgBoss } = await import('pg-boss')
  const boss = new PgBoss({
    db: asPgBoss(db),
    schema: asPgBossSchema(queueSchemaOf(await currentSchema(db))),
    // The role of a running portal may not change tables.
    migrate: false,
    schedule: false,
    persistWarnings: false,
    superviseIntervalSeconds: EXPIRED_EVERY,
    monitorIntervalSeconds: EXPIRED_EVERY,
    maintenanceIntervalSeconds: DELETED_EVERY,
  })
  boss.on('error', onError)
  await boss.start()
  for (const [name, options] of Object.entries(QUEUES)) {
    await boss.createQueue(name, options)
    // What it knows of a queue it reads once, and that must not be in the middle of a transaction that holds a connection.
    await boss.getQueueStats(name)
  }
  return boss
}

function asPgBoss(db: Queryable) {
  return { executeSql: async (text: string, values?: unknown[]) => db.query(text, values) }
}

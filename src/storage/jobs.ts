import { randomUUID } from 'node:crypto'
import type { PgBoss } from 'pg-boss'
import { type JobHandler, type JobWorker, type Pace, startJobWorker } from './job-worker.ts'
import { currentSchema, type Queryable } from './postgres.ts'
import { asPgBossSchema, queueSchemaOf } from './queue-tables.ts'

/**
 * The transactional outbox: a job (a mail, a back-channel notification) is queued in the transaction of the change that causes
 * it, and worked at least once, with retries and exponential backoff.
 */
export interface Jobs {
  /** Queues a job, for now or later. Inside a transaction `db` it exists if, and only if, that commits. */
  put(queue: QueueName, payload: object, db?: Queryable, afterSeconds?: number): Promise<void>
  /** Queues several. `key` is the ordering key (FIFO group): jobs with one key are worked in order, one at a time. */
  putAll(queue: QueueName, jobs: { payload: object; key: string }[], db: Queryable): Promise<void>
  /**
   * Works the jobs of a queue, those with one ordering key one after the other. A job that throws or answers `again` is retried
   * with exponential backoff, until the retry limit. Any number of processes share the work.
   */
  work(queue: QueueName, pace: Pace, handler: JobHandler): Promise<void>
  /** How many jobs of a queue wait or run, `limit` at most, and since when the oldest does. */
  countOpen(queue: QueueName, limit: number): Promise<{ count: number; oldest: Date | null }>
  /** Lets the running jobs finish (graceful shutdown). */
  close(): Promise<void>
}

export type QueueName = keyof typeof QUEUES

const HOUR = 3600
/** A mail is tried so often again. */
export const MAIL_RETRIES = 20
/** Retries of mails begin after half a minute and double up to six hours, so a mail server may be down for three days. */
const QUEUES = {
  mail: {
    retryLimit: MAIL_RETRIES,
    retryDelay: 30,
    retryBackoff: true,
    retryDelayMax: 6 * HOUR,
    // At least once: a process that was killed while it sent a mail may have sent it already.
    expireInSeconds: 120,
    // The jobs contain e-mail addresses, so they are deleted soon after the mail was sent.
    deleteAfterSeconds: HOUR,
    retentionSeconds: 7 * 24 * HOUR,
  },
  // Back-channel notifications, in order for each ordering key.
  notices: {
    policy: 'key_strict_fifo',
    // The delivery decides when to give up: in pg-boss, a failed job would block the later ones of its key for ever.
    retryLimit: 1_000_000,
    retryDelay: 1,
    retryBackoff: true,
    retryDelayMax: HOUR,
    // Longer than the timeout of a request to an app.
    expireInSeconds: 30,
    deleteAfterSeconds: HOUR,
    retentionSeconds: 30 * 24 * HOUR,
  },
  // The dead-letter queue: notifications that an app has refused several times although it answers. They are retried without
  // order, so that they do not block later ones, until they are given up. An operator can resend those.
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

/** How often the jobs of killed processes are looked for (seconds), after they have expired. */
const EXPIRED_EVERY = 10
/** How often finished jobs are deleted (seconds), once their retention is over. */
const DELETED_EVERY = 600

/** The queues of pg-boss, which starts when it is first needed. Migrations create its tables. */
export function openJobs(db: Queryable, onError: (error: Error) => void): Jobs {
  let opened: Promise<PgBoss> | null = null
  const workers: JobWorker[] = []
  const boss = async () => {
    // A failed start is tried again: the database may be available later.
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
      // Jobs that are queued at the same moment are worked in the order of their ids.
      const ids = jobs.map(() => randomUUID()).toSorted()
      const rows = jobs.map(({ payload: data, key: singletonKey }, index) => {
        return { id: ids[index] as string, data, singletonKey }
      })
      await (await boss()).insert(queue, rows, { db: asPgBoss(within) })
    },
    async work(queue, pace, handler) {
      workers.push(startJobWorker(await boss(), queue, pace, handler, onError))
    },
    async countOpen(queue, limit) {
      const schema = asPgBossSchema(queueSchemaOf(await currentSchema(db)))
      const { rows } = await db.query<{ count: number; oldest: Date | null }>(
        `SELECT count(*)::int AS count, min(created_on) AS oldest FROM (
           SELECT created_on FROM ${schema}.job WHERE name = $1 AND state <= 'active' LIMIT $2) open`,
        [queue, limit],
      )
      return rows[0] ?? { count: 0, oldest: null }
    },
    async close() {
      const stopped = (await opened)?.stop({ graceful: true, close: false, timeout: 10_000 })
      await Promise.all([stopped, ...workers.map(async (each) => each.stop())])
    },
  }
}

async function open(db: Queryable, onError: (error: Error) => void): Promise<PgBoss> {
  // Loaded when a job is first queued or worked, because most commands do neither.
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
    // pg-boss reads the settings of a queue once. That must not happen inside a transaction that holds a connection.
    await boss.getQueueStats(name)
  }
  return boss
}

function asPgBoss(db: Queryable) {
  return { executeSql: async (text: string, values?: unknown[]) => db.query(text, values) }
}

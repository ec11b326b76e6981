import type { Store } from 'express-session'
import type { Logger } from '../logger.ts'
import { postgresBrowserSessions, redisBrowserSessions } from './browser-sessions.ts'
import { type Codes, postgresCodes, redisCodes } from './authorization-codes.ts'
import { type Counters, postgresCounters, redisCounters } from './counters.ts'
import { schemaOf, settleTls } from './database-url.ts'
import { startEmbedded } from './embedded/embedded.ts'
import { type ProtocolRecords, postgresProtocolRecords, redisProtocolRecords } from './protocol-records.ts'
import { type Jobs, openJobs } from './jobs.ts'
import { migrate } from './migrations.ts'
import { checkSessions, type Database, openPostgres, outcomeOf } from './postgres.ts'
import { openRedis } from './redis.ts'
import { observeRedis, type StoreObserver } from './store-observer.ts'

export interface Storage extends Database {
  protocolRecords: ProtocolRecords
  codes: Codes
  counters: Counters
  browserSessions: Store
  jobs: Jobs
  /** The stores; `ping` rejects while one does not answer. */
  stores: { name: 'postgres' | 'redis'; ping(): Promise<unknown> }[]
  /** Resolves when every store answers. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface StorageOptions {
  /** Null starts the embedded database in `dataDir`. */
  databaseUrl: string | null
  /** Of the owner of the tables, when the role of `databaseUrl` may not change them. */
  migrationUrl: string | null
  redisUrl: string | null
  dataDir: string
  logger: Logger
  clock: () => Date
  storeTimeoutMs: number
  /** Left out, the retention of the audit log stays as the database has it. */
  lifetimes?: { auditRetention: number | null }
  /** False where the URL leads through a pooler that loses prepared statements. */
  preparedStatements?: boolean
  /** The query timeout (ms) of commands and workers; without it, the same as the connection timeout. */
  queryTimeoutMs?: number
  observer?: StoreObserver
}

/** Opens every store, with the database's migrations applied. */
export async function openStorage({
  databaseUrl,
  migrationUrl,
  redisUrl,
  dataDir,
  logger,
  clock,
  storeTimeoutMs,
  lifetimes,
  preparedStatements = true,
  queryTimeoutMs = storeTimeoutMs,
  observer,
}: StorageOptions): Promise<Storage> {
  const embedded =
    databaseUrl === null
      ? await startEmbedded(dataDir, (error) => logger.warn({ error }, 'the embedded database is looked for again'))
      : null
  const url = embedded?.url ?? (await settleTls(databaseUrl as string))
  const ownerUrl = embedded?.ownerUrl ?? (migrationUrl === null ? url : await settleTls(migrationUrl))
  const applied = await migrate(ownerUrl, { portalUrl: url, auditRetention: lifetimes?.auditRetention })
  if (applied.length > 0) logger.info({ migrations: applied }, 'migrations applied')

  const { pool, prisma, close } = openPostgres(
    url,
    (error) => logger.warn({ error }, 'a database connection broke'),
    { connection: storeTimeoutMs, query: queryTimeoutMs },
    { preparedStatements, observer },
  )
  const schema = await checkSessions(pool, { schema: schemaOf(url) }).catch(async (error: unknown) => {
    await close()
    await embedded?.leave()
    throw error
  })
  const redis =
    redisUrl === null ? null : await openRedis(redisUrl, (error) => logger.warn({ error }, 'Redis does not answer'))

  if (redis !== null && observer !== undefined)
    observeRedis(redis, (error, seconds) => observer.answered('redis', outcomeOf(error), seconds))

  const jobs = openJobs(pool, (error) => logger.warn({ error }, 'the job queue failed; it tries again'))

  const protocolRecords = redis === null ? postgresProtocolRecords(pool, clock) : redisProtocolRecords(redis)

  const stores: Storage['stores'] = [{ name: 'postgres', ping: async () => pool.query('SELECT 1') }]
  if (redis !== null) stores.push({ name: 'redis', ping: async () => redis.ping() })

  return {
    pool,
    stores,
    prisma: () => prisma(schema),
    jobs,
    protocolRecords,
    codes: redis === null ? postgresCodes(pool) : redisCodes(pool, protocolRecords),
    counters:
      redis === null
        ? postgresCounters(pool)
        : redisCounters(redis, (error) =>
            logger.warn({ error }, 'Redis does not answer; this process counts for itself'),
          ),
    browserSessions:
      redis === null
        ? postgresBrowserSessions(pool, (error) => logger.warn({ error }, 'the session store failed'))
        : redisBrowserSessions(redis),
    async ping() {
      await Promise.all(stores.map(async ({ ping }) => ping()))
    },
    async close() {
      await jobs.close()
      redis?.disconnect()
      await close()
      await embedded?.leave()
    },
  }
}

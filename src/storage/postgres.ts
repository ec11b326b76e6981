import pg from 'pg'
import type { PrismaClient } from './client/client.ts'
import { withSchema } from './database-url.ts'
import { clientClassOf, withoutPreparedStatements } from './embedded/scram-client.ts'
import { observedClient, observePool, type StoreObserver, type StoreOutcome } from './store-observer.ts'

export interface Postgres {
  pool: pg.Pool
  /** For rare queries. It is loaded when it is first needed, because it costs a process 30 MB. */
  prisma(schema?: string): Promise<PrismaClient>
  close(): Promise<void>
}

/** The pool, and Prisma on it. */
export type Database = Pick<Postgres, 'pool' | 'prisma'>

/** What a query needs: the pool, or the one connection of a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

/** The query timeout of commands (ms): one may end a hundred thousand families. */
export const OPERATOR_TIMEOUT_MS = 600_000

export interface PostgresOptions {
  /** False where a pooler gives each transaction another connection of the server. */
  preparedStatements?: boolean
  observer?: StoreObserver | undefined
}

/**
 * One pool serves Prisma and the named statements of the hot paths. `onError` is called when an idle connection breaks;
 * `timeouts` limit a connection and a query (ms), also when the server hangs instead of refusing.
 */
export function openPostgres(
  url: string,
  onError: (error: Error) => void,
  timeouts: { connection: number; query: number },
  { preparedStatements = true, observer }: PostgresOptions = {},
): Postgres {
  const Client = preparedStatements ? clientClassOf(url) : withoutPreparedStatements(clientClassOf(url))
  const report = (error: unknown, seconds: number) => observer?.answered('postgres', outcomeOf(error), seconds)
  const pool = new pg.Pool({
    Client: observer === undefined ? Client : observedClient(Client, report),
    connectionString: withSchema(url),
    max: 10,
    connectionTimeoutMillis: timeouts.connection,
    query_timeout: timeouts.query,
    application_name: `gatehouse/${process.pid}`,
  })
  if (observer !== undefined) observePool(pool, (seconds) => observer.waited(seconds))
  pool.on('error', onError)
  pool.on('connect', keepFromEndingTheProcess)
  let prisma: Promise<PrismaClient> | null = null

  return {
    pool,
    prisma: (schema = 'public') => (prisma ??= openPrisma(pool, schema)),
    async close() {
      await (await prisma)?.$disconnect()
      await pool.end()
    },
  }
}

async function openPrisma(pool: pg.Pool, schema: string): Promise<PrismaClient> {
  const [{ PrismaPg }, { PrismaClient }] = await Promise.all([
    import('@prisma/adapter-pg'),
    import('./client/client.ts'),
  ])
  // Prisma writes the name of the schema into its statements.
  return new PrismaClient({ adapter: new PrismaPg(pool, { schema }) })
}

/** The schema that everything is in. @throws DatabaseUnfit where there is none */
export async function currentSchema(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ schema: string | null }>('SELECT current_schema() AS schema')
  const schema = rows[0]?.schema ?? null
  if (schema === null)
    throw new DatabaseUnfit('the search_path of the role of the database names no schema that exists')
  return schema
}

/** The database cannot be used the way it is connected; the message says what to change. */
export class DatabaseUnfit extends Error {}

/**
 * Fails where the connections of the pool do not keep what belongs to a session: prepared statements, which PgBouncer before
 * 1.21 loses between transactions, and the schema of the URL, which it may ignore.
 * @returns the schema that they are in
 */
export async function checkSessions(pool: pg.Pool, { schema }: { schema: string | null }): Promise<string> {
  const current = await currentSchema(pool)
  if (schema !== null && schema !== current)
    throw new DatabaseUnfit(
      `the connections of DATABASE_URL are in schema ${current}, not in ${schema} as it says: behind a pooler, set it with ALTER ROLE … SET search_path`,
    )
  const [one, other] = await Promise.all([pool.connect(), pool.connect()])
  try {
    // A server's connection that both have in turn would be asked for the statement of the other one, under its name.
    for (const [client, answer] of [
      [one, 1],
      [other, 2],
      [one, 1],
      [other, 2],
    ] as const)
      await client.query({ name: 'session-check', text: `SELECT ${answer}` })
    return current
  } catch (error) {
    if (!LOST_STATEMENT.has(codeOf(error) ?? '')) throw error
    throw new DatabaseUnfit(
      'DATABASE_URL leads through a connection pooler in transaction mode, such as PgBouncer, which loses prepared statements: set PREPARED_STATEMENTS=off, or connect to PostgreSQL itself',
      { cause: error },
    )
  } finally {
    one.release()
    other.release()
  }
}

/** SQLSTATEs: duplicate_prepared_statement, invalid_sql_statement_name. */
const LOST_STATEMENT = new Set(['42P05', '26000'])

/**
 * A client that emits `error` without a listener ends the process. The pool listens only while a client is idle: it stops
 * in the moment it hands a client out, and a promise of it resolves later than an error in the same packet is emitted.
 * So each client has one listener more, from before it is first handed out. It has nothing to do: the query in hand, or
 * the next one, fails with this error.
 */
export function keepFromEndingTheProcess(client: Pick<pg.ClientBase, 'on'>): void {
  client.on('error', () => {})
}

/** Runs `work` in one transaction on one connection; an error that it throws rolls everything back. */
export async function transaction<T>(pool: pg.Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const acts: (() => void)[] = []
  waiting.set(client, acts)
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    for (const act of acts) act()
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    waiting.delete(client)
    client.release(broken)
  }
}

/** Runs `work` in one transaction that changes nothing, and sees the database as it is when it begins. */
export async function snapshot<T>(pool: pg.Pool, work: (db: Queryable) => Promise<T>): Promise<T> {
  return transaction(pool, async (db) => {
    await db.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
    return work(db)
  })
}

/** Runs `act` once the transaction of this connection has committed; never when it is rolled back. */
export function afterCommit(db: Queryable, act: () => void): void {
  const acts = waiting.get(db)
  if (acts === undefined) throw new Error('there is no transaction to wait for')
  acts.push(act)
}

/** By the connection of each open transaction. */
const waiting = new WeakMap<Queryable, (() => void)[]>()

/** True when a unique index refused the row (SQLSTATE 23505, Prisma's P2002). */
export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === '23505' || codeOf(error) === 'P2002'
}

/** What became of a statement or command that failed with this, or with nothing. */
export function outcomeOf(error: unknown): StoreOutcome {
  if (error === null || error === undefined) return 'ok'
  return isUnavailable(error) ? 'unavailable' : 'refused'
}

/** True when a store is unavailable (503): the same request may succeed later. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError && error.errors.some(isUnavailable)) return true
  const code = codeOf(error)
  return (
    (code !== null && UNAVAILABLE_CODES.test(code)) ||
    UNAVAILABLE_MESSAGES.test(error.message) ||
    (error.cause !== undefined && isUnavailable(error.cause))
  )
}

// Sockets; SQLSTATE classes 08 (connection), 53 (resources), 57P (shutdown), 40 (serialization) and 58 (system), a statement or a
// lock that took too long, and a standby that takes no writes, as after a failover; Prisma's connection errors.
const UNAVAILABLE_CODES =
  /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENOENT_SOCKET|08...|53...|57P0.|57014|40...|55P03|58...|25006|P100[128]|P1017|P2024|P2034)$/
const UNAVAILABLE_MESSAGES =
  /^SASL: |timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client has encountered a connection error|Connection is closed|max retries per request|Command timed out|Stream isn't writeable|READONLY|LOADING|CLUSTERDOWN|Can't reach database server|Server has closed the connection/i

function codeOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : null
}

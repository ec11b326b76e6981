import { createHash } from 'node:crypto'
import connectPgSimple from 'connect-pg-simple'
// connect-redis stays at 8: from 9 on it takes only node-redis as its client, and every session save by ioredis fails.
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import type pg from 'pg'
import type { RedisClient } from './redis.ts'

/**
 * Where express-session keeps what belongs to the identity cookie. Nothing is written while nothing changes: a record
 * lives as long as its cookie may, and the identity session's row decides every day in between.
 */
export function redisBrowserSessions(redis: RedisClient): session.Store {
  return new HashedIds(new RedisStore({ client: redis, prefix: 'gatehouse:session:', disableTouch: true }))
}

export function postgresBrowserSessions(pool: pg.Pool, onError: (error: unknown) => void): session.Store {
  const PostgresStore = connectPgSimple(session)
  return new HashedIds(
    new PostgresStore({
      pool: named(pool),
      tableName: 'browser_sessions',
      disableTouch: true,
      pruneSessionInterval: 900,
      errorLog: onError,
    }),
  )
}

/** connect-pg-simple asks a handful of fixed questions, one of them on every page, so PostgreSQL need plan each but once. */
function named(pool: pg.Pool): pg.Pool {
  const query = (text: string, values: unknown[], callback: (error: Error, result: pg.QueryResult) => void) =>
    pool.query({ name: `browser-session ${hash(text)}`, text, values }, callback)
  return { query } as unknown as pg.Pool
}

/** Stands in front of a store so that a stolen dump of it holds no cookie: it only ever sees hashes of session ids. */
class HashedIds extends session.Store {
  readonly #store: session.Store

  constructor(store: session.Store) {
    super()
    this.#store = store
  }

  override get(id: string, callback: (error: unknown, found?: session.SessionData | null) => void): void {
    this.#store.get(hash(id), callback)
  }

  override set(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    this.#store.set(hash(id), data, callback)
  }

  override destroy(id: string, callback?: (error?: unknown) => void): void {
    this.#store.destroy(hash(id), callback)
  }
}

function hash(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

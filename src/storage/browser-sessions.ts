import { createHash } from 'node:crypto'
import connectPgSimple from 'connect-pg-simple'
// connect-redis stays at 8: from 9 on it takes only node-redis as its client, and every session save by ioredis fails.
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import type pg from 'pg'
import type { RedisClient } from './redis.ts'

/**
 * The store of express-session, for the identity cookie. An unchanged session is not written again: its record lives as long as
 * the cookie may, and the row of the identity session decides whether the user is still signed in.
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

/** connect-pg-simple has a few fixed queries, one of them on every page, so PostgreSQL plans each only once. */
function named(pool: pg.Pool): pg.Pool {
  const query = (text: string, values: unknown[], callback: (error: Error, result: pg.QueryResult) => void) =>
    pool.query({ name: `browser-session ${hash(text)}`, text, values }, callback)
  return { query } as unknown as pg.Pool
}

/**
 * Wraps a store, which sees only hashes of session ids, so that a stolen dump of it contains no cookie. What a request has saved
 * it does not save again: express-session does that after the headers are sent, and could undo what the next request has stored.
 */
class HashedIds extends session.Store {
  readonly #store: session.Store
  readonly #saved = new WeakMap<session.SessionData, string>()

  constructor(store: session.Store) {
    super()
    this.#store = store
  }

  override get(id: string, callback: (error: unknown, found?: session.SessionData | null) => void): void {
    this.#store.get(hash(id), callback)
  }

  override set(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    const content = hash(JSON.stringify([id, { ...data, cookie: null }]))
    if (this.#saved.get(data) === content) {
      process.nextTick(() => callback?.())
      return
    }
    this.#store.set(hash(id), data, (error?: unknown) => {
      if (!error) this.#saved.set(data, content)
      callback?.(error)
    })
  }

  override destroy(id: string, callback?: (error?: unknown) => void): void {
    this.#store.destroy(hash(id), callback)
  }
}

function hash(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRedis,
} from 'rate-limiter-flexible'
import type { Pool } from 'pg'
import type { RedisClient } from './redis.ts'

/** The value of a counter after an increment. */
export interface Count {
  points: number
  /** In how many ms it starts anew. */
  endsInMs: number
}

/**
 * Counters of rate limits and login throttling, shared by all processes. A counter begins with its first increment, and is
 * forgotten so many seconds later as that one named. Both stores behave the same; one suite of tests runs over both.
 */
export interface Counters {
  /** 0 for a counter that has not begun. */
  read(name: string): Promise<number>
  /** Increments atomically: of callers that race, each gets a number of its own. */
  add(name: string, seconds: number): Promise<Count>
  /** Decrements, never below zero. */
  takeBack(name: string): Promise<void>
  reset(name: string): Promise<void>
  /** Deletes up to `limit` counters whose time is over and returns how many; a store that expires them by itself returns 0. */
  prune(limit: number): Promise<number>
}

// The limiter only counts; the limits are in domain/limits.
const UNUSED = { points: 1, duration: 1 }

export function postgresCounters(pool: Pool): Counters {
  const limiter = new RateLimiterPostgres({
    ...UNUSED,
    storeClient: pool,
    storeType: 'pool',
    tableName: 'counters',
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: '',
  })
  return {
    ...countersOn((question) => question(limiter)),
    async prune(limit) {
      // Like `deleteEndedFamilies`, always by the index. The library has its own clock, in milliseconds.
      const result = await pool.query(
        `DELETE FROM counters WHERE key = ANY (
           ARRAY(SELECT key FROM counters WHERE expire <= $1 ORDER BY expire LIMIT $2 FOR UPDATE SKIP LOCKED))`,
        [Date.now(), limit],
      )
      return result.rowCount ?? 0
    },
  }
}

/** While Redis is unavailable, each process counts for itself: attempts stay limited, and users are not locked out. */
export function redisCounters(redis: RedisClient, onError: (error: unknown) => void): Counters {
  const shared = new RateLimiterRedis({ ...UNUSED, storeClient: redis, keyPrefix: 'gatehouse:counter' })
  const own = new RateLimiterMemory(UNUSED)
  let awayUntil = -Infinity

  return {
    ...countersOn(async (question) => {
      if (performance.now() < awayUntil) return question(own)
      try {
        return await inTime(question(shared))
      } catch (error) {
        awayUntil = performance.now() + AWAY_MS
        onError(error)
        return question(own)
      }
    }),
    async prune() {
      return 0
    },
  }
}

/** The timeout of counting: a small part of the two seconds in which every request is answered. */
const TIMEOUT_MS = 250
/** For how long (ms) a Redis that did not answer is not asked again (circuit breaker). */
const AWAY_MS = 1000

type Ask = <T>(question: (limiter: RateLimiterAbstract) => Promise<T>) => Promise<T>

function countersOn(ask: Ask): Omit<Counters, 'prune'> {
  const reset = async (name: string) => void (await ask((limiter) => limiter.delete(name)))
  return {
    async read(name) {
      return (await ask((limiter) => limiter.get(name)))?.consumedPoints ?? 0
    },
    async add(name, seconds) {
      const count = await ask((limiter) => limiter.penalty(name, 1, { customDuration: seconds }))
      return { points: count.consumedPoints, endsInMs: count.msBeforeNext }
    },
    async takeBack(name) {
      const count = await ask((limiter) => limiter.reward(name, 1, { customDuration: 1 }))
      // It was reset in the meantime; a negative count would allow further attempts.
      if (count.consumedPoints < 0) await reset(name)
    },
    reset,
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = () => reject(new Error('Redis took too long to count'))
    // An answer that has come while this process was busy with something else is read first.
    timer = setTimeout(() => setImmediate(giveUp), TIMEOUT_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

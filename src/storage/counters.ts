import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRedis,
} from 'rate-limiter-flexible'
import type { Pool } from 'pg'
import type { RedisClient } from './redis.ts'

/** What a counter says after something was added to it. */
export interface Count {
  points: number
  /** When it starts anew (ms). */
  endsInMs: number
}

/**
 * Counters that all processes share. A counter begins with the first thing that is counted, and is forgotten as many seconds later
 * as were named then. Both stores keep the same promises; one suite of tests runs over both.
 */
export interface Counters {
  /** 0 for a counter that has not begun. */
  read(name: string): Promise<number>
  /** Counts one more, atomically: of any number that race, each gets a number of its own. */
  add(name: string, seconds: number): Promise<Count>
  /** Counts one less, and never below zero. */
  takeBack(name: string): Promise<void>
  reset(name: string): Promise<void>
  /** Forgets up to `limit` of what has ended and says how many; a store that does so by itself answers 0. */
  prune(limit: number): Promise<number>
}

// Only what names a counter is counted; how much is too much is decided elsewhere.
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
      // As with families: by the index, whatever the planner believes. The library keeps its own time, in milliseconds.
      const result = await pool.query(
        `DELETE FROM counters WHERE key = ANY (
           ARRAY(SELECT key FROM counters WHERE expire <= $1 ORDER BY expire LIMIT $2 FOR UPDATE SKIP LOCKED))`,
        [Date.now(), limit],
      )
      return result.rowCount ?? 0
    },
  }
}

/** While Redis is away, each process counts for itself: nobody guesses without limit, and nobody is locked out for it. */
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

/** Counting is a small part of the two seconds in which everybody is answered. */
const PATIENCE_MS = 250
/** For how long (ms) nobody else waits for a Redis that did not answer. */
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
      // It was reset in the meantime, and nobody is to have more guesses for that.
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
    timer = setTimeout(() => setImmediate(giveUp), PATIENCE_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

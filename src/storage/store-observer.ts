import type pg from 'pg'
import type { RedisClient } from './redis.ts'

/** `refused`: the store answered with an error, such as for a row that exists already. */
export type StoreOutcome = 'ok' | 'refused' | 'unavailable'

/** Is told how long the stores take (seconds), after every statement and command. */
export interface StoreObserver {
  answered(store: 'postgres' | 'redis', outcome: StoreOutcome, seconds: number): void
  /** How long a statement or transaction waited for a connection of the pool. */
  waited(seconds: number): void
}

type Callback = (error: Error | null | undefined, ...results: unknown[]) => void
type Method = (...args: unknown[]) => unknown

/** A client that reports every statement. */
export function observedClient(Client: typeof pg.Client, report: (error: unknown, seconds: number) => void) {
  // Looked up for each statement, because a tracer may replace it.
  const prototype = Client.prototype as unknown as { query: Method }
  class ObservedClient extends Client {}
  Object.assign(ObservedClient.prototype, {
    query(this: pg.Client, ...args: unknown[]) {
      const since = performance.now()
      const settle = (error: unknown) => report(error, secondsSince(since))
      const last = args.at(-1)
      if (typeof last === 'function') {
        args[args.length - 1] = ((error, ...results) => {
          settle(error)
          ;(last as Callback)(error, ...results)
        }) satisfies Callback
        return prototype.query.apply(this, args)
      }
      const answer = prototype.query.apply(this, args)
      if (answer instanceof Promise) answer.then(() => settle(null), settle)
      return answer
    },
  })
  return ObservedClient
}

/** Reports how long each connection of the pool is waited for, whether one comes or not. */
export function observePool(pool: pg.Pool, waited: StoreObserver['waited']): void {
  const connect = pool.connect.bind(pool) as Method
  const observed: Method = (callback) => {
    const since = performance.now()
    const settle = () => waited(secondsSince(since))
    if (typeof callback === 'function')
      return connect(((...answer) => {
        settle()
        ;(callback as Callback)(...answer)
      }) satisfies Callback)
    const client = connect() as Promise<pg.PoolClient>
    client.then(settle, settle)
    return client
  }
  Object.assign(pool, { connect: observed })
}

/** Reports every command. */
export function observeRedis(redis: RedisClient, report: (error: unknown, seconds: number) => void): void {
  const send = redis.sendCommand.bind(redis) as Method
  const observed = (command: { promise: Promise<unknown> }, ...more: unknown[]) => {
    const since = performance.now()
    const settle = (error: unknown) => report(error, secondsSince(since))
    command.promise.then(() => settle(null), settle)
    return send(command, ...more)
  }
  Object.assign(redis, { sendCommand: observed })
}

function secondsSince(since: number): number {
  return (performance.now() - since) / 1000
}

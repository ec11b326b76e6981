import {
  bulkhead,
  BrokenCircuitError,
  BulkheadRejectedError,
  circuitBreaker,
  ConstantBackoff,
  CountBreaker,
  handleWhen,
  retry,
  type RetryPolicy,
} from 'cockatiel'
import type { Logger } from '../../logger.ts'
import { LONGEST_PAUSE_MS, Pause } from '../pause.ts'
import { RequestFailed } from './transport.ts'

export interface LaneOptions {
  name: string
  /** How many requests are under way at once, and how many more wait for their turn. */
  atOnce: number
  waiting: number
  clock: () => Date
  logger: Logger
}

const RETRY_MS = 100

/** Sends it once more, a moment later, after these failures. */
export function retryOnceAfter(isTransient: (failure: RequestFailed) => boolean): RetryPolicy {
  return retry(
    handleWhen((error) => error instanceof RequestFailed && isTransient(error)),
    { maxAttempts: 1, backoff: new ConstantBackoff(RETRY_MS) },
  )
}

/** After how many requests the breaker may open, how many it remembers, and how many of them may fail. */
const SAMPLE = { minimumNumberOfCalls: 5, size: 20, threshold: 0.5 }

/**
 * Requests of one sort, with limits of their own: a bulkhead, so that status checks cannot starve sign-ins, and a circuit breaker,
 * so that a source that is down is not asked, and one request at a time tries whether it is back (half-open).
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #bulkhead
  readonly #breaker
  #closedUntil = 0

  constructor(options: LaneOptions) {
    const { name, clock, logger, atOnce, waiting } = options
    this.#options = options
    this.#bulkhead = bulkhead(atOnce, waiting)
    this.#breaker = circuitBreaker(handleWhen(saysDown), {
      breaker: new CountBreaker(SAMPLE),
      halfOpenAfter: { next: () => new Pause(clock) },
    })
    this.#breaker.onBreak(() => logger.warn({ lane: name }, 'identity source fails, and is not asked for a moment'))
    this.#breaker.onReset(() => logger.info({ lane: name }, 'identity source answers again'))
  }

  /** @throws RequestFailed, also when the source is not asked */
  async run<T>(job: () => Promise<T>, retries: RetryPolicy, signal: AbortSignal): Promise<T> {
    const { clock, name } = this.#options
    if (clock().getTime() < this.#closedUntil)
      throw new RequestFailed('late', 'is not asked, because it said to come again later')
    try {
      return await Promise.race([
        this.#bulkhead.execute(async () => retries.execute(async () => this.#breaker.execute(job), signal), signal),
        aborted(signal),
      ])
    } catch (error) {
      if (error instanceof RequestFailed) throw this.#heed(error)
      if (error instanceof BrokenCircuitError)
        throw new RequestFailed('late', 'is not asked, because it failed a moment ago', { cause: error })
      if (error instanceof BulkheadRejectedError)
        throw new RequestFailed('late', `is not asked, because too many requests wait for it (${name})`, {
          cause: error,
        })
      if (signal.aborted) throw new RequestFailed('late', 'did not answer in time', { cause: error })
      throw error
    }
  }

  #heed(failure: RequestFailed): RequestFailed {
    if (failure.retryAfter !== null)
      this.#closedUntil = Math.max(
        this.#closedUntil,
        this.#options.clock().getTime() + Math.min(failure.retryAfter * 1000, LONGEST_PAUSE_MS),
      )
    return failure
  }
}

/**
 * An answer that is wrong does not count. A stranger may know a login that the source cannot answer, and must not shut out
 * everyone else with it.
 */
function saysDown(error: unknown): boolean {
  return error instanceof RequestFailed && error.kind !== 'answer'
}

async function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

import {
  BrokenCircuitError,
  bulkhead,
  BulkheadRejectedError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleType,
  wrap,
} from 'cockatiel'
import { SourceUnavailable } from '../../domain/identity-source.ts'
import { Pause } from '../pause.ts'

/** Questions that wait for their turn. */
const WAITING = 200
/** Failures in a row after which the directory is left alone for a moment. */
const FAILURES = 5

/** Asks; what a directory that is down or overloaded cannot answer fails at once. */
export type Protection = <Answer>(act: () => Promise<Answer>) => Promise<Answer>

/** A circuit breaker and a bulkhead. What the directory answers, however wrong, is no failure of its connection. */
export function protect(clock: () => Date, atOnce: number): Protection {
  const breaker = circuitBreaker(handleType(SourceUnavailable), {
    breaker: new ConsecutiveBreaker(FAILURES),
    halfOpenAfter: { next: () => new Pause(clock) },
  })
  const policy = wrap(bulkhead(atOnce, WAITING), breaker)
  return async (act) => {
    try {
      return await policy.execute(act)
    } catch (error) {
      if (error instanceof BrokenCircuitError)
        throw new SourceUnavailable('the directory failed a moment ago and is not asked', { cause: error })
      if (error instanceof BulkheadRejectedError)
        throw new SourceUnavailable('too many questions wait for the directory', { cause: error })
      throw error
    }
  }
}

import {
  BrokenCircuitError,
  bulkhead,
  BulkheadRejectedError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleType,
  type IBackoff,
  wrap,
} from 'cockatiel'
import { SourceUnavailable } from '../../domain/identity-source.ts'

/** Questions at once, and more that wait for their turn. */
const AT_ONCE = 10
const WAITING = 200
/** Failures in a row after which the directory is left alone, and for how long. */
const FAILURES = 5
const PAUSE_MS = 2000

/** Asks; what a directory that is down or overloaded cannot answer fails at once. */
export type Protection = <Answer>(act: () => Promise<Answer>) => Promise<Answer>

/** A circuit breaker and a bulkhead. What the directory answers, however wrong, is no failure of its connection. */
export function protect(clock: () => Date): Protection {
  const breaker = circuitBreaker(handleType(SourceUnavailable), {
    breaker: new ConsecutiveBreaker(FAILURES),
    halfOpenAfter: { next: () => pauseFrom(clock) },
  })
  const policy = wrap(bulkhead(AT_ONCE, WAITING), breaker)
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

/** cockatiel reads the time of the machine; this pause ends by the clock of the portal. */
function pauseFrom(clock: () => Date): IBackoff<unknown> {
  const until = clock().getTime() + PAUSE_MS
  return {
    get duration() {
      return clock().getTime() < until ? Infinity : -Infinity
    },
    next: () => pauseFrom(clock),
  }
}

import type { IBackoff } from 'cockatiel'

const FIRST_PAUSE_MS = 1000
/** The longest that a source is left alone. */
export const LONGEST_PAUSE_MS = 10_000

/**
 * How long the breaker stays open, twice as long after each failed try. It compares `duration` with the time of the machine each
 * time it is asked, and the answer here is by the clock that is passed in.
 */
export class Pause implements IBackoff<unknown> {
  readonly #clock: () => Date
  readonly #ms: number
  readonly #until: number

  constructor(clock: () => Date, ms = FIRST_PAUSE_MS) {
    this.#clock = clock
    this.#ms = ms
    this.#until = clock().getTime() + ms
  }

  get duration(): number {
    return this.#clock().getTime() < this.#until ? Infinity : -Infinity
  }

  next(): Pause {
    return new Pause(this.#clock, Math.min(this.#ms * 2, LONGEST_PAUSE_MS))
  }
}

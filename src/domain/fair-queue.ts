/** The portal is overloaded (503): the same request may succeed a little later. */
export class Overloaded extends Error {}

export interface QueueLimits {
  /** How many jobs run at once. */
  atOnce?: number
  /** How many more jobs may wait for their turn, from all sources together. */
  waiting?: number
  /** How long one may wait (ms). */
  timeout?: number
  clock?: () => Date
  observer?: QueueObserver
}

/** Is told what becomes of the jobs of a queue. */
export interface QueueObserver {
  /** A job has its turn, after so many seconds. */
  waited(seconds: number): void
  refused(): void
}

interface Turn {
  source: string
  since: Date
  /** By `performance.now()`. */
  asked: number
  timer: NodeJS.Timeout
  start: () => void
  refuse: () => void
}

/**
 * Fair queuing of costly jobs, a few at a time. Sources take turns, however many jobs each of them sends, so a source that floods
 * the queue delays only itself. A job that would wait longer than the timeout is refused (load shedding).
 */
export class FairQueue {
  readonly #limits: Required<Omit<QueueLimits, 'observer'>>
  readonly #observer: QueueObserver | null
  /** The waiting jobs of each source. The source whose turn is next comes first. */
  readonly #turns = new Map<string, Turn[]>()
  #running = 0
  #waiting = 0

  constructor({ atOnce = 1, waiting = 500, timeout = 3000, clock = () => new Date(), observer }: QueueLimits = {}) {
    this.#limits = { atOnce, waiting, timeout, clock }
    this.#observer = observer ?? null
  }

  /** How many jobs run, and how many wait for their turn. */
  get load(): { running: number; waiting: number } {
    return { running: this.#running, waiting: this.#waiting }
  }

  /** `source` is the key of the caller, such as an IP address (IPv6: its /64). @throws Overloaded */
  async run<T>(source: string, job: () => Promise<T>): Promise<T> {
    await this.#waitForTurn(source)
    try {
      return await job()
    } finally {
      this.#running--
      this.#startNext()
    }
  }

  async #waitForTurn(source: string): Promise<void> {
    if (this.#running < this.#limits.atOnce) {
      this.#running++
      this.#observer?.waited(0)
      return
    }
    if (this.#waiting >= this.#limits.waiting && !this.#makeRoomFor(source)) {
      this.#observer?.refused()
      throw overloaded()
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const turn: Turn = {
      source,
      since: this.#limits.clock(),
      asked: performance.now(),
      timer: setTimeout(() => this.#refuse(turn), this.#limits.timeout),
      start: resolve,
      refuse: () => reject(overloaded()),
    }
    this.#turns.set(source, [...(this.#turns.get(source) ?? []), turn])
    this.#waiting++
    await promise
  }

  #startNext(): void {
    while (this.#running < this.#limits.atOnce) {
      const [turn] = this.#turns.values().next().value ?? []
      if (turn === undefined) return
      // In a busy process timers are late.
      if (this.#hasWaitedTooLong(turn)) this.#refuse(turn)
      else this.#start(turn)
    }
  }

  #start(turn: Turn): void {
    this.#remove(turn)
    const rest = this.#turns.get(turn.source)
    // The source goes to the end of the line.
    if (rest !== undefined) {
      this.#turns.delete(turn.source)
      this.#turns.set(turn.source, rest)
    }
    this.#running++
    this.#observer?.waited((performance.now() - turn.asked) / 1000)
    turn.start()
  }

  #hasWaitedTooLong({ since }: Turn): boolean {
    return this.#limits.clock().getTime() - since.getTime() >= this.#limits.timeout
  }

  /** Refuses the newest job of the source with the most waiting jobs, if that has more than this source would have. */
  #makeRoomFor(source: string): boolean {
    const longest = [...this.#turns.values()].reduce((a, b) => (b.length > a.length ? b : a), [])
    const newest = longest.at(-1)
    if (newest === undefined || longest.length <= (this.#turns.get(source)?.length ?? 0) + 1) return false
    this.#refuse(newest)
    return true
  }

  #refuse(turn: Turn): void {
    this.#remove(turn)
    this.#observer?.refused()
    turn.refuse()
  }

  #remove(turn: Turn): void {
    clearTimeout(turn.timer)
    const rest = (this.#turns.get(turn.source) ?? []).filter((each) => each !== turn)
    if (rest.length === 0) this.#turns.delete(turn.source)
    else this.#turns.set(turn.source, rest)
    this.#waiting--
  }
}

function overloaded(): Overloaded {
  return new Overloaded('too many requests wait for the same work')
}

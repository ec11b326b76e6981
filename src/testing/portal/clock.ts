/** A clock that moves only when a test says so. */
export interface TestClock {
  (): Date
  advance(seconds: number): void
}

export function createClock(start = new Date()): TestClock {
  let now = start.getTime()
  const clock = () => new Date(now)
  return Object.assign(clock, { advance: (seconds: number) => void (now += seconds * 1000) })
}

/** A clock that goes on as the time of day, by which the protocol library judges JWTs, and jumps when a test says so. */
export function createRunningClock(): TestClock {
  let ahead = 0
  const clock = () => new Date(Date.now() + ahead)
  return Object.assign(clock, { advance: (seconds: number) => void (ahead += seconds * 1000) })
}

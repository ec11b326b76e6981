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

/** Pseudo-random numbers from a seed (mulberry32), so that a failed test can be repeated. */
export interface Seeded {
  /** An integer from 0 to below the limit. */
  below(limit: number): number
  /** True in this percentage of calls. */
  chance(percent: number): boolean
  pick<T>(choices: readonly T[]): T
}

export function seeded(seed: number): Seeded {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: (percent) => next() * 100 < percent,
    pick: (choices) => choices[below(choices.length)] as (typeof choices)[number],
  }
}

import { median, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table } from '../markdown.ts'

export interface EnumerationResult {
  name: string
  known_p50_ms: number
  unknown_p50_ms: number
  difference_ms: number
  /** How often an attacker who times one of each is right about which is which; 0.5 is chance. */
  told_apart: number
  /** The probability of this result, or a better one, without a difference. */
  p_value: number
}

/** Between the medians, in either direction. */
export const DIFFERENCE_GOAL_MS = 10
/** An attacker who is right this often needs few tries. */
export const TOLD_APART_GOAL = 0.6

export function holds({ difference_ms: difference, told_apart: toldApart }: EnumerationResult): boolean {
  return Math.abs(difference) < DIFFERENCE_GOAL_MS && toldApart <= TOLD_APART_GOAL
}

/** The Mann–Whitney rank-sum test: it assumes no distribution of the times. */
export function compareTimes(name: string, known: number[], unknown: number[]): EnumerationResult {
  const pairs = known.length * unknown.length
  const wins = known.reduce(
    (sum, time) => sum + unknown.reduce((won, other) => won + (time > other ? 1 : time === other ? 0.5 : 0), 0),
    0,
  )
  const spread = Math.sqrt((pairs * (known.length + unknown.length + 1)) / 12)
  const z = Math.abs(wins - pairs / 2) / spread
  return {
    name,
    known_p50_ms: rounded(median(known), 2),
    unknown_p50_ms: rounded(median(unknown), 2),
    difference_ms: rounded(median(known) - median(unknown), 2),
    told_apart: rounded(Math.max(wins / pairs, 1 - wins / pairs), 3),
    p_value: rounded(2 * upperTail(z), 4),
  }
}

/** The normal distribution's tail (Abramowitz and Stegun 26.2.17), accurate to seven digits. */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.231_641_9 * z)
  const series = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_53]
  const sum = series.reduce((value, coefficient) => (value + coefficient) * t, 0)
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * sum
}

export function describeEnumeration(machine: MachineWords, results: EnumerationResult[], samples: number): string {
  const rows = results.map((result) => [
    result.name,
    exact(result.known_p50_ms),
    exact(result.unknown_p50_ms),
    exact(result.difference_ms),
    result.told_apart.toFixed(3),
    result.p_value.toFixed(4),
  ])
  return `${introduceMachine(machine)}
${samples} requests about people who have an account and as many about people who have none, in a random order on one connection to an idle portal, its limits on guessing out of the way.
"Told apart" is how often known who may time one of each is right about which is which (0.5 is a coin); p is the chance of that when there is nothing to tell.
Goal: medians less than ${DIFFERENCE_GOAL_MS} ms apart, and told apart at most ${TOLD_APART_GOAL} of the time.

${table(['asked', 'account, ms', 'no account, ms', 'apart, ms', 'told apart', 'p'], rows)}`
}

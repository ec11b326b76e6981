import { median, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'
import type { PacedSlice } from '../siege/paced-load.ts'

export interface SourcePace {
  seconds: number
  rounds: number
  refreshesPerSecond: number
  signInsPerMinute: number
  latencyMs: number
}

/** One round: refreshes alone, then beside sign-ins. */
export interface SourceRound {
  idle: PacedSlice
  beside: PacedSlice
  signIns: PacedSlice
}

/** Medians over the rounds, counts added up, the worst maximum. */
export interface SourceResult {
  refresh_idle_p50_ms: number
  refresh_idle_p99_ms: number
  refresh_p50_ms: number
  refresh_p99_ms: number
  refresh_max_ms: number
  refresh_errors: number
  /** p99 of a refresh beside sign-ins over the idle one of the same round. */
  p99_ratio_to_idle: number
  sign_ins: number
  sign_in_p50_ms: number
  sign_in_p99_ms: number
  sign_in_errors: number
  /** The delay of the load generator itself, at p99. */
  late_p99_ms: number
}

export const P99_GOAL = 2

export function resultOf(rounds: SourceRound[]): SourceResult {
  const middle = (figure: (round: SourceRound) => number) => rounded(median(rounds.map(figure)), 2)
  const sum = (figure: (round: SourceRound) => number) => rounds.reduce((total, round) => total + figure(round), 0)
  return {
    refresh_idle_p50_ms: middle(({ idle }) => idle.p50_ms),
    refresh_idle_p99_ms: middle(({ idle }) => idle.p99_ms),
    refresh_p50_ms: middle(({ beside }) => beside.p50_ms),
    refresh_p99_ms: middle(({ beside }) => beside.p99_ms),
    refresh_max_ms: rounded(Math.max(...rounds.map(({ beside }) => beside.max_ms)), 2),
    refresh_errors: sum(({ idle, beside }) => idle.errors + beside.errors),
    p99_ratio_to_idle: middle(({ idle, beside }) => beside.p99_ms / idle.p99_ms),
    sign_ins: sum(({ signIns }) => signIns.requests),
    sign_in_p50_ms: middle(({ signIns }) => signIns.p50_ms),
    sign_in_p99_ms: middle(({ signIns }) => signIns.p99_ms),
    sign_in_errors: sum(({ signIns }) => signIns.errors),
    late_p99_ms: middle(({ beside }) => beside.late_p99_ms),
  }
}

export function describeSource(machine: MachineWords, result: SourceResult, pace: SourcePace): string {
  const { rounds, seconds, refreshesPerSecond, signInsPerMinute, latencyMs } = pace
  return `${introduceMachine(machine)}
${rounds} rounds of ${seconds} s without and ${seconds} s with sign-ins, in turns; medians, but the worst maximum, and counts of all rounds together.
Apps refresh ${refreshesPerSecond} times a second, and a refresh counts from when it was due. Meanwhile ${signInsPerMinute} users a minute sign in whose identity source takes ${latencyMs} ms for each answer.
Goal: p99 beside sign-ins at most ${P99_GOAL} times the idle one. "Late" is the load generator's own part in p99.

${table(HEADER, [rowOf(result)])}`
}

const HEADER = [
  'refresh idle p50 ms',
  'p99 ms',
  'beside sign-ins p50 ms',
  'p99 ms',
  'max ms',
  'of idle p99',
  'errors',
  'sign-ins',
  'p50 ms',
  'p99 ms',
  'errors',
  'late ms',
]

function rowOf(result: SourceResult): string[] {
  return [
    exact(result.refresh_idle_p50_ms),
    exact(result.refresh_idle_p99_ms),
    exact(result.refresh_p50_ms),
    exact(result.refresh_p99_ms),
    exact(result.refresh_max_ms),
    exact(result.p99_ratio_to_idle),
    whole(result.refresh_errors),
    whole(result.sign_ins),
    exact(result.sign_in_p50_ms),
    exact(result.sign_in_p99_ms),
    whole(result.sign_in_errors),
    exact(result.late_p99_ms),
  ]
}

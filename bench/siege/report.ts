import { median, medianOrNull, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'
import type { Phase, PhaseOutcome, SiegePace } from './phase.ts'

/** One phase: medians over the rounds, counts added up. */
export interface SiegeResult {
  name: string
  sign_in_connections: number
  refresh_p50_ms: number
  refresh_p99_ms: number
  refresh_max_ms: number
  refresh_errors: number
  sign_ins_per_s: number
  /** Sign-ins answered with 503, and those among them without a Retry-After. */
  busy: number
  busy_without_retry_after: number
  sign_in_errors: number
  cores_used: number | null
  peak_mb: number | null
  /** p99 of a refresh over the idle one of the same round. */
  p99_ratio_to_idle: number
  /** The delay of the load generator itself, at p99. */
  late_p99_ms: number
}

export const P99_GOAL = 3

export function resultOf(
  { name, signInConnections }: Phase,
  outcomes: PhaseOutcome[],
  idle: PhaseOutcome[],
): SiegeResult {
  const middle = (figure: (outcome: PhaseOutcome) => number) => rounded(median(outcomes.map(figure)), 2)
  const sum = (figure: (outcome: PhaseOutcome) => number) => outcomes.reduce((total, one) => total + figure(one), 0)
  const cores = medianOrNull(outcomes.map(({ cores_used }) => cores_used))
  const ratios = outcomes.map(({ refresh }, round) => refresh.p99_ms / (idle[round] as PhaseOutcome).refresh.p99_ms)
  return {
    name,
    sign_in_connections: signInConnections,
    refresh_p50_ms: middle(({ refresh }) => refresh.p50_ms),
    refresh_p99_ms: middle(({ refresh }) => refresh.p99_ms),
    refresh_max_ms: rounded(Math.max(...outcomes.map(({ refresh }) => refresh.max_ms)), 2),
    refresh_errors: sum(({ refresh }) => refresh.errors),
    sign_ins_per_s: middle(({ signIns }) => signIns?.sign_ins_per_s ?? 0),
    busy: sum(({ signIns }) => signIns?.busy ?? 0),
    busy_without_retry_after: sum(({ signIns }) => signIns?.busy_without_retry_after ?? 0),
    sign_in_errors: sum(({ signIns }) => signIns?.errors ?? 0),
    cores_used: cores === null ? null : rounded(cores, 2),
    peak_mb: medianOrNull(outcomes.map(({ peak_mb }) => peak_mb)),
    p99_ratio_to_idle: rounded(median(ratios), 2),
    late_p99_ms: middle(({ refresh }) => refresh.late_p99_ms),
  }
}

export function describeSiege(machine: MachineWords, results: SiegeResult[], pace: SiegePace): string {
  const { rounds, seconds, refreshesPerSecond } = pace
  return `${introduceMachine(machine)}
${rounds} rounds of ${seconds} s a phase, in turns; medians, but the worst maximum, and counts of all rounds together.
Apps refresh ${refreshesPerSecond} times a second, whatever happens, and a refresh counts from when it was due. Meanwhile people sign in with the right password, again as soon as they are answered.
Goal: p99 under siege at most ${P99_GOAL} times the idle one. "Late" is the load generator's own part in p99.

${table(HEADER, results.map(rowOf))}`
}

const HEADER = [
  'phase',
  'signing in',
  'refresh p50 ms',
  'p99 ms',
  'max ms',
  'of idle p99',
  'errors',
  'sign-ins/s',
  '503',
  'without Retry-After',
  'other answers',
  'cores used',
  'peak MB',
  'late ms',
]

function rowOf(result: SiegeResult): string[] {
  return [
    result.name,
    whole(result.sign_in_connections),
    exact(result.refresh_p50_ms),
    exact(result.refresh_p99_ms),
    exact(result.refresh_max_ms),
    exact(result.p99_ratio_to_idle),
    whole(result.refresh_errors),
    exact(result.sign_ins_per_s),
    whole(result.busy),
    whole(result.busy_without_retry_after),
    whole(result.sign_in_errors),
    exact(result.cores_used),
    whole(result.peak_mb),
    exact(result.late_p99_ms),
  ]
}

import { median, medianOrNull, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'
import type { Contender, WorkerRound } from './contender.ts'
import type { Method } from './method.ts'

/** One number of workers: medians over the rounds. */
export interface WorkersResult {
  workers: number
  /** How many processes served. */
  serving: number
  rps: number
  /** Requests per second over those of one worker, by round; null where the method does not compare them. */
  ratio_to_one: number | null
  /** Of all processes of the portal, and of PostgreSQL, per request. */
  cpu_us: number | null
  db_cpu_us: number | null
  /** Share of a core, of every serving process. */
  cores_used: number[]
  idle_cores: number | null
  errors: number
  /** Why these figures may mean nothing; empty when they are valid. */
  doubts: string[]
}

export const SCALING_GOAL = 1.7

/** The shares that count as fully used, and as left over (in cores). */
const USED_UP = 0.9
const LEFT_OVER = 0.1

export function resultOf(contender: Contender, one: Contender, { share }: Method): WorkersResult {
  const { workers, serving, rounds } = contender
  const over = (figure: (round: WorkerRound) => number | null) => {
    const middle = medianOrNull(rounds.map(figure))
    return middle === null ? null : rounded(middle, 2)
  }
  const ratios = rounds.map(({ rps }, index) => rps / (one.rounds[index] as WorkerRound).rps)
  const coresUsed = serving.map((_, index) => rounded(median(rounds.map((round) => round.coresUsed[index] ?? 0)), 3))
  const idleCores = over((round) => round.idleCores)

  const doubts: string[] = []
  if (serving.length !== workers) doubts.push(`${workers} workers were asked for, and ${serving.length} serves`)
  if (share !== null && coresUsed.some((used) => used < share * USED_UP))
    doubts.push('a worker did not use up its share')
  if (share !== null && idleCores !== null && idleCores < LEFT_OVER) doubts.push('the machine had nothing left')
  return {
    workers,
    serving: serving.length,
    rps: over(({ rps }) => rps) as number,
    ratio_to_one: share === null ? null : rounded(median(ratios), 2),
    cpu_us: over(({ cpu_us }) => cpu_us),
    db_cpu_us: over(({ db_cpu_us }) => db_cpu_us),
    cores_used: coresUsed,
    idle_cores: idleCores,
    errors: rounds.reduce((total, { errors }) => total + errors, 0),
    doubts,
  }
}

export function describeWorkers(
  machine: MachineWords,
  results: WorkersResult[],
  rounds: number,
  seconds: number,
): string {
  const doubts = results.flatMap(({ workers, doubts }) => doubts.map((doubt) => `- WORKERS=${workers}: ${doubt}.\n`))
  return `${introduceMachine(machine)}
Refreshes over 64 connections; ${rounds} rounds of ${seconds} s, in turns; medians, the ratio by round. CPU is that of all processes of the portal.
Goal: two workers answer at least ${SCALING_GOAL} times as much as one.

${table(HEADER, results.map(rowOf))}${doubts.length === 0 ? '' : `\nDoubts:\n\n${doubts.join('')}`}`
}

const HEADER = [
  'WORKERS',
  'serving',
  'req/s',
  'of one',
  'CPU µs',
  'DB µs',
  'cores used by each',
  'idle cores',
  'errors',
]

function rowOf(result: WorkersResult): string[] {
  return [
    whole(result.workers),
    whole(result.serving),
    whole(result.rps),
    exact(result.ratio_to_one),
    whole(result.cpu_us),
    whole(result.db_cpu_us),
    result.cores_used.map(exact).join(' '),
    exact(result.idle_cores),
    whole(result.errors),
  ]
}

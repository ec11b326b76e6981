import { median, medianOrNull, rounded } from '../figures.ts'
import type { Slice } from '../load.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'
import type { Round } from '../rounds.ts'
import { MACHINE_CONCURRENCY } from '../scenarios/scenario.ts'
import type { ComparedRounds } from './comparison.ts'
import type { GrowthPace } from './pace.ts'
import type { PruningRounds } from './pruning.ts'
import type { Wear } from './rotations.ts'
import type { Sizes } from './sizes.ts'

/** The latency of refreshes, as medians over slices, and the errors in all of them. */
interface Waiting {
  p50_ms: number
  p99_ms: number
  errors: number
}

/** The cost of a refresh in a table of this many families; medians over the rounds. */
interface Cost extends Waiting {
  families: number
  requests: number
  rps: number
  /** CPU of the portal, of PostgreSQL and of both, per request; null where the operating system does not report it. */
  cpu_us: number | null
  db_cpu_us: number | null
  both_cpu_us: number | null
}

export interface GrowthResult {
  small: Cost
  large: Cost
  /** The large table's over the small one's, by round. */
  ratios: Record<'rps' | 'cpu_us' | 'db_cpu_us' | 'both_cpu_us' | 'p50_ms' | 'p99_ms', number | null>
  /** Sizes in bytes, of the small table. */
  wear: Wear & { hot_share: number }
  pruning: { families: number; seconds: number; slices: number; before: Waiting; during: Waiting }
}

export const CPU_GOAL = 1.15

interface Measured {
  /** How many families. */
  small: number
  large: number
  rounds: ComparedRounds
  wear: Wear
  pruning: PruningRounds
}

export function resultOf({ small, large, rounds, wear, pruning }: Measured): GrowthResult {
  const ratio = (figure: (round: Round) => number | null) => {
    const byRound = rounds.large.map((round, index) => {
      const ours = figure(round)
      const theirs = figure(rounds.small[index] as Round)
      return ours === null || theirs === null ? null : ours / theirs
    })
    return roundedOrNull(medianOrNull(byRound), 3)
  }
  const { before, after } = wear
  return {
    small: costOf(small, rounds.small),
    large: costOf(large, rounds.large),
    ratios: {
      rps: ratio(({ rps }) => rps),
      cpu_us: ratio(({ cpu_us }) => cpu_us),
      db_cpu_us: ratio(({ db_cpu_us }) => db_cpu_us),
      both_cpu_us: ratio(bothCpu),
      p50_ms: ratio(({ p50_ms }) => p50_ms),
      p99_ms: ratio(({ p99_ms }) => p99_ms),
    },
    wear: {
      ...wear,
      hot_share: rounded((after.hot_updates - before.hot_updates) / (after.updates - before.updates), 5),
    },
    pruning: {
      families: pruning.families,
      seconds: rounded(pruning.seconds, 1),
      slices: pruning.during.length,
      before: waitingOf(pruning.before),
      during: waitingOf(pruning.during),
    },
  }
}

export function describeGrowth(machine: MachineWords, result: GrowthResult, pace: GrowthPace): string {
  const { small, large, wear, pruning } = result
  return `${introduceMachine(machine)}
${MACHINE_CONCURRENCY} connections refresh families chosen at random; ${pace.rounds} rounds of ${pace.seconds} s, the two tables in turns; medians, ratios by round.
Indexes were made after filling, and VACUUM (ANALYZE) and CHECKPOINT came before measuring, so nothing that filling left to be done is in it.
Goal: in the large table CPU of both at most ${CPU_GOAL} times that in the small one.

${table(COST_HEADER, [rowOf(small), rowOf(large), ratioRowOf(result)])}
The table of ${small.families} families, before and after ${wear.rotations} rotations without HTTP and without waiting for the disk.

${table(['KiB', 'before', 'after'], sizeRowsOf(wear))}
${exact(wear.hot_share * 100)} % of the updates were HOT. Dead rows: ${wear.before.dead_rows} before, ${wear.after.dead_rows} after. Runs of autovacuum meanwhile: ${wear.after.autovacuums - wear.before.autovacuums}.

Refreshes in that table before and while ${pace.prunesHere ? 'the harness' : 'the portal, in its own time,'} prunes families of long ago: ${pruning.families} went in ${pruning.seconds} s, beside ${pruning.slices} slices of ${pace.pruningSeconds} s; medians over the slices, of which there were ${pace.slicesBefore} before.

${table(
  ['pruning', 'p50 ms', 'p99 ms', 'errors'],
  [
    ['before', ...waitingCells(pruning.before)],
    ['meanwhile', ...waitingCells(pruning.during)],
  ],
)}`
}

const COST_HEADER = ['families', 'req/s', 'CPU µs', 'DB µs', 'both µs', 'p50 ms', 'p99 ms', 'errors']

function rowOf(cost: Cost): string[] {
  return [
    whole(cost.families),
    whole(cost.rps),
    whole(cost.cpu_us),
    whole(cost.db_cpu_us),
    whole(cost.both_cpu_us),
    ...waitingCells(cost),
  ]
}

function ratioRowOf({ ratios }: GrowthResult): string[] {
  const { rps, cpu_us, db_cpu_us, both_cpu_us, p50_ms, p99_ms } = ratios
  return ['ratio', ...[rps, cpu_us, db_cpu_us, both_cpu_us, p50_ms, p99_ms].map(exact), '']
}

function sizeRowsOf({ before, after }: Wear): string[][] {
  const row = (name: string, bytes: (sizes: Sizes) => number | undefined) => [
    name,
    ...[before, after].map((sizes) => whole((bytes(sizes) ?? Number.NaN) / 1024)),
  ]
  return [
    row('total', ({ total }) => total),
    row('heap', ({ heap }) => heap),
    ...Object.keys(after.indexes).map((name) => row(name, ({ indexes }) => indexes[name])),
  ]
}

function waitingCells({ p50_ms, p99_ms, errors }: Waiting): string[] {
  return [exact(p50_ms), exact(p99_ms), whole(errors)]
}

function costOf(families: number, rounds: Round[]): Cost {
  const middle = (figure: (round: Round) => number | null) => roundedOrNull(medianOrNull(rounds.map(figure)), 1)
  return {
    families,
    requests: rounds.reduce((total, { requests }) => total + requests, 0),
    rps: rounded(median(rounds.map(({ rps }) => rps)), 1),
    cpu_us: middle(({ cpu_us }) => cpu_us),
    db_cpu_us: middle(({ db_cpu_us }) => db_cpu_us),
    both_cpu_us: middle(bothCpu),
    ...waitingOf(rounds),
  }
}

function waitingOf(slices: Slice[]): Waiting {
  return {
    p50_ms: rounded(median(slices.map(({ p50_ms }) => p50_ms)), 3),
    p99_ms: rounded(median(slices.map(({ p99_ms }) => p99_ms)), 3),
    errors: slices.reduce((total, { errors }) => total + errors, 0),
  }
}

function bothCpu({ cpu_us, db_cpu_us }: Round): number | null {
  return cpu_us === null || db_cpu_us === null ? null : cpu_us + db_cpu_us
}

function roundedOrNull(value: number | null, digits: number): number | null {
  return value === null ? null : rounded(value, digits)
}

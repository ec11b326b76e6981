import { median, medianOrNull, rounded } from './figures.ts'
import { introduceMachine, type MachineWords } from './machine.ts'
import { exact, table, whole } from './markdown.ts'
import type { StoreKind } from './options.ts'
import type { Measurement, Pace, Round } from './rounds.ts'
import type { Scenario } from './scenarios/scenario.ts'

/** One subject's figures, rounded for reading. */
interface Figures {
  rps: number
  /** CPU of the subject, and of PostgreSQL, for one request; null where this system does not tell. */
  cpu_us: number | null
  db_cpu_us: number | null
  p50_ms: number
  p99_ms: number
  errors: number
  requests: number
  /** The most memory since it was started. */
  rss_mb: number | null
}

/** The portal's figures beside the others'; this shape is part of the contract. */
export interface EndpointResult extends Figures {
  name: string
  store: StoreKind
  concurrency: number
  /** Requests per second, ours over theirs. */
  ratio_to_floor: number
  ratio_to_stock: number | null
  /** CPU per request, theirs over ours: as with the other ratios, more is better. */
  cpu_ratio_to_floor: number | null
  cpu_ratio_to_stock: number | null
  floor: Figures
  stock: Figures | null
  /** Of the set-up that many run; only where there is Redis. */
  typical: Figures | null
  cpu_ratio_to_typical: number | null
}

export function resultOf(store: StoreKind, scenario: Scenario, measurements: Measurement[]): EndpointResult {
  const [portal, floor, stock = null, typical = null] = measurements
  if (portal === undefined || floor === undefined) throw new Error(`${scenario.name} was not measured`)
  return {
    name: scenario.name,
    store,
    concurrency: scenario.concurrency,
    ...figuresOf(portal),
    ratio_to_floor: speedRatio(portal, floor),
    ratio_to_stock: stock === null ? null : speedRatio(portal, stock),
    cpu_ratio_to_floor: cpuRatio(portal, floor),
    cpu_ratio_to_stock: stock === null ? null : cpuRatio(portal, stock),
    floor: figuresOf(floor),
    stock: stock === null ? null : figuresOf(stock),
    typical: typical === null ? null : figuresOf(typical),
    cpu_ratio_to_typical: typical === null ? null : cpuRatio(portal, typical),
  }
}

/** The method and one table per store, as Markdown. */
export function describeEndpoints(machine: MachineWords, results: EndpointResult[], pace: Pace): string {
  const tables = [...Map.groupBy(results, ({ store }) => store)].map(
    ([store, ofStore]) => `\n### ${store}\n\n${table(HEADER, ofStore.map(rowOf))}`,
  )
  return `${describeMethod(machine, pace)}\n${tables.join('')}`
}

const HEADER = [
  'endpoint',
  'in flight',
  'req/s',
  'CPU µs',
  'DB µs',
  'p50 ms',
  'p99 ms',
  'errors (ours/floor/stock)',
  'peak MB',
  'floor req/s',
  'floor CPU µs',
  'stock req/s',
  'stock CPU µs',
  'of floor',
  'of floor by CPU',
  'of stock',
  'of stock by CPU',
  'typical CPU µs',
  'of typical by CPU',
]

function describeMethod(machine: MachineWords, { rounds, seconds, codes }: Pace): string {
  return `${introduceMachine(machine)}
${rounds} rounds of ${seconds} s (code_exchange: of ${codes} codes), portal, floor and stock in turns; medians, ratios by round.
The floor is the same SQL and cryptography on node:http and nothing else; stock is oidc-provider with its own adapters and rotation, and keeps everything but accounts in Redis where there is one. Typical is the same library in Express, with Redis, RS256 and an ID token at every refresh.
By CPU: their CPU per request over ours. 1 is as fast or as cheap as they are, more is better.`
}

function rowOf(result: EndpointResult): string[] {
  const { floor, stock } = result
  return [
    result.name,
    String(result.concurrency),
    whole(result.rps),
    whole(result.cpu_us),
    whole(result.db_cpu_us),
    exact(result.p50_ms),
    exact(result.p99_ms),
    [result.errors, floor.errors, stock?.errors ?? 0].join('/'),
    whole(result.rss_mb),
    whole(floor.rps),
    whole(floor.cpu_us),
    whole(stock?.rps),
    whole(stock?.cpu_us),
    exact(result.ratio_to_floor),
    exact(result.cpu_ratio_to_floor),
    exact(result.ratio_to_stock),
    exact(result.cpu_ratio_to_stock),
    whole(result.typical?.cpu_us),
    exact(result.cpu_ratio_to_typical),
  ]
}

function figuresOf({ rps, cpu_us, db_cpu_us, p50_ms, p99_ms, errors, requests, rss_mb }: Measurement): Figures {
  return {
    rps: rounded(rps, 1),
    cpu_us: cpu_us === null ? null : rounded(cpu_us, 1),
    db_cpu_us: db_cpu_us === null ? null : rounded(db_cpu_us, 1),
    p50_ms: rounded(p50_ms, 3),
    p99_ms: rounded(p99_ms, 3),
    errors,
    requests,
    rss_mb,
  }
}

function speedRatio(ours: Measurement, theirs: Measurement): number {
  return rounded(median(byRound(ours, theirs, (our, their) => our.rps / their.rps)), 3)
}

function cpuRatio(ours: Measurement, theirs: Measurement): number | null {
  const ratio = medianOrNull(
    byRound(ours, theirs, (our, their) =>
      our.cpu_us === null || their.cpu_us === null ? null : their.cpu_us / our.cpu_us,
    ),
  )
  return ratio === null ? null : rounded(ratio, 3)
}

function byRound<T>(ours: Measurement, theirs: Measurement, compare: (our: Round, their: Round) => T): T[] {
  return ours.rounds.map((round, index) => compare(round, theirs.rounds[index] as Round))
}

import { median, percentile, rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'

/** How an API learns that a token is no longer valid. */
export const WAYS = ['offline', 'introspection'] as const
export type Way = (typeof WAYS)[number]

const WORDS: Record<Way, string> = { offline: 'offline, with the feed', introspection: 'introspection of each' }

export interface Delays {
  way: Way
  rounds: number
  p50_ms: number
  p95_ms: number
  max_ms: number
}

/** CPU (µs) and latency of one request to the API. */
export interface Cost {
  way: Way
  rps: number
  p50_ms: number
  api_us: number | null
  portal_us: number | null
  db_us: number | null
  errors: number
}

/** From the answered click that ends a family to the API's first refusal. */
export const DELAY_GOAL_MS = 1000

export function summariseDelays(way: Way, delays: number[]): Delays {
  const ascending = delays.toSorted((a, b) => a - b)
  const at = (share: number) => rounded(percentile(ascending, share), 1)
  return { way, rounds: delays.length, p50_ms: at(0.5), p95_ms: at(0.95), max_ms: at(1) }
}

/** Of all three processes together; null where the operating system does not report it. */
export function totalOf({ api_us: api, portal_us: portal, db_us: db }: Cost): number | null {
  return api === null || portal === null || db === null ? null : api + portal + db
}

export function describeRevocation(
  machine: MachineWords,
  delays: Delays[],
  costs: Cost[],
  ratio: number | null,
): string {
  const waited = delays.map(({ way, rounds, p50_ms, p95_ms, max_ms }) => {
    return [WORDS[way], String(rounds), ...[p50_ms, p95_ms, max_ms].map(exact)]
  })
  const paid = costs.map((cost) => [
    WORDS[cost.way],
    whole(cost.rps),
    exact(cost.p50_ms),
    ...[cost.api_us, cost.portal_us, cost.db_us, totalOf(cost)].map(whole),
    String(cost.errors),
  ])
  return `${introduceMachine(machine)}
From the answer to the click that ends a family to the first refusal by an API in another process, which is asked again and again from then on.
Goal: at most ${DELAY_GOAL_MS} ms, always.

${table(['the API verifies', 'rounds', 'p50 ms', 'p95 ms', 'max ms'], waited)}
One request to the API, 32 in flight; CPU of the API, the portal and PostgreSQL; medians of rounds in which the two take turns.
By all CPU together, introspection costs ${exact(ratio)} times as much.

${table(['the API verifies', 'req/s', 'p50 ms', 'API CPU µs', 'portal CPU µs', 'DB CPU µs', 'all µs', 'errors'], paid)}`
}

/** The median of the costs of each round. */
export function ratioOf(rounds: Record<Way, Cost>[]): number | null {
  const ratios = rounds.map(({ offline, introspection }) => {
    const [cheap, dear] = [totalOf(offline), totalOf(introspection)]
    return cheap === null || dear === null ? null : dear / cheap
  })
  return ratios.includes(null) ? null : rounded(median(ratios as number[]), 2)
}

import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, Connection } from '../connection.ts'
import { percentile } from '../figures.ts'
import { describeRefusal, type VirtualClient } from '../load.ts'

/** Latencies count from when a request was due, not from when it could be sent. */
export interface PacedSlice {
  requests: number
  p50_ms: number
  p99_ms: number
  max_ms: number
  errors: number
  /** The first unexpected answer; null when there was none. */
  firstError: string | null
  /** The delay of the load generator itself, which every latency includes. */
  late_p99_ms: number
}

/** Timers count whole milliseconds, so one may fire slightly early. */
const EARLY_MS = 0.5

/**
 * An open-loop load at a steady rate: clients take turns, whether or not earlier requests have been answered. So the stalls of
 * a server count as latency. A client that is still waiting at its turn sends right after.
 */
export async function runPaced(
  port: number,
  clients: VirtualClient[],
  perSecond: number,
  seconds: number,
): Promise<PacedSlice> {
  const connections = await Promise.all(clients.map(() => Connection.open(port)))
  const total = Math.round(perSecond * seconds)
  const latencies: number[] = []
  const late: number[] = []
  const refusals: string[] = []
  const { promise: allAnswered, resolve } = Promise.withResolvers<void>()

  const lanes = clients.map((client, index) => {
    const connection = connections[index] as Connection
    const due: number[] = []
    const settle = (refusal: string | null) => {
      latencies.push(performance.now() - (due.shift() as number))
      if (refusal !== null) refusals.push(refusal)
      if (latencies.length === total) resolve()
      else if (due.length > 0) ask()
    }
    const onAnswer = (answer: Answer) => settle(client.accept(answer) ? null : describeRefusal(answer))
    const onLost = () => settle('the connection was closed before an answer came')
    const ask = () => connection.ask(client.next() ?? '', onAnswer, onLost)
    return (at: number) => {
      if (due.push(at) === 1) ask()
    }
  })

  // Right after a timer, so that the rate is in step with the timers.
  await sleep(1)
  const start = performance.now()
  let asked = 0
  const askWhatIsDue = () => {
    const dueAt = () => start + (asked * 1000) / perSecond
    for (const now = performance.now(); asked < total && dueAt() <= now + EARLY_MS; asked++) {
      late.push(Math.max(0, now - dueAt()))
      lanes[asked % lanes.length]?.(Math.min(now, dueAt()))
    }
    if (asked < total) setTimeout(askWhatIsDue, dueAt() - performance.now())
  }
  askWhatIsDue()
  await allAnswered
  for (const connection of connections) connection.close()

  const ascending = latencies.toSorted((a, b) => a - b)
  return {
    requests: total,
    p50_ms: percentile(ascending, 0.5),
    p99_ms: percentile(ascending, 0.99),
    max_ms: ascending.at(-1) ?? Number.NaN,
    errors: refusals.length,
    firstError: refusals[0] ?? null,
    late_p99_ms: percentile(
      late.toSorted((a, b) => a - b),
      0.99,
    ),
  }
}

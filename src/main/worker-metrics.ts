import type { Worker } from 'node:cluster'
import type { MetricSnapshot } from '../domain/instruments.ts'
import type { Logger } from '../logger.ts'
import { repeat } from './repeat.ts'
import { within } from './time-limit.ts'

/** How often a worker reports what it has counted (ms): one that is killed loses the counts of this time. */
const REPORT_EVERY_MS = 5000
/** How long a scrape waits for a worker, and a worker for the primary process (ms). */
const WORKER_LIMIT_MS = 1500
const GATHER_LIMIT_MS = 5000

/** `round` is the one that asked for it; absent where none did. */
type ToPrimary = { kind: 'metrics'; round?: number; metrics: MetricSnapshot[] } | { kind: 'metrics-wanted'; id: number }
type ToWorker =
  { kind: 'report-metrics'; round: number } | { kind: 'metrics-gathered'; id: number; processes: MetricSnapshot[][] }

/** A worker's side: it reports its metrics to the primary process, and asks it for those of all workers. */
export class WorkerLink {
  readonly #read: (what: 'everything' | 'counts') => Promise<MetricSnapshot[]>
  readonly #asked = new Map<number, (processes: MetricSnapshot[][]) => void>()
  readonly #stopReporting: () => void
  #lastId = 0

  constructor(logger: Logger, read: (what: 'everything' | 'counts') => Promise<MetricSnapshot[]>) {
    this.#read = read
    const report = async () => send({ kind: 'metrics', metrics: await read('counts') })
    // From the first report on, the primary process asks for more.
    void report()
    this.#stopReporting = repeat(report, REPORT_EVERY_MS, logger)
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'metrics-gathered') this.#asked.get(message.id)?.(message.processes)
      if (message.kind === 'report-metrics') void this.#answer(message.round)
    })
  }

  /** The metrics of every worker, and of those that have ended. @throws when the primary process does not answer */
  async gather(): Promise<MetricSnapshot[][]> {
    const id = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<MetricSnapshot[][]>()
    this.#asked.set(id, resolve)
    try {
      await send({ kind: 'metrics-wanted', id })
      return await within(GATHER_LIMIT_MS, promise)
    } finally {
      this.#asked.delete(id)
    }
  }

  /** The last report. */
  async leave(): Promise<void> {
    this.#stopReporting()
    await send({ kind: 'metrics', metrics: await this.#read('counts') })
  }

  async #answer(round: number): Promise<void> {
    await send({ kind: 'metrics', round, metrics: await this.#read('everything') })
  }
}

/** Resolves once it is on its way, or when the primary process is gone. */
async function send(message: ToPrimary): Promise<void> {
  if (!process.connected) return
  await new Promise<void>((resolve) => process.send?.(message, () => resolve()))
}

/** What is known of one worker. */
interface Followed {
  worker: Worker
  last: MetricSnapshot[]
  /** The rounds that wait for its report. */
  waiting: Map<number, () => void>
}

/**
 * The primary process's side: keeps the last report of every worker, and what those had counted that have ended. So no counter
 * goes down when a worker is replaced.
 */
export class MetricsOfWorkers {
  readonly #followed = new Map<number, Followed>()
  #departed: MetricSnapshot[] = []
  #round = 0

  follow(worker: Worker): void {
    worker.on('message', (message: ToPrimary | string) => {
      if (typeof message === 'string') return
      if (message.kind === 'metrics') this.#note(worker, message)
      if (message.kind === 'metrics-wanted') void this.#answer(worker, message.id)
    })
    // Unlike `exit`, it comes after all messages of the worker.
    worker.once('disconnect', () => this.#bury(worker))
  }

  #note(worker: Worker, { metrics, round }: Extract<ToPrimary, { kind: 'metrics' }>): void {
    const known = this.#followed.get(worker.id) ?? { worker, last: [], waiting: new Map() }
    this.#followed.set(worker.id, known)
    known.last = metrics
    if (round !== undefined) known.waiting.get(round)?.()
  }

  #bury(worker: Worker): void {
    const known = this.#followed.get(worker.id)
    if (known === undefined) return
    this.#followed.delete(worker.id)
    this.#departed = addCounts(this.#departed, known.last)
    for (const resolve of known.waiting.values()) resolve()
  }

  async #answer(worker: Worker, id: number): Promise<void> {
    const processes = await this.#gather()
    const answer: ToWorker = { kind: 'metrics-gathered', id, processes }
    if (worker.isConnected()) worker.send(answer, () => {})
  }

  /** A worker that hangs is shown as it was last. */
  async #gather(): Promise<MetricSnapshot[][]> {
    const round = ++this.#round
    const asked = [...this.#followed.values()]
    const answered = await Promise.all(asked.map(async (each) => ask(each, round)))
    const silent = answered.filter((hasAnswered) => !hasAnswered).length
    const count = gaugeOfWorkers({ answering: answered.length - silent, silent })
    return [this.#departed, ...[...this.#followed.values()].map(({ last }) => last), [count]]
  }
}

/** Whether the worker answers in time, or has ended. */
async function ask({ worker, waiting }: Followed, round: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<void>()
  waiting.set(round, resolve)
  const question: ToWorker = { kind: 'report-metrics', round }
  if (worker.isConnected()) worker.send(question, () => {})
  return within(WORKER_LIMIT_MS, promise)
    .then(
      () => true,
      () => false,
    )
    .finally(() => waiting.delete(round))
}

function gaugeOfWorkers(count: Record<string, number>): MetricSnapshot {
  const values = Object.entries(count).map(([state, value]) => ({ labels: { state }, value }))
  const help = 'Worker processes, and those of them that did not answer this scrape.'
  return { name: 'gatehouse_worker_processes', help, type: 'gauge', aggregator: 'first', values }
}

/** Counters and histograms of two processes as one; gauges end with theirs. */
function addCounts(one: MetricSnapshot[], other: MetricSnapshot[]): MetricSnapshot[] {
  const sums = new Map(one.map((metric) => [metric.name, metric]))
  for (const metric of other.filter(({ type }) => type !== 'gauge')) {
    const values = new Map((sums.get(metric.name)?.values ?? []).map((value) => [keyOf(value), value] as const))
    for (const value of metric.values) {
      const known = values.get(keyOf(value))
      values.set(keyOf(value), { ...value, value: (known?.value ?? 0) + value.value })
    }
    sums.set(metric.name, { ...metric, values: [...values.values()] })
  }
  return [...sums.values()]
}

function keyOf({ metricName = '', labels }: MetricSnapshot['values'][number]): string {
  return JSON.stringify([metricName, ...Object.entries(labels).toSorted(([one], [other]) => (one < other ? -1 : 1))])
}

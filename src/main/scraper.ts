import cluster from 'node:cluster'
import type { Registry } from 'prom-client'
import type { MetricSnapshot } from '../domain/instruments.ts'
import type { Services } from '../domain/services.ts'
import type { Scrape } from '../http/metrics-answer.ts'
import { createFacts } from './portal-facts.ts'
import { WorkerLink } from './worker-metrics.ts'

/** Reads and writes the metrics of this process, and of the other workers beside it. */
export class Scraper {
  readonly #services: Services
  readonly #readFacts: () => Promise<MetricSnapshot[]>
  readonly #link: WorkerLink | null
  /** What Node.js knows of this process, from the first scrape on: a portal that is not scraped does not load the library. */
  #node: Promise<Registry> | null = null

  constructor(services: Services) {
    this.#services = services
    this.#readFacts = createFacts(services)
    this.#link = cluster.isWorker ? new WorkerLink(services.logger, async (what) => this.#read(what)) : null
  }

  /** Everything, as text. @throws when the primary process of workers does not answer */
  async scrape(): Promise<Scrape> {
    const [{ AggregatorRegistry }, processes, facts] = await Promise.all([
      import('prom-client'),
      this.#link === null ? this.#read('everything').then((own) => [own]) : this.#link.gather(),
      this.#readFacts(),
    ])
    const registry = AggregatorRegistry.aggregate([...processes, facts])
    return { contentType: registry.contentType, text: await registry.metrics() }
  }

  /** Hands over what this process has counted, when it has answered its last request. */
  async leave(): Promise<void> {
    await this.#link?.leave()
  }

  /** `counts` are what must not be lost with the process. */
  async #read(what: 'everything' | 'counts'): Promise<MetricSnapshot[]> {
    const own = this.#services.metrics.snapshot({ gauges: what === 'everything' })
    if (what === 'everything') this.#node ??= openNodeMetrics()
    // Reading the event-loop lag begins it anew, so that is for scrapes alone.
    const metrics = ((await this.#node)?.getMetricsAsArray() ?? []) as unknown as NodeMetric[]
    const read = metrics.filter(({ type }) => what === 'everything' || type !== 'gauge')
    return [...own, ...(await Promise.all(read.map(async (metric) => metric.get())))]
  }
}

/** What the types of the library leave out. */
type NodeMetric = Pick<MetricSnapshot, 'name' | 'type'> & { get(): Promise<MetricSnapshot> }

/** CPU, memory, event-loop lag and garbage collection of this process. */
async function openNodeMetrics(): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import('prom-client')
  const register = new Registry()
  collectDefaultMetrics({ register, prefix: 'gatehouse_' })
  for (const metric of register.getMetricsAsArray()) {
    if (LEFT_OUT.test(metric.name)) register.removeSingleMetric(metric.name)
    else Object.assign(metric, aggregatorOf(metric.name))
  }
  return register
}

/** Series for those who work on Node.js itself, and a minimum that is the interval of its own measurement. */
const LEFT_OUT = /_nodejs_(heap_space|active)_|_lag_(min|stddev|mean)_seconds$/

/** Where the average of the workers, which is preset, would hide the one that is stuck. */
function aggregatorOf(name: string): Partial<Pick<MetricSnapshot, 'aggregator'>> {
  if (name.endsWith('_start_time_seconds')) return { aggregator: 'min' }
  return name.includes('_eventloop_lag_') ? { aggregator: 'max' } : {}
}

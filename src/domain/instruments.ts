/** A metric as it stands at one moment, in the form in which prom-client writes metrics and adds those of processes up. */
export interface MetricSnapshot {
  name: string
  help: string
  type: 'counter' | 'histogram' | 'gauge'
  /** How the values of several processes become one. */
  aggregator: 'sum' | 'max' | 'min' | 'first' | 'average' | 'omit'
  /** `metricName` is that of one series of a histogram. */
  values: { labels: Record<string, string | number>; value: number; metricName?: string }[]
}

/** What is counted or measured in this process. */
export interface Instrument {
  readonly name: string
  snapshot(): MetricSnapshot
}

interface Cell {
  labels: string[]
  value: number
}

/**
 * A number that only grows, for each combination of label values. Counting costs a refresh a tenth of a microsecond; the counters
 * of prom-client cost it five times that, and each command of the portal the time to load them.
 */
export class Counter implements Instrument {
  readonly name: string
  readonly #help: string
  readonly #labels: string[]
  readonly #cells = new Map<string, Cell>()

  constructor(name: string, help: string, labels: string[] = []) {
    this.name = name
    this.#help = help
    this.#labels = labels
    if (labels.length === 0) this.add([], 0)
  }

  /** @param labels the values, in the order of the names. Each is of a closed list, or the id of an app that exists. */
  add(labels: string[], by = 1): void {
    const key = keyOf(labels)
    const cell = this.#cells.get(key)
    if (cell === undefined) this.#cells.set(key, { labels, value: by })
    else cell.value += by
  }

  snapshot(): MetricSnapshot {
    const values = [...this.#cells.values()].map(({ labels, value }) => ({
      labels: labelled(this.#labels, labels),
      value,
    }))
    return { name: this.name, help: this.#help, type: 'counter', aggregator: 'sum', values }
  }
}

/** How long something took (seconds), for each combination of label values. */
export class Histogram implements Instrument {
  readonly name: string
  readonly #help: string
  readonly #labels: string[]
  readonly #bounds: number[]
  readonly #cells = new Map<string, { labels: string[]; counts: number[]; sum: number }>()

  constructor(name: string, help: string, bounds: number[], labels: string[] = []) {
    this.name = name
    this.#help = help
    this.#bounds = bounds
    this.#labels = labels
    if (labels.length === 0) this.#cellOf([])
  }

  observe(labels: string[], seconds: number): void {
    const cell = this.#cellOf(labels)
    let at = 0
    // Most are short, and the bounds are few.
    while (at < this.#bounds.length && seconds > (this.#bounds[at] as number)) at++
    cell.counts[at] = (cell.counts[at] as number) + 1
    cell.sum += seconds
  }

  snapshot(): MetricSnapshot {
    const values = [...this.#cells.values()].flatMap(({ labels, counts, sum }) => {
      const own = labelled(this.#labels, labels)
      let total = 0
      const buckets = [...this.#bounds, '+Inf'].map((le, at) => {
        total += counts[at] as number
        return { labels: { ...own, le }, value: total, metricName: `${this.name}_bucket` }
      })
      return [
        ...buckets,
        { labels: own, value: sum, metricName: `${this.name}_sum` },
        { labels: own, value: total, metricName: `${this.name}_count` },
      ]
    })
    return { name: this.name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }

  #cellOf(labels: string[]) {
    const key = keyOf(labels)
    let cell = this.#cells.get(key)
    if (cell === undefined) {
      cell = { labels, counts: Array.from({ length: this.#bounds.length + 1 }, () => 0), sum: 0 }
      this.#cells.set(key, cell)
    }
    return cell
  }
}

/** What is read when it is asked for, such as how many connections are in use. */
export class Gauge implements Instrument {
  readonly name: string
  readonly #help: string
  readonly #label: string | null
  readonly #read: () => Record<string, number>

  /** @param read a number for each value of the label; without a label, for the empty string */
  constructor(name: string, help: string, label: string | null, read: () => Record<string, number>) {
    this.name = name
    this.#help = help
    this.#label = label
    this.#read = read
  }

  snapshot(): MetricSnapshot {
    const labelsOf = (of: string): Record<string, string> => (this.#label === null ? {} : { [this.#label]: of })
    const values = Object.entries(this.#read()).map(([of, value]) => ({ labels: labelsOf(of), value }))
    return { name: this.name, help: this.#help, type: 'gauge', aggregator: 'sum', values }
  }
}

function keyOf(labels: string[]): string {
  return labels.length === 1 ? (labels[0] as string) : labels.join('\n')
}

function labelled(names: string[], values: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, at) => [name, values[at] as string]))
}

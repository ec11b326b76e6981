import { median } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table, whole } from '../markdown.ts'

/** One load of a page. */
export interface Load {
  /** On the wire, headers included, of the page and all it loads. */
  bytes: number
  /** Largest Contentful Paint, in ms from the start of the navigation. */
  lcp: number
  /** Cumulative Layout Shift. */
  cls: number
}

export interface Visit {
  first: Load
  later: Load
}

export interface PageResult {
  path: string
  line: string
  visits: number
  first: Load
  later: Load
}

export function resultOf(path: string, line: string, visits: Visit[]): PageResult {
  const typical = (loads: Load[]): Load => ({
    bytes: median(loads.map(({ bytes }) => bytes)),
    lcp: median(loads.map(({ lcp }) => lcp)),
    cls: Math.max(...loads.map(({ cls }) => cls)),
  })
  return {
    path,
    line,
    visits: visits.length,
    first: typical(visits.map(({ first }) => first)),
    later: typical(visits.map(({ later }) => later)),
  }
}

export function describePages(machine: MachineWords, results: PageResult[]): string {
  return `${introduceMachine(machine)}
Chromium, 390 × 844; medians of ${results[0]?.visits ?? 0} browsers, of CLS the largest. Slow phone: a line with 150 ms latency and 1.6 Mbit/s, and a processor that is four times slower.

${table(
  ['page', 'kB first', 'kB later', 'LCP ms first', 'LCP ms later', 'CLS'],
  results.map(({ path, line, first, later }) => [
    `${path}, ${line}`,
    (first.bytes / 1000).toFixed(1),
    (later.bytes / 1000).toFixed(1),
    whole(first.lcp),
    whole(later.lcp),
    exact(Math.max(first.cls, later.cls)),
  ]),
)}`
}

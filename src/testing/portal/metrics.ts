/** One series: its name, labels and value. */
export interface Series {
  name: string
  labels: Record<string, string>
  value: number
}

/** The series of a text of Prometheus. @throws for a line that is none */
export function readMetrics(text: string): Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = /^([a-z][a-z0-9_]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name === undefined) throw new Error(`this is no series: ${line}`)
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, of]) => [label, of] as const)
      return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) }
    })
}

/** The sum of the series of a name that have these labels. */
export function sumOf(series: Series[], name: string, labels: Record<string, string> = {}): number {
  return series
    .filter((each) => each.name === name)
    .filter((each) => Object.entries(labels).every(([label, of]) => each.labels[label] === of))
    .reduce((sum, { value }) => sum + value, 0)
}

/** The counts of the test runners. */
export interface Totals {
  passed: number
  failed: number
  skipped: number
  /** The files that failed, and passed in their second run. */
  flaky: string[]
}

export const NO_TOTALS: Totals = { passed: 0, failed: 0, skipped: 0, flaky: [] }

export function addTotals(all: Totals[]): Totals {
  const sum = (count: (totals: Totals) => number) => all.reduce((total, totals) => total + count(totals), 0)
  return {
    passed: sum((totals) => totals.passed),
    failed: sum((totals) => totals.failed),
    skipped: sum((totals) => totals.skipped),
    flaky: all.flatMap((totals) => totals.flaky),
  }
}

/**
 * The sum of a run of files, of which failed ones were run again. One flaky file may be the machine's fault, and is named; with
 * a second one, both count as failed.
 */
export function addRetries(first: Map<string, Totals>, again: Map<string, Totals>): Totals {
  const flaky = [...again].filter(([, totals]) => totals.failed === 0).map(([file]) => file)
  const results = [...first].map(([file, totals]) =>
    flaky.length === 1 && file === flaky[0] ? (again.get(file) ?? totals) : totals,
  )
  return { ...addTotals(results), flaky }
}

export function countRun({ passed, failed }: Totals): number {
  return passed + failed
}

/** The last line of the output; programs parse it. */
export function describeTotals({ passed, failed, skipped, flaky }: Totals): string {
  const parts = [`${passed} passed`, `${failed} failed`]
  if (skipped > 0) parts.push(`${skipped} skipped`)
  if (flaky.length > 0) parts.push(`${flaky.length} flaky (${flaky.join(', ')})`)
  return parts.join(', ')
}

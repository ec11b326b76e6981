/** What the test runners counted. */
export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export function addTotals(all: Totals[]): Totals {
  const sum = (count: (totals: Totals) => number) => all.reduce((total, totals) => total + count(totals), 0)
  return {
    passed: sum((totals) => totals.passed),
    failed: sum((totals) => totals.failed),
    skipped: sum((totals) => totals.skipped),
  }
}

export function countRun({ passed, failed }: Totals): number {
  return passed + failed
}

/** The line that ends the whole output; programs read it. */
export function describeTotals({ passed, failed, skipped }: Totals): string {
  const line = `${passed} passed, ${failed} failed`
  return skipped > 0 ? `${line}, ${skipped} skipped` : line
}

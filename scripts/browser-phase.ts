import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JSONReport } from '@playwright/test/reporter'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import type { Verdict } from './phases.ts'
import { describeShard, type Shard } from './shards.ts'
import { runTool } from './tool.ts'
import { countRun, NO_TOTALS, type Totals } from './totals.ts'

const LIMIT = 12.5 * 60_000

/** Runs the tests of `e2e/` in Chromium. */
export async function runBrowserTests(filters: string[], shard: Shard, env: Record<string, string>): Promise<Verdict> {
  const folder = await makeTemporaryFolder('report')
  const report = join(folder.path, 'report.json')
  try {
    const problem = await runTool(
      'playwright',
      ['test', '--reporter=list,json', `--shard=${describeShard(shard)}`, ...filters],
      {
        env: { ...env, PLAYWRIGHT_JSON_OUTPUT_FILE: report },
        limit: LIMIT,
      },
    ).then(
      () => null,
      (error: Error) => error.message,
    )
    const totals = await readTotals(report)
    return { totals, problem: problem ?? (countRun(totals) === 0 ? 'Not one browser test ran.' : null) }
  } finally {
    await folder.remove()
  }
}

/** Null when Playwright ended before it wrote its report. */
async function readTotals(report: string): Promise<Totals> {
  const text = await readFile(report, 'utf8').catch(() => null)
  if (text === null) return NO_TOTALS
  const { stats } = JSON.parse(text) as JSONReport
  return { passed: stats.expected, failed: stats.unexpected + stats.flaky, skipped: stats.skipped, flaky: [] }
}

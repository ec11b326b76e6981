import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JSONReport, JSONReportSuite } from '@playwright/test/reporter'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import type { Verdict } from './phases.ts'
import { addSecondRun } from './second-run.ts'
import { describeShard, type Shard } from './shards.ts'
import { runTool } from './tool.ts'
import { addTotals, countRun, NO_TOTALS, type Totals } from './totals.ts'

const MINUTE = 60_000
const LIMIT = 12.5 * MINUTE
const SECOND_LIMIT = 6 * MINUTE

interface BrowserRun {
  /** What Playwright says of the whole run; null when it passed. */
  problem: string | null
  /** Whether something else than a test failed: Playwright itself, a demo that did not stop, or the time was over. */
  isBroken: boolean
  files: Map<string, Totals>
}

/**
 * Runs the tests of `e2e/` in Chromium. Files that fail are run once more, alone: Playwright's own retries would run the test at
 * once, beside the others, and pass with any number of flaky tests.
 */
export async function runBrowserTests(
  filters: string[],
  shard: Shard,
  env: Record<string, string>,
  config = 'playwright.config.ts',
): Promise<Verdict> {
  const options = [`--config=${config}`]
  const first = await runPlaywright([...options, `--shard=${describeShard(shard)}`, ...filters], env, LIMIT)
  if (first.isBroken) return { totals: addTotals([...first.files.values()]), problem: first.problem }

  const totals = await addSecondRun(first.files, async (failing) => {
    // The traces of the first run stay where they are.
    const alone = ['--workers=1', '--output=test-results/again', `--global-timeout=${SECOND_LIMIT}`, ...failing]
    const second = await runPlaywright([...options, ...alone], env, SECOND_LIMIT + MINUTE / 2)
    return second.isBroken ? new Map<string, Totals>() : second.files
  })
  if (countRun(totals) === 0) return { totals, problem: 'Not one browser test ran.' }
  return { totals, problem: totals.failed > 0 ? (first.problem ?? 'A browser test failed.') : null }
}

async function runPlaywright(args: string[], env: Record<string, string>, limit: number): Promise<BrowserRun> {
  const folder = await makeTemporaryFolder('report')
  const path = join(folder.path, 'report.json')
  try {
    const problem = await runTool('playwright', ['test', '--reporter=list,json', ...args], {
      env: { ...env, PLAYWRIGHT_JSON_OUTPUT_FILE: path },
      limit,
    }).then(
      () => null,
      (error: Error) => error.message,
    )
    // There is none when Playwright ended before it wrote it.
    const text = await readFile(path, 'utf8').catch(() => null)
    if (text === null) return { problem: problem ?? 'Playwright left no report.', isBroken: true, files: new Map() }
    const report = JSON.parse(text) as JSONReport
    const files = totalsOf(report)
    const failed = addTotals([...files.values()]).failed
    return { problem, isBroken: report.errors.length > 0 || (problem !== null && failed === 0), files }
  } finally {
    await folder.remove()
  }
}

/** The counts of each file, by its path. */
function totalsOf({ config, suites }: JSONReport): Map<string, Totals> {
  return new Map(suites.map((suite) => [join(config.rootDir, suite.file), countSuite(suite)]))
}

function countSuite({ specs, suites = [] }: JSONReportSuite): Totals {
  const statuses = specs.flatMap(({ tests }) => tests.map(({ status }) => status))
  const count = (...wanted: string[]) => statuses.filter((status) => wanted.includes(status)).length
  const own = { passed: count('expected'), failed: count('unexpected', 'flaky'), skipped: count('skipped'), flaky: [] }
  return addTotals([{ ...NO_TOTALS, ...own }, ...suites.map(countSuite)])
}

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { keepMeasuredTimes, longestFirst, type MeasuredTimes, readMeasuredTimes } from './measured-times.ts'
import { addSecondRun } from './second-run.ts'
import { readShard, shardOf } from './shards.ts'
import { groupTests, type TestGroup, writeGroup } from './test-groups.ts'
import { countRun, NO_TOTALS, type Totals } from './totals.ts'

/** Of a test, a suite or a file. */
interface TestEvent {
  name: string
  nesting: number
  details: { duration_ms: number; type?: string }
  skip?: string | boolean
  todo?: string | boolean
}

/** A group hangs when it takes longer than this (ms); each of its files has a limit of its own. */
const GROUP_LIMIT = 15 * 60_000
/** For a file that did not run to its end. */
const SILENT: Totals = { ...NO_TOTALS, failed: 1 }

const [shard = '', ...paths] = process.argv.slice(2)
const filters = paths.map((path) => resolve(path))
const chosenFiles = globSync('{src,bench,deploy,examples,scripts}/**/*.test.ts')
  .map((file) => resolve(file))
  .filter((file) => filters.length === 0 || filters.some((filter) => file === filter || file.startsWith(`${filter}/`)))
const groups = longestFirst(groupTests(shardOf(chosenFiles, readShard(shard))), await readMeasuredTimes())
const times: MeasuredTimes = {}

// A stop ends the test files with this process; running and pending ones count as failed.
const ending = new AbortController()
process.once('SIGTERM', () => ending.abort())

const first = await runGroups(groups, availableParallelism() + 1)
await keepMeasuredTimes(times)
const totals = await addSecondRun(first, async (failing) =>
  ending.signal.aborted
    ? new Map()
    : runGroups(
        failing.map((file) => [file]),
        1,
      ),
)
process.send?.(totals)
process.exitCode = totals.failed === 0 ? 0 : 1

/** The result of each file. One that ends without output, hangs, or holds no test has failed. */
async function runGroups(chosen: TestGroup[], concurrency: number): Promise<Map<string, Totals>> {
  const results = new Map<string, Totals>(chosen.flat().map((file) => [file, SILENT]))
  const folder = await makeTemporaryFolder('groups')
  const programs = new Map<string, TestGroup>()
  for (const [index, group] of chosen.entries())
    programs.set(await writeGroup(group, folder.path, String(index)), group)

  const execArgv = ['--import', new URL('end-of-tests.ts', import.meta.url).href]
  const options = { isolation: 'process', timeout: GROUP_LIMIT, signal: ending.signal, execArgv } as const
  const stream = run({ files: [...programs.keys()], concurrency, ...options })
  // The tests of a file are reported before the file itself, without another file's between them.
  let counted = NO_TOTALS
  const count = (passes: boolean, { name, nesting, details, skip, todo }: TestEvent) => {
    const isTest = details.type !== 'suite'
    if (nesting > 0 && isTest) {
      const outcome = skip || todo ? 'skipped' : passes ? 'passed' : 'failed'
      counted = { ...counted, [outcome]: counted[outcome] + 1 }
    } else if (nesting === 0 && results.has(name)) {
      const isEmpty = countRun(counted) + counted.skipped === 0
      if (passes && isEmpty) console.log(`${relative('.', name)} holds no test.`)
      const failed = passes && !isEmpty ? counted.failed : Math.max(1, counted.failed)
      results.set(name, { ...counted, failed })
      times[relative('.', name)] = Math.round(details.duration_ms)
      counted = NO_TOTALS
    } else if (nesting === 0 && !passes) failWhole(programs.get(name) ?? [])
  }
  // A process that ends badly although every file in it passed: one of them left something open, or failed too late.
  const failWhole = (group: TestGroup) => {
    counted = NO_TOTALS
    if (group.some((file) => results.get(file)?.failed !== 0)) return
    console.log(`The process of these files ended badly: ${group.map((file) => relative('.', file)).join(', ')}`)
    for (const file of group) results.set(file, { ...(results.get(file) ?? NO_TOTALS), failed: 1 })
  }
  stream.on('test:pass', (event) => count(true, event))
  stream.on('test:fail', (event) => count(false, event))
  stream.compose(new spec()).pipe(process.stdout, { end: false })
  await new Promise((done) => stream.once('close', done))
  await folder.remove()
  return results
}

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { keepMeasuredTimes, longestFirst, type MeasuredTimes, readMeasuredTimes } from './measured-times.ts'
import { addSecondRun } from './second-run.ts'
import { readShard, shardOf } from './shards.ts'
import { NO_TOTALS, type Totals } from './totals.ts'

const TEST_LIMIT = 5 * 60_000
/** For a file that printed nothing to the end. */
const SILENT: Totals = { ...NO_TOTALS, failed: 1 }

const [shard = '', ...paths] = process.argv.slice(2)
const filters = paths.map((path) => resolve(path))
const chosenFiles = globSync('{src,bench,examples,scripts}/**/*.test.ts')
  .map((file) => resolve(file))
  .filter((file) => filters.length === 0 || filters.some((filter) => file === filter || file.startsWith(`${filter}/`)))
const files = longestFirst(shardOf(chosenFiles, readShard(shard)), await readMeasuredTimes())
const times: MeasuredTimes = {}

// A stop ends the test files with this process; running and pending ones count as failed.
const ending = new AbortController()
process.once('SIGTERM', () => ending.abort())

const first = await runFiles(files, availableParallelism() + 1)
await keepMeasuredTimes(times)
const totals = await addSecondRun(first, async (failing) => (ending.signal.aborted ? new Map() : runFiles(failing, 1)))
process.send?.(totals)
process.exitCode = totals.failed === 0 ? 0 : 1

/** The result of each file. One that ends without output, hangs, or holds no test has failed. */
async function runFiles(chosen: string[], concurrency: number): Promise<Map<string, Totals>> {
  const results = new Map<string, Totals>(chosen.map((file) => [file, SILENT]))
  const execArgv = ['--import', new URL('end-of-tests.ts', import.meta.url).href]
  const options = { isolation: 'process', timeout: TEST_LIMIT, signal: ending.signal, execArgv } as const
  const stream = run({ files: chosen, concurrency, ...options })
  const empty = new Set<string>()
  stream.on('test:pass', ({ name, nesting }) => {
    // A file without tests counts as one passed test, under its own name.
    if (nesting === 0 && results.has(name)) empty.add(name)
  })
  const broken = new Set<string>()
  stream.on('test:fail', ({ name, nesting }) => {
    if (nesting === 0 && results.has(name)) broken.add(name)
  })
  stream.on('test:summary', ({ file, counts, success, duration_ms: duration }) => {
    if (file === undefined) return
    times[relative('.', file)] = Math.round(duration)
    const { tests, passed, skipped, todo } = counts
    const failures = tests - passed - skipped - todo
    const failed = success ? failures : Math.max(1, failures)
    results.set(file, { ...NO_TOTALS, passed, failed, skipped: skipped + todo })
  })
  stream.compose(new spec()).pipe(process.stdout, { end: false })
  await new Promise((done) => stream.once('close', done))
  for (const file of empty) {
    console.log(`${relative('.', file)} holds no test.`)
    results.set(file, SILENT)
  }
  for (const file of broken) {
    const known = results.get(file)
    if (known?.failed === 0) results.set(file, { ...known, failed: 1 })
  }
  return results
}

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import type { Totals } from './totals.ts'

// A test that hangs is named, and the others still have their say.
const TEST_LIMIT = 5 * 60_000

const filters = process.argv.slice(2).map((filter) => resolve(filter))
const files = globSync('{src,bench}/**/*.test.ts')
  .map((file) => resolve(file))
  .filter((file) => filters.length === 0 || filters.some((filter) => file === filter || file.startsWith(`${filter}/`)))
  .toSorted()

// Whoever ends us ends our test files with us; what they were at, and what was still to come, counts as failed.
const ending = new AbortController()
process.once('SIGTERM', () => ending.abort())

const concurrency = Math.max(2, availableParallelism())
const stream = run({ files, concurrency, isolation: 'process', timeout: TEST_LIMIT, signal: ending.signal })

const empty: string[] = []
stream.on('test:pass', ({ name, nesting }) => {
  // A file without tests counts as one that passed, under its own name.
  if (nesting === 0 && files.includes(name)) empty.push(name)
})
stream.on('test:summary', ({ file, counts, success }) => {
  if (file !== undefined) return
  const { tests, passed, skipped, todo } = counts
  const totals: Totals = {
    passed: passed - empty.length,
    failed: tests - passed - skipped - todo + empty.length,
    skipped: skipped + todo,
  }
  process.send?.(totals)
  process.exitCode = success && empty.length === 0 ? 0 : 1
})
stream.on('end', () => {
  for (const file of empty) console.log(`${relative('.', file)} holds no test.`)
})
stream.compose(new spec()).pipe(process.stdout)

import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { run } from '../src/testing/services/command.ts'
import { ROOT, toolEnvironment } from './tool.ts'

/** Inside the repository, where its files find Playwright; git ignores it. */
const FOLDER = join(ROOT, 'test-results-of-browser-phase')

const HEAD = `import { test, expect } from '@playwright/test'
import { existsSync, writeFileSync } from 'node:fs'
const isFirst = (name) => existsSync(name) ? false : (writeFileSync(name, ''), true)
`
const PASSES = `test('passes', () => {})`
const FAILS = `test('fails', () => expect(1).toBe(2))`
const LATE = `test.describe('inside', () => test('passes late', ({}, info) => expect(isFirst(info.file + '.seen')).toBe(false)))`

before(() => rm(FOLDER, { recursive: true, force: true }))
after(() => rm(FOLDER, { recursive: true, force: true }))

test('a browser test file that passes only alone, in its second run, is named and does not fail the run', async () => {
  const { verdict, output } = await runPhase('one', { good: PASSES, late: `${PASSES}\n${LATE}` })
  assert.deepEqual(verdict, {
    totals: { passed: 3, failed: 0, skipped: 0, flaky: ['test-results-of-browser-phase/one/late.spec.ts'] },
    problem: null,
  })
  assert.match(output, /Passed only when run again: \S+late\.spec\.ts/)
})

test('a second flaky browser test file fails the run', async () => {
  const { verdict, output } = await runPhase('two', { late: LATE, later: LATE })
  assert.equal(verdict.totals.failed, 2)
  assert.match(verdict.problem ?? '', /playwright ended with 1/)
  assert.match(output, /More than one flaky file fails the run/)
})

test('a browser test that fails twice fails the run', async () => {
  const { verdict } = await runPhase('broken', { bad: FAILS, good: PASSES })
  assert.deepEqual(
    { ...verdict.totals, hasProblem: verdict.problem !== null },
    {
      passed: 1,
      failed: 1,
      skipped: 0,
      flaky: [],
      hasProblem: true,
    },
  )
})

test('what fails outside of a test is not run again', async () => {
  const { verdict, output } = await runPhase('outside', { late: LATE, unreadable: `throw new Error('not a test')` })
  assert.notEqual(verdict.problem, null)
  assert.doesNotMatch(output, /Once more/)
})

interface PhaseResult {
  verdict: { totals: { passed: number; failed: number; skipped: number; flaky: string[] }; problem: string | null }
  output: string
}

/** In a process of its own, because the phase prints what Playwright prints. */
async function runPhase(name: string, files: Record<string, string>): Promise<PhaseResult> {
  const folder = join(FOLDER, name)
  await mkdir(folder, { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, `${file}.spec.ts`), HEAD + text)
  const config = join(folder, 'config.ts')
  await writeFile(config, `export default { testDir: '.', outputDir: 'output', workers: 2 }`)
  const script = `import { runBrowserTests } from './scripts/browser-phase.ts'
    const verdict = await runBrowserTests([], { part: 1, of: 1 }, {}, ${JSON.stringify(config)})
    console.log('VERDICT' + JSON.stringify(verdict))`
  const output = await run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT,
    env: toolEnvironment(),
    limit: 60_000,
  })
  return { verdict: JSON.parse(/VERDICT(.*)/.exec(output)?.[1] ?? '') as PhaseResult['verdict'], output }
}

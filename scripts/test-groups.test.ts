import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { groupTests, writeGroup } from './test-groups.ts'
import { toolEnvironment } from './tool.ts'

test('neighbours share a process, at most six of them, and a file that asks for one of its own has it', () => {
  const neighbours = Array.from({ length: 7 }, (_, index) => `/src/http/${index}.test.ts`)
  const files = [...neighbours, '/src/oidc/token.test.ts', '/src/http/long.test.ts']
  const source = (file: string) => (file.includes('long') ? '// Runs in a process of its own: it takes long.\n' : '')
  const groups = groupTests(files, source)

  assert.deepEqual(groups[0], ['/src/http/long.test.ts'])
  assert.deepEqual(groups[1], neighbours.slice(0, 6))
  assert.deepEqual(groups[2], [...neighbours.slice(6), '/src/oidc/token.test.ts'])
  assert.equal(groups.length, 3)
  assert.deepEqual(groupTests(files.toReversed(), source), groups)
})

test('in a group every file has its own hooks, and the next one runs after a failure', async (context) => {
  const report = await runTogether(context, {
    one: `beforeEach(() => console.log('hook of one'))
      after(() => console.log('end of one'))
      test('first', () => assert.ok(false))
      test('second', () => {})`,
    two: `test('third', () => console.log('third runs'))`,
    three: `throw new Error('not a module')`,
  })

  assert.equal(report.match(/hook of one/g)?.length, 2)
  assert.ok(report.indexOf('end of one') < report.indexOf('third runs'))
  assert.match(report, /^ {4}not ok 1 - first$/m)
  assert.match(report, /^ {4}ok 2 - second$/m)
  assert.match(report, /^not ok 1 - .+one\.mjs$/m)
  assert.match(report, /^ok 2 - .+two\.mjs$/m)
  assert.match(report, /^not ok 3 - .+three\.mjs$/m)
})

/** Runs modules with these programs as one group. @returns the report in TAP */
async function runTogether(context: TestContext, programs: Record<string, string>): Promise<string> {
  const folder = await makeTemporaryFolder('group')
  context.after(folder.remove)
  const files = Object.keys(programs).map((name) => join(folder.path, `${name}.mjs`))
  for (const [index, program] of Object.values(programs).entries()) {
    const imports = `import assert from 'node:assert'\nimport { after, beforeEach, test } from 'node:test'\n`
    await writeFile(files[index] as string, imports + program)
  }
  const group = await writeGroup(files, folder.path, 'group')
  return new Promise((resolve) =>
    execFile(process.execPath, ['--test-reporter=tap', group], { env: toolEnvironment() }, (_error, report) =>
      resolve(report),
    ),
  )
}

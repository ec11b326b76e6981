import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { keepMeasuredTimes, longestFirst, readMeasuredTimes } from './measured-times.ts'
import { ROOT } from './tool.ts'

test('the longest file comes first, and before it what was never measured, by its size', () => {
  const files = ['a', 'b', 'c', 'd', 'e'].map((name) => join(ROOT, name))
  const sizeOf = (file: string) => (file.endsWith('d') ? 2 : 1)
  const order = longestFirst(files, { a: 10, b: 30, c: 20 }, sizeOf)
  assert.deepEqual(
    order,
    ['d', 'e', 'b', 'c', 'a'].map((name) => join(ROOT, name)),
  )
})

test('what a run measures is added to what is known of other files', async (context) => {
  const folder = await makeTemporaryFolder('times')
  context.after(folder.remove)
  const file = join(folder.path, 'cache/times.json')
  assert.deepEqual(await readMeasuredTimes(file), {})
  await keepMeasuredTimes({ a: 1, b: 2 }, file)
  await keepMeasuredTimes({ b: 3 }, file)
  assert.deepEqual(await readMeasuredTimes(file), { a: 1, b: 3 })
})

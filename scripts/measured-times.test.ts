import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { keepMeasuredTimes, longestFirst, readMeasuredTimes } from './measured-times.ts'
import { ROOT } from './tool.ts'

test('the longest group comes first, and before it those never measured: a file alone, then by size', () => {
  const at = (...names: string[]) => names.map((name) => join(ROOT, name))
  const groups = [at('a', 'b'), at('c'), at('d', 'e'), at('f', 'g'), at('h')]
  const sizeOf = (file: string) => (file.endsWith('g') ? 3 : 1)
  const order = longestFirst(groups, { a: 10, b: 30, c: 20, d: 50, f: 1 }, sizeOf)
  assert.deepEqual(order, [at('h'), at('f', 'g'), at('d', 'e'), at('a', 'b'), at('c')])
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

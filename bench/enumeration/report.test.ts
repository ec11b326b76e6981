import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareTimes, holds } from './report.ts'

test('times that are the same tell nothing', () => {
  const times = Array.from({ length: 200 }, (_, index) => 30 + (index % 20) / 10)
  const result = compareTimes('the same', times, times)
  assert.deepEqual([result.difference_ms, result.told_apart, result.p_value], [0, 0.5, 1])
  assert.equal(holds(result), true)
})

test('a leak is seen in its ranks, far below the difference that is allowed', () => {
  const unknown = Array.from({ length: 200 }, (_, index) => 30 + (index % 20) / 10)
  const result = compareTimes(
    'leaking',
    unknown.map((time) => time + 2),
    unknown,
  )
  assert.equal(result.difference_ms, 2)
  assert.equal(result.told_apart, 1)
  assert.ok(result.p_value < 0.0001)
  assert.equal(holds(result), false)
})

test('the chance of a difference by accident is the one of the normal distribution', () => {
  // Ranks 1 to 10 and 11 to 20 with one pair exchanged: U = 99 of 100, z = 3.704.
  const low = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
  const high = [10, 12, 13, 14, 15, 16, 17, 18, 19, 20]
  const { told_apart: toldApart, p_value: p } = compareTimes('nearly apart', low, high)
  assert.equal(toldApart, 0.99)
  assert.equal(p, 0.0002)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, medianOrNull, percentile } from './figures.ts'

test('a percentile is a value that was measured', () => {
  const values = Float64Array.from({ length: 100 }, (_, index) => index + 1)
  assert.equal(percentile(values, 0.5), 51)
  assert.equal(percentile(values, 0.99), 100)
  assert.equal(percentile([7], 0.99), 7)
})

test('a median is not moved by one bad round', () => {
  assert.equal(median([900, 3, 910]), 900)
  assert.equal(median([2, 4]), 3)
})

test('what is unknown in one round is unknown', () => {
  assert.equal(medianOrNull([1, null, 3]), null)
  assert.equal(medianOrNull([1, 2, 3]), 2)
})

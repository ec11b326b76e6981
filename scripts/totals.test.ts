import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addRetries, addTotals, describeTotals, NO_TOTALS, type Totals } from './totals.ts'

const passed: Totals = { ...NO_TOTALS, passed: 3 }
const failed: Totals = { ...NO_TOTALS, passed: 1, failed: 2 }

test('a file that passes when it is run again is flaky, by name, and does not fail the run', () => {
  const totals = addRetries(new Map(Object.entries({ a: passed, b: failed })), new Map([['b', passed]]))
  assert.deepEqual(totals, { passed: 6, failed: 0, skipped: 0, flaky: ['b'] })
  assert.equal(describeTotals(totals), '6 passed, 0 failed, 1 flaky (b)')
})

test('a second flaky file fails the run, and both are named', () => {
  const first = new Map(Object.entries({ a: passed, b: failed, c: failed }))
  const totals = addRetries(first, new Map(Object.entries({ b: passed, c: passed })))
  assert.deepEqual(totals, { passed: 5, failed: 4, skipped: 0, flaky: ['b', 'c'] })
  assert.equal(describeTotals(totals), '5 passed, 4 failed, 2 flaky (b, c)')
})

test('a file that fails twice is no flake, and another one may still be', () => {
  const first = new Map(Object.entries({ b: failed, c: failed }))
  const totals = addRetries(first, new Map(Object.entries({ b: passed, c: failed })))
  assert.deepEqual(totals, { passed: 4, failed: 2, skipped: 0, flaky: ['b'] })
})

test('what was skipped is said, and the sums of all parts are one', () => {
  const skipped: Totals = { ...NO_TOTALS, passed: 1, skipped: 2 }
  assert.equal(describeTotals(addTotals([passed, skipped, NO_TOTALS])), '4 passed, 0 failed, 2 skipped')
  assert.equal(describeTotals(addTotals([])), '0 passed, 0 failed')
})

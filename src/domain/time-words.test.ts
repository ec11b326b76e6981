import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayInWords, secondInWords, timeInWords } from './time-words.ts'

const now = new Date('2026-03-04T00:30:00Z')
const before = (seconds: number) => new Date(now.getTime() - seconds * 1000)

for (const [seconds, words] of [
  [-90, 'just now'],
  [0, 'just now'],
  [59, 'just now'],
  [60, '1 minute ago'],
  [3599, '59 minutes ago'],
  [3600, '1 hour ago'],
  [86_400, 'yesterday'],
  [3 * 86_400, '3 days ago'],
  [604_800, 'last week'],
  [40 * 86_400, 'last month'],
  [800 * 86_400, '2 years ago'],
] as const) {
  test(`${seconds} seconds are "${words}"`, () => assert.equal(timeInWords(before(seconds), now).ago, words))
}

test('a moment is also given in full and for machines', () => {
  assert.equal(timeInWords(now, now).text, '4 Mar 2026, 00:30 UTC')
  assert.equal(timeInWords(now, now).iso, '2026-03-04T00:30:00.000Z')
})

test('a day begins at midnight, not 24 hours ago', () => {
  assert.equal(dayInWords(before(1700), now), 'Today')
  assert.equal(dayInWords(before(1900), now), 'Yesterday')
  assert.equal(dayInWords(before(86_400 + 1900), now), 'Monday, 2 March 2026')
})

test('a second is told with its date unless it is today, before and after midnight', () => {
  assert.equal(secondInWords(before(1799), now), 'at 00:00:01 UTC')
  assert.equal(secondInWords(before(1800), now), 'at 00:00:00 UTC')
  assert.equal(secondInWords(before(1801), now), 'on 3 Mar 2026 at 23:59:59 UTC')
  assert.equal(secondInWords(new Date('2026-03-04T23:59:59.999Z'), now), 'at 23:59:59 UTC')
  assert.equal(secondInWords(new Date('2026-03-05T00:00:00Z'), now), 'on 5 Mar 2026 at 00:00:00 UTC')
  assert.equal(secondInWords(new Date('2025-03-04T00:30:00Z'), now), 'on 4 Mar 2025 at 00:30:00 UTC')
})

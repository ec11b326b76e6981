import assert from 'node:assert/strict'
import { test } from 'node:test'
import { englishTexts } from '../i18n/texts.ts'
import { waitInWords } from './too-many-attempts.ts'

const { say } = englishTexts()
const now = new Date('2026-11-21T12:00:00Z')
const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000)

for (const [seconds, words] of [
  [-5, 'one second'],
  [0.2, 'one second'],
  [7.4, '8 seconds'],
  [59, '59 seconds'],
  [60, 'one minute'],
  [61, '2 minutes'],
  [900, '15 minutes'],
  [3600, 'one hour'],
  [80_000, '23 hours'],
] as const) {
  test(`a user who has to wait ${seconds} seconds is told ${words}`, () => {
    const { title, advice } = waitInWords({ retryAt: inSeconds(seconds), ipBlocked: false }, now)
    assert.deepEqual([say(title), say(advice)], ['Too many attempts', `Wait ${words}, then try again.`])
  })
}

for (const [seconds, until] of [
  [300, '21 Nov 2026, 12:05 UTC'],
  [12 * 3600, '22 Nov 2026, 00:00 UTC'],
] as const) {
  test(`a network that is suspended is told that it is until ${until}`, () => {
    const sentence = say(waitInWords({ retryAt: inSeconds(seconds), ipBlocked: true }, now).sentence)
    assert.ok(sentence.startsWith(`Sign-in from your network is paused until ${until}, because`), sentence)
  })
}

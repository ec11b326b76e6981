import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directionOf, LANGUAGES, nameOfLanguage } from './catalogues.ts'
import { acceptedLanguage, firstSupportedLanguage, supportedLanguage } from './language-choice.ts'
import { PSEUDO } from './pseudo.ts'
import { textsFor } from './texts.ts'
import { isTimeZone } from './times.ts'

const english = textsFor('en', { organisation: 'Example' })
const NOON = new Date('2026-03-04T12:05:09Z')

test('a time is in UTC and says so, until the zone is known', () => {
  const rome = textsFor('en', { organisation: 'Example', zone: 'Europe/Rome' })
  assert.deepEqual(english.time(NOON, NOON), {
    iso: '2026-03-04T12:05:09.000Z',
    text: '4 Mar 2026, 12:05 UTC',
    ago: 'just now',
  })
  assert.equal(rome.time(NOON, NOON).text, '4 Mar 2026, 13:05')
  assert.equal(rome.second(NOON, NOON), 'at 13:05:09')
  assert.equal(english.second(NOON, new Date('2026-03-05T12:00:00Z')), 'on 4 Mar 2026 at 12:05:09 UTC')
})

test('days follow the zone, also over midnight', () => {
  const tokyo = textsFor('en', { organisation: 'Example', zone: 'Asia/Tokyo' })
  const evening = new Date('2026-03-04T15:30:00Z')
  assert.equal(english.day(evening, new Date('2026-03-04T23:00:00Z')), 'Today')
  assert.equal(tokyo.day(NOON, evening), 'Yesterday')
  assert.equal(tokyo.day(evening, evening), 'Today')
  assert.equal(english.day(evening, new Date('2026-03-09T23:00:00Z')), 'Wednesday, 4 March 2026')
})

test('how long ago is rounded down to the largest unit', () => {
  const ago = (seconds: number) => english.time(new Date(NOON.getTime() - seconds * 1000), NOON).ago
  assert.deepEqual([-5, 59, 60, 3599, 3600, 86_399, 86_400, 1_209_600].map(ago), [
    'just now',
    'just now',
    '1 minute ago',
    '59 minutes ago',
    '1 hour ago',
    '23 hours ago',
    'yesterday',
    '2 weeks ago',
  ])
})

test('a text from a user never becomes HTML', () => {
  const html = english.rich('time.at_clock', { clock: '<b>"12"</b>&' })
  assert.equal(html, 'at &lt;b&gt;&quot;12&quot;&lt;/b&gt;&amp;')
})

test('a language is found by its tag, with or without a region', () => {
  assert.deepEqual(['en', 'en-US', 'EN-gb', 'tlh', '', 'de_DE', '*', 'en\r\n', 'x'.repeat(40)].map(supportedLanguage), [
    'en',
    'en',
    'en',
    null,
    null,
    null,
    null,
    null,
    null,
  ])
  assert.equal(firstSupportedLanguage('tlh en-AU'), 'en')
  assert.equal(firstSupportedLanguage(undefined), null)
  assert.equal(acceptedLanguage('tlh, *;q=0.1', 'en'), 'en')
  assert.equal(acceptedLanguage(undefined, 'en'), 'en')
  assert.equal(acceptedLanguage('tlh', 'en'), 'en')
})

test('each language has a name of its own and a direction', () => {
  assert.equal(LANGUAGES[0], 'en')
  assert.equal(new Set(LANGUAGES.map(nameOfLanguage)).size, LANGUAGES.length)
  assert.deepEqual(['en', 'ar', 'ja'].map(directionOf), ['ltr', 'rtl', 'ltr'])
})

test('the pseudo-locale is readable, longer and marked', () => {
  const texts = textsFor(PSEUDO, { organisation: 'Example' })
  assert.match(texts.t('layout.sign_out'), /^\[Šîgñ öût .+\]$/)
})

test('a time zone is one that this machine knows', () => {
  assert.deepEqual(['Europe/Rome', 'UTC', 'Etc/GMT+5', 'Mars/Base', '', '../etc', '+02:00'].map(isTimeZone), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ])
})

test('zones that clients make up take a bounded room', () => {
  const zones = Intl.supportedValuesOf('timeZone').slice(0, 200)
  const first = textsFor('en', { organisation: 'Example', zone: zones[0] ?? '' })
  assert.equal(textsFor('en', { organisation: 'Example', zone: zones[0] ?? '' }), first)
  for (const zone of zones) textsFor('en', { organisation: 'Example', zone })
  assert.notEqual(textsFor('en', { organisation: 'Example', zone: zones[0] ?? '' }), first)
})

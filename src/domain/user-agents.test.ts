import assert from 'node:assert/strict'
import { test } from 'node:test'
import { englishTexts } from '../i18n/texts.ts'
import { browserMessage } from './user-agents.ts'

for (const [userAgent, words] of [
  ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox on Linux'],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
    'Chrome on Windows',
  ],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
    'Safari on macOS',
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
    'Safari on iOS',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0',
    'Microsoft Edge on Windows',
  ],
] as const) {
  test(`a person reads "${words}"`, () => {
    assert.equal(browserInWords(userAgent), words)
  })
}

test('a browser that says nothing of itself is unknown', () => {
  assert.equal(browserInWords(null), 'Unknown browser')
  assert.equal(browserInWords(''), 'Unknown browser')
  assert.equal(browserInWords(' '), 'Unknown browser')
})

test('whatever a browser says of itself, there are words for it', () => {
  for (const userAgent of ['curl/8.5.0', 'node', '\u0000', '<script>alert(1)</script>', 'x'.repeat(10_000), '((((((']) {
    assert.notEqual(browserInWords(userAgent), '')
  }
})

// An expression that backtracks would not end before the limit of the run; `npm run bench -- stalls` has the time.
test('what a browser says of itself cannot keep the portal busy', () => {
  for (const piece of ['Mozilla/5.0 (', 'Version/', 'a'.repeat(10), '; ', 'Linux '])
    assert.notEqual(browserInWords(piece.repeat(40).slice(0, 400)), '')
})

function browserInWords(userAgent: string | null): string {
  return englishTexts().say(browserMessage(userAgent))
}

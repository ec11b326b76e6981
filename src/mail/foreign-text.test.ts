import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreign, masked } from './foreign-text.ts'

for (const plain of [
  'ada',
  'ada-lovelace_1815',
  'Żółw',
  '小明',
  'Firefox 140.0 on Linux',
  'passkey “Laptop”',
  'v1.2.3',
  '👩‍💻',
])
  test(`${plain} is printed as it is`, () => assert.equal(foreign(plain), plain))

for (const [text, expected] of [
  ['cheap-pills.example', 'cheap-pills.\u2060example'],
  ['https://evil.example/login', 'https:\u2060//evil.\u2060example/login'],
  ['eve@evil.example', 'eve@\u2060evil.\u2060example'],
  ['evil.example:8080', 'evil.\u2060example:8080'],
  ['http://203.0.113.9', 'http:\u2060//203.0.113.9'],
  ['xn--80ak6aa92e.xn--p1ai', 'xn--80ak6aa92e.\u2060xn--p1ai'],
  ['javascript:alert(1)', 'javascript:\u2060alert(1)'],
] as const)
  test(`mail programs make no link of ${text}`, () => assert.equal(foreign(text), expected))

for (const [text, expected] of [
  ['Phone\r\nBcc: eve\n\nDear Ada,', 'Phone Bcc: eve Dear Ada,'],
  ['a\u2028b\u2029c\td\0e', 'a b c d e'],
  ['\u202Eevil\u202C and \u2066isolated\u2069', 'evil and isolated'],
  ['  spaces  ', 'spaces'],
  ['', ''],
] as const)
  test(`${JSON.stringify(expected)} is one line in one direction`, () => assert.equal(foreign(text), expected))

test('a long text is cut, and between characters', () => {
  assert.equal([...foreign('🦊'.repeat(500))].length, 80)
  assert.ok(foreign('🦊'.repeat(500)).endsWith('🦊…'))
  assert.equal(foreign('x'.repeat(80)), 'x'.repeat(80))
})

test('a masked address says its first letter and where it is', () => {
  assert.equal(masked('grace@example.test'), 'g•••@\u2060example.\u2060test')
  assert.equal(masked('🦊fox@example.test'), '🦊•••@\u2060example.\u2060test')
  assert.equal(masked('nonsense'), 'n•••')
})

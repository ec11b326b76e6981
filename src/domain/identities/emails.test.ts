import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emailProblem, canonicalEmail, readableEmail } from './emails.ts'
import { loginKeyOf } from '../limits/login-keys.ts'

const LONG_DOMAIN = `${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(61)}`

for (const [typed, kept] of [
  ['user@почта.рф', 'user@xn--80a1acny.xn--p1ai'],
  ['user@xn--80a1acny.xn--p1ai', 'user@xn--80a1acny.xn--p1ai'],
  ['user@XN--80A1ACNY.xn--p1ai', 'user@xn--80a1acny.xn--p1ai'],
  ['user@ПОЧТА.рф', 'user@xn--80a1acny.xn--p1ai'],
  ['user@bücher.example', 'user@xn--bcher-kva.example'],
  ['user@bu\u0308cher.example', 'user@xn--bcher-kva.example'],
  ['user@例え。jp', 'user@xn--r8jz45g.jp'],
  ['r&d@example.test', 'r&d@example.test'],
  ['a/b@example.test', 'a/b@example.test'],
  ["o'brien+tag=x@example.test", "o'brien+tag=x@example.test"],
  ["!#$%&'*+/=?^_`{|}~-@example.test", "!#$%&'*+/=?^_`{|}~-@example.test"],
  ['Ada@Example.TEST', 'Ada@Example.TEST'],
  ['1@1.museum', '1@1.museum'],
  ['\u00a0\ufeffada@example.test\u200b\t ', 'ada@example.test'],
  ['a\u00adda@exam\u200bple.test', 'ada@example.test'],
  [`${'a'.repeat(64)}@example.test`, `${'a'.repeat(64)}@example.test`],
  [`a@${'d'.repeat(63)}.test`, `a@${'d'.repeat(63)}.test`],
  [`${'a'.repeat(64)}@${LONG_DOMAIN}`, `${'a'.repeat(64)}@${LONG_DOMAIN}`],
] as const) {
  test(`${JSON.stringify(typed)} is an address, kept as ${kept.slice(0, 40)}`, () => {
    assert.equal(canonicalEmail(typed), kept)
    assert.equal(emailProblem(kept), null)
    assert.equal(loginKeyOf(typed), loginKeyOf(kept))
    assert.equal(canonicalEmail(kept), kept)
  })
}

for (const impossible of [
  '',
  'ada',
  '@example.test',
  'ada@',
  'ada@localhost',
  'ada@example',
  'ada@example.test.',
  'ada@.test',
  'ada@example..test',
  '.ada@example.test',
  'ada.@example.test',
  'a..da@example.test',
  'a da@example.test',
  'a@da@example.test',
  'ada@-example.test',
  'ada@example-.test',
  'ada@exa_mple.test',
  'ada@127.0.0.1',
  'ada@[127.0.0.1]',
  'ada@example.123',
  '"a b"@example.test',
  '<ada@example.test>',
  'ada@example.test,grace@example.test',
  'аda@example.test',
  'ａｄａ@example.test',
  'ädä@example.test',
  'ada@ехample.test',
  'ada@exa%6dple.test',
  'ada@bü\u0000cher.test',
  'ada@ä/b.test',
  'ada@ä:80.test',
  `${'a'.repeat(65)}@example.test`,
  `a@${'d'.repeat(64)}.test`,
  `a@${'ü'.repeat(63)}.test`,
  `${'a'.repeat(64)}@d${LONG_DOMAIN}`,
]) {
  test(`${JSON.stringify(impossible.slice(0, 50))} is no address`, () => {
    assert.equal(emailProblem(canonicalEmail(impossible))?.key, 'email.not_one')
  })
}

for (const [kept, shown] of [
  ['user@xn--80a1acny.xn--p1ai', 'user@почта.рф'],
  ['user@xn--bcher-kva.example', 'user@bücher.example'],
  ['ada@example.test', 'ada@example.test'],
  // Mixed scripts, and a Cyrillic word that looks like apple.com.
  ['ada@xn--mple-43d9bzb.test', 'ada@xn--mple-43d9bzb.test'],
  ['ada@xn--80ak6aa92e.com', 'ada@xn--80ak6aa92e.com'],
  ['ada@xn--a.test', 'ada@xn--a.test'],
] as const) {
  test(`${kept} is shown as ${shown}`, () => {
    assert.equal(readableEmail(kept), shown)
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VerifiedTokens } from './verified-tokens.ts'

test('what was kept is found, and nothing else', () => {
  const tokens = new VerifiedTokens()
  const claims = { exp: 10 }
  tokens.keep('a.b.c', claims, 0)
  assert.equal(tokens.find('a.b.c'), claims)
  assert.equal(tokens.find('a.b.d'), null)
})

test('ever new tokens take a bounded room, and the oldest give way', () => {
  const tokens = new VerifiedTokens()
  for (let number = 0; number < 10_000; number++) tokens.keep(`${number}`, { exp: 10 }, 0)
  assert.equal(tokens.size, 4096)
  assert.equal(tokens.find('0'), null)
  assert.notEqual(tokens.find('9999'), null)
})

test('tokens that have expired are forgotten sooner than new ones come', () => {
  const tokens = new VerifiedTokens()
  for (let number = 0; number < 1000; number++) tokens.keep(`early ${number}`, { exp: 10 }, 0)
  for (let number = 0; number < 500; number++) tokens.keep(`late ${number}`, { exp: 20 }, 10)
  assert.equal(tokens.size, 500)
  assert.equal(tokens.find('early 0'), null)
  assert.notEqual(tokens.find('late 0'), null)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { bitsOf, ENOUGH_BITS } from './secret-strength.ts'

test('random secrets are strong, in every usual alphabet', () => {
  for (let round = 0; round < 200; round++)
    for (const secret of [
      randomBytes(48).toString('base64'),
      randomBytes(48).toString('base64url'),
      randomBytes(32).toString('hex'),
      randomBytes(20).toString('hex'),
    ])
      assert.ok(bitsOf(secret) >= ENOUGH_BITS, `${secret}: ${bitsOf(secret)}`)
})

test('what people type is weak, however long', () => {
  for (const secret of [
    TEST_SECRET,
    'this-is-my-super-secret-production-key-2026',
    'change-me-change-me-change-me-change-me',
    'correct horse battery staple correct horse',
    'the quick brown fox jumps over the lazy dog',
    'my cat is called Felix and he is nine years old',
    '0123456789abcdef0123456789abcdef',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'Summer2026!Summer2026!Summer2026!x',
    'qwertyuiopasdfghjklzxcvbnm1234567890',
  ])
    assert.ok(bitsOf(secret) < ENOUGH_BITS, `${secret}: ${bitsOf(secret)}`)
})

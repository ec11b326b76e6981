import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ada, grace } from '../../testing/portal/people.ts'
import { BREACHED_PASSWORDS, isBreached, packBreachedPasswords } from './breached-passwords.ts'

const packed = readFileSync(BREACHED_PASSWORDS)

test('the list that comes with the portal knows what many people use, however it is spelled', () => {
  for (const password of [
    'password',
    'PassWord',
    'ｐａｓｓｗｏｒｄ',
    '1qaz2wsx3edc4rfv',
    'passwordstandard',
    'zQjphsyf6ctifgu',
  ])
    assert.equal(isBreached(packed, password), true, password)
})

test('it knows nothing of the people of the tests, and trims nothing', () => {
  for (const password of [ada.password, grace.password, ' password', 'password '])
    assert.equal(isBreached(packed, password), false, password)
})

test('it takes fewer than two in ten thousand others for one of them', () => {
  const others = Array.from({ length: 100_000 }, (_, index) => `passer-by number ${index}`)
  assert.ok(others.filter((password) => isBreached(packed, password)).length < 20)
})

test('every password that is packed is found again, and what is too short is left out', () => {
  const listed = Array.from({ length: 1000 }, (_, index) => `known-${index}-ÄÖ`)
  const small = packBreachedPasswords([...listed, 'short', ''])
  assert.ok(listed.every((password) => isBreached(small, password) && isBreached(small, password.toLowerCase())))
  assert.equal(isBreached(small, 'short'), false)
  assert.equal(small.length, packBreachedPasswords(listed).length)
})

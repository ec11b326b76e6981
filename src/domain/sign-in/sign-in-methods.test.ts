import assert from 'node:assert/strict'
import { test } from 'node:test'
import { methodsOf, readSignInDetail, type SignInDetail, writeSignInDetail } from './sign-in-methods.ts'

for (const [amr, methods] of [
  [['pwd'], ['password']],
  [
    ['pwd', 'otp', 'mfa'],
    ['password', 'app'],
  ],
  [
    ['pwd', 'swk', 'user', 'mfa'],
    ['password', 'passkey'],
  ],
  [['email'], ['mail-link']],
  [
    ['email', 'otp', 'mfa'],
    ['mail-link', 'app'],
  ],
  [['hwk', 'user', 'mfa'], ['passkey']],
  [
    ['email', 'otp', 'mfa'],
    ['mail-link', 'app'],
  ],
  [[], []],
] as const)
  test(`amr ${amr.join(' ')} is a sign-in by ${methods.join(' and ') || 'nothing known'}`, () => {
    assert.deepEqual(methodsOf([...amr]), methods)
  })

for (const [detail, written] of [
  [{ isUnfamiliar: false, isAgain: false, methods: ['password'], provider: null }, 'password'],
  [
    { isUnfamiliar: true, isAgain: false, methods: ['password', 'recovery-code'], provider: null },
    'unfamiliar password+recovery-code',
  ],
  [{ isUnfamiliar: false, isAgain: true, methods: ['passkey'], provider: null }, 'again passkey'],
  [{ isUnfamiliar: true, isAgain: false, methods: [], provider: null }, 'unfamiliar'],
  [
    { isUnfamiliar: true, isAgain: false, methods: ['provider', 'app'], provider: 'Login by again + Co' },
    'unfamiliar provider+app by Login by again + Co',
  ],
] satisfies [SignInDetail, string][])
  test(`the audit event of a sign-in says ${written}, and is read as it was written`, () => {
    assert.equal(writeSignInDetail(detail), written)
    assert.deepEqual(readSignInDetail(written), detail)
  })

test('an event of before methods were kept has none, and words of a later version are left out', () => {
  assert.deepEqual(readSignInDetail(null), { isUnfamiliar: false, isAgain: false, methods: [], provider: null })
  assert.deepEqual(readSignInDetail('unfamiliar telepathy+app'), {
    isUnfamiliar: true,
    isAgain: false,
    methods: ['app'],
    provider: null,
  })
})

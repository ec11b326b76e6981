import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Authenticator, type Lies } from '../../testing/browser/authenticator.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { home } from '../../testing/portal/connections.ts'
import { newcomer } from '../../testing/portal/newcomers.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { listActivityEntries } from '../activity.ts'
import { acrOf, withSecondProof } from './authentication-context.ts'
import type { SignedInRow } from './identity-sessions.ts'
import {
  offersPasskeys,
  passkeyEnrolmentOptions,
  passkeySecondStepOptions,
  passkeySignInOptions,
  provePasskey,
  signInWithPasskey,
} from './passkeys.ts'
import { addPasskey, hasSecondFactor, listSecondFactors } from './second-factors.ts'

const ORIGIN = 'http://localhost:3000'
const EVIL = 'https://gatehouse.evil.test'

let portal: TestPortal
let signedIn: SignedInRow
let device: Authenticator

before(async () => {
  portal = await openTestPortal()
})
beforeEach(async () => {
  signedIn = await newcomer(portal)
  device = new Authenticator(ORIGIN)
})
after(async () => {
  await portal.close()
})

async function enrol(owner = signedIn, authenticator = device): Promise<void> {
  const credential = authenticator.create(await passkeyEnrolmentOptions(portal, owner))
  assert.equal((await addPasskey(portal, owner, 'Laptop', credential, home)).kind, 'added')
}

async function secondStep(lies?: Lies, authenticator = device): Promise<string> {
  const options = await passkeySecondStepOptions(portal, signedIn.identityId)
  assert.notEqual(options, null)
  return authenticator.get(options as NonNullable<typeof options>, lies)
}

test('a passkey is made for this host, by a name that says nothing about the person, and found without a user name where it can be', async () => {
  const options = await passkeyEnrolmentOptions(portal, signedIn)
  assert.deepEqual(options.rp, { id: 'localhost', name: 'Gatehouse' })
  assert.deepEqual(Buffer.from(options.user.id, 'base64url').toString('hex'), signedIn.identityId.replaceAll('-', ''))
  assert.equal(options.attestation, 'none')
  assert.equal(options.authenticatorSelection?.residentKey, 'preferred')
  // Browsers that know only the older member read it alone.
  assert.equal(options.authenticatorSelection?.requireResidentKey, false)
  assert.equal(options.authenticatorSelection?.userVerification, 'preferred')
})

test('the first passkey comes with recovery codes and is a second factor from then on', async () => {
  const credential = device.create(await passkeyEnrolmentOptions(portal, signedIn))
  const added = await addPasskey(portal, signedIn, ' Laptop ', credential, home)
  assert.equal((added as { recoveryCodes: string[] }).recoveryCodes.length, 10)
  assert.equal(await hasSecondFactor(portal, signedIn.identityId), true)
  const { factors } = await listSecondFactors(portal, signedIn.identityId)
  assert.deepEqual(
    factors.map(({ kind, name, lastUsedAt }) => ({ kind, name, lastUsedAt })),
    [{ kind: 'passkey', name: 'Laptop', lastUsedAt: null }],
  )
})

test('one device holds one passkey of an account', async () => {
  await enrol()
  const options = await passkeyEnrolmentOptions(portal, signedIn)
  assert.throws(() => device.create(options), /InvalidStateError/)
})

test('a passkey with user verification signs in without another step', async () => {
  await enrol()
  const proved = await signInWithPasskey(portal, device.get(passkeySignInOptions(portal)), home)
  assert.deepEqual(proved, { identityId: signedIn.identityId, proof: ['hwk', 'user'], signOuts: 0 })
  const amr = withSecondProof([], proved?.proof ?? [])
  assert.deepEqual(amr, ['hwk', 'user', 'mfa'])
  assert.equal(acrOf(amr), 'mfa')
  assert.equal(acrOf(['pwd']), 'aal1')
  const [factor] = (await listSecondFactors(portal, signedIn.identityId)).factors
  assert.deepEqual(factor?.lastUsedAt, portal.clock())
})

test('without that it is a second step only', async () => {
  await enrol()
  const unverified = device.get(passkeySignInOptions(portal), { userVerified: false })
  assert.equal(await signInWithPasskey(portal, unverified, home), null)
  const proof = await provePasskey(portal, signedIn.identityId, await secondStep({ userVerified: false }), home)
  assert.deepEqual(withSecondProof(['pwd'], proof ?? []), ['pwd', 'hwk', 'user', 'mfa'])
})

test('a key that may leave its device is said to be held by software', async () => {
  const phone = new Authenticator(ORIGIN, { counts: false, synchronised: true })
  await enrol(signedIn, phone)
  for (let count = 0; count < 2; count++) {
    const proved = await signInWithPasskey(portal, phone.get(passkeySignInOptions(portal)), home)
    assert.deepEqual(proved?.proof, ['swk', 'user'])
  }
})

test('a passkey works at a related origin, and at no other', async () => {
  const related = { ...portal, policy: { ...portal.policy, relatedOrigins: ['https://example.org'] } }
  const there = { origin: 'https://example.org' }
  const credential = device.create(await passkeyEnrolmentOptions(related, signedIn), there)
  assert.deepEqual(await addPasskey(portal, signedIn, 'Laptop', credential, home), { kind: 'refused' })
  assert.equal((await addPasskey(related, signedIn, 'Laptop', credential, home)).kind, 'added')
  assert.equal(await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), there), home), null)
  assert.notEqual(await signInWithPasskey(related, device.get(passkeySignInOptions(related), there), home), null)
  for (const origin of ['https://example.org.evil.test', 'http://example.org', 'https://example.org:8443'])
    assert.equal(await signInWithPasskey(related, device.get(passkeySignInOptions(related), { origin }), home), null)
})

const LIES: Record<string, Lies> = {
  'another origin': { origin: EVIL },
  'the same host on another port': { origin: 'http://localhost:3001' },
  'another site': { rpId: 'gatehouse.evil.test' },
  'a challenge we did not issue': { challenge: Buffer.alloc(44, 7).toString('base64url') },
  'a challenge that is none': { challenge: '' },
  'another ceremony': { type: 'webauthn.create' },
  'nobody present': { userPresent: false },
  'a signature of another key': { forged: true },
  'the handle of another user': { userHandle: Buffer.alloc(16, 1).toString('base64url') },
  'an unknown credential': { credentialId: Buffer.alloc(32, 1).toString('base64url') },
}

for (const [what, lies] of Object.entries(LIES)) {
  test(`a passkey that answers with ${what} is refused`, async () => {
    await enrol()
    assert.equal(await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), lies), home), null)
    assert.equal(await provePasskey(portal, signedIn.identityId, await secondStep(lies), home), null)
    // The same device is believed when it does not lie.
    assert.notEqual(await provePasskey(portal, signedIn.identityId, await secondStep(), home), null)
  })
}

for (const [what, lies] of Object.entries({
  'another origin': { origin: EVIL },
  'another site': { rpId: 'gatehouse.evil.test' },
  'a challenge we did not issue': { challenge: Buffer.alloc(44, 7).toString('base64url') },
  'another ceremony': { type: 'webauthn.get' },
  'nobody present': { userPresent: false },
} satisfies Record<string, Lies>)) {
  test(`a new passkey that is made with ${what} is refused`, async () => {
    const credential = device.create(await passkeyEnrolmentOptions(portal, signedIn), lies)
    assert.deepEqual(await addPasskey(portal, signedIn, 'Laptop', credential, home), { kind: 'refused' })
    assert.equal(await hasSecondFactor(portal, signedIn.identityId), false)
  })
}

test('a sign-in without a user name needs the handle, which says whose passkey it is', async () => {
  await enrol()
  const answer = device.get(passkeySignInOptions(portal), { userHandle: null })
  assert.equal(await signInWithPasskey(portal, answer, home), null)
  const second = await secondStep({ userHandle: null })
  assert.notEqual(await provePasskey(portal, signedIn.identityId, second, home), null)
})

test('an answer is good once, however many present it at once', async () => {
  await enrol()
  const answer = device.get(passkeySignInOptions(portal))
  const outcomes = await Promise.all(Array.from({ length: 10 }, async () => signInWithPasskey(portal, answer, home)))
  assert.equal(outcomes.filter((outcome) => outcome !== null).length, 1)
  assert.equal(await signInWithPasskey(portal, answer, home), null)
})

test('an answer is good once also from a device that does not count', async () => {
  const phone = new Authenticator(ORIGIN, { counts: false })
  await enrol(signedIn, phone)
  const answer = phone.get(passkeySignInOptions(portal))
  const outcomes = await Promise.all(Array.from({ length: 10 }, async () => signInWithPasskey(portal, answer, home)))
  assert.equal(outcomes.filter((outcome) => outcome !== null).length, 1)
})

test('two answers to one challenge are one too many', async () => {
  await enrol()
  const options = passkeySignInOptions(portal)
  assert.notEqual(await signInWithPasskey(portal, device.get(options), home), null)
  assert.equal(await signInWithPasskey(portal, device.get(options), home), null)
})

test('a challenge is worth nothing after five minutes, nor for anything it was not made for', async () => {
  await enrol()
  const options = passkeySignInOptions(portal)
  const second = await passkeySecondStepOptions(portal, signedIn.identityId)
  assert.equal(await provePasskey(portal, signedIn.identityId, device.get(options), home), null)
  assert.equal(await signInWithPasskey(portal, device.get(second as NonNullable<typeof second>), home), null)
  const stranger = await newcomer(portal)
  const enrolment = new Authenticator(ORIGIN).create(await passkeyEnrolmentOptions(portal, stranger))
  assert.deepEqual(await addPasskey(portal, signedIn, 'Laptop', enrolment, home), { kind: 'refused' })

  portal.clock.advance(299)
  const late = device.get(options)
  portal.clock.advance(1)
  assert.equal(await signInWithPasskey(portal, late, home), null)
})

test('the passkey of another user is no second step', async () => {
  await enrol()
  const stranger = await newcomer(portal)
  const strangersDevice = new Authenticator(ORIGIN)
  await enrol(stranger, strangersDevice)
  const options = await passkeySecondStepOptions(portal, signedIn.identityId)
  const { allowCredentials: _, ...unrestricted } = options as NonNullable<typeof options>
  assert.equal(await provePasskey(portal, signedIn.identityId, strangersDevice.get(unrestricted), home), null)
})

test('a credential that another account has cannot be registered again', async () => {
  const credentialId = Buffer.alloc(32, 9).toString('base64url')
  const first = device.create(await passkeyEnrolmentOptions(portal, signedIn), { credentialId })
  assert.equal((await addPasskey(portal, signedIn, 'Laptop', first, home)).kind, 'added')
  const thief = await newcomer(portal)
  const second = new Authenticator(ORIGIN).create(await passkeyEnrolmentOptions(portal, thief), { credentialId })
  assert.deepEqual(await addPasskey(portal, thief, 'Laptop', second, home), { kind: 'taken' })
  assert.equal(await hasSecondFactor(portal, thief.identityId), false)
})

test('a counter that stands still or goes back refuses the passkey, and the person reads why', async () => {
  await enrol()
  assert.notEqual(await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), { counter: 7 }), home), null)
  for (const counter of [7, 6, 0]) {
    assert.equal(await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), { counter }), home), null)
  }
  const [newest] = await listActivityEntries(portal, signedIn.identityId, 1, null)
  assert.match(
    newest ? englishTexts().say(newest.sentence) : '',
    /^The passkey “Laptop” was refused, because it may have been copied/,
  )
  assert.notEqual(await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), { counter: 8 }), home), null)
})

test('whatever else a form may hold is refused, and nothing worse', async () => {
  await enrol()
  const good = JSON.parse(device.get(passkeySignInOptions(portal))) as Record<string, Record<string, unknown>>
  const answers = [
    '',
    'null',
    '[]',
    '"text"',
    '{',
    '{}',
    'x'.repeat(20_000),
    JSON.stringify({ ...good, id: 7 }),
    JSON.stringify({ ...good, rawId: 'another' }),
    JSON.stringify({ ...good, type: 'password' }),
    JSON.stringify({ ...good, response: null }),
    ...['clientDataJSON', 'authenticatorData', 'signature', 'userHandle'].flatMap((name) =>
      [7, null, '', 'AAAA', '\u0000', { $ne: '' }, 'A'.repeat(9000)].map((value) =>
        JSON.stringify({ ...good, response: { ...good['response'], [name]: value } }),
      ),
    ),
    device.create(await passkeyEnrolmentOptions(portal, await newcomer(portal))),
  ]
  for (const answer of answers) {
    assert.equal(await signInWithPasskey(portal, answer, home), null, answer.slice(0, 300))
    assert.deepEqual(
      await addPasskey(portal, signedIn, 'Laptop', answer, home),
      { kind: 'refused' },
      answer.slice(0, 300),
    )
  }
})

test('looking at the sign-in page and answering nonsense leave nothing in any store', async () => {
  await enrol()
  const count = async () =>
    (await portal.storage.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM handshakes')).rows[0]?.n
  const before = await count()
  for (let visit = 0; visit < 20; visit++) {
    await signInWithPasskey(portal, device.get(passkeySignInOptions(portal), { forged: true }), home)
  }
  assert.equal(await count(), before)
})

test('passkeys are offered where browsers have them', () => {
  const offered = (publicUrl: string) => offersPasskeys({ ...portal, publicUrl })
  for (const url of ['https://id.example.test', 'https://id.example.test:8443', 'http://localhost:3000'])
    assert.equal(offered(url), true, url)
  for (const url of ['http://127.0.0.1:3000', 'https://192.0.2.1', 'https://[2001:db8::1]', 'http://id.example.test'])
    assert.equal(offered(url), false, url)
})

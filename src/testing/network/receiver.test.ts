import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { type JwtKind, signJwt } from '../../domain/keys/jwts.ts'
import type { SigningAlg } from '../../domain/keys/signing-keys.ts'
import { openTestPortal, type TestPortal } from '../portal/open-portal.ts'
import { publishedKeys } from '../portal/published-keys.ts'
import { type Receiver, startReceiver } from './receiver.ts'

let portal: TestPortal
let app: Receiver

before(async () => {
  portal = await openTestPortal()
  const keys = await publishedKeys(portal)
  app = await startReceiver({ issuer: portal.publicUrl, clientId: 'notes', keys, clock: portal.clock })
})
afterEach(() => {
  app.answer = 'right'
  for (const list of [app.logouts, app.events, app.attempts]) list.length = 0
})
after(async () => {
  await app.close()
  await portal.close()
})

const FORM = 'application/x-www-form-urlencoded'
const NOTHING = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }

function right(): Record<string, unknown> {
  const iat = Math.floor(portal.clock().getTime() / 1000)
  return { iss: portal.publicUrl, aud: 'notes', sub: 'ada', iat, exp: iat + 120, jti: 'one', ...NOTHING }
}

async function tell(claims: Record<string, unknown>, kind: JwtKind = 'logout', alg: SigningAlg = 'RS256') {
  const body = new URLSearchParams({ logout_token: signJwt(portal.keys.signer(alg), kind, claims) }).toString()
  return fetch(app.uri, { method: 'POST', headers: { 'content-type': FORM }, body })
}

test('what is right is taken, and comes again as often as it is told', async () => {
  assert.equal((await tell(right())).status, 200)
  assert.equal((await tell(right())).status, 200)
  assert.deepEqual(
    (await app.waitForLogouts(2)).map(({ jti }) => jti),
    ['one', 'one'],
  )
})

for (const [name, change] of [
  ['is of another issuer', { iss: 'https://elsewhere.example.test' }],
  ['is for another app', { aud: 'photos' }],
  ['is for another app too', { aud: ['notes', 'photos'] }],
  ['has expired', { exp: 1 }],
  ['never expires', { exp: undefined }],
  ['lives longer than two minutes', { exp: 9_999_999_999 }],
  ['comes from the future', { iat: 9_999_999_000, exp: 9_999_999_100 }],
  ['has no time', { iat: undefined }],
  ['has no id', { jti: undefined }],
  ['has no event', { events: undefined }],
  ['has another event', { events: { 'https://example.test/event': {} } }],
  ['has an event that is no object', { events: { 'http://schemas.openid.net/event/backchannel-logout': true } }],
  ['has a nonce', { nonce: 'nonce' }],
  ['has no subject', { sub: undefined }],
  ['is about nothing in text', { sub: 7 }],
] as const) {
  test(`a logout token that ${name} is refused`, async () => {
    assert.equal((await tell({ ...right(), ...change })).status, 400)
    assert.deepEqual(app.logouts, [])
    assert.notEqual(app.attempts[0]?.fault, null)
  })
}

test('a token of another kind, algorithm or key is refused, and one in another wrapping', async () => {
  assert.equal((await tell(right(), 'id')).status, 400)
  assert.equal((await tell(right(), 'application')).status, 400)
  assert.equal((await tell(right(), 'logout', 'ES256')).status, 400)
  const token = signJwt(portal.keys.signer('RS256'), 'logout', right())
  const wrapped = [
    { headers: { 'content-type': FORM }, body: `logout_token=${token.slice(0, -8)}AAAAAAAA` },
    { headers: { 'content-type': FORM }, body: `logout_token=${token}&state=x` },
    { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ logout_token: token }) },
    { headers: { 'content-type': 'application/jwt' }, body: token },
  ]
  for (const request of wrapped) {
    assert.equal((await fetch(app.uri, { method: 'POST', ...request })).status, 400)
  }
  assert.deepEqual(app.logouts, [])
})

test('an app answers as it is told to, and takes nothing when that is no success', async () => {
  app.answer = { status: 500, body: 'no' }
  const response = await tell(right())
  assert.deepEqual([response.status, await response.text()], [500, 'no'])
  app.answer = 'hang up'
  await assert.rejects(tell(right()))
  app.answer = { afterMs: 50 }
  assert.equal((await tell(right())).status, 200)
  assert.deepEqual([app.attempts.length, app.logouts.length], [3, 1])
})

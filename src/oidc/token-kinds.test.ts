import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type JwtKind, signJwt } from '../domain/keys/jwts.ts'
import type { SigningAlg } from '../domain/keys/signing-keys.ts'
import { answerIn, problemIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let browser: Browser
let notes: Client
let tokens: Tokens

// The audience of this app is its client id, as that of every app was once: nothing but the kind tells its tokens apart.
before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
  tokens = await notes.connect(browser)
})
after(() => server.close())

/** What a key of the portal signs. */
function sign(kind: JwtKind, claims: object, alg: SigningAlg = 'ES256'): string {
  return signJwt(server.services.keys.signer(alg), kind, claims)
}

function idClaims(change: object): object {
  return { ...claimsOf(tokens.id_token), ...change }
}

/** Everything the portal signs but ID tokens, about the same user and for the same app as far as it can say so. */
function otherKinds(): Record<string, string> {
  const claims = claimsOf(tokens.id_token)
  return {
    'an application token': tokens.access_token,
    'a logout token': sign('logout', { ...claims, events: {} }),
    'a security event': sign('event', { ...claims, events: {} }),
    'a revocation feed': sign('revocations', claims),
  }
}

/** ID tokens as the portal signs none. */
function misshapen(): Record<string, string> {
  return {
    'without a user': sign('id', idClaims({ sub: undefined })),
    'about a number': sign('id', idClaims({ sub: 7 })),
    'without an expiry': sign('id', idClaims({ exp: undefined })),
    'without a time': sign('id', idClaims({ iat: undefined })),
    'of another issuer': sign('id', idClaims({ iss: 'https://evil.test' })),
    'without an issuer': sign('id', idClaims({ iss: undefined })),
    'for another app': sign('id', idClaims({ aud: 'photos' })),
    'for many apps': sign('id', idClaims({ aud: ['notes', 'photos'] })),
    'for a number': sign('id', idClaims({ aud: 7 })),
    'for an object': sign('id', idClaims({ aud: { notes: true } })),
    'for no app': sign('id', idClaims({ aud: undefined })),
    'with an empty audience': sign('id', idClaims({ aud: '' })),
    'for a name that objects have': sign('id', idClaims({ aud: '__proto__' })),
  }
}

async function logout(hint: string): Promise<Response> {
  return browser.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: hint })}`)
}

async function push(hint: string): Promise<Response> {
  const params = Object.fromEntries(new URL(notes.authorizeUrl({ id_token_hint: hint })).searchParams)
  return notes.send('/oauth/par', params)
}

test('an ID token is a hint at sign-out and at authorization, also when the app has another algorithm by now', async () => {
  for (const hint of [tokens.id_token, sign('id', idClaims({}), 'RS256')]) {
    assert.match(await (await logout(hint)).text(), /data-auto-submit/)
    for (const prompt of ['none', null]) {
      assert.ok('code' in answerIn(await browser.get(notes.authorizeUrl({ prompt, id_token_hint: hint })), CALLBACK))
    }
    assert.equal((await push(hint)).status, 201)
  }
})

test('nothing else is a hint', async () => {
  for (const [what, hint] of Object.entries({ ...otherKinds(), ...misshapen() })) {
    const response = await logout(hint)
    assert.equal(response.status, 400, what)
    assert.doesNotMatch(await response.text(), /data-auto-submit/, what)
    for (const prompt of ['none', null]) {
      const answer = answerIn(await browser.get(notes.authorizeUrl({ prompt, id_token_hint: hint })), CALLBACK)
      assert.equal(answer['error'], 'invalid_request', what)
    }
    assert.equal((await problemIn(await push(hint))).error, 'invalid_request', what)
  }
  assert.equal((await browser.get('/dashboard')).status, 200)
})

test('nothing but an application token opens userinfo, is active or can be one of ours', async () => {
  const { 'an application token': _application, ...others } = otherKinds()
  const claims = claimsOf(tokens.access_token)
  const wrong = {
    'an ID token': tokens.id_token,
    ...others,
    'an application token of another issuer': sign('application', { ...claims, iss: 'https://evil.test' }),
  }
  for (const [what, token] of Object.entries(wrong)) {
    assert.equal((await notes.userinfo(token)).status, 401, what)
    assert.deepEqual(await notes.introspect(token), { active: false }, what)
  }
  assert.equal((await notes.userinfo(tokens.access_token)).status, 200)
  assert.equal((await notes.introspect(tokens.access_token))['active'], true)
})

test('no token of ours is a proof of possession, an assertion of an app, or a request', async () => {
  const assertion = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }
  for (const [what, token] of Object.entries({ ...otherKinds(), 'an ID token': tokens.id_token })) {
    const proved = await notes.refresh(tokens.refresh_token, {}, { dpop: token })
    assert.equal((await problemIn(proved)).error, 'invalid_dpop_proof', what)
    const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token, client_id: 'notes' }
    const body = new URLSearchParams({ ...form, ...assertion, client_assertion: token })
    const asserted = await fetch(`${server.url}/oauth/token`, { method: 'POST', body })
    // The sub of most is no client id, or not that of the app.
    assert.match((await problemIn(asserted)).error, /^invalid_(client|request)$/, what)
    const answer = answerIn(await browser.get(notes.authorizeUrl({ request: token })), CALLBACK)
    assert.equal(answer['error'], 'invalid_request_object', what)
  }
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)
})

test('a new app has an audience of its own, which no ID token has', async () => {
  const { audience: _audience, ...settings } = notesApp
  const wiki = new Client(server.url, 'wiki', await server.addApp('wiki', settings), CALLBACK)
  const own = await wiki.connect(browser)
  assert.equal(claimsOf(own.access_token)['aud'], `${server.url}/apps/wiki`)
  assert.equal(claimsOf(own.id_token)['aud'], 'wiki')
  assert.equal((await wiki.introspect(own.access_token))['active'], true)
  assert.equal((await wiki.userinfo(own.access_token)).status, 200)
  const named = await wiki.connect(browser, { resource: `${server.url}/apps/wiki` })
  const next = await wiki.refresh(named.refresh_token, { resource: `${server.url}/apps/wiki` })
  assert.equal(claimsOf(((await next.json()) as Tokens).access_token)['aud'], `${server.url}/apps/wiki`)
  const answer = answerIn(await browser.get(wiki.authorizeUrl({ resource: `${server.url}/apps/notes` })), CALLBACK)
  assert.equal(answer['error'], 'invalid_target')
})

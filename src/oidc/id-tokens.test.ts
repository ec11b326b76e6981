import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'

const clock = createClock()
let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let chooser: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  chooser = new Client(
    server.url,
    'chooser',
    await server.addApp('chooser', { ...notesApp, name: 'Chooser' }),
    CALLBACK,
  )
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

async function verify(token: string, audience: string, alg: string) {
  const keys = createRemoteJWKSet(new URL(`${server.url}/oauth/jwks`))
  return jwtVerify(token, keys, { issuer: server.url, audience, algorithms: [alg] })
}

test('an ID token says who signed in, when, how, for which app and for which request, and nothing else', async () => {
  const { id_token: token } = await notes.connect(browser, {
    scope: 'openid',
    nonce: 'a nonce of mine',
    max_age: '3600',
  })
  const { payload } = await verify(token, 'notes', 'RS256')
  const { iat, exp, auth_time: authTime, sid, at_hash: atHash, ...rest } = payload
  assert.deepEqual(rest, {
    iss: server.url,
    sub: adasId,
    aud: 'notes',
    nonce: 'a nonce of mine',
    acr: 'aal1',
    amr: ['pwd'],
  })
  assert.ok((exp as number) - (iat as number) <= 3600)
  const { rows } = await server.services.storage.pool.query<{ at: Date }>(
    'SELECT max(created_at) AS at FROM identity_sessions WHERE identity_id = $1',
    [adasId],
  )
  assert.equal(authTime, Math.floor((rows[0]?.at.getTime() ?? 0) / 1000))
  if (atHash !== undefined) assert.match(atHash as string, /^[\w-]{22,}$/)
  if (sid !== undefined) assert.match(sid as string, /^[\w-]{16,}$/)
})

test('an app that asks for no algorithm gets RS256, one that asks gets its own, and both an ES256 application token', async () => {
  const published = async () => {
    const { keys } = (await (await fetch(`${server.url}/oauth/jwks`)).json()) as { keys: { alg: string }[] }
    return keys.map(({ alg }) => alg).toSorted()
  }
  // Some verifiers refuse a whole set for one key type they do not know.
  assert.deepEqual(await published(), ['ES256', 'RS256'])
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const app = (await findApp(server.services, 'chooser')) as AppRow
    if (alg !== 'RS256') await changeApp(server.services, app, { idTokenAlg: alg })
    // The library makes an ID token where claims are asked for by name, and the portal where they are not.
    const claims = JSON.stringify({ id_token: { email: null } })
    clock.advance(1)
    for (const change of [undefined, { scope: 'openid', claims }]) {
      const tokens = await chooser.connect(browser, change)
      await verify(tokens.id_token, 'chooser', alg)
      await verify(tokens.access_token, 'notes', 'ES256')
    }
  }
  assert.deepEqual(await published(), ['ES256', 'EdDSA', 'RS256'])
})

test('the subject is the same for every app and every sign-in, and no address', async () => {
  const other = new Browser(server.url)
  await other.signIn(ada)
  const tokens = await Promise.all([notes.connect(browser), chooser.connect(browser), notes.connect(other)])
  assert.deepEqual([...new Set(tokens.map((each) => claimsOf(each.id_token)['sub']))], [adasId])
  assert.equal(/ada|@/.test(adasId), false)
})

test('claims the app asks for by name come in the ID token, and others do not', async () => {
  const claims = JSON.stringify({
    id_token: { email: null, acr: { values: ['aal1', 'aal2'] } },
    userinfo: { name: null },
  })
  const tokens = await notes.connect(browser, { scope: 'openid', claims })
  const payload = claimsOf(tokens.id_token)
  assert.equal(payload['email'], ada.email)
  assert.equal(payload['name'], undefined)
  const userinfo = (await (await notes.userinfo(tokens.access_token)).json()) as Record<string, unknown>
  assert.equal(userinfo['name'], 'ada')
  assert.equal(userinfo['email'], undefined)
})

test('a sign-in that cannot be as strong as the app insists is refused to the app or asked again, never pretended', async () => {
  const claims = JSON.stringify({ id_token: { acr: { essential: true, value: 'aal3' } } })
  const response = await browser.get(notes.authorizeUrl({ claims, prompt: 'none' }))
  assert.match(response.headers.get('location') ?? '', /error=(login_required|unmet_authentication_requirements)/)
})

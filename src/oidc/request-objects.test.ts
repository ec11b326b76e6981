import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import * as oauth from 'openid-client'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { type ClientKey, epochNow, type JwtChange, makeClientKey, signWith } from '../testing/browser/client-key.ts'
import { type KeyServer, startKeyServer } from '../testing/network/key-server.ts'
import { answerIn, jsonIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
let server: TestServer
let browser: Browser
let key: ClientKey
let other: ClientKey
let keys: KeyServer
/** It may sign its requests, and `strict` must. */
let signer: Client
let strict: Client
let notes: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  key = await makeClientKey()
  other = await makeClientKey()
  keys = await startKeyServer(key.jwk)
  const jwks = { keys: [key.jwk] }
  const settings = { ...notesApp, jwks, allowOffline: true }
  signer = new Client(server.url, 'signer', await server.addApp('signer', settings), CALLBACK)
  const must = { ...settings, requireSignedRequest: true }
  strict = new Client(server.url, 'strict', await server.addApp('strict', must), CALLBACK)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(async () => {
  await keys.close()
  await server.close()
})

/** What the request object of this client contains, as a whole request. */
function claimsOf(client: Client, claims: Record<string, unknown> = {}): Record<string, unknown> {
  const now = epochNow()
  const params = Object.fromEntries(new URL(client.authorizeUrl()).searchParams)
  return { iss: client.id, aud: server.url, iat: now, nbf: now, exp: now + 60, ...params, ...claims }
}

async function sign(client: Client, { claims, header, key: own = key }: JwtChange = {}): Promise<string> {
  return signWith(own, claimsOf(client, claims), { typ: 'oauth-authz-req+jwt', ...header })
}

/** What the browser brings back to the app, or the error of the portal's own page. */
async function send(
  client: Client,
  request: string,
  more: Record<string, string> = {},
): Promise<Record<string, string>> {
  const query = new URLSearchParams({ client_id: client.id, request, ...more })
  return reached(await browser.get(`/oauth/authorize?${query}`))
}

async function reached(response: Response): Promise<Record<string, string>> {
  const answer = answerIn(response, CALLBACK)
  if (Object.keys(answer).length > 0) return answer
  const page = await response.text()
  assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${page}`)
  return { error: /(invalid_\w+|\w+_not_supported)/.exec(page)?.[1] ?? page }
}

const push = (client: Client, request: string) => client.send('/oauth/par', { request })

test('a signed request gives a code, sent by the browser and pushed, and only what is signed counts', async () => {
  for (const client of [signer, strict]) {
    const more = {
      scope: 'openid roles',
      state: 'forged',
      redirect_uri: 'https://attacker.example.test/',
      nonce: 'forged',
    }
    const direct = await send(client, await sign(client), more)
    assert.deepEqual([direct['state'], direct['iss']], ['state', server.url])
    assert.equal((await tokensIn(await client.exchange(direct['code'] as string))).scope, 'openid profile email')

    const { request_uri: uri, expires_in: life } = await jsonIn(await push(client, await sign(client)))
    assert.ok((life as number) > 0 && (life as number) <= 60)
    const query = new URLSearchParams({ client_id: client.id, request_uri: uri as string })
    const pushed = await reached(await browser.get(`/oauth/authorize?${query}`))
    await tokensIn(await client.exchange(pushed['code'] as string))
  }
})

test('the scopes of a signed request are those of its content', async () => {
  const claims = { scope: 'openid offline_access' }
  const direct = await send(signer, await sign(signer, { claims }), { scope: 'openid' })
  assert.equal((await tokensIn(await signer.exchange(direct['code'] as string))).scope, claims.scope)
  const { request_uri: uri } = await jsonIn(await push(signer, await sign(signer, { claims })))
  const query = new URLSearchParams({ client_id: signer.id, request_uri: uri as string })
  const pushed = await reached(await browser.get(`/oauth/authorize?${query}`))
  assert.equal((await tokensIn(await signer.exchange(pushed['code'] as string))).scope, claims.scope)
  // What stands beside it is not asked for.
  const beside = await send(signer, await sign(signer), { scope: 'openid offline_access' })
  assert.equal((await tokensIn(await signer.exchange(beside['code'] as string))).scope, 'openid profile email')
})

test('a signed request survives the sign-in of a stranger', async () => {
  const stranger = new Browser(server.url)
  const query = new URLSearchParams({ client_id: strict.id, request: await sign(strict) })
  const { url: page } = await stranger.follow(await stranger.get(`/oauth/authorize?${query}`))
  const fields = { login: ada.username, password: ada.password, return_to: page.slice(server.url.length) }
  const { url } = await stranger.follow(await stranger.post('/login', fields))
  await tokensIn(await strict.exchange(new URL(url).searchParams.get('code') as string))
})

test('an app that must sign its requests is refused a plain one, on every path', async () => {
  assert.equal((await reached(await browser.get(strict.authorizeUrl())))['error'], 'invalid_request')
  assert.equal((await reached(await browser.get(strict.authorizeUrl({ prompt: 'none' }))))['error'], 'invalid_request')
  const plain = Object.fromEntries(new URL(strict.authorizeUrl()).searchParams)
  assert.equal((await problemIn(await strict.send('/oauth/par', plain))).error, 'invalid_request')
  const form = await fetch(`${server.url}/oauth/authorize`, {
    method: 'POST',
    body: new URLSearchParams(plain),
    redirect: 'manual',
  })
  assert.equal((await reached(await browser.get(form.headers.get('location') as string)))['error'], 'invalid_request')
})

const seconds = (from: number) => epochNow() + from
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const BAD: [string, () => Promise<string>][] = [
  ['that is not signed', async () => new UnsecuredJWT(claimsOf(signer)).encode()],
  ['with the algorithm none and a signature', async () => `${part({ alg: 'none' })}.${part(claimsOf(signer))}.AAAA`],
  [
    'signed with the public key as a secret',
    async () => {
      const head = `${part({ alg: 'HS256', kid: key.jwk.kid })}.${part(claimsOf(signer))}`
      return `${head}.${createHmac('sha256', JSON.stringify(key.jwk)).update(head).digest('base64url')}`
    },
  ],
  [
    'signed with the client secret',
    async () => {
      const head = `${part({ alg: 'HS256' })}.${part(claimsOf(signer))}`
      return `${head}.${createHmac('sha256', signer.secret as string)
        .update(head)
        .digest('base64url')}`
    },
  ],
  ['of another key', () => sign(signer, { key: other })],
  ['of another key under the id of the right one', () => sign(signer, { key: other, header: { kid: key.jwk.kid } })],
  [
    'with a changed content',
    async () => (await sign(signer)).replace(/\.[^.]+\./, `.${part(claimsOf(signer, { state: 'forged' }))}.`),
  ],
  ['for another server', () => sign(signer, { claims: { aud: 'https://other.example.test' } })],
  ['for no server', () => sign(signer, { claims: { aud: undefined } })],
  ['of another issuer', () => sign(signer, { claims: { iss: 'notes' } })],
  ['without issuer', () => sign(signer, { claims: { iss: undefined } })],
  ['of another client', () => sign(signer, { claims: { client_id: 'notes' } })],
  ['that has expired', () => sign(signer, { claims: { exp: seconds(-1) } })],
  ['with exp as text', () => sign(signer, { claims: { exp: 'tomorrow' } })],
  ['from the future', () => sign(signer, { claims: { nbf: seconds(61) } })],
  ['issued in the future', () => sign(signer, { claims: { iat: seconds(61) } })],
  ['that could be an assertion', () => sign(signer, { claims: { sub: 'signer' } })],
  ['of the type of an assertion', () => sign(signer, { header: { typ: 'client-authentication+jwt' } })],
  ['inside another', async () => sign(signer, { claims: { request: await sign(signer) } })],
  ['with a request_uri', () => sign(signer, { claims: { request_uri: 'https://notes.example.test/request.jwt' } })],
  ['that is no JWT', async () => 'request'],
  ['that is encrypted', async () => 'a.b.c.d.e'],
  ['with NUL bytes', async () => '\0.\0.\0'],
]
for (const [what, make] of BAD) {
  test(`a request object ${what} is refused, sent by the browser and pushed`, async () => {
    const request = await make()
    assert.equal((await send(signer, request))['error'], 'invalid_request_object')
    const problem = await problemIn(await push(signer, request))
    assert.deepEqual([problem.status, problem.error], [400, 'invalid_request_object'], JSON.stringify(problem))
  })
}

test('an app without keys cannot sign requests, and one without an id is told what is missing', async () => {
  assert.equal((await send(notes, await sign(notes)))['error'], 'invalid_request_object')
  assert.equal((await problemIn(await push(notes, await sign(notes)))).error, 'invalid_request_object')
  const response = await browser.get(`/oauth/authorize?request=${await sign(signer)}`)
  assert.equal((await reached(response))['error'], 'invalid_request')
})

test('a request_uri that the portal has not given out is refused, and nothing is fetched', async () => {
  const asked = keys.asked
  for (const [uri, error] of [
    [keys.uri, 'request_uri_not_supported'],
    ['urn:example:request', 'request_uri_not_supported'],
    ['urn:ietf:params:oauth:request_uri:invented', 'invalid_request_uri'],
    ['\0', 'request_uri_not_supported'],
  ] as const) {
    const query = new URLSearchParams({ client_id: 'signer', request_uri: uri })
    assert.equal((await reached(await browser.get(`/oauth/authorize?${query}`)))['error'], error, uri)
    const problem = await problemIn(await signer.send('/oauth/par', { request_uri: uri }))
    assert.equal(problem.status, 400)
  }
  const both = new URLSearchParams({ client_id: 'signer', request: await sign(signer), request_uri: keys.uri })
  assert.equal((await reached(await browser.get(`/oauth/authorize?${both}`)))['error'], 'invalid_request')
  assert.equal(keys.asked, asked)
})

test('a request object that is repeated, empty, or longer than a request may be is refused', async () => {
  const request = await sign(signer)
  const twice = await browser.get(`/oauth/authorize?client_id=signer&request=${request}&request=${request}`)
  assert.equal((await reached(twice))['error'], 'invalid_request')
  assert.ok((await send(signer, ''))['error'])
  for (const claims of [{ state: 'x'.repeat(10_000) }, { padding: 'x'.repeat(10_000) }]) {
    const problem = await problemIn(await push(signer, await sign(signer, { claims })))
    assert.deepEqual([problem.status, problem.error], [400, 'invalid_request'])
  }
})

test('values of unusual kinds in a request object are refused or read as text, and break nothing', async () => {
  for (const [name, value] of Object.entries({
    scope: ['openid', 'email'],
    state: { nested: true },
    redirect_uri: ['https://notes.example.test/callback'],
    code_challenge: 7,
    prompt: null,
    max_age: '\0',
    nonce: 'a\0b',
    claims: 'no JSON',
    login_hint: '\ud800',
    response_type: 'token',
    acr_values: true,
  })) {
    const request = await sign(signer, { claims: { [name]: value } })
    const query = new URLSearchParams({ client_id: signer.id, request })
    const direct = await browser.get(`/oauth/authorize?${query}`)
    assert.ok(direct.status < 500, `${name}: ${direct.status}`)
    assert.ok((await push(signer, request)).status < 500, name)
  }
})

test('the keys of signed requests may be fetched, and are asked for by no plain request', async () => {
  const settings = { ...notesApp, jwksUri: keys.uri }
  const fetched = new Client(server.url, 'fetched', await server.addApp('fetched', settings), CALLBACK)
  const asked = keys.asked
  await fetched.connect(browser)
  assert.equal(keys.asked, asked)
  const { code } = await send(fetched, await sign(fetched))
  await tokensIn(await fetched.exchange(code as string))
  assert.equal(keys.asked, asked + 1)
})

test('a public app may sign, too', async () => {
  const settings = { ...photosApp, redirectUris: [CALLBACK], jwks: { keys: [key.jwk] }, requireSignedRequest: true }
  const photos = new Client(server.url, 'photos', await server.addApp('photos', settings), CALLBACK)
  const { code } = await send(photos, await sign(photos))
  await tokensIn(await photos.exchange(code as string))
  assert.equal((await reached(await browser.get(photos.authorizeUrl())))['error'], 'invalid_request')
})

test('openid-client, unmodified, signs its requests, sent by the browser and pushed', async () => {
  const config = await oauth.discovery(new URL(server.url), 'strict', strict.secret as string, undefined, {
    execute: [oauth.allowInsecureRequests],
  })
  const verifier = oauth.randomPKCECodeVerifier()
  const challenge = await oauth.calculatePKCECodeChallenge(verifier)
  for (const isPushed of [false, true]) {
    const request = await oauth.buildAuthorizationUrlWithJAR(
      config,
      {
        redirect_uri: CALLBACK,
        scope: 'openid profile',
        code_challenge: challenge,
        code_challenge_method: 'S256',
        state: 'signed',
      },
      { key: key.privateKey, kid: key.jwk.kid as string },
    )
    const address = isPushed ? await oauth.buildAuthorizationUrlWithPAR(config, request.searchParams) : request
    const { url } = await browser.follow(await browser.get(address.href))
    const tokens = await oauth.authorizationCodeGrant(config, new URL(url), {
      pkceCodeVerifier: verifier,
      expectedState: 'signed',
    })
    assert.ok(tokens.access_token)
  }
})

test('an app that must sign from now on is refused at once what it pushed before', async () => {
  const { request_uri: uri } = await jsonIn(
    await signer.send('/oauth/par', Object.fromEntries(new URL(signer.authorizeUrl()).searchParams)),
  )
  const app = (await findApp(server.services, 'signer')) as AppRow
  await changeApp(server.services, app, { requireSignedRequest: true })
  assert.equal((await reached(await browser.get(signer.authorizeUrl())))['error'], 'invalid_request')
  // It was pushed by the app itself, when that was allowed, a minute ago at most.
  const query = new URLSearchParams({ client_id: 'signer', request_uri: uri as string })
  assert.ok((await reached(await browser.get(`/oauth/authorize?${query}`)))['code'])
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { answerIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let browser: Browser
let notes: Client
let photos: Client
let tools: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const loopback = { ...notesApp, name: 'Tools', redirectUris: ['http://127.0.0.1:4001/callback'], allowNoPkce: true }
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  tools = new Client(server.url, 'tools', await server.addApp('tools', loopback), 'http://127.0.0.1:4001/callback')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** The answer the app reads; every one of them must name the issuer and carry the state back. */
async function answer(client: Client, change: Record<string, string | null>): Promise<Record<string, string>> {
  const response = await browser.get(client.authorizeUrl(change))
  assert.equal(response.status, 303, await response.text())
  const told = answerIn(response, client.redirectUri)
  assert.equal(told['iss'], server.url)
  assert.equal(told['state'], 'state')
  return told
}

async function assertRefusedOnPage(url: string, error: string): Promise<void> {
  const response = await browser.get(url)
  const page = await readPage(response)
  assert.equal(response.headers.get('location'), null)
  assert.equal(response.status, 400)
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
  assert.match(page.text, new RegExp(error))
}

test('a signed-in user returns with a code, the state and the issuer, without a page', async () => {
  const response = await browser.get(notes.authorizeUrl())
  assert.equal(response.status, 303)
  const told = answerIn(response, CALLBACK)
  assert.deepEqual(Object.keys(told).toSorted(), ['code', 'iss', 'state'])
  assert.equal(told['iss'], server.url)
  assert.equal(told['state'], 'state')
  assert.match(told['code'] ?? '', /^[\w-]{43,}$/)
  assert.equal(response.headers.get('cache-control'), 'no-store')
})

for (const uri of [
  `${CALLBACK}/`,
  `${CALLBACK}?x=1`,
  `${CALLBACK}#f`,
  CALLBACK.replace('https', 'http'),
  'https://notes.example.test:8443/callback',
  'https://notes.example.test:443/callback',
  'https://notes.example.test/callback/../callback',
  `${CALLBACK}%2f`,
  'https://notes.example.test/CALLBACK',
  'HTTPS://notes.example.test/callback',
  'https://notes.example.test@evil.test/callback',
  '//notes.example.test/callback',
  'https://www.notes.example.test/callback',
  `${CALLBACK}\0`,
  `${CALLBACK}\r\nX-Evil: yes`,
  `${CALLBACK} `,
  'javascript:alert(1)',
  '',
]) {
  test(`an answer to ${JSON.stringify(uri)} is refused on a page, because it is not the address of the app`, async () => {
    await assertRefusedOnPage(
      notes.authorizeUrl({ redirect_uri: uri }),
      uri === '' ? 'invalid_request' : 'invalid_redirect_uri',
    )
  })
}

test('a request without a redirect URI is refused on a page, though the app has only one', async () => {
  await assertRefusedOnPage(notes.authorizeUrl({ redirect_uri: null }), 'invalid_request')
})

for (const id of [
  'nope',
  '<script>alert(1)</script>',
  '__proto__',
  'constructor',
  'a\0b',
  'x'.repeat(5000),
  ' notes',
  '',
]) {
  test(`an app called ${JSON.stringify(id.slice(0, 30))} is not known, and its words stay words`, async () => {
    const response = await browser.get(notes.authorizeUrl({ client_id: id }))
    const html = await response.text()
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('location'), null)
    assert.match(html, /invalid_client|invalid_request/)
    assert.equal(html.includes('<script>alert'), false)
  })
}

for (const name of ['client_id', 'redirect_uri']) {
  test(`a request that names its ${name} twice is refused on a page`, async () => {
    const value = name === 'client_id' ? 'notes' : CALLBACK
    await assertRefusedOnPage(`${notes.authorizeUrl()}&${name}=${encodeURIComponent(value)}`, 'invalid_')
  })
}

for (const name of ['scope', 'state', 'nonce', 'code_challenge', 'response_type', 'prompt']) {
  test(`a request that names its ${name} twice is refused to the app`, async () => {
    const response = await browser.get(`${notes.authorizeUrl({ prompt: 'login' })}&${name}=login`)
    const told = answerIn(response, CALLBACK)
    assert.equal(told['error'], 'invalid_request')
    assert.equal(told['iss'], server.url)
  })
}

test('every app needs PKCE, confidential or public', async () => {
  for (const client of [notes, photos]) {
    const told = await answer(client, { code_challenge: null, code_challenge_method: null })
    assert.equal(told['error'], 'invalid_request')
    assert.match(told['error_description'] ?? '', /PKCE/)
  }
})

test('an app that was allowed to go without PKCE does', async () => {
  assert.ok((await answer(tools, { code_challenge: null, code_challenge_method: null }))['code'])
})

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
for (const [what, change] of Object.entries<Record<string, string | null>>({
  'the plain method': { code_challenge_method: 'plain' },
  'no method': { code_challenge_method: null },
  'another method': { code_challenge_method: 'S512' },
  'a challenge of 3 characters': { code_challenge: 'abc' },
  'a challenge of 42 characters': { code_challenge: CHALLENGE.slice(1) },
  'a challenge of 129 characters': { code_challenge: 'x'.repeat(129) },
  'a challenge with =': { code_challenge: `${CHALLENGE.slice(1)}=` },
  'a challenge with +': { code_challenge: `${CHALLENGE.slice(1)}+` },
  'a method without a challenge': { code_challenge: null },
})) {
  test(`PKCE with ${what} is refused`, async () => {
    assert.equal((await answer(notes, change))['error'], 'invalid_request')
    assert.equal((await answer(tools, change))['error'], 'invalid_request')
  })
}

for (const type of ['token', 'id_token', 'code id_token', 'code token', 'code id_token token', 'none', 'device', '']) {
  test(`response type ${JSON.stringify(type)} gives no code and no token`, async () => {
    const response = await browser.get(notes.authorizeUrl({ response_type: type }))
    const location = new URL(response.headers.get('location') as string)
    const told = new URLSearchParams(location.hash === '' ? location.search : location.hash.slice(1))
    assert.match(told.get('error') as string, type === '' ? /^invalid_request$/ : /^unsupported_response_type$/)
    assert.equal(told.get('iss'), server.url)
    for (const given of ['code', 'access_token', 'id_token']) assert.equal(told.has(given), false)
  })
}

test('an error names the issuer, byte for byte, like a success', async () => {
  const stranger = new Browser(server.url)
  const told = answerIn(await stranger.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  assert.equal(told['error'], 'login_required')
  assert.equal(told['iss'], server.url)
  assert.equal(told['state'], 'state')
})

test('another loopback port is not an address of a web app', async () => {
  await assertRefusedOnPage(
    tools.authorizeUrl({ redirect_uri: 'http://127.0.0.1:4002/callback' }),
    'invalid_redirect_uri',
  )
})

test('a scope the app may not have never reaches a token', async () => {
  const tokens = await notes.connect(browser, { scope: 'openid admin:all profile' })
  assert.equal(tokens.scope, 'openid profile')
  assert.equal(claimsOf(tokens.access_token)['scope'], 'openid profile')
})

test('a scope of its own reaches the token of an app that may have it, and one of the portal that it may not have is refused', async () => {
  const settings = { ...notesApp, name: 'Books', scope: 'openid profile books:read books:write' }
  const books = new Client(server.url, 'books', await server.addApp('books', settings), CALLBACK)
  const tokens = await books.connect(browser, { scope: 'openid books:read' })
  assert.equal(claimsOf(tokens.access_token)['scope'], 'openid books:read')
  assert.equal(tokens.scope, 'openid books:read')
  assert.equal((await answer(books, { scope: 'openid email' }))['error'], 'invalid_scope')
})

test('an app that does not ask for openid gets an application token and no ID token', async () => {
  const tokens = await notes.connect(browser, { scope: 'profile', nonce: null })
  assert.equal(tokens.id_token, undefined)
  assert.equal(claimsOf(tokens.access_token)['scope'], 'profile')
})

test('a resource that is not the own audience of the app is refused', async () => {
  for (const resource of ['https://nope.test', 'urn:gatehouse:audience:photos', 'not a uri']) {
    assert.equal((await answer(notes, { resource }))['error'], 'invalid_target')
  }
})

test('an app may name its own audience as the resource', async () => {
  const tokens = await notes.connect(browser, { resource: 'urn:gatehouse:audience:notes' })
  assert.equal(claimsOf(tokens.access_token)['aud'], 'notes')
  const photo = await photos.connect(browser, { resource: 'https://photos.example.test/api' })
  assert.equal(claimsOf(photo.access_token)['aud'], 'https://photos.example.test/api')
})

test('a request object is refused, and the address of one is never fetched', async (t) => {
  const listener = createServer().listen(0, '127.0.0.1')
  t.after(() => listener.close())
  await once(listener, 'listening')
  let visits = 0
  listener.on('connection', (socket) => {
    visits++
    socket.destroy()
  })
  const { port } = listener.address() as { port: number }
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.`

  const byAddress = await answer(notes, { request_uri: `http://127.0.0.1:${port}/request` })
  assert.equal(byAddress['error'], 'request_uri_not_supported')
  assert.equal((await answer(notes, { request: unsigned }))['error'], 'invalid_request_object')
  assert.equal(visits, 0)
})

for (const [what, change] of Object.entries<Record<string, string | null>>({
  'prompt=none with another prompt': { prompt: 'none login' },
  'an unknown prompt': { prompt: 'dance' },
  'a negative max_age': { max_age: '-1' },
  'a max_age in words': { max_age: 'soon' },
  'an id_token_hint that is none': { id_token_hint: 'junk' },
  'a claims parameter that is not JSON': { claims: '{' },
  'a claims parameter that is a list': { claims: '[]' },
})) {
  test(`${what} is refused`, async () => {
    assert.equal((await answer(notes, change))['error'], 'invalid_request')
  })
}

test('an answer can come as a form, whose script may run and which may lead to the app', async () => {
  const response = await browser.get(notes.authorizeUrl({ response_mode: 'form_post' }))
  const page = await readPage(response)
  assert.equal(response.status, 200)
  assert.equal(page.forms[0]?.action, CALLBACK)
  assert.equal(page.forms[0].fields['iss'], server.url)
  assert.ok(page.forms[0].fields['code'])
  const script = /<script>([\s\S]*?)<\/script>/.exec(page.html)?.[1] as string
  const hash = createHash('sha256').update(script).digest('base64')
  const policy = response.headers.get('content-security-policy') ?? ''
  assert.ok(policy.includes(`'sha256-${hash}'`), policy)
  assert.equal(/form-action/.test(policy), false)
})

test('no site may read the authorization endpoint from a script', async () => {
  const response = await browser.get(photos.authorizeUrl(), { origin: 'https://photos.example.test' })
  assert.equal(response.headers.get('access-control-allow-origin'), null)
})

/** Every row of what a browser could write to, as it stands. */
async function rowsOf(table: string): Promise<string[]> {
  const { rows } = await server.services.storage.pool.query<{ row: string }>(
    `SELECT xmin || ' ' || t::text AS row FROM ${table} t ORDER BY 1`,
  )
  return rows.map(({ row }) => row)
}

test('a silent redirect writes its code and nothing else, neither to a store nor to the browser', async () => {
  await notes.connect(browser)
  const tables = ['browser_sessions', 'identity_sessions', 'identities', 'families', 'audit_events', 'handshakes']
  const before = await Promise.all(tables.map(rowsOf))
  const response = await browser.get(notes.authorizeUrl())
  assert.match(answerIn(response, CALLBACK)['code'] ?? '', /./)
  assert.deepEqual(response.headers.getSetCookie(), [])
  const after = await Promise.all(tables.map(rowsOf))
  assert.deepEqual(after.slice(0, -1), before.slice(0, -1))
  const added = after.at(-1)?.filter((row) => !before.at(-1)?.includes(row)) ?? []
  assert.equal(added.length, 1)
  assert.match(added[0] ?? '', /AuthorizationCode:/)
})

test('a code opens nothing by itself: until it is exchanged there is no family', async () => {
  const { rows: before } = await server.services.storage.pool.query('SELECT count(*)::int AS n FROM families')
  await notes.code(browser)
  const { rows: after } = await server.services.storage.pool.query('SELECT count(*)::int AS n FROM families')
  assert.deepEqual(after, before)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LANGUAGES } from '../i18n/catalogues.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send } from '../testing/network/wire.ts'

const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
const PHOTOS = 'https://photos.example.test'

let server: TestServer
let photos: Client
let notes: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), `${PHOTOS}/`)
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())

async function discover(path = DOCUMENTS[0]): Promise<Record<string, unknown>> {
  return (await (await fetch(`${server.url}${path}`)).json()) as Record<string, unknown>
}

const headersOf = (response: Response) =>
  [...response.headers].filter(
    ([name]) => !['date', 'x-request-id', 'content-length', 'connection', 'keep-alive'].includes(name),
  )

for (const path of [...DOCUMENTS, '/oauth/jwks']) {
  test(`the first answer from ${path} and every later one are the same, also to HEAD and with a query`, async () => {
    const first = await fetch(`${server.url}${path}`)
    const body = await first.text()
    for (const [method, query] of [
      ['GET', ''],
      ['GET', '?unrelated=1'],
      ['HEAD', ''],
    ] as const) {
      const later = await fetch(`${server.url}${path}${query}`, { method })
      assert.deepEqual([later.status, headersOf(later)], [200, headersOf(first)])
      assert.equal(later.headers.get('content-length'), String(Buffer.byteLength(body)))
      assert.equal(await later.text(), method === 'GET' ? body : '')
    }
  })

  test(`a client that has this version of ${path} is not sent it again`, async () => {
    const tag = (await fetch(`${server.url}${path}`)).headers.get('etag') as string
    assert.match(tag, /^"[\w-]+"$/)
    const ask = (method: string, known: string) =>
      fetch(`${server.url}${path}`, { method, headers: { 'if-none-match': known } })
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await ask(method, known)
        assert.deepEqual([answer.status, await answer.text()], [304, ''], known)
        assert.equal(answer.headers.get('etag'), tag)
        assert.match(answer.headers.get('cache-control') ?? '', /max-age=/)
        assert.match(answer.headers.get('vary') ?? '', /origin/i)
        assert.equal(answer.headers.get('access-control-allow-origin'), '*')
      }
    }
    for (const known of ['"other"', tag.slice(1, -1), '', `${tag.slice(0, -2)}"`])
      assert.equal((await ask('GET', known)).status, 200, known)
    assert.equal((await ask('POST', tag)).status, 404)
  })
}

test('both documents say the same', async () => {
  assert.deepEqual(await discover(DOCUMENTS[1]), await discover(DOCUMENTS[0]))
})

test('every address is one of ours, and the endpoints are where the contract puts them', async () => {
  const told = await discover()
  assert.equal(told['issuer'], server.url)
  const at = (name: string) => `${server.url}/oauth/${name}`
  assert.equal(told['authorization_endpoint'], at('authorize'))
  assert.equal(told['token_endpoint'], at('token'))
  assert.equal(told['jwks_uri'], at('jwks'))
  assert.equal(told['userinfo_endpoint'], at('userinfo'))
  assert.equal(told['introspection_endpoint'], at('introspect'))
  assert.equal(told['revocation_endpoint'], at('revoke'))
  assert.equal(told['end_session_endpoint'], at('logout'))
  assert.equal(told['pushed_authorization_request_endpoint'], at('par'))
  for (const url of JSON.stringify(told).match(/https?:[^"]*/g) ?? []) assert.ok(url.startsWith(server.url), url)
})

test('the portal promises what it keeps, and nothing that it refuses', async () => {
  const told = await discover()
  assert.deepEqual(told['response_types_supported'], ['code'])
  assert.deepEqual(told['code_challenge_methods_supported'], ['S256'])
  assert.equal(told['authorization_response_iss_parameter_supported'], true)
  assert.deepEqual((told['grant_types_supported'] as string[]).toSorted(), [
    'authorization_code',
    'client_credentials',
    'refresh_token',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
  ])
  assert.equal(told['device_authorization_endpoint'], `${server.url}/oauth/device`)
  assert.deepEqual((told['token_endpoint_auth_methods_supported'] as string[]).toSorted(), [
    'client_secret_basic',
    'client_secret_post',
    'none',
    'private_key_jwt',
  ])
  assert.deepEqual(told['token_endpoint_auth_signing_alg_values_supported'], [
    'ES256',
    'PS256',
    'RS256',
    'EdDSA',
    'Ed25519',
  ])
  assert.deepEqual((told['id_token_signing_alg_values_supported'] as string[]).toSorted(), ['ES256', 'EdDSA', 'RS256'])
  assert.deepEqual(told['subject_types_supported'], ['public', 'pairwise'])
  assert.deepEqual(told['ui_locales_supported'], LANGUAGES)
  assert.deepEqual((told['scopes_supported'] as string[]).toSorted(), [
    'address',
    'email',
    'groups',
    'offline_access',
    'openid',
    'phone',
    'profile',
    'roles',
  ])
  assert.equal(
    (told['claims_supported'] as string[]).toSorted().join(' '),
    'acr address amr auth_time email email_verified family_name given_name groups iss locale name nickname phone_number ' +
      'phone_number_verified picture preferred_username roles sid sub updated_at zoneinfo',
  )
  assert.ok((told['dpop_signing_alg_values_supported'] as string[]).includes('ES256'))
  assert.equal(told['claims_parameter_supported'], true)
  assert.equal(told['backchannel_logout_supported'], true)
  assert.equal(told['backchannel_logout_session_supported'], true)
  assert.equal(told['request_parameter_supported'], true)
  assert.equal(told['request_uri_parameter_supported'], false)
  for (const [name, value] of Object.entries(told)) {
    if (name.endsWith('alg_values_supported'))
      assert.equal(
        (value as string[]).some((alg) => /none|HS/.test(alg)),
        false,
      )
  }
})

for (const path of [...DOCUMENTS, '/oauth/jwks']) {
  test(`${path} is public: readable from any site without cookies, and cached for a while`, async () => {
    const response = await fetch(`${server.url}${path}`, { headers: { origin: 'https://anywhere.test' } })
    assert.equal(response.status, 200)
    const age = Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1])
    assert.ok(age > 0 && age <= 3600)
    // An answer that names the site that asked must not be kept for another one.
    const allowed = response.headers.get('access-control-allow-origin')
    if (allowed !== '*') {
      assert.equal(allowed, 'https://anywhere.test')
      assert.match(response.headers.get('vary') ?? '', /origin/i)
    }
    assert.equal(response.headers.get('access-control-allow-credentials'), null)
    assert.equal(response.headers.get('set-cookie'), null)
    assert.equal(response.headers.get('x-powered-by'), null)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  })

  test(`no header has a say in what ${path} publishes`, async () => {
    const port = portOf(server.url)
    const { host } = new URL(server.url)
    const plain = await send(port, { path, headers: { host } })
    for (const headers of [
      { 'x-forwarded-host': 'evil.test' },
      { 'x-forwarded-proto': 'https', 'x-forwarded-port': '444' },
      { forwarded: 'host=evil.test;proto=https' },
      { 'x-original-host': 'evil.test', 'x-forwarded-server': 'evil.test', 'x-forwarded-prefix': '/evil' },
    ] as Record<string, string>[]) {
      const answer = await send(port, { path, headers: { host, ...headers } })
      assert.equal(answer.status, 200)
      assert.equal(answer.body, plain.body)
    }
  })

  test(`a request for another host is refused at ${path}`, async () => {
    const port = portOf(server.url)
    for (const host of [
      'evil.test',
      `evil.test:${port}`,
      `127.0.0.1:${port}`,
      'localhost',
      `localhost:${port}@evil.test`,
      '',
    ]) {
      const answer = await send(port, { path, headers: { host } })
      assert.ok([400, 421].includes(answer.status), `${host}: ${answer.status}`)
      assert.equal(answer.body.includes('evil'), false)
    }
    const { host } = new URL(server.url)
    for (const target of [`http://evil.test${path}`, `//evil.test${path}`]) {
      const answer = await send(port, { path: target, headers: { host } })
      assert.ok([400, 404, 421].includes(answer.status), `${target}: ${answer.status}`)
      assert.equal(answer.body.includes('token_endpoint'), false)
    }
  })
}

for (const path of ['/oauth/token', '/oauth/authorize', '/oauth/logout', '/oauth/userinfo', '/oauth/introspect']) {
  test(`a request for another host is refused at ${path}`, async () => {
    const answer = await send(portOf(server.url), { method: 'POST', path, headers: { host: 'evil.test' } })
    assert.equal(answer.status, 421)
    assert.equal(answer.body.includes('evil'), false)
  })
}

test('a script of a public app may ask for tokens, and a script of any other site may not', async () => {
  const body = { grant_type: 'refresh_token', refresh_token: 'x' }
  const own = await photos.send('/oauth/token', body, { origin: PHOTOS })
  assert.equal(own.headers.get('access-control-allow-origin'), PHOTOS)
  assert.equal(own.headers.get('access-control-allow-credentials'), null)

  for (const [client, origin] of [
    [photos, 'https://evil.test'],
    [photos, `${PHOTOS}.evil.test`],
    [photos, 'null'],
    [notes, 'https://notes.example.test'],
    [notes, 'https://evil.test'],
  ] as const) {
    const response = await client.send('/oauth/token', body, { origin })
    assert.equal(response.status, 400, `${client.id} ${origin}`)
    assert.equal(response.headers.get('access-control-allow-origin'), null, `${client.id} ${origin}`)
    assert.equal(response.headers.get('access-control-allow-credentials'), null)
  }
})

test('a browser that asks beforehand is told that a script may send a form and a proof', async () => {
  const response = await fetch(`${server.url}/oauth/token`, {
    method: 'OPTIONS',
    headers: {
      origin: PHOTOS,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'dpop,content-type',
    },
  })
  assert.ok(response.status === 200 || response.status === 204)
  assert.equal(response.headers.get('access-control-allow-origin'), PHOTOS)
  assert.match(response.headers.get('access-control-allow-methods') ?? '', /POST/)
  assert.equal(response.headers.get('access-control-allow-credentials'), null)
})

test('pages can be read by no site', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  for (const path of ['/oauth/authorize', '/oauth/logout', '/login', '/dashboard', notes.authorizeUrl()]) {
    const response = await browser.get(path, { origin: PHOTOS })
    assert.equal(response.headers.get('access-control-allow-origin'), null, path)
    assert.match(response.headers.get('cache-control') ?? '', /no-store/, path)
  }
})

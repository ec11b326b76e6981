import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { type Answer, portOf, send, sendBytes } from '../testing/network/wire.ts'

const FORM = 'application/x-www-form-urlencoded'

let server: TestServer
let browser: Browser
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const secret = await server.addApp('notes', { ...notesApp, firstPartyDirect: true })
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

function post(path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return send(portOf(server.url), {
    method: 'POST',
    path,
    body,
    headers: {
      host: new URL(server.url).host,
      authorization: `Basic ${Buffer.from(`notes:${notes.secret}`).toString('base64')}`,
      'content-type': FORM,
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    },
  })
}

/** Percent-encoded, as it travels. The last ones are no text at all. */
const ODD: Record<string, string> = {
  NUL: '%00',
  'NUL in words': 'a%00b',
  'half an emoji': '%ED%A0%BD',
  'invalid UTF-8': '%FF%FE',
  'an overlong slash': '%C0%AF',
  'a broken escape': '%zz',
  'half an escape': '%',
  __proto__: '__proto__',
  constructor: 'constructor',
  'line breaks': 'a%0d%0aX-Evil:%20yes',
  'five thousand characters': 'x'.repeat(5000),
  'a right-to-left override': '%E2%80%AE',
  'an emoji': '%F0%9F%9A%B2',
  'a quote': "'%20OR%201=1--",
  nothing: '',
}

const FIELDS: Record<string, string[]> = {
  '/oauth/token': [
    'grant_type',
    'code',
    'redirect_uri',
    'code_verifier',
    'client_id',
    'client_secret',
    'refresh_token',
    'scope',
    'resource',
  ],
  '/oauth/introspect': ['token', 'token_type_hint', 'client_id'],
  '/oauth/revoke': ['token', 'token_type_hint', 'client_id'],
  '/oauth/par': [
    'client_id',
    'redirect_uri',
    'scope',
    'state',
    'nonce',
    'claims',
    'code_challenge',
    'login_hint',
    'request_uri',
  ],
  '/oauth/authorize-challenge': [
    'client_id',
    'redirect_uri',
    'scope',
    'state',
    'claims',
    'acr_values',
    'max_age',
    'prompt',
    'id_token_hint',
    'code_challenge',
    'request_uri',
    'login',
    'login_hint',
    'password',
    'passkey',
    'totp',
    'auth_session',
  ],
  '/oauth/userinfo': ['access_token', 'scope'],
}

for (const [path, names] of Object.entries(FIELDS)) {
  test(`${path} answers odd values in any field without failing`, async () => {
    const sound: Record<string, string> = {
      '/oauth/token': 'grant_type=refresh_token&refresh_token=x',
      '/oauth/par': new URL(notes.authorizeUrl()).search.slice(1),
      '/oauth/authorize-challenge': `${new URL(notes.authorizeUrl()).search.slice(1)}&login=ada&password=${ada.password}`,
    }
    for (const name of names) {
      for (const [what, value] of Object.entries(ODD)) {
        const base = new URLSearchParams(sound[path] ?? 'token=x')
        base.delete(name)
        const answer = await post(path, `${base}&${name}=${value}`)
        const mayPass = path !== '/oauth/token' && path !== '/oauth/userinfo'
        const where = `${name} with ${what}: ${answer.status} ${answer.body}`
        assert.ok((answer.status >= 400 && answer.status < 500) || (mayPass && answer.status < 300), where)
        assert.equal('x-evil' in answer.headers, false)
        if (path === '/oauth/introspect' && answer.status === 200)
          assert.deepEqual(JSON.parse(answer.body), { active: false })
      }
    }
  })

  test(`${path} refuses repeated fields, and fields that look like lists`, async () => {
    for (const name of names) {
      if (name === 'resource') continue
      const answer = await post(path, `${name}=a&${name}=b`)
      assert.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`)
      for (const field of [`${name}[]=a`, `${name}[$ne]=`, `${name}[__proto__]=a`, `__proto__[${name}]=a`]) {
        const odd = await post(path, field)
        assert.ok(odd.status >= 400 && odd.status < 500, `${field}: ${odd.status}`)
      }
    }
  })

  test(`${path} refuses bodies that are no form, or too long for one`, async () => {
    const deep = '['.repeat(100_000)
    const bodies: [string, string | Buffer, Record<string, string>][] = [
      ['JSON', '{"token":"x"}', { 'content-type': 'application/json' }],
      ['deep JSON', deep, { 'content-type': 'application/json' }],
      ['deep JSON called a form', deep, {}],
      ['plain text', 'token=x', { 'content-type': 'text/plain' }],
      ['XML', '<token/>', { 'content-type': 'application/xml' }],
      ['a form with files', '--b\r\n\r\n--b--', { 'content-type': 'multipart/form-data; boundary=b' }],
      ['70 kB', `token=${'x'.repeat(70_000)}`, {}],
      ['a compressed form', gzipSync(`token=${'x'.repeat(5_000_000)}`), { 'content-encoding': 'gzip' }],
      ['no form at all', Buffer.from([0, 255, 254, 1]), {}],
    ]
    for (const [what, body, headers] of bodies) {
      const answer = await post(path, body, headers)
      assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status} ${answer.body}`)
    }
  })

  test(`${path} refuses Authorization headers that make no sense`, async () => {
    for (const authorization of [
      'Basic',
      'Basic !!!',
      'Basic bm90ZXM=',
      `Basic ${Buffer.from(':').toString('base64')}`,
      `Basic ${Buffer.from('a\0b:c\0d').toString('base64')}`,
      `Basic ${Buffer.from('%zz:%00').toString('base64')}`,
      `Basic ${Buffer.from('%FF:x').toString('base64')}`,
      `Basic ${Buffer.from('__proto__:x').toString('base64')}`,
      `Basic ${'A'.repeat(5000)}`,
      'Bearer \u00ff',
      'Digest x',
      ',',
    ]) {
      const answer = await post(path, 'token=x&grant_type=refresh_token&refresh_token=x', { authorization })
      assert.ok(answer.status >= 400 && answer.status < 500, `${authorization}: ${answer.status} ${answer.body}`)
    }
  })
}

test('an authorization request with odd values gets a page or an answer, never a failure', async () => {
  const names = [...new URL(notes.authorizeUrl()).searchParams.keys()]
  const more = [
    'ui_locales',
    'login_hint',
    'claims',
    'id_token_hint',
    'max_age',
    'prompt',
    'resource',
    'acr_values',
    'display',
    'response_mode',
    'request',
    'request_uri',
    'dpop_jkt',
  ]
  for (const name of [...names, ...more]) {
    for (const [what, value] of Object.entries(ODD)) {
      for (const who of [browser, new Browser(server.url)]) {
        const base = new URL(notes.authorizeUrl())
        base.searchParams.delete(name)
        const { response } = await who.follow(await who.get(`${base.pathname}${base.search}&${name}=${value}`))
        await response.text()
        assert.ok(response.status < 500, `${name} with ${what}: ${response.status}`)
      }
    }
  }
})

test('what an app sends as state comes back as it was, whatever Unicode it is', async () => {
  for (const state of [
    '\0',
    'a\0b',
    '🚲',
    '\u202e',
    'a&b=c#d',
    '"><script>',
    'é'.normalize('NFD'),
    ' ',
    '\u{10ffff}',
  ]) {
    const stranger = new Browser(server.url)
    const { response } = await stranger.follow(await stranger.get(notes.authorizeUrl({ state, nonce: state })))
    const [, returnTo = ''] = /name="return_to" value="([^"]*)"/.exec(await response.text()) ?? []
    const fields = { login: 'ada', password: ada.password, return_to: returnTo.replaceAll('&amp;', '&') }
    const { url } = await stranger.follow(await stranger.post('/login', fields))
    assert.equal(new URL(url).searchParams.get('state'), state)
  }
})

test('a code whose nonce and claims are odd is exchanged like any other', async () => {
  for (const nonce of ['\0', '\ud800', '🚲']) {
    const claims = JSON.stringify({ id_token: { email: null, '\ud800\0': null, __proto__: null } })
    const tokens = await notes.connect(browser, { nonce, claims })
    assert.equal((await notes.refresh(tokens.refresh_token, { scope: 'openid' })).status, 200)
  }
})

test('the pages of a logout and an interaction answer odd values without failing', async () => {
  for (const value of Object.values(ODD)) {
    for (const path of [
      `/oauth/logout?id_token_hint=${value}`,
      `/oauth/logout?client_id=${value}`,
      `/oauth/logout?client_id=notes&post_logout_redirect_uri=${value}`,
      `/oauth/logout?state=${value}&ui_locales=${value}`,
      `/oauth/logout/success?client_id=${value}`,
      `/oauth/authorize/${value}`,
      `/interaction/${value}`,
      `/interaction/x?client_id=${value}&redirect_uri=${value}`,
      `/oauth/${value}`,
    ]) {
      const answer = await send(portOf(server.url), { path, headers: { host: new URL(server.url).host } })
      assert.ok(answer.status < 500, `${path}: ${answer.status}`)
    }
    const confirmed = await browser.post('/oauth/logout/confirm', {
      xsrf: decodeURIComponent(value.replace(/%(?![0-9a-f]{2})|%FF%FE|%ED%A0%BD|%C0%AF/gi, '')),
      logout: 'yes',
    })
    assert.ok(confirmed.status >= 400 && confirmed.status < 500, `confirm: ${confirmed.status}`)
  }
  assert.equal((await browser.get('/dashboard')).status, 200)
})

test('cookies of any kind are at worst those of a stranger', async () => {
  for (const cookie of [
    'protocol=x; protocol.sig=x',
    'identity=s%3Ax.y',
    'identity=%00',
    'protocol=%zz',
    'identity=__proto__',
    `identity=${'x'.repeat(4000)}`,
  ]) {
    for (const path of [
      '/oauth/authorize?client_id=notes',
      new URL(notes.authorizeUrl()).pathname + new URL(notes.authorizeUrl()).search,
      '/oauth/logout',
      '/interaction/x',
    ]) {
      const answer = await send(portOf(server.url), { path, headers: { host: new URL(server.url).host, cookie } })
      assert.ok(answer.status < 500, `${cookie} ${path}: ${answer.status}`)
    }
  }
})

test('bytes that are no proper request are refused before they reach anything', async () => {
  const { host } = new URL(server.url)
  const head = `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\nConnection: close\r\n`
  for (const bytes of [
    `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    `${head}Content-Length: -1\r\n\r\n`,
    `${head}Transfer-Encoding: nonsense\r\n\r\n`,
    `${head}X: ${'x'.repeat(20_000)}\r\n\r\n`,
    `GET /oauth/jwks HTTP/1.1\r\nHost: ${host}\r\nHost: evil.test\r\nConnection: close\r\n\r\n`,
  ]) {
    const status = Number((await sendBytes(portOf(server.url), bytes)).split(' ')[1])
    assert.ok(status >= 400 && status < 500, `${bytes.slice(0, 200)}: ${status}`)
  }
})

test('a wrong method is refused, and after all of this everything works', async () => {
  for (const path of Object.keys(FIELDS)) {
    for (const method of ['PUT', 'DELETE', 'PATCH', ...(path === '/oauth/userinfo' ? [] : ['GET'])]) {
      const answer = await send(portOf(server.url), { method, path, headers: { host: new URL(server.url).host } })
      assert.ok([400, 401, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`)
    }
  }
  await notes.connect(browser)
  await photos.connect(browser)
  assert.equal(/"level":(50|60)/.test(server.log()), false, server.log().match(/.*"level":(50|60).*/)?.[0])
})

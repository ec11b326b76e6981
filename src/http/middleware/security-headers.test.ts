import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { type Answer, portOf, send, sendBytes } from '../../testing/network/wire.ts'

let server: TestServer
let notes: Client
let cookie: string

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addApp('photos', photosApp)
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  cookie = await browser.jar.getCookieString(server.url)
})
after(() => server.close())

/** One of each kind of answer. */
const PLACES: [name: string, path: string, status: number, page: boolean][] = [
  ['a page', '/dashboard', 200, true],
  ['a redirect', '/', 303, false],
  ['a page that is not there', '/nothing', 404, true],
  ['a broken address', '/interaction/%ff', 400, true],
  ['the list of browsers', '/sessions', 200, true],
  ['the list of what happened', '/activity', 200, true],
  ['the sign-out page', '/logout', 200, true],
  ['a lost interaction', '/interaction/x', 400, true],
  ['the sign-out an app asks for', '/oauth/logout', 200, true],
  ['the end of such a sign-out', '/oauth/logout/success', 200, true],
  ['an authorization request of an unknown app', '/oauth/authorize?client_id=nobody', 400, true],
  ['a style sheet', '/public/style.css', 200, false],
  ['a static file that is not there', '/public/nothing', 404, true],
  ['the process check', '/healthz', 200, false],
  ['the readiness check', '/readyz', 200, false],
  ['the metadata', '/.well-known/openid-configuration', 200, false],
  ['the keys', '/oauth/jwks', 200, false],
  ['userinfo without a token', '/oauth/userinfo', 401, false],
  ['the token endpoint by GET', '/oauth/token', 404, false],
]

function checkBase(answer: Answer, openerPolicy = 'same-origin'): void {
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  assert.equal(answer.headers['x-frame-options'], 'DENY')
  assert.equal(answer.headers['referrer-policy'], 'same-origin')
  assert.equal(answer.headers['cross-origin-opener-policy'], openerPolicy)
  assert.match(answer.headers['permissions-policy'] ?? '', /camera=\(\)/)
  assert.match(answer.headers['content-security-policy'] ?? '', /default-src 'none'.*frame-ancestors 'none'/)
  assert.match(answer.headers['x-request-id'] ?? '', /^[a-z2-9]{10}$/)
  for (const name of ['x-powered-by', 'server', 'access-control-allow-credentials']) {
    assert.equal(answer.headers[name], undefined)
  }
  assert.doesNotMatch(answer.body, /\bat .*\.(?:ts|js):\d+|node_modules|express|oidc-provider/i)
}

for (const [name, path, status, isPage] of PLACES) {
  test(`${name} carries the headers every answer has`, async () => {
    const { host } = new URL(server.url)
    const answer = await send(portOf(server.url), { path, headers: { host, cookie } })
    assert.equal(answer.status, status)
    checkBase(answer, /^\/(?:interaction|oauth\/authorize)/.test(path) ? 'unsafe-none' : 'same-origin')
    if (!isPage) return
    assert.match(answer.headers['content-type'] ?? '', /^text\/html; charset=utf-8/)
    const policy = answer.headers['content-security-policy'] ?? ''
    for (const directive of ["script-src 'self'", "base-uri 'none'", "object-src 'none'", "style-src 'self'"]) {
      assert.ok(policy.includes(directive), `${directive} is missing in ${policy}`)
    }
    assert.doesNotMatch(policy, /unsafe|https?:|\*/)
    assert.match(answer.headers['cache-control'] ?? '', /no-store/)
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
    // Nothing inline that the policy would refuse, and nothing of another origin.
    assert.doesNotMatch(
      answer.body,
      /<script(?! src="\/)|<style| style="| on\w+="|(?:src|href|action)="(?:https?:)?\/\/(?!localhost)/,
    )
  })
}

test('a popup keeps its opener from the first answer on the way to an app to the last, and nowhere else', async () => {
  const policyOf = (answer: globalThis.Response) => answer.headers.get('cross-origin-opener-policy')
  const onWay = encodeURIComponent('/interaction/x?client_id=notes')
  const stranger = new Browser(server.url)
  const silent = notes.authorizeUrl({ prompt: 'none' })
  const known = new Browser(server.url)
  await known.signIn(ada)
  const asked = await stranger.get(notes.authorizeUrl())
  const wrong = { login: ada.username, password: 'wrong', return_to: asked.headers.get('location') as string }
  for (const answer of [
    asked,
    await stranger.get(asked.headers.get('location') as string),
    await stranger.post('/login', wrong),
    await stranger.post('/login', { ...wrong, password: '' }),
    await stranger.post('/login', { ...wrong, password: ada.password }),
    await stranger.get('/oauth/authorize'),
    await stranger.get(silent),
    await known.get(silent),
    await known.get(`${silent}&unrelated=1`),
    ...(await Promise.all(
      ['/login', '/register', '/login/second-factor', '/reauthentication'].map(async (page) =>
        new Browser(server.url).get(`${page}?return_to=${onWay}`),
      ),
    )),
  ])
    assert.equal(policyOf(answer), 'unsafe-none', answer.url)
  for (const path of [
    '/login',
    '/register',
    '/login?return_to=/dashboard',
    '/login?return_to=https://evil.test/interaction/x',
    '/login?return_to=/interactions',
    '/login?return_to=/oauth/authorized',
    '/settings',
    '/oauth/logout',
    '/oauth/authorized',
  ])
    assert.equal(policyOf(await known.get(path)), 'same-origin', path)
})

test('forms may only be sent to the portal, except where they lead on to an app', async () => {
  const headers = { host: new URL(server.url).host, cookie }
  const policyOf = async (path: string, given: Record<string, string> = headers) =>
    (await send(portOf(server.url), { path, headers: given })).headers['content-security-policy'] ?? ''
  for (const path of ['/dashboard', '/sessions', '/logout', '/nothing']) {
    assert.match(await policyOf(path), /form-action 'self'/)
  }
  for (const path of ['/login', '/register']) {
    assert.doesNotMatch(await policyOf(path, { host: headers.host }), /form-action/)
  }
})

test('an answer to the right app carries them too, and is kept nowhere', async () => {
  const response = await notes.send('/oauth/token', { grant_type: 'refresh_token', refresh_token: 'x' })
  assert.equal(response.status, 400)
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(response.headers.get('cache-control') ?? '', /no-store/)
  assert.equal(response.headers.has('x-powered-by'), false)
})

test('foreign hosts and unreadable requests get words, and no more', async () => {
  const misdirected = await send(portOf(server.url), { headers: { host: 'evil.test' } })
  assert.equal(misdirected.status, 421)
  checkBase(misdirected)
  const { host } = new URL(server.url)
  const long = await sendBytes(
    portOf(server.url),
    `GET / HTTP/1.1\r\nHost: ${host}\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  )
  assert.match(long, /^HTTP\/1\.1 431 /)
  assert.match(long, /\r\nX-Content-Type-Options: nosniff\r\n/)
  for (const bytes of [
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: ${host}\r\nA b: c\r\n\r\n`,
  ]) {
    assert.match(await sendBytes(portOf(server.url), bytes), /^HTTP\/1\.1 400 Bad Request\r\n/)
  }
})

test('over https, and only there, browsers are told to come back over https', async () => {
  const port = await findFreePort()
  const env = { PUBLIC_URL: 'https://portal.example.test', PORT: String(port) }
  for (const [HSTS_INCLUDE_SUBDOMAINS, expected] of [
    ['false', 'max-age=31536000'],
    ['true', 'max-age=31536000; includeSubDomains'],
  ] as const) {
    const secure = await startTestServer({ env: { ...env, HSTS_INCLUDE_SUBDOMAINS } })
    try {
      for (const path of ['/login', '/nothing', '/', '/oauth/jwks', '/healthz', '/public/style.css']) {
        const { headers } = await send(port, { path, headers: { host: 'portal.example.test' } })
        assert.equal(headers['strict-transport-security'], expected, path)
      }
    } finally {
      await secure.close()
    }
  }
  const plain = await send(portOf(server.url), { path: '/login', headers: { host: new URL(server.url).host } })
  assert.equal(plain.headers['strict-transport-security'], undefined)
})

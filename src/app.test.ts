import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from './testing/browser.ts'
import { ada } from './testing/people.ts'
import { startTestServer, type TestServer } from './testing/server.ts'
import { portOf, send, sendBytes } from './testing/wire.ts'

let server: TestServer
let proxied: TestServer
let port: number
let host: string

before(async () => {
  server = await startTestServer()
  proxied = await startTestServer({ env: { TRUST_PROXY: '1' } })
  port = portOf(server.url)
  host = new URL(server.url).host
  for (const each of [server, proxied]) await each.addIdentity(ada)
})
after(async () => {
  await server.close()
  await proxied.close()
})

for (const path of ['/', '/login', '/logout', '/oauth/logout', '/nothing', '/oauth/token', '/oauth/jwks']) {
  test(`${path} is answered for no other host`, async () => {
    for (const other of ['evil.test', `evil.test:${port}`, `${host}.evil.test`, '127.0.0.1', `${host}@evil.test`, '']) {
      const answer = await send(port, { path, headers: { host: other } })
      assert.equal(answer.status, 421, other)
      assert.equal(answer.body.includes('evil'), false)
      assert.equal(answer.headers['location'], undefined)
    }
  })
}

test('an absolute address in the request line is refused', async () => {
  for (const path of ['http://evil.test/login', `http://${host}/login`, 'https://evil.test/', 'evil.test:443', '*']) {
    const answer = await send(port, { path, headers: { host } })
    assert.ok([400, 421].includes(answer.status), `${path}: ${answer.status}`)
  }
})

test('two Host headers, or none, are refused', async () => {
  const twice = await sendBytes(
    port,
    `GET /login HTTP/1.1\r\nHost: ${host}\r\nHost: evil.test\r\nConnection: close\r\n\r\n`,
  )
  assert.match(twice, /^HTTP\/1\.1 400 /)
  assert.match(await sendBytes(port, 'GET /login HTTP/1.1\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /)
  assert.match(await sendBytes(port, 'GET /login HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 400 /)
})

test('what a proxy would say about the host changes nothing', async () => {
  for (const { url } of [server, proxied]) {
    const own = new URL(url).host
    for (const path of ['/.well-known/openid-configuration', '/dashboard', '/login', '/oauth/authorize?client_id=x']) {
      const answer = await send(portOf(url), {
        path,
        headers: {
          host: own,
          'x-forwarded-host': 'evil.test',
          'x-forwarded-proto': 'https',
          'x-forwarded-port': '1',
          'x-original-url': '//evil.test/',
          'x-rewrite-url': '//evil.test/',
          forwarded: 'host=evil.test;proto=https',
        },
      })
      assert.equal(`${answer.body}${JSON.stringify(answer.headers)}`.includes('evil'), false, path)
      if (path.startsWith('/.well-known')) {
        const metadata = JSON.parse(answer.body) as Record<string, unknown>
        assert.equal(metadata['issuer'], url)
        assert.equal(metadata['token_endpoint'], `${url}/oauth/token`)
      }
    }
  }
})

/** The address the portal believes a sign-in came from. */
async function addressFrom(portal: TestServer, forwarded: string): Promise<string> {
  const browser = new Browser(portal.url)
  const headers = { 'x-forwarded-for': forwarded, 'x-real-ip': '203.0.113.99', forwarded: 'for=203.0.113.98' }
  await browser.post('/login', { login: 'ada', password: ada.password }, headers)
  const { rows } = await portal.portal.storage.pool.query<{ address: string }>(
    'SELECT address FROM identity_sessions ORDER BY created_at DESC LIMIT 1',
  )
  return rows[0]?.address as string
}

test('nobody can name their own address unless a proxy is trusted', async () => {
  assert.match(await addressFrom(server, '203.0.113.7'), /^(?:127\.0\.0\.1|::1)$/)
})

test('behind one trusted proxy the address it saw counts, not those it was told', async () => {
  assert.equal(await addressFrom(proxied, '203.0.113.7'), '203.0.113.7')
  assert.equal(await addressFrom(proxied, '198.51.100.1, 203.0.113.8'), '203.0.113.8')
  assert.equal(await addressFrom(proxied, '2001:db8::1'), '2001:db8::1')
})

test('an address that is none is never written down: that of the proxy counts', async () => {
  for (const hostile of ['<script>alert(1)</script>', 'x'.repeat(3000), '203.0.113.7, unknown'])
    assert.match(await addressFrom(proxied, hostile), /^(?:127\.0\.0\.1|::1)$/)
  const browser = new Browser(proxied.url)
  await browser.signIn(ada)
  assert.doesNotMatch(await (await browser.get('/sessions')).text(), /alert\(1\)/)
})

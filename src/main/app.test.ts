import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recognizeHost } from '../http/request-target.ts'
import { Browser } from '../testing/browser/browser.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send, sendBytes } from '../testing/network/wire.ts'

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

test('a host is the same in any case, with a dot behind it, and with an empty port or without', async () => {
  for (const same of [host.toUpperCase(), `LocalHost.:${port}`, `localhost:0${port}`]) {
    const answer = await send(port, { path: '/login', headers: { host: same } })
    assert.equal(answer.status, 200, same)
    // Whatever of it comes back is written as PUBLIC_URL is.
    const metadata = await send(port, { path: '/.well-known/openid-configuration', headers: { host: same } })
    assert.equal((JSON.parse(metadata.body) as Record<string, unknown>)['issuer'], server.url)
  }
})

test('an absolute address in the request line names the host, whatever Host says', async () => {
  for (const path of [`http://${host}/login?a=%20b`, `HTTP://LOCALHOST:${port}/login`, `https://${host}/login`]) {
    for (const other of [host, 'evil.test']) {
      const answer = await send(port, { path, headers: { host: other } })
      assert.equal(answer.status, 200, `${path} with ${other}`)
    }
  }
  const root = await send(port, { path: `http://${host}`, headers: { host } })
  assert.equal(root.headers['location'], '/login')
  for (const path of ['http://evil.test/login', 'https://evil.test/', `http://ada@${host}/login`, 'http:///login'])
    assert.equal((await send(port, { path, headers: { host } })).status, 421, path)
  for (const path of ['evil.test:443', '*', `ftp://${host}/login`, `${host}/login`])
    assert.equal((await send(port, { path, headers: { host } })).status, 400, path)
})

test('a request for another host gets a page, JSON or text, as it asks, and the style of the page', async () => {
  const ask = async (accept: string, path = '/login') => send(port, { path, headers: { host: 'evil.test', accept } })
  const page = await ask('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8')
  assert.equal(page.status, 421)
  assert.match(page.headers['content-type'] ?? '', /^text\/html/)
  assert.match(page.body, /<html lang="en" [^]*<title>The portal has another address/)
  assert.ok(page.body.includes(`href="${server.url}/"`))
  const style = /href="(\/public\/style\.css[^"]*)"/.exec(page.body)?.[1] as string
  assert.equal((await ask('text/css', style)).status, 200)
  assert.equal((await ask('*/*', '/public/../login')).status, 421)
  const json = await ask('application/json')
  assert.deepEqual([json.status, (JSON.parse(json.body) as { error: string }).error], [421, 'misdirected_request'])
  for (const accept of ['*/*', 'text/plain', 'image/png'])
    assert.match((await ask(accept)).headers['content-type'] ?? '', /^text\/plain/, accept)
})

test('what came instead of the host of PUBLIC_URL is logged once a minute', async () => {
  const clock = createClock()
  const other = await startTestServer({ clock })
  try {
    const ask = async (name: string) => send(portOf(other.url), { headers: { host: name } })
    const logged = () => [...other.log().matchAll(/"requestedHost":"([^"]*)","publicUrl":"([^"]*)"/g)]
    for (const name of ['10.0.0.7:8080', 'other.test']) await ask(name)
    assert.deepEqual(
      logged().map(([, requested, own]) => [requested, own]),
      [['10.0.0.7:8080', other.url]],
    )
    clock.advance(60)
    await ask('x'.repeat(5000))
    assert.deepEqual(
      logged().map(([, requested]) => requested?.length),
      [13, 200],
    )
  } finally {
    await other.close()
  }
})

test('the default port of the scheme and the spelling of an IPv6 address make no difference', async () => {
  const cases: [publicUrl: string, same: string[], others: string[]][] = [
    [
      'https://id.example.test',
      ['ID.example.test', 'id.example.test:443', 'id.example.test:', 'id.example.test.', 'id.example.test.:443'],
      ['id.example.test:80', 'id.example.test:8443', 'id.example.test..', 'id.example.test:443:443', 'example.test'],
    ],
    ['http://[::1]', ['[::1]', '[0:0:0:0:0:0:0:1]:80', '[0::1]'], ['[::2]', '::1', '[::1', '[::1]:8080']],
  ]
  for (const [publicUrl, same, others] of cases) {
    const isOwn = recognizeHost(publicUrl)
    for (const each of same) assert.equal(isOwn(each), true, each)
    for (const each of [...others, '', null]) assert.equal(isOwn(each), false, String(each))
  }
})

test('an idle connection is kept longer than proxies keep it', async () => {
  const twice = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\nGET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  assert.match(await sendBytes(port, twice), /\r\nKeep-Alive: timeout=620\r\n/)
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
  const { rows } = await portal.services.storage.pool.query<{ address: string }>(
    'SELECT address FROM identity_sessions ORDER BY created_at DESC LIMIT 1',
  )
  return rows[0]?.address as string
}

test('no client can set its IP address unless a proxy is trusted', async () => {
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

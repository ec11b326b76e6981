import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { after, before, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { Browser } from '../../testing/browser/browser.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let server: TestServer
let cookie: string
before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  cookie = await browser.jar.getCookieString(server.url)
})
after(() => server.close())

/** Bytes on the wire, headers included. */
const FIRST_VISIT = 15_000
const LATER_VISIT = 4000

test('the sign-in page is small on the first visit, and smaller on later ones', async () => {
  const page = await load('/login')
  const html = brotliDecompressSync(page.body).toString()
  const parts = [...html.matchAll(/<(?:link|script|img)\b[^>]*\b(?:href|src)="(\/[^"]+)"/g)].map(([, url = '']) => url)
  assert.ok(parts.length >= 3, html)
  let bytes = page.bytes
  for (const url of parts) {
    const part = await load(url.replaceAll('&amp;', '&'))
    assert.equal(part.headers['cache-control'], 'public, max-age=31536000, immutable', url)
    bytes += part.bytes
  }
  assert.ok(bytes <= FIRST_VISIT, `first visit: ${bytes} bytes`)
  assert.ok(page.bytes <= LATER_VISIT, `later visit: ${page.bytes} bytes`)
})

test('a page is compressed as the browser can read it, and names its style sheet before its first byte', async () => {
  const plain = await load('/login', { 'Accept-Encoding': 'identity' })
  const gzip = await load('/login', { 'Accept-Encoding': 'gzip' })
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(gzip.headers['content-encoding'], 'gzip')
  assert.match(gunzipSync(gzip.body).toString(), /<h1>/)
  assert.match(gzip.headers['vary'] ?? '', /Accept-Encoding/)
  assert.match(String(gzip.headers['link']), /<\/public\/style\.css\?v=[\w-]+>; rel=preload; as=style/)
  assert.equal(gzip.headers.etag, undefined)
})

for (const [site, encoding] of [
  ['same-origin', 'br'],
  ['none', 'br'],
  ['same-site', undefined],
  ['cross-site', undefined],
  [undefined, undefined],
] as const) {
  test(`a page about a user is ${encoding ? '' : 'not '}compressed for a request from ${site ?? 'an unknown site'}`, async () => {
    const page = await load('/settings', { Cookie: cookie, ...(site === undefined ? {} : { 'Sec-Fetch-Site': site }) })
    assert.equal(page.status, 200)
    assert.equal(page.headers['content-encoding'], encoding)
  })
}

interface Loaded {
  status: number | undefined
  headers: IncomingHttpHeaders
  body: Buffer
  /** All that the server sent. */
  bytes: number
}

async function load(path: string, headers: Record<string, string> = {}): Promise<Loaded> {
  const options = { headers: { 'Accept-Encoding': 'gzip, deflate, br', ...headers }, agent: false as const }
  const [answer] = (await once(get(new URL(path, server.url), options), 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: Buffer.concat(chunks),
    bytes: answer.socket.bytesRead,
  }
}

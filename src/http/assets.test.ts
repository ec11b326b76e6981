import assert from 'node:assert/strict'
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send } from '../testing/network/wire.ts'
import { createAssets } from './assets.ts'

const PUBLIC = join(import.meta.dirname, '../../public')
const A_YEAR = 'public, max-age=31536000, immutable'
const TYPES: Record<string, RegExp> = {
  '.css': /^text\/css; charset=utf-8$/,
  '.js': /^text\/javascript; charset=utf-8$/,
  '.svg': /^image\/svg\+xml/,
}
/** What a client accepts, and what it then gets. */
const CODINGS: [accepted: string, encoding: string | undefined, decode: (bytes: Buffer) => Buffer][] = [
  ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
  ['gzip, deflate', 'gzip', gunzipSync],
  ['br;q=0, gzip;q=0.5', 'gzip', gunzipSync],
  ['*', 'br', brotliDecompressSync],
  ['identity', undefined, (bytes) => bytes],
  ['gzip;q=0, br;q=0', undefined, (bytes) => bytes],
  ['deflate', undefined, (bytes) => bytes],
]

let development: TestServer
let production: TestServer
let productionPort: number

before(async () => {
  productionPort = await findFreePort()
  development = await startTestServer()
  production = await startTestServer({
    env: {
      NODE_ENV: 'production',
      PORT: String(productionPort),
      PUBLIC_URL: 'https://portal.example.test',
      SMTP_URL: 'smtp://127.0.0.1:1',
      MAIL_FROM: 'portal@example.test',
    },
  })
})
after(async () => {
  await development.close()
  await production.close()
})

for (const name of readdirSync(PUBLIC)) {
  test(`${name} is sent compressed, to be kept for a year under the URL of its content`, async () => {
    const content = readFileSync(join(PUBLIC, name))
    const url = (await createAssets(false)).urlOf(name)
    for (const [port, host] of [
      [portOf(development.url), new URL(development.url).host],
      [productionPort, 'portal.example.test'],
    ] as const) {
      const load = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
        send(port, { method, path, headers: { host, ...headers } })

      const plain = await load(url)
      assert.equal(plain.status, 200)
      assert.deepEqual(plain.bytes, content)
      assert.equal(plain.headers['cache-control'], A_YEAR)
      assert.equal(plain.headers['vary'], 'Accept-Encoding')
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.match(plain.headers['content-type'] ?? '', TYPES[extname(name)] as RegExp)
      assert.equal(plain.headers['x-content-type-options'], 'nosniff')
      assert.equal(plain.headers['set-cookie'], undefined)

      const tags = new Set([plain.headers['etag']])
      for (const [accepted, encoding, decode] of CODINGS) {
        const headers = { 'accept-encoding': accepted }
        const answer = await load(url, headers)
        tags.add(answer.headers['etag'])
        // What does not get smaller is sent as it is.
        if (content.length > 1000) assert.equal(answer.headers['content-encoding'], encoding, accepted)
        const isSmaller = answer.headers['content-encoding'] !== undefined
        if (isSmaller) assert.ok(answer.bytes.length < content.length)
        assert.deepEqual(isSmaller ? decode(answer.bytes) : answer.bytes, content)
        assert.equal(answer.headers['cache-control'], A_YEAR)
        assert.equal(answer.headers['vary'], 'Accept-Encoding')

        const kept = await load(url, { ...headers, 'if-none-match': answer.headers['etag'] ?? '' })
        assert.equal(kept.status, 304)
        assert.equal(kept.bytes.length, 0)
        assert.equal(kept.headers['cache-control'], A_YEAR)
        assert.equal(kept.headers['vary'], 'Accept-Encoding')

        const head = await load(url, headers, 'HEAD')
        assert.equal(head.status, 200)
        assert.equal(head.bytes.length, 0)
        for (const field of ['content-length', 'content-encoding', 'content-type', 'etag', 'cache-control'])
          assert.equal(head.headers[field], answer.headers[field], field)
      }
      if (content.length > 1000) assert.equal(tags.size, 3, 'every representation has an entity tag of its own')

      for (const other of [`/public/${name}`, `/public/${name}?v=older`, `/public/${name}?v=`]) {
        const answer = await load(other)
        assert.equal(answer.status, 200)
        assert.equal(answer.headers['cache-control'], 'public, max-age=300', other)
      }
    }
  })
}

test('every page loads static files by the URL of their content, and is itself kept nowhere', async () => {
  const { host } = new URL(development.url)
  for (const path of ['/login', '/register', '/nothing', '/oauth/authorize?client_id=nobody']) {
    const page = await send(portOf(development.url), { path, headers: { host } })
    assert.match(page.headers['cache-control'] ?? '', /no-store/)
    assert.equal(page.headers['content-encoding'], undefined)
    const urls = [...page.body.matchAll(/(?:href|src)="(\/public\/[^"]*)"/g)].map(([, url]) => url as string)
    assert.ok(urls.length >= 2)
    for (const url of urls) {
      const answer = await send(portOf(development.url), { path: url, headers: { host } })
      assert.equal(answer.headers['cache-control'], A_YEAR, url)
    }
  }
})

test('a missing static file is answered with a page that is not cached', async () => {
  const { host } = new URL(development.url)
  for (const path of ['/public/nothing.css', '/public/', '/public/constructor']) {
    const answer = await send(portOf(development.url), { path, headers: { host } })
    assert.equal(answer.status, 404, path)
    assert.match(answer.headers['cache-control'] ?? '', /no-store/)
  }
})

for (const [where, isLive] of [
  ['in development', true],
  ['in production', false],
] as const) {
  test(`a static file that changes is ${isLive ? 'read again' : 'what it was'} ${where}`, async () => {
    const folder = await makeTemporaryFolder('assets')
    try {
      const file = join(folder.path, 'style.css')
      writeFileSync(file, 'a { color: red }')
      const assets = await createAssets(isLive, {}, folder.path)
      const before = assets.urlOf('style.css')
      writeFileSync(file, 'a { color: blue }')
      utimesSync(file, 1, 1)
      assert.equal(assets.urlOf('style.css') !== before, isLive)
    } finally {
      await folder.remove()
    }
  })
}

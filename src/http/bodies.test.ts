import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Endpoint, listEndpoints } from '../testing/portal/endpoints.ts'
import { drip } from '../testing/network/hostile-connections.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send } from '../testing/network/wire.ts'

const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n'
/** Far longer than an answer takes, far shorter than the portal would wait for the rest of a body (ms). */
const PATIENCE = 15_000

let server: TestServer
let port: number
let host: string

before(async () => {
  server = await startTestServer()
  port = portOf(server.url)
  host = new URL(server.url).host
})
after(() => server.close())

const head = ({ method, path }: Endpoint, fields: string) =>
  `${method} ${path.replaceAll(/:\w+/g, 'x')} HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${server.url}\r\n${fields}\r\n`
const chunk = (size: number) => `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n`
const next = () => head({ method: 'GET', path: '/healthz' }, '')
const last = () => head({ method: 'GET', path: '/healthz' }, 'Connection: close\r\n')

/** The statuses of all answers on a connection, which the portal closed in time. */
async function statusesOf(pieces: string[]): Promise<number[]> {
  const { received, isClosed } = await drip(port, pieces, PATIENCE)
  assert.equal(isClosed, true, `still open after ${received.slice(0, 200)}`)
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

const everywhere = listEndpoints()
const posts = everywhere.filter(({ method }) => method === 'POST')

test('every endpoint refuses a body of 1 GB at once, by its length alone, and closes the connection', async () => {
  assert.ok(posts.length > 30)
  for (const endpoint of [...everywhere, { method: 'PUT', path: '/login' }, { method: 'DELETE', path: '/nothing' }]) {
    const { received, isClosed } = await drip(port, [head(endpoint, `${FORM}Content-Length: 1000000000\r\n`)], PATIENCE)
    const what = `${endpoint.method} ${endpoint.path}: ${received.slice(0, 300)}`
    assert.equal(isClosed, true, what)
    assert.match(received, /^HTTP\/1\.1 (?:413|200|503) /, what)
    assert.match(received, /^Connection: close\r$/im, what)
    assert.match(received, endpoint.path.endsWith('z') ? /"status"/ : /too large|is longer than/, what)
  }
})

test('no request waits behind a refused body that comes in chunks, on any endpoint', async () => {
  for (const endpoint of posts) {
    const body = [chunk(60_000), chunk(60_000), chunk(60_000), chunk(20_000), '0\r\n\r\n']
    const pieces = [head(endpoint, `${FORM}Transfer-Encoding: chunked\r\n`), ...body, next()]
    assert.deepEqual(await statusesOf(pieces), [413], endpoint.path)
  }
})

test('a client that still sends a body that is too long sees why it is refused', async () => {
  for (const path of ['/login', '/oauth/token']) {
    for (const size of [40_000, 70_000, 900_000]) {
      const headers = { host, 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(size) }
      const answer = await send(port, { method: 'POST', path, headers, body: 'a'.repeat(size) })
      assert.equal(answer.status, 413, `${path} with ${size} bytes`)
      assert.equal(answer.headers['connection'], 'close')
    }
  }
  const { body, headers } = await send(port, {
    method: 'POST',
    path: '/oauth/token',
    headers: { host, 'content-length': '50000' },
    body: 'a'.repeat(50_000),
  })
  assert.match(headers['content-type'] ?? '', /^application\/json/)
  assert.equal((JSON.parse(body) as { error: string }).error, 'invalid_request')
})

test('the longest body is read, and one byte more is refused, whatever way it comes', async () => {
  const form = (size: number) => `login=${'a'.repeat(size - 6)}`
  for (const path of ['/login', '/oauth/token']) {
    for (const [size, isRefused] of [
      [32 * 1024, false],
      [32 * 1024 + 1, true],
    ] as const) {
      const endpoint = { method: 'POST', path }
      const whole = [`${head(endpoint, `${FORM}Content-Length: ${size}\r\n`)}${form(size)}`]
      const chunked = [
        head(endpoint, `${FORM}Transfer-Encoding: chunked\r\n`),
        `${size.toString(16)}\r\n${form(size).slice(0, 10)}`,
        form(size).slice(10),
        '\r\n0\r\n\r\n',
      ]
      for (const pieces of [whole, chunked])
        assert.deepEqual(await statusesOf([...pieces, last()]), isRefused ? [413] : [400, 200], `${path}, ${size}`)
    }
  }
})

test('a body that is not too long leaves the connection to the next request, whether anything reads it or not', async () => {
  for (const endpoint of [...everywhere, { method: 'DELETE', path: '/nothing' }]) {
    for (const type of [FORM, 'Content-Type: application/json\r\n', '']) {
      const fields = `${type}Transfer-Encoding: chunked\r\n`
      const pieces = [head(endpoint, fields), chunk(500), chunk(9000), '0\r\n\r\n', last()]
      const [first = 0, ...rest] = await statusesOf(pieces)
      assert.ok(first >= 200 && first < 500, `${endpoint.method} ${endpoint.path}: ${first}`)
      assert.deepEqual(rest, [200], `${endpoint.method} ${endpoint.path}`)
    }
  }
})

test('an empty body in chunks is answered like none', async () => {
  for (const endpoint of posts) {
    const pieces = [`${head(endpoint, `${FORM}Transfer-Encoding: chunked\r\n`)}0\r\n\r\n`, last()]
    const [first = 0, ...rest] = await statusesOf(pieces)
    assert.ok(first < 500, `${endpoint.path}: ${first}`)
    assert.deepEqual(rest, [200], endpoint.path)
  }
})

test('a connection on which an upgrade was asked for is closed, so that nothing waits behind it', async () => {
  const asking = 'Connection: upgrade\r\nUpgrade: h2c\r\n'
  assert.deepEqual(await statusesOf([head({ method: 'GET', path: '/login' }, asking) + next()]), [200])
  const post = head({ method: 'POST', path: '/oauth/token' }, `${FORM}${asking}Content-Length: 3\r\n`)
  assert.deepEqual(await statusesOf([`${post}a=b${next()}`]), [400])
})

test('Expect: 100-continue is answered with 100 only where the body would be read', async () => {
  const endpoint = { method: 'POST', path: '/oauth/token' }
  const expecting = (length: number) => head(endpoint, `${FORM}Expect: 100-continue\r\nContent-Length: ${length}\r\n`)
  assert.deepEqual(await statusesOf([expecting(1_000_000_000)]), [413])
  assert.deepEqual(await statusesOf([expecting(3), 'a=b', last()]), [100, 400, 200])
  assert.deepEqual(
    await statusesOf([head(endpoint, `${FORM}Expect: tea\r\nContent-Length: 3\r\n`), 'a=b', last()]),
    [400, 200],
  )
})

test('pipelined requests are answered in turn, and what is unreadable after them costs none its answer', async () => {
  const login = `${head({ method: 'POST', path: '/oauth/token' }, `${FORM}Content-Length: 3\r\n`)}a=b`
  assert.deepEqual(await statusesOf([`${login}${next()}${login}${last()}`]), [400, 200, 400, 200])
  assert.deepEqual(await statusesOf([`${login}nonsense\r\n\r\n${'x'.repeat(100_000)}`]), [400])
  assert.deepEqual(await statusesOf(['nonsense\r\n\r\n', 'x'.repeat(100_000)]), [400])
})

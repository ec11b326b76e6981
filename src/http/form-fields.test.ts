import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { Browser } from '../testing/browser/browser.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send, sendBytes } from '../testing/network/wire.ts'

const FORM = 'application/x-www-form-urlencoded'

let server: TestServer
let headers: Record<string, string>
let cookie: string
let seen = 0

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  headers = { host: new URL(server.url).host, origin: server.url }
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  cookie = await browser.jar.getCookieString(server.url)
  await requestsLogged(1)
})
after(() => server.close())
afterEach(() => {
  assert.deepEqual(server.log().match(/.*"level":"(?:error|fatal)".*/g), null)
})

/** The lines that were logged for requests since this was asked last. */
async function requestsLogged(expected: number): Promise<number> {
  const count = () => server.log().split('"msg":"request"').length - 1
  for (let tries = 0; tries < 100 && count() - seen < expected; tries++) await sleep(10)
  const logged = count() - seen
  seen = count()
  return logged
}

type Sending = { body: string | Buffer; type?: string; encoding?: string }

async function post(path: string, { body, type = FORM, encoding }: Sending): Promise<number> {
  const extra: Record<string, string> = encoding === undefined ? {} : { 'content-encoding': encoding }
  const { status } = await send(portOf(server.url), {
    method: 'POST',
    path,
    headers: { ...headers, 'content-type': type, 'content-length': String(Buffer.byteLength(body)), ...extra },
    body,
  })
  return status
}

const valid: Record<string, string> = {
  login: 'ada',
  username: 'eve',
  email: 'eve@example.test',
  password: ada.password,
  password_confirmation: ada.password,
}
const encoded = (change: Record<string, string>) => new URLSearchParams({ ...valid, ...change }).toString()
const without = (name: string) =>
  new URLSearchParams(Object.entries(valid).filter(([each]) => each !== name)).toString()

const ODD: [name: string, sending: Sending][] = [
  ['no field at all', { body: '' }],
  ['no password', { body: without('password') }],
  ['a password twice', { body: `${encoded({})}&password=x` }],
  ['fields as lists', { body: 'login[]=ada&username[]=a&email[]=b&password[]=c&password_confirmation[]=c' }],
  ['fields as objects', { body: 'login[$ne]=&username[$ne]=&email[$ne]=&password[$ne]=' }],
  ['the names of an object’s own', { body: '__proto__=a&constructor=b&toString=c&hasOwnProperty=d' }],
  ['a NUL in every field', { body: 'login=a%00&username=a%00&email=a%00&password=a%00&password_confirmation=a%00' }],
  ['a line end in every name', { body: encoded({ login: 'a\r\nb', username: 'a\r\nb', email: 'a\r\nBcc: b' }) }],
  ['names of ten kilobytes', { body: encoded({ login: 'a'.repeat(10_000), username: 'a'.repeat(10_000) }) }],
  ['a password of ten kilobytes', { body: encoded({ password: 'a'.repeat(10_000) }) }],
  ['70 kilobytes', { body: `${encoded({})}&x=${'a'.repeat(70_000)}` }],
  ['10,000 fields', { body: Array.from({ length: 10_000 }, (_, index) => `f${index}=1`).join('&') }],
  ['60 fields', { body: `${Array.from({ length: 60 }, (_, index) => `f${index}=1`).join('&')}&${encoded({})}` }],
  ['broken percent-encoding', { body: 'login=%&username=%zz&email=%f&password=%&password_confirmation=%' }],
  ['JSON', { body: JSON.stringify(valid), type: 'application/json' }],
  ['JSON that says it is a form', { body: JSON.stringify(valid) }],
  ['JSON 100,000 deep', { body: '['.repeat(100_000), type: 'application/json' }],
  ['plain text', { body: encoded({}), type: 'text/plain' }],
  ['a multipart form', { body: '--x\r\n\r\n--x--', type: 'multipart/form-data; boundary=x' }],
  ['no type', { body: encoded({}), type: '' }],
  ['an unknown charset', { body: encoded({}), type: `${FORM}; charset=utf-7` }],
  ['a gzip bomb', { body: gzipSync(Buffer.alloc(20_000_000, 'a')), encoding: 'gzip' }],
  ['gzip that is none', { body: encoded({}), encoding: 'gzip' }],
  ['an unknown encoding', { body: encoded({}), encoding: 'zstd-9' }],
]

for (const [name, sending] of ODD) {
  test(`a form with ${name} is refused by every page that takes one, with one line in the log each`, async () => {
    await requestsLogged(0)
    for (const path of ['/login', '/register']) {
      const status = await post(path, sending)
      assert.ok(status >= 400 && status < 500, `${path}: ${status}`)
    }
    assert.equal(await requestsLogged(2), 2)
  })
}

test('half a character is not a name', async () => {
  // %ED%A0%80 is a lone surrogate in what looks like UTF-8; it decodes to replacement characters, which no name holds.
  const status = await post('/login', { body: 'login=%ED%A0%80&password=x' })
  assert.ok([400, 401].includes(status))
  assert.equal(await post('/register', { body: encoded({ username: '\ufffd\ufffd' }) }), 422)
})

test('forms without fields ignore what is in them, but not what they are', async () => {
  const { status } = await send(portOf(server.url), {
    method: 'POST',
    path: '/sessions/revocation',
    headers: { ...headers, cookie, 'content-type': 'application/json' },
    body: '{}',
  })
  assert.equal(status, 415)
})

test('any Unicode that is a name can be one', async () => {
  for (const [index, username] of ['李小龍', 'Ѳеодоръ', 'नरेन्द्र', '𝒜da2', 'ﬁn'].entries()) {
    assert.equal(await post('/register', { body: encoded({ username, email: `u${index}@example.test` }) }), 303)
  }
})

test('odd addresses are refused or not there, with one line in the log each', async () => {
  await requestsLogged(0)
  const paths = [
    '/%00',
    '/%ff',
    '/%',
    '/dashboard/%c0%ae%c0%ae/',
    '/interaction/%00',
    '/interaction/%ff',
    '/public/%00',
    '/public/../package.json',
    '/public/..%2fpackage.json',
    '/public/%2e%2e/package.json',
    `/${'a'.repeat(8000)}`,
    `/login?return_to=${'%25'.repeat(2000)}`,
    '/login?return_to[]=/&return_to[x]=/',
    '/login?return_to=%',
    '/activity?before=%00&before[]=1',
    '/oauth/authorize?client_id=%00',
    '/oauth/authorize?client_id=a&client_id=b',
    '/oauth/authorize/x',
    '/oauth/authorize/%00',
  ]
  for (const path of paths) {
    const { status, body } = await send(portOf(server.url), { path, headers: { ...headers, cookie } })
    assert.ok(status < 500, `${path}: ${status}`)
    assert.equal(body.includes('"devDependencies"'), false)
  }
  assert.equal(await requestsLogged(paths.length), paths.length)
})

test('unknown methods are refused', async () => {
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    for (const path of ['/login', '/dashboard', '/sessions/revocation', '/oauth/token', '/public/style.css']) {
      const { status } = await send(portOf(server.url), { method, path, headers: { ...headers, cookie } })
      assert.ok(status < 500 && (status >= 400 || method === 'OPTIONS'), `${method} ${path}: ${status}`)
    }
  }
})

test('odd cookies are no cookies', async () => {
  const odd = [
    'identity',
    'identity=',
    'identity=s%3A',
    'identity=s%3A.',
    'identity=%ff',
    'identity=%00',
    'identity=s%3A%00.x',
    'identity=j%3A{"a":1}',
    `identity=${'a'.repeat(6000)}`,
    '=',
    ';;;;',
    '__proto__=x; constructor=y',
    'protocol=x; protocol.sig=y; interaction=z; resume=%00',
    cookie.replace('identity=', 'identity=x; identity='),
  ]
  for (const each of odd) {
    for (const path of ['/dashboard', '/login', '/oauth/authorize?client_id=x', '/interaction/x']) {
      const { status } = await send(portOf(server.url), { path, headers: { ...headers, cookie: each } })
      assert.ok(status < 500, `${each.slice(0, 40)} at ${path}: ${status}`)
      if (path === '/dashboard') assert.equal(status, 303, each)
    }
  }
})

test('lengths that contradict each other are refused', async () => {
  const start = `POST /login HTTP/1.1\r\nHost: ${headers['host']}\r\nContent-Type: ${FORM}\r\nConnection: close\r\n`
  for (const rest of [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Content-Length: 5\r\nContent-Length: 6\r\n\r\nlogin=',
    'Content-Length: -1\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n',
  ]) {
    assert.match(await sendBytes(portOf(server.url), start + rest), /^HTTP\/1\.1 4\d\d /)
  }
})

test('a browser that hangs up in the middle of a form is not logged as an error', async () => {
  await requestsLogged(0)
  const socket = connect(portOf(server.url), '127.0.0.1')
  socket.write(
    `POST /login HTTP/1.1\r\nHost: ${headers['host']}\r\nContent-Type: ${FORM}\r\nContent-Length: 500\r\n\r\nlogin=a`,
    () => socket.destroy(),
  )
  while ((await requestsLogged(1)) === 0);
})

test('after all that the portal is as it was', async () => {
  assert.equal(await post('/login', { body: encoded({}) }), 303)
  const { status } = await send(portOf(server.url), { path: '/dashboard', headers: { ...headers, cookie } })
  assert.equal(status, 200)
})

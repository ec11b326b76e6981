import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, test } from 'node:test'
import { selfSigned } from '../testing/network/certificate.ts'
import { type BackChannelClient, type BackChannelOptions, createBackChannelClient } from './http-client.ts'

const LOOPBACK = ['127.0.0.0/8', '::1/128']
const NOTICE = { contentType: 'application/x-www-form-urlencoded', text: 'logout_token=é' }

let answer: (req: IncomingMessage, res: ServerResponse) => void
const received: { method: string; path: string; headers: IncomingMessage['headers']; body: string }[] = []
const app = createServer((req, res) => void receive(req, res))
let port: number
let url: string
const channels: BackChannelClient[] = []

before(async () => {
  await once(app.listen(0, '127.0.0.1'), 'listening')
  port = (app.address() as AddressInfo).port
  url = `http://127.0.0.1:${port}/logout?app=notes`
})
afterEach(() => {
  for (const channel of channels.splice(0)) channel.close()
  received.length = 0
})
after(() => {
  app.closeAllConnections()
  app.close()
})

async function receive(req: IncomingMessage, res: ServerResponse): Promise<void> {
  received.push({ method: req.method ?? '', path: req.url ?? '', headers: req.headers, body: await text(req) })
  answer(req, res)
}

function open(options: Partial<BackChannelOptions> = {}): BackChannelClient {
  const channel = createBackChannelClient({ allowedNetworks: LOOPBACK, ...options })
  channels.push(channel)
  return channel
}

/** What comes of telling an app at `uri`, when every name has these addresses. */
async function tell(uri: string, options: Partial<BackChannelOptions> = {}) {
  return open(options).post(uri, NOTICE, [200, 204])
}

function named(...addresses: string[]): Pick<BackChannelOptions, 'resolve'> {
  return {
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  }
}

test('an app is told what it is told, in one POST', async () => {
  answer = (_req, res) => res.end()
  assert.deepEqual(await tell(url), { kind: 'accepted', status: 200 })
  assert.equal(received.length, 1)
  const [{ method, path, headers, body }] = received as [(typeof received)[number]]
  assert.deepEqual([method, path, body], ['POST', '/logout?app=notes', NOTICE.text])
  assert.equal(headers['content-type'], 'application/x-www-form-urlencoded')
  assert.equal(headers['content-length'], '15')
  assert.equal(headers['accept'], 'application/json')
  assert.deepEqual([headers['cookie'], headers['authorization']], [undefined, undefined])
})

test('one connection carries many notices', async () => {
  const ports = new Set<number | undefined>()
  answer = (req, res) => {
    ports.add(req.socket.remotePort)
    res.end('{}')
  }
  const channel = open()
  for (let count = 0; count < 3; count++) await channel.post(url, NOTICE, [200])
  assert.equal(received.length, 3)
  assert.equal(ports.size, 1)
})

test('a kept connection that the app has closed in the meantime costs no notice', async () => {
  const accepted: number[] = []
  const server = createTcpServer((socket) => {
    accepted.push(accepted.length)
    socket.on('error', () => {})
    let requests = 0
    // Answers once on each connection, and hangs up on whatever comes second.
    socket.on('data', () => {
      if (requests++ === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      else socket.resetAndDestroy()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const channel = open()
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  assert.deepEqual(await channel.post(uri, NOTICE, [200]), { kind: 'accepted', status: 200 })
  assert.deepEqual(await channel.post(uri, NOTICE, [200]), { kind: 'accepted', status: 200 })
  assert.equal(accepted.length, 2)
  channel.close()
  server.close()
})

for (const [status, kind, problem] of [
  [204, 'accepted', undefined],
  [202, 'refused', 'answered 202 Accepted'],
  [400, 'refused', 'answered 400 Bad Request'],
  [404, 'refused', 'answered 404 Not Found'],
  [500, 'refused', 'answered 500 Internal Server Error'],
  [599, 'refused', 'answered 599'],
  [429, 'unreachable', 'answered 429 Too Many Requests'],
  [503, 'unreachable', 'answered 503 Service Unavailable'],
] as const) {
  test(`an app that answers ${status} has ${kind === 'accepted' ? 'been told' : 'not been told'}`, async () => {
    answer = (_req, res) => res.writeHead(status).end()
    const outcome = await tell(url)
    assert.equal(outcome.kind, kind)
    assert.equal('problem' in outcome ? outcome.problem : undefined, problem)
    assert.equal(outcome.status, status)
  })
}

test('redirects of an app are not followed', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    answer = (_req, res) => res.writeHead(status, { location: `http://127.0.0.1:${port}/elsewhere` }).end()
    const outcome = await tell(url)
    assert.equal(outcome.kind, 'refused')
    assert.match('problem' in outcome ? outcome.problem : '', /^answered 30\d [\w ]+, and redirects are not followed$/)
  }
  assert.deepEqual(
    received.map(({ path }) => path),
    Array.from({ length: 5 }, () => '/logout?app=notes'),
  )
})

test('an app that never answers is left after its time', async () => {
  answer = () => {}
  const problem = 'did not answer within 0.2 seconds'
  assert.deepEqual(await tell(url, { timeoutMs: 200 }), { kind: 'unreachable', problem })
})

test('an app that gives its status line byte by byte has no more time than any other', async () => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    let sent = 0
    const drip = setInterval(() => socket.write('HTTP/1.1 200 OK\r\n'[sent++] ?? 'x'), 20)
    socket.on('close', () => clearInterval(drip))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const outcome = await tell(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { timeoutMs: 250 })
  assert.deepEqual(outcome, { kind: 'unreachable', problem: 'did not answer within 0.25 seconds' })
  server.close()
})

test('a DNS lookup that takes too long is given up too', async () => {
  const resolve = () => new Promise<never>(() => {})
  const problem = 'did not answer within 0.1 seconds'
  assert.deepEqual(await tell(url, { timeoutMs: 100, resolve }), { kind: 'unreachable', problem })
})

test('the status of an answer without end decides, and the rest is cut off', async () => {
  let written = 0
  const closed = Promise.withResolvers<void>()
  answer = (_req, res) => {
    res.on('close', closed.resolve)
    const pour = (): void => {
      if (res.destroyed) return
      written += 4096
      res.write('x'.repeat(4096), () => setImmediate(pour))
    }
    pour()
  }
  assert.deepEqual(await tell(url, { timeoutMs: 60_000 }), { kind: 'accepted', status: 200 })
  await closed.promise
  // What lies in the buffers of the two sockets is more than what was read.
  assert.ok(written < 50_000_000, `${written}`)
})

test('an answer that stops in the middle is cut off when its time is over', async () => {
  const closed = Promise.withResolvers<void>()
  answer = (_req, res) => {
    res.on('close', closed.resolve)
    res.writeHead(400).write('{')
  }
  assert.equal((await tell(url, { timeoutMs: 300 })).kind, 'refused')
  await closed.promise
})

test('an app that hangs up, or is not there, is told of in words', async () => {
  answer = (req) => req.socket.destroy()
  assert.deepEqual(await tell(url), { kind: 'unreachable', problem: 'hung up without an answer' })
  answer = (req) => req.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  assert.deepEqual(await tell(url), { kind: 'unreachable', problem: 'hung up without an answer' })
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port: closed } = free.address() as AddressInfo
  free.close()
  await once(free, 'close')
  assert.deepEqual(await tell(`http://127.0.0.1:${closed}/`), {
    kind: 'unreachable',
    problem: 'its address refuses connections',
  })
  const resolve = async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  }
  assert.deepEqual(await tell(url, { resolve }), { kind: 'unreachable', problem: 'its name has no address' })
})

for (const [what, bytes] of [
  ['no HTTP', '220 mail.example.test ESMTP\r\n'],
  ['headers without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`],
] as const) {
  test(`an app that answers with ${what} has not been told`, async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.write(bytes)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    assert.deepEqual(await tell(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), {
      kind: 'unreachable',
      problem: 'answered with something that is not HTTP, or too much of it',
    })
    server.close()
  })
}

test('requests that wait when the portal stops are aborted, and later ones do not wait', async () => {
  const waiting = Promise.withResolvers<void>()
  answer = () => waiting.resolve()
  const channel = open()
  const told = channel.post(url, NOTICE, [200])
  await waiting.promise
  channel.close()
  const stopped = { kind: 'unreachable', problem: 'the portal stopped before it answered' }
  assert.deepEqual(await told, stopped)
  assert.deepEqual(await channel.post(url, NOTICE, [200]), stopped)
})

const PRIVATE = 'its address is in a private network, which ALLOWED_NETWORKS does not allow'
const PLAIN = 'it is not https, and its address is in no network that ALLOWED_NETWORKS allows'
const METADATA = 'its address is one where a cloud keeps credentials'

for (const host of [
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '0x7f.1',
  '2130706433',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:10.0.0.1]',
  '[64:ff9b::10.0.0.1]',
  '[2002:7f00:1::]',
  '[::10.0.0.1]',
  '[::ffff:0:10.0.0.1]',
  '[64:ff9b:1::10.0.0.1]',
  '[2001:0:cb00:7101::f5ff:fffe]',
  '[2a00:1450::5efe:10.0.0.1]',
  '[2a00:1450::200:5efe:10.0.0.1]',
  '[fd00::1]',
  '[fe80::1]',
]) {
  test(`${host} is no place of an app unless it is allowed`, async () => {
    const outcome = await tell(`https://${host}:${port}/`, { allowedNetworks: [] })
    assert.deepEqual(outcome, { kind: 'unreachable', problem: PRIVATE })
    assert.deepEqual(await tell(`http://${host}:${port}/`, { allowedNetworks: [] }), {
      kind: 'unreachable',
      problem: PLAIN,
    })
  })
}

for (const host of [
  '169.254.169.254',
  '169.254.170.2',
  '100.100.100.200',
  '168.63.129.16',
  '169.254.169.254.',
  '0xa9fea9fe',
  '0xa9.0xfe.0xa9.0xfe',
  '0251.0376.0251.0376',
  '169.254.43518',
  '2852039166',
  '[fd00:ec2::254]',
  '[::ffff:169.254.169.254]',
  '[::169.254.169.254]',
  '[::a9fe:a9fe]',
  '[::ffff:0:169.254.169.254]',
  '[64:ff9b::169.254.169.254]',
  '[64:ff9b::6464:64c8]',
  '[64:ff9b:1::169.254.169.254]',
  '[64:ff9b:1:a9fe:a9:fe00::]',
  '[64:ff9b:1:a9:fe:a9fe::]',
  '[64:ff9b:1:1:a9:fea9:fe00:0]',
  '[2002:a9fe:a9fe::]',
  '[2002:6464:64c8::1]',
  '[2001:0:a9fe:a9fe::1]',
  '[2001:0:cb00:7101::5601:5601]',
  '[2a00:1450::5efe:169.254.169.254]',
  '[2a00:1450::200:5efe:169.254.169.254]',
]) {
  test(`${host} is refused whatever is allowed`, async () => {
    for (const allowedNetworks of [[], ['0.0.0.0/0', '::/0'], ['169.254.169.254/32', 'fd00:ec2::254/128']]) {
      for (const scheme of ['http', 'https']) {
        const outcome = await tell(`${scheme}://${host}/`, { allowedNetworks })
        assert.deepEqual(outcome, { kind: 'unreachable', problem: METADATA })
      }
    }
  })
}

test('a wide network of IPv6 allows no private IPv4 that its addresses carry', async () => {
  const allowedNetworks = ['::/0']
  for (const host of ['[::10.0.0.1]', '[64:ff9b::10.0.0.1]', '[64:ff9b:1::10.0.0.1]', '[2002:a00:1::]']) {
    const outcome = await tell(`https://${host}:${port}/`, { allowedNetworks })
    assert.deepEqual(outcome, { kind: 'unreachable', problem: PRIVATE }, host)
    const plain = await tell(`http://${host}:${port}/`, { allowedNetworks })
    assert.deepEqual(plain, { kind: 'unreachable', problem: PLAIN }, host)
  }
})

for (const [addresses, problem] of [
  [['127.0.0.1'], PRIVATE],
  [['10.0.0.1'], PRIVATE],
  [['::ffff:10.0.0.1'], PRIVATE],
  [['198.51.100.1', '10.0.0.1'], PRIVATE],
  [['169.254.169.254'], METADATA],
  [['127.0.0.1', '169.254.169.254'], METADATA],
] as const) {
  test(`a name whose addresses are ${addresses.join(' and ')} leads nowhere`, async () => {
    const outcome = await tell(`https://notes.example.test:${port}/`, { allowedNetworks: [], ...named(...addresses) })
    assert.deepEqual(outcome, { kind: 'unreachable', problem })
    assert.equal(received.length, 0)
  })
}

test('a name in an allowed network is reached, without TLS too', async () => {
  answer = (_req, res) => res.end()
  const uri = `http://notes.example.test:${port}/logout`
  assert.deepEqual(await tell(uri, named('127.0.0.1')), { kind: 'accepted', status: 200 })
  assert.equal(received[0]?.headers.host, `notes.example.test:${port}`)
  assert.deepEqual(await tell(uri, named('::ffff:127.0.0.1')), { kind: 'accepted', status: 200 })
})

test('of the addresses of a name only those of allowed networks are asked without TLS', async () => {
  answer = (_req, res) => res.end()
  const uri = `http://notes.example.test:${port}/logout`
  assert.deepEqual(await tell(uri, named('203.0.113.1', '127.0.0.1')), { kind: 'accepted', status: 200 })
  assert.deepEqual(await tell(uri, named('203.0.113.1')), { kind: 'unreachable', problem: PLAIN })
})

test('a name that changes its addresses after they were judged changes nothing', async () => {
  answer = (_req, res) => res.end()
  const answers = [['127.0.0.1'], ['10.0.0.1']]
  let asked = 0
  const resolve = async () => (answers[asked++] ?? []).map((address) => ({ address, family: 4 }))
  const channel = open({ resolve })
  assert.deepEqual(await channel.post(`http://notes.example.test:${port}/`, NOTICE, [200]), {
    kind: 'accepted',
    status: 200,
  })
  assert.equal(asked, 1)
  assert.deepEqual(await channel.post(`https://notes.example.test:${port}/`, NOTICE, [200]), {
    kind: 'unreachable',
    problem: PRIVATE,
  })
})

test('an address without TLS is no https address', async () => {
  const outcome = await tell(`https://127.0.0.1:${port}/`)
  assert.deepEqual(outcome, { kind: 'unreachable', problem: 'does not speak TLS' })
})

test('an app with an untrusted certificate gets nothing', async () => {
  const server = createTlsServer(selfSigned, (_req, res) => {
    received.push({ method: '', path: '', headers: {}, body: '' })
    res.end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port: tlsPort } = server.address() as AddressInfo
  assert.deepEqual(await tell(`https://notes.example.test:${tlsPort}/`, named('127.0.0.1')), {
    kind: 'unreachable',
    problem: 'its certificate does not hold (DEPTH_ZERO_SELF_SIGNED_CERT)',
  })
  assert.deepEqual(received, [])
  server.close()
})

test('a file is fetched once, with a GET that carries no credentials, up to its limit', async () => {
  answer = (_req, res) => res.end(Buffer.alloc(1000, 7))
  const channel = open()
  assert.deepEqual(await channel.get(url, 1000), { kind: 'received', bytes: Buffer.alloc(1000, 7) })
  const [{ method, headers }] = received as [(typeof received)[number]]
  assert.equal(method, 'GET')
  assert.deepEqual(Object.keys(headers).toSorted(), ['connection', 'host', 'user-agent'])
  assert.deepEqual(await channel.get(url, 999), { kind: 'failed', problem: 'is longer than 999 bytes' })
})

test('a file without end is cut off at its limit', async () => {
  const closed = Promise.withResolvers<void>()
  answer = (_req, res) => {
    res.on('close', closed.resolve)
    const pour = (): void => void (res.destroyed || res.write('x'.repeat(4096), () => setImmediate(pour)))
    pour()
  }
  assert.deepEqual(await open({ timeoutMs: 60_000 }).get(url, 5000), {
    kind: 'failed',
    problem: 'is longer than 5000 bytes',
  })
  await closed.promise
})

test('a file that stops in the middle, is not there or lies in a private network is told of in words', async () => {
  const failed = async (uri: string, options: Partial<BackChannelOptions> = {}) => {
    const outcome = await open(options).get(uri, 100)
    return outcome.kind === 'failed' ? outcome.problem : outcome.kind
  }
  answer = (_req, res) => res.writeHead(200).write('x')
  assert.equal(await failed(url, { timeoutMs: 200 }), 'did not answer within 0.2 seconds')
  answer = (_req, res) => {
    res.writeHead(200, { 'content-length': 50 }).write('x')
    setImmediate(() => res.destroy())
  }
  assert.equal(await failed(url), 'hung up without an answer')
  answer = (_req, res) => res.writeHead(404).end('gone')
  assert.equal(await failed(url), 'answered 404 Not Found')
  answer = (_req, res) => res.writeHead(302, { location: 'http://169.254.169.254/' }).end()
  assert.equal(await failed(url), 'answered 302 Found, and redirects are not followed')
  const before = received.length
  assert.match(await failed(url, { allowedNetworks: [] }), /^it is not https/)
  assert.match(await failed('http://169.254.169.254/latest', { allowedNetworks: ['0.0.0.0/0'] }), /keeps credentials/)
  assert.match(await failed('https://icons.test/', { ...named('10.0.0.1'), allowedNetworks: [] }), /private network/)
  assert.equal(received.length, before)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { SourceUnavailable } from '../../domain/identity-source.ts'
import { createLogger } from '../../logger.ts'
import { createAuthority } from '../../testing/network/authority.ts'
import { HttpIdentitySource, type HttpSourceOptions } from './http-identity-source.ts'
import { ANSWER_LIMIT, BATCH } from './protocol.ts'
import { signAnswer, type SignedRequest, sourceKeysOf, verifyRequest } from './signatures.ts'

const SECRET = 'a secret of thirty-two characters'
const PASSWORD = 'correct horse battery staple'
const ADA = {
  id: 'u-1',
  username: 'ada',
  email: 'ada@example.com',
  email_verified: true,
  status: 'active',
  roles: ['editor'],
  claims: { name: 'Ada Lovelace', zoneinfo: 'Europe/London', shoe_size: 38 },
}

interface Asked {
  path: string
  input: Record<string, unknown>
  request: SignedRequest
  req: IncomingMessage
  res: ServerResponse
}
type Behaviour = (asked: Asked) => Promise<void> | void

/** What the source has been asked since the test began. */
let asked: Asked[] = []
let behave: Behaviour
let server: Server
let url: string
let now: Date
let log: string
let underWay = 0
let most = 0
const open: HttpIdentitySource[] = []

before(async () => {
  server = createServer((req, res) => void serve(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/people`
})
beforeEach(() => {
  asked = []
  behave = answerWell
  now = new Date('2030-01-01T12:00:00Z')
  log = ''
  most = 0
})
after(async () => {
  for (const each of open) await each.close()
  server.closeAllConnections()
  server.close()
})

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  underWay++
  most = Math.max(most, underWay)
  res.on('close', () => underWay--)
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const request = { method: req.method ?? '', url: new URL(req.url ?? '', url).href, headers: req.headers, body }
  const input = JSON.parse(body.toString()) as Record<string, unknown>
  const one = { path: (req.url ?? '').replace('/people/', ''), input, request, req, res }
  asked.push(one)
  await behave(one)
}

async function answerWell(one: Asked): Promise<void> {
  const proof = await verifyRequest(one.request, sourceKeysOf(SECRET), now)
  assert.equal(proof.kind, 'valid')
  return reply(one, answerTo(one))
}

function answerTo({ path, input }: Asked): unknown {
  const { id, login, ids, username, email } = input
  switch (path) {
    case 'capabilities':
      return {
        protocol: 'gatehouse-identity-source',
        version: 1,
        operations: ['create', 'set-password', 'dance'],
        time: now.toISOString(),
      }
    case 'find':
      return { user: login === 'ada' || login === ADA.email ? ADA : null }
    case 'user':
      return { user: id === ADA.id ? ADA : null }
    case 'statuses':
      return { statuses: (ids as string[]).map((each) => ({ id: each, status: each === ADA.id ? 'active' : 'gone' })) }
    case 'verify-password':
      return { id, verdict: input['password'] === PASSWORD ? 'matches' : 'wrong' }
    case 'create':
      if (username === 'ada') return { result: 'taken' }
      return { result: 'created', user: { ...ADA, id: 'u-2', username, email, email_verified: false } }
    default:
      return { id, result: 'refused', reason: 'Use your badge.' }
  }
}

async function reply(one: Asked, answer: unknown, { secret = SECRET, request = one.request } = {}): Promise<void> {
  const body = typeof answer === 'string' || Buffer.isBuffer(answer) ? answer : JSON.stringify(answer)
  const headers = await signAnswer({ status: 200, body }, request, sourceKeysOf(secret), now)
  one.res.writeHead(200, headers).end(body)
}

function openSource(options: Partial<HttpSourceOptions> = {}): HttpIdentitySource {
  const logger = createLogger('trace', { write: (text: string) => void (log += text) })
  // Longer than a busy machine takes.
  const timeoutMs = 30_000
  const source = new HttpIdentitySource({ url, secret: SECRET, clock: () => now, logger, timeoutMs, ...options })
  open.push(source)
  return source
}

/** Rejects as unavailable for this reason, and says nothing of the request or the secret in the log. */
async function isUnavailable(call: Promise<unknown>, reason: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof SourceUnavailable, String(error))
    assert.match(error.message, reason)
    const said = `${log}${error.message}${error.stack}${String((error.cause as Error | undefined)?.message)}`
    for (const secret of [PASSWORD, SECRET, ADA.email]) assert.ok(!said.includes(secret), said)
    return true
  })
}

test('a source is asked in signed requests, and answers in the words of the portal', async () => {
  const source = openSource({ url: `${url}//` })
  const { email_verified: emailVerified, claims, ...rest } = ADA
  const ada = { ...rest, emailVerified, claims: { name: claims.name, zoneinfo: claims.zoneinfo } }
  assert.deepEqual(await source.findByLogin('ada'), ada)
  assert.deepEqual(await source.findById('u-1'), ada)
  assert.equal(await source.findByLogin('grace'), null)
  assert.equal(await source.findById('u-9'), null)
  assert.equal(await source.verifyPassword('u-1', PASSWORD), 'matches')
  assert.equal(await source.verifyPassword('u-1', ''), 'wrong')
  assert.ok(asked.every(({ req }) => req.method === 'POST' && /^\/people\/[a-z-]+$/.test(req.url ?? '')))
  const nonces = asked.map(({ req }) => /nonce="([^"]+)"/.exec(String(req.headers['signature-input']))?.[1])
  assert.equal(new Set(nonces).size, asked.length)
})

test('statuses are asked in batches, each id once', async () => {
  const ids = Array.from({ length: BATCH + 1 }, (_, index) => `u-${index}`)
  const statuses = await openSource().statusesOf([...ids, 'u-1', 'no id'])
  assert.deepEqual(
    asked.map(({ input }) => (input['ids'] as string[]).length),
    [BATCH, 1],
  )
  assert.equal(statuses.size, BATCH + 2)
  assert.equal(statuses.get('u-1'), 'active')
  assert.equal(statuses.get('u-2'), 'gone')
  assert.equal(statuses.get('no id'), 'gone')
})

test('users are created and passwords set only where the source says so, and it may say so later', async () => {
  const source = openSource()
  const optional = () => [source.create, source.setPassword]
  behave = async (one) => reply(one, 'not now')
  assert.deepEqual(optional(), [null, null])
  await source.learnCapabilities()
  assert.deepEqual(optional(), [null, null])
  behave = answerWell
  await source.learnCapabilities()
  const grace = { username: 'grace', email: 'Grace@example.com', password: PASSWORD }
  const created = await source.create?.(grace)
  assert.equal(created?.kind === 'created' && created.user.emailVerified, false)
  assert.deepEqual(await source.create?.({ ...grace, username: 'ada' }), { kind: 'taken' })
  assert.deepEqual(await source.setPassword?.('u-1', PASSWORD), { kind: 'refused', reason: 'Use your badge.' })
  // What was known counts while the source is asked again.
  const again = Promise.withResolvers<void>()
  behave = () => again.resolve()
  now = new Date(now.getTime() + 61_000)
  assert.ok(!optional().includes(null))
  await again.promise
  assert.ok(!optional().includes(null))
  await source.close()
})

test('what cannot be a login, an id or a password is not sent', async () => {
  const source = openSource()
  for (const login of ['', 'a\0', 'a\nb', '\ud800', 'x'.repeat(321)])
    assert.equal(await source.findByLogin(login), null)
  for (const id of ['', 'ü', 'a b', 'x'.repeat(201)]) assert.equal(await source.findById(id), null)
  for (const password of ['\0', '\udfff', 'x'.repeat(4097)])
    assert.equal(await source.verifyPassword('u-1', password), 'wrong')
  assert.equal(asked.length, 0)
})

const FAULTS: [string, Behaviour, RegExp][] = [
  ['never answers', () => {}, /did not answer within 0\.2 seconds/],
  ['hangs in the middle of a body', ({ res }) => void res.writeHead(200).write('{'), /did not answer within/],
  ['hangs up in the middle of a body', hangUp, /hung up in the middle/],
  ['answers 10 MB', ({ res }) => void res.writeHead(200).end(Buffer.alloc(10_000_000, ' ')), /more than 262144 bytes/],
  ['never stops answering', ({ res }) => flood(res), /more than 262144 bytes/],
  ['redirects', ({ res }) => void res.writeHead(307, { location: '/people/find' }).end(), /redirects are not followed/],
  ['fails', ({ res }) => void res.writeHead(500).end('at main.js:12'), /answered 500 Internal Server Error$/],
  ['does not know the portal', ({ res }) => void res.writeHead(401).end(), /answered 401 Unauthorized$/],
  ['has nothing there', ({ res }) => void res.writeHead(404).end(), /answered 404/],
  ['answers with nothing', ({ res }) => void res.writeHead(204).end(), /answered 204/],
  ['does not speak HTTP', ({ req }) => void req.socket.end('HELO\r\n\r\n'), /not HTTP/],
  [
    'changes the protocol',
    ({ req }) => raw(req, 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    /hung up without/,
  ],
  [
    'has headers without end',
    ({ req }) => raw(req, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`),
    /not HTTP/,
  ],
  [
    'has a wrong length of a chunk',
    ({ req }) => raw(req, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    /hung up in the middle/,
  ],
  ['answers nothing but hints', ({ req }) => hints(req), /did not answer within/],
  ['nests 100,000 lists', async (one) => reply(one, '['.repeat(100_000)), /not as agreed/],
  [
    'answers what is not UTF-8',
    async (one) => reply(one, Buffer.from('7b2275736572223a22ff227d', 'hex')),
    /not as agreed: it \(/,
  ],
  [
    'answers with a page',
    ({ res }) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    /content type/,
  ],
  [
    'does not sign',
    ({ res }) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    /Content-Digest/,
  ],
  ['signs with another secret', async (one) => reply(one, { user: ADA }, { secret: 'another' }), /key id/],
  ['answers what is not JSON', async (one) => reply(one, '{"user":'), /not as agreed: it \(/],
  ['answers a list', async (one) => reply(one, []), /not as agreed/],
  ['leaves out the status', async (one) => reply(one, { user: { ...ADA, status: undefined } }), /user\.status \(/],
  ['has an id with a space', async (one) => reply(one, { user: { ...ADA, id: 'u 1' } }), /user\.id \(/],
  ['has a long id', async (one) => reply(one, { user: { ...ADA, id: 'u'.repeat(201) } }), /user\.id \(/],
  ['has a name with NUL', async (one) => reply(one, { user: { ...ADA, username: 'a\0' } }), /user\.username \(/],
  [
    'has half a surrogate pair',
    async (one) => reply(one, { user: { ...ADA, username: '\ud800' } }),
    /user\.username \(/,
  ],
  ['has no e-mail address', async (one) => reply(one, { user: { ...ADA, email: 'ada' } }), /user\.email \(/],
  ['has 101 roles', async (one) => reply(one, { user: { ...ADA, roles: Array(101).fill('x') } }), /user\.roles \(/],
  [
    'has claims of the wrong type',
    async (one) => reply(one, { user: { ...ADA, claims: { name: 1 } } }),
    /claims\.name \(/,
  ],
  [
    'says "true" for true',
    async (one) => reply(one, { user: { ...ADA, email_verified: 'true' } }),
    /email_verified \(/,
  ],
]

test('a source that answers what it may not is unavailable, and is asked once', async (t) => {
  for (const [fault, behaviour, reason] of FAULTS)
    await t.test(`it ${fault}`, async () => {
      asked = []
      behave = behaviour
      const isLate = reason.source.includes('within')
      await isUnavailable(openSource(isLate ? { timeoutMs: 200 } : {}).findByLogin(ADA.email), reason)
      // It may be over before the source has read the request.
      if (!isLate) assert.equal(asked.length, 1)
      else assert.ok(asked.length <= 1)
    })
})

test('an answer that was given before, or to another request, says nothing', async () => {
  const source = openSource()
  await source.verifyPassword('u-1', PASSWORD)
  const [earlier] = asked as [Asked]
  behave = async (one) => reply(one, { id: 'u-1', verdict: 'matches' }, { request: earlier.request })
  await isUnavailable(source.verifyPassword('u-1', 'a guess'), /cannot be trusted: the signature does not match/)
  // A man in the middle keeps the signature and changes the verdict.
  behave = async (one) => {
    const headers = await signAnswer({ status: 200, body: '{}' }, one.request, sourceKeysOf(SECRET), now)
    one.res.writeHead(200, headers).end('{"id":"u-1","verdict":"matches"}')
  }
  await isUnavailable(source.verifyPassword('u-1', 'a guess'), /body is not the one of its Content-Digest/)
})

test('an answer about another user is not believed, and is logged', async () => {
  const source = openSource()
  behave = async (one) => reply(one, { user: { ...ADA, id: 'u-2' } })
  await isUnavailable(source.findById('u-1'), /about another user/)
  behave = async (one) => reply(one, { id: 'u-2', verdict: 'matches' })
  await isUnavailable(source.verifyPassword('u-1', PASSWORD), /about another user/)
  for (const ids of [['u-1'], ['u-1', 'u-3'], ['u-1', 'u-1'], ['u-1', 'u-2', 'u-3']]) {
    behave = async (one) => reply(one, { statuses: ids.map((id) => ({ id, status: 'disabled' })) })
    await isUnavailable(source.statusesOf(['u-1', 'u-2']), /other ids/)
  }
  assert.equal(log.match(/"operation":"[a-z-]+","problem":"answered (?:about|with) o?\w+/g)?.length, 6)
})

test('reads and guesses are sent once more when the connection fails, changes never', async () => {
  const source = openSource()
  await source.learnCapabilities()
  const calls: [() => Promise<unknown> | undefined, number][] = [
    [async () => source.findByLogin('ada'), 2],
    [async () => source.verifyPassword('u-1', PASSWORD), 2],
    [() => source.create?.({ username: 'x', email: 'x@example.com', password: PASSWORD }), 1],
    [() => source.setPassword?.('u-1', PASSWORD), 1],
  ]
  behave = ({ req }) => void req.socket.resetAndDestroy()
  for (const [call, times] of calls) {
    asked = []
    await isUnavailable(Promise.resolve(call()), /cannot be reached \(ECONNRESET\)/)
    assert.equal(asked.length, times)
  }
  let tries = 0
  behave = async (one) => (tries++ === 0 ? void one.req.socket.resetAndDestroy() : answerWell(one))
  assert.equal((await openSource().findByLogin('ada'))?.id, 'u-1')

  behave = ({ res }) => void res.writeHead(503).end()
  asked = []
  await isUnavailable(openSource().findByLogin('ada'), /answered 503/)
  assert.equal(asked.length, 2)
  await isUnavailable(openSource().verifyPassword('u-1', PASSWORD), /answered 503/)
  assert.equal(asked.length, 3)
})

test('nothing listens: the reason says so', async () => {
  const source = openSource({ url: 'http://127.0.0.1:1' })
  await isUnavailable(source.findByLogin('ada'), /find: cannot be reached \(ECONNREFUSED\)/)
})

test('over https the certificate must be trusted, and for that name', async () => {
  const authority = await createAuthority()
  const kept = getCACertificates('default')
  const secure = createSecureServer(await authority.issue('localhost'), (req, res) => void serve(req, res))
  secure.listen(0, '127.0.0.1')
  await once(secure, 'listening')
  const { port } = secure.address() as AddressInfo
  url = `https://localhost:${port}/people`
  await isUnavailable(openSource().findByLogin('ada'), /cannot be reached \(\w*(?:CERT|SIGNATURE|ISSUER)\w*\)/)
  setDefaultCACertificates([...kept, authority.cert])
  const source = openSource()
  await source.learnCapabilities()
  assert.equal((await source.findByLogin('ada'))?.id, 'u-1')
  assert.equal((await source.create?.({ username: 'x', email: 'x@example.com', password: PASSWORD }))?.kind, 'created')
  await isUnavailable(openSource({ url: `https://127.0.0.1:${port}/people` }).findByLogin('ada'), /ALTNAME_INVALID/)
  setDefaultCACertificates(kept)
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/people`
  secure.closeAllConnections()
  secure.close()
  await authority.remove()
})

test('a source that is down is left alone, one request tries whether it is back, and then all go on', async () => {
  const source = openSource()
  behave = ({ res }) => void res.writeHead(502).end()
  for (let count = 0; count < 5; count++) await isUnavailable(source.verifyPassword('u-1', PASSWORD), /502/)
  assert.match(log, /identity source fails/)
  asked = []
  await isUnavailable(source.verifyPassword('u-1', PASSWORD), /failed a moment ago/)
  // Other lanes have a breaker of their own.
  await isUnavailable(source.statusesOf(['u-1']), /502/)
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['statuses', 'statuses'],
  )

  asked = []
  now = new Date(now.getTime() + 1000)
  const crowd = Array.from({ length: 20 }, async () => source.verifyPassword('u-1', PASSWORD))
  assert.ok((await Promise.allSettled(crowd)).every(({ status }) => status === 'rejected'))
  assert.equal(asked.length, 1)
  // The next try is later.
  now = new Date(now.getTime() + 1000)
  await isUnavailable(source.verifyPassword('u-1', PASSWORD), /failed a moment ago/)
  behave = answerWell
  now = new Date(now.getTime() + 1000)
  const back = Array.from({ length: 20 }, async () => source.verifyPassword('u-1', PASSWORD))
  assert.deepEqual(await Promise.all(back), Array(20).fill('matches'))
  assert.match(log, /identity source answers again/)
})

test('a stranger whose login the source cannot answer shuts no other user out', async () => {
  const source = openSource()
  behave = async (one) => (one.input['login'] === "'" ? void one.res.writeHead(500).end() : answerWell(one))
  for (let count = 0; count < 40; count++) await isUnavailable(source.findByLogin("'"), /500/)
  assert.equal((await source.findByLogin('ada'))?.id, 'u-1')
})

test('Retry-After is heeded, up to ten seconds', async () => {
  const source = openSource()
  behave = ({ res }) => void res.writeHead(429, { 'retry-after': '86400' }).end()
  await isUnavailable(source.findByLogin('ada'), /429/)
  behave = answerWell
  now = new Date(now.getTime() + 9999)
  await isUnavailable(source.findByLogin('ada'), /come again later/)
  assert.equal(asked.length, 1)
  now = new Date(now.getTime() + 1)
  assert.equal((await source.findByLogin('ada'))?.id, 'u-1')
})

test('of 1,000 sign-ins at once a few are under way, the rest is refused, and statuses do not wait for them', async () => {
  const source = openSource()
  const gate = Promise.withResolvers<void>()
  behave = async (one) => {
    if (one.path === 'find') await gate.promise
    return answerWell(one)
  }
  const crowd = Promise.allSettled(Array.from({ length: 1000 }, async () => source.findByLogin('ada')))
  assert.equal((await source.statusesOf(['u-1'])).get('u-1'), 'active')
  gate.resolve()
  const refused = (await crowd).flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []))
  assert.equal(refused.length, 1000 - 96)
  assert.ok(refused.every((error) => error instanceof SourceUnavailable && /too many requests/.test(error.message)))
  assert.ok(most <= 33, `${most} at once`)
})

test('a secret is replaced on one side after the other', async () => {
  const source = openSource({ secret: `${'new secret '.repeat(3)}, ${SECRET}` })
  // The source does not know the new one yet.
  behave = ({ res }) => void res.writeHead(401).end()
  await isUnavailable(source.findByLogin('ada'), /401/)
  behave = async (one) => reply(one, { user: null }, { secret: `${SECRET},${'new secret '.repeat(3)}` })
  assert.equal(await source.findByLogin('ada'), null)
  const old = openSource()
  assert.equal(await old.findByLogin('ada'), null)
})

test('a source that is closed answers nothing more', async () => {
  const source = openSource()
  const started = Promise.withResolvers<void>()
  behave = () => started.resolve()
  const call = source.findByLogin('ada')
  await started.promise
  await source.close()
  await isUnavailable(call, /the portal stopped/)
})

function hangUp({ res }: Asked): void {
  res.writeHead(200, { 'content-length': ANSWER_LIMIT })
  res.write('{', () => res.destroy())
}

function flood(res: ServerResponse): void {
  res.writeHead(200)
  const more = () => {
    while (!res.destroyed && res.write(Buffer.alloc(16_384, ' ')));
    if (!res.destroyed) res.once('drain', more)
  }
  more()
}

function raw({ socket }: IncomingMessage, text: string): void {
  socket.end(text)
}

function hints({ socket }: IncomingMessage): void {
  const more = () => {
    if (socket.destroyed) return
    socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n')
    setTimeout(more, 10)
  }
  more()
}

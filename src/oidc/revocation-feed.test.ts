import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { endFamilies } from '../domain/endings/endings.ts'
import { changeRoles } from '../domain/identities/identities.ts'
import { MOST_WAITING } from '../domain/families/revocations.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { gatehouse } from '../testing/portal/gatehouse.ts'
import { type Outage, standBefore } from '../testing/network/outage.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf } from '../testing/network/wire.ts'

let database: TestDatabase
let server: TestServer
let adaId: string

before(async () => {
  database = await createDatabase()
  server = await startTestServer({ database })
  adaId = await server.addIdentity(ada, { roles: ['editor'] })
  await server.addApp('notes', notesApp)
})
after(async () => {
  await server.close()
  await database.drop()
})

function ask(query = '', headers: Record<string, string> = {}, on = server, method = 'GET'): Promise<Response> {
  return fetch(`${on.url}/oauth/revocations${query}`, { method, headers })
}

/** Waits for news of the version that is the present one. */
async function askForNews(seconds: number, on = server): Promise<Response> {
  const { headers } = await ask('', {}, on)
  return ask('', { 'if-none-match': headers.get('etag') ?? '', prefer: `wait=${seconds}` }, on)
}

async function documentIn(response: Response, on = server): Promise<JWTPayload & Record<'ended' | 'stale', object>> {
  assert.equal(response.status, 200)
  const keys = createRemoteJWKSet(new URL(`${on.url}/oauth/jwks`))
  const { payload } = await jwtVerify(await response.text(), keys, {
    issuer: on.url,
    typ: 'revocations+jwt',
    algorithms: ['ES256'],
  })
  return payload as Awaited<ReturnType<typeof documentIn>>
}

async function endOne(): Promise<string> {
  const { familyId } = await connect(server.services, adaId, 'notes')
  await endFamilies(server.services, { id: familyId }, 'ended_by_person', home)
  return familyId
}

async function until(reached: () => Promise<boolean>): Promise<void> {
  for (const start = performance.now(); !(await reached()); await sleep(10)) {
    assert.ok(performance.now() - start < 20_000, 'it did not come to that')
  }
}

const lists = async (id: string) => id in (await documentIn(await ask())).ended

test('the feed is signed with a published key and says what it is, since when and for how long', async () => {
  const id = await endOne()
  await until(() => lists(id))
  const response = await ask()
  assert.equal(response.headers.get('content-type'), 'application/jwt')
  const {
    iss,
    iat,
    window,
    ended,
    stale,
    clients,
    claims_version: versions,
    revoked_keys: keys,
    ...rest
  } = await documentIn(response)
  const now = Math.floor(Date.now() / 1000)
  assert.equal(iss, server.url)
  assert.ok(Math.abs((iat as number) - now) <= 1)
  assert.equal(window, 360)
  assert.ok(now - (ended as Record<string, number>)[id]! <= 5)
  assert.deepEqual([stale, clients, versions, keys, rest], [{}, {}, {}, [], {}])
})

test('the feed is announced, and is public: readable from any site, and cached for a second', async () => {
  const discovery = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as object
  assert.equal(Reflect.get(discovery, 'revocation_feed_endpoint'), `${server.url}/oauth/revocations`)
  const { headers } = await ask('', { origin: 'https://anywhere.test' })
  assert.equal(headers.get('access-control-allow-origin'), '*')
  assert.match(headers.get('access-control-expose-headers') ?? '', /ETag/)
  assert.equal(headers.get('cache-control'), 'public, max-age=1')
  assert.equal(headers.get('vary'), 'Prefer')
  assert.deepEqual(headers.getSetCookie(), [])
  const preflight = await ask('', { 'access-control-request-headers': 'if-none-match,prefer' }, server, 'OPTIONS')
  assert.equal(preflight.status, 204)
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /If-None-Match, Prefer/)
})

test('nothing in the feed says who it is about', async () => {
  const id = await endOne()
  await changeRoles(server.services, adaId, ['editor', 'auditor'])
  await until(() => lists(id))
  const text = JSON.stringify(await documentIn(await ask()))
  for (const trace of [adaId, ada.email, 'notes', 'editor', 'auditor', home.address, home.browser]) {
    assert.equal(text.includes(trace), false, trace)
  }
  assert.match(
    text,
    /^[\s\S]*"ended":\{("[0-9a-f-]{36}":\d+,?)+\},"claims_version":\{("[0-9a-f-]{36}":\d+,?)*\},"stale":\{("[0-9a-f-]{36}":\d+,?)*\},"clients":\{\},"revoked_keys":\[\]\}$/,
  )
})

test('a client that names the current version gets no document again, and HEAD has the headers alone', async () => {
  const etag = (await ask()).headers.get('etag') ?? ''
  assert.match(etag, /^W\/"[\w.-]+"$/)
  for (const named of [etag, etag.slice(2), `"other", ${etag}`, '*']) {
    const response = await ask('', { 'if-none-match': named })
    assert.equal(response.status, 304, named)
    assert.equal(response.headers.get('etag'), etag)
  }
  assert.equal((await ask('', { 'if-none-match': '"other"' })).status, 200)
  const head = await ask('', {}, server, 'HEAD')
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('etag'), etag)
  assert.ok(Number(head.headers.get('content-length')) > 100)
})

test('two portals on one database name the same by the same version', async () => {
  const twin = await startTestServer({ database })
  try {
    const id = await endOne()
    await until(() => lists(id))
    await until(async () => id in (await documentIn(await ask('', {}, twin), twin)).ended)
    const [here, there] = await Promise.all([ask(), ask('', {}, twin)])
    assert.equal(here.headers.get('etag'), there.headers.get('etag'))
  } finally {
    await twin.close()
  }
})

test('a client that waits is answered once a family has ended in another process', async () => {
  const graceId = await server.addIdentity(grace)
  const { familyId } = await connect(server.services, graceId, 'notes')
  const env = { DATABASE_URL: database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const answered = askForNews(30)
  assert.equal((await gatehouse(['user', 'revoke-all', 'grace'], env)).code, 0)
  const response = await answered
  assert.equal(response.headers.get('preference-applied'), 'wait=30')
  assert.ok(familyId in (await documentIn(response)).ended)
})

test('without news a wait ends with the word that there is none', async () => {
  const response = await askForNews(1)
  assert.equal(response.status, 304)
  assert.equal(response.headers.get('preference-applied'), 'wait=1')
})

test('a client without a version does not wait, and other preferences are ignored', async () => {
  const first = await ask('', { prefer: 'wait=30' })
  assert.equal(first.status, 200)
  assert.equal(first.headers.get('preference-applied'), null)
  const etag = (await ask()).headers.get('etag') ?? ''
  for (const prefer of ['wait', 'wait=', 'wait=-1', 'wait=soon', 'wait=0', 'respond-async', 'wait=99999999999']) {
    const response = await ask('', { 'if-none-match': etag, prefer })
    assert.equal(response.status, 304, prefer)
    assert.equal(response.headers.get('preference-applied'), null, prefer)
  }
})

test('a client that knows the rest asks for what is new since', async () => {
  const id = await endOne()
  await until(() => lists(id))
  const { iat } = await documentIn(await ask())
  assert.ok(id in (await documentIn(await ask(`?since=${iat}`))).ended)
  assert.ok(id in (await documentIn(await ask('?since=1'))).ended)
  assert.ok(id in (await documentIn(await ask(`?other=1&since=${iat}`))).ended)
})

for (const query of ['?since=', '?since=-1', '?since=soon', '?since=1.5', '?since=1&since=2', '?since=12345678901']) {
  test(`${query} is refused in words`, async () => {
    const response = await ask(query)
    assert.equal(response.status, 400)
    const { error, error_description: words } = (await response.json()) as Record<string, string>
    assert.equal(error, 'invalid_request')
    assert.match(words ?? '', /^since is given once, in whole seconds/)
  })
}

test('the feed is only read', async () => {
  const response = await ask('', {}, server, 'POST')
  assert.equal(response.status, 405)
  assert.equal(response.headers.get('allow'), 'GET, HEAD, OPTIONS')
})

test('clients that go away while they wait leave their places to others', async () => {
  const etag = (await ask()).headers.get('etag') ?? ''
  const { host } = new URL(server.url)
  const request = `GET /oauth/revocations HTTP/1.1\r\nHost: ${host}\r\nIf-None-Match: ${etag}\r\nPrefer: wait=30\r\n\r\n`
  const sockets = Array.from({ length: MOST_WAITING + 1 }, () => connectSocket(portOf(server.url), '127.0.0.1'))
  await Promise.all(sockets.map(async (socket) => once(socket, 'connect')))
  for (const socket of sockets) socket.on('error', () => {}).write(request)
  const waits = async () => {
    const answer = await ask('', { 'if-none-match': etag, prefer: 'wait=1' })
    return answer.headers.has('preference-applied')
  }
  // The one that is not kept, and so is answered.
  await Promise.race(sockets.map(async (socket) => once(socket, 'data')))
  assert.equal(await waits(), false)
  for (const socket of sockets) socket.destroy()
  await until(waits)
})

test('a portal that stops answers those who wait', { timeout: 50_000 }, async () => {
  const leaving = await startTestServer({ database })
  const answered = askForNews(60, leaving)
  await until(async () => leaving.log().includes('/oauth/revocations'))
  await sleep(50)
  await leaving.close()
  const response = await answered
  assert.equal(response.status, 304)
  assert.equal(response.headers.get('connection'), 'close')
})

test('while the database is away the feed says when to come back, also to those who wait, and then goes on', async () => {
  const away: Outage = await standBefore(database.databaseUrl)
  const cut = await startTestServer({ database: { ...database, databaseUrl: away.url } })
  try {
    const waiting = askForNews(30, cut)
    await until(async () => cut.log().includes('/oauth/revocations'))
    await sleep(50)
    await away.cut()
    for (const response of [await waiting, await ask('', {}, cut)]) {
      assert.equal(response.status, 503)
      assert.equal(response.headers.get('retry-after'), '5')
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
    }
    await away.restore()
    await until(async () => (await ask('', {}, cut)).status === 200)
  } finally {
    await cut.close()
    await away.close()
  }
})

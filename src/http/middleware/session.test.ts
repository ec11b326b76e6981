import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { TEST_SECRET } from '../../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { recordStatements } from '../../testing/portal/statements.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { type Answer, send } from '../../testing/network/wire.ts'

const clock = createClock()
let server: TestServer
let notes: Client

before(async () => {
  server = await startTestServer({
    clock,
    env: { IDENTITY_SESSION_IDLE: '1200', IDENTITY_SESSION_MAX: '3600' },
  })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

async function signedIn(person = ada, browser = new Browser(server.url)): Promise<Browser> {
  await browser.signIn(person)
  return browser
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/dashboard')).status === 200
}

/** Without the mark of its portal, which stands behind it. */
async function cookieOf(browser: Browser, name = 'identity'): Promise<string> {
  const cookies = await browser.jar.getCookies(server.url)
  return (cookies.find((cookie) => cookie.key === name)?.value ?? '').replace(/~\d+$/, '')
}

/** A browser that holds this identity cookie and nothing else. */
async function browserWith(cookie: string): Promise<Browser> {
  const browser = new Browser(server.url)
  await browser.jar.setCookie(`identity=${cookie}; Path=/`, server.url)
  return browser
}

async function count(table: string): Promise<number> {
  const result = await server.services.storage.pool.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`)
  return result.rows[0]?.count as number
}

test('strangers cost nothing: a thousand of them get no cookie and leave no row', async () => {
  for (let batch = 0; batch < 20; batch++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const response = await fetch(server.url + (index % 2 === 0 ? '/' : '/login'), { redirect: 'manual' })
        await response.text()
        return response
      }),
    )
    assert.deepEqual(
      answers.flatMap((answer) => answer.headers.getSetCookie()),
      [],
    )
  }
  for (const table of ['browser_sessions', 'identity_sessions', 'handshakes']) assert.equal(await count(table), 0)
})

test('on http the cookies are called device and identity, and kept from scripts and other sites', async () => {
  const response = await new Browser(server.url).post('/login', { login: 'ada', password: ada.password })
  const [device = '', cookie = '', ...others] = response.headers.getSetCookie()
  assert.deepEqual(others, [])
  assert.match(device, /^device=[\w-]{43}~\d+; Max-Age=34560000; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/)
  assert.match(cookie, /^identity=[^;]{40,200}~\d+; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/)
})

test('on https every cookie is for this host and https only', async () => {
  const port = await findFreePort()
  const secure = await startTestServer({ env: { PUBLIC_URL: 'https://portal.example.test', PORT: String(port) } })
  try {
    await secure.addIdentity(ada)
    const secret = await secure.addApp('notes', notesApp)
    const app = new Client(secure.url, 'notes', secret, 'https://notes.example.test/callback')
    const headers = { host: 'portal.example.test', origin: 'https://portal.example.test' }
    const authorize = app.authorizeUrl().slice(secure.url.length)
    const stranger = await send(port, { path: authorize, headers })
    const signIn = await send(port, {
      method: 'POST',
      path: '/login',
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ login: 'ada', password: ada.password }).toString(),
    })
    const cookie = signIn.cookies.map((line) => line.split(';')[0]).join('; ')
    const authorized = await send(port, { path: authorize, headers: { ...headers, cookie } })
    assert.match(authorized.headers['location'] ?? '', /^https:\/\/notes\.example\.test\/callback\?code=/)
    assert.equal((await send(port, { path: '/dashboard', headers: { ...headers, cookie } })).status, 200)
    assert.deepEqual(authorized.cookies, [])
    const asked = await send(port, { path: '/oauth/logout', headers: { ...headers, cookie } })
    const signOut = await send(port, { method: 'POST', path: '/logout', headers: { ...headers, cookie } })

    // The question of a logout travels in its page and needs no cookie.
    assert.deepEqual([asked.status, asked.cookies], [200, []])
    const answers: Answer[] = [stranger, signIn, signOut]
    assert.ok(answers.every((answer) => answer.cookies.length > 0))
    assert.match(signIn.cookies.join('\n'), /^__Host-device=.*\n__Host-identity=/)
    for (const line of answers.flatMap((answer) => answer.cookies)) {
      const [pair = '', ...attributes] = line.split(/; ?/)
      const named = new Set(attributes.map((attribute) => attribute.toLowerCase()))
      assert.ok(named.has('secure') && named.has('httponly') && named.has('samesite=lax'), line)
      assert.ok(!attributes.some((attribute) => /^domain/i.test(attribute)), line)
      assert.match(pair, named.has('path=/') ? /^__Host-/ : /^__Secure-/)
      assert.ok(line.length < 4096)
    }
  } finally {
    await secure.close()
  }
})

test('a session id that was chosen beforehand is never taken over', async () => {
  for (const chosen of ['attacker', 's%3Aattacker.signature', 's%3Aattacker']) {
    const browser = await browserWith(chosen)
    assert.equal(await isSignedIn(browser), false)
    await browser.signIn(ada)
    assert.equal((await cookieOf(browser)).includes('attacker'), false)
    assert.equal(await isSignedIn(await browserWith(chosen)), false)
  }
})

test('every sign-in gives a new cookie, and the one before is worthless', async () => {
  const browser = await signedIn()
  const first = await cookieOf(browser)
  await browser.signIn(ada)
  const second = await cookieOf(browser)
  assert.notEqual(first, second)
  assert.equal(await isSignedIn(await browserWith(first)), false)
  assert.equal(await isSignedIn(await browserWith(second)), true)
})

test('a cookie planted in another browser does not become its session at sign-in (session fixation)', async () => {
  const attacker = await signedIn(grace)
  const victim = await browserWith(await cookieOf(attacker))
  await victim.signIn(ada)
  assert.equal(await isSignedIn(attacker), false)
})

test('an app learns nothing with the cookies from before a new sign-in', async () => {
  const browser = await signedIn()
  await notes.connect(browser)
  const before = await browser.copy()
  await browser.signIn(ada)
  await notes.connect(browser)
  const { url } = await before.follow(await before.get(notes.authorizeUrl({ prompt: 'none' })))
  assert.equal(new URL(url).searchParams.get('error'), 'login_required')
})

test('a cookie with any one character changed signs no user in', async () => {
  const cookie = await cookieOf(await signedIn())
  for (const place of [5, 20, cookie.length - 20, cookie.length - 3]) {
    const changed = cookie.slice(0, place) + (cookie[place] === 'A' ? 'B' : 'A') + cookie.slice(place + 1)
    assert.equal(await isSignedIn(await browserWith(changed)), false, `place ${place}`)
  }
})

test('slow requests that end after a sign-out do not bring it back', async () => {
  const browser = await signedIn()
  // The dashboard of a user with an ended family reads its delivery status; a sign-out does not.
  await notes.connect(browser)
  await browser.follow(await browser.post('/apps/notes/disconnection', {}))
  const thief = await browser.copy()
  const blocker = await server.services.storage.pool.connect()
  let slow: Promise<Response>[]
  try {
    await blocker.query('BEGIN')
    await blocker.query('LOCK TABLE notices IN ACCESS EXCLUSIVE MODE')
    slow = Array.from({ length: 6 }, () => browser.get('/dashboard'))
    const waiting = `SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted AND relation = 'notices'::regclass`
    while ((await blocker.query<{ count: number }>(waiting)).rows[0]?.count !== 6);
    assert.equal((await browser.post('/logout', {})).status, 303)
  } finally {
    await blocker.query('ROLLBACK')
    blocker.release()
  }
  for (const answer of await Promise.all(slow)) assert.equal(answer.headers.getSetCookie().length, 0)
  assert.equal(await isSignedIn(thief), false)
  assert.equal(await isSignedIn(browser), false)
})

test('a browser that is not used for too long is signed out', async () => {
  const browser = await signedIn()
  clock.advance(1190)
  assert.equal(await isSignedIn(browser), true)
  clock.advance(1190)
  assert.equal(await isSignedIn(browser), true)
  clock.advance(1201)
  assert.equal(await isSignedIn(browser), false)
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl({ prompt: 'none' })))
  assert.equal(new URL(url).searchParams.get('error'), 'login_required')
})

test('a browser that is used all the time is signed out at its last hour all the same', async () => {
  const browser = await signedIn()
  for (let minutes = 0; minutes < 50; minutes += 10) {
    clock.advance(600)
    assert.equal(await isSignedIn(browser), true)
  }
  clock.advance(600)
  assert.equal(await isSignedIn(browser), false)
})

test('a stolen copy of the stores holds no cookie and no password', async () => {
  const browser = await signedIn()
  await browser.get('/oauth/logout')
  const cookies = await browser.jar.getCookies(server.url)
  const ids = cookies.map((cookie) => decodeURIComponent(cookie.value).replace(/^s:/, '').split(/[.~]/)[0] as string)
  let dump = ''
  for (const table of ['browser_sessions', 'identity_sessions', 'handshakes', 'audit_events', 'identities']) {
    const { rows } = await server.services.storage.pool.query(`SELECT * FROM ${table}`)
    dump += JSON.stringify(rows)
  }
  assert.ok(ids.length >= 2)
  for (const secret of [...ids, ada.password]) assert.equal(dump.includes(secret), false)
})

test('a new root secret put before the old one keeps every cookie good', async () => {
  const browser = await signedIn()
  await notes.connect(browser)
  const renewed = await startTestServer({
    clock,
    database: server.database,
    env: { GATEHOUSE_SECRET: `another root secret for tests of 32 bytes,${TEST_SECRET}` },
  })
  try {
    const there = new Browser(renewed.url, browser.jar)
    assert.equal((await there.get('/dashboard')).status, 200)
    const app = new Client(renewed.url, 'notes', notes.secret, notes.redirectUri)
    assert.ok(await app.code(there, { prompt: 'none' }))
    const fresh = new Browser(renewed.url)
    await fresh.signIn(ada)
    assert.equal(await isSignedIn(new Browser(server.url, fresh.jar)), false)
  } finally {
    await renewed.close()
  }
})

for (const kind of ['embedded', 'postgres+redis'] as const) {
  test(`signing in, signing in again and signing out are the same with ${kind}`, async () => {
    const other = await startTestServer({ kind })
    try {
      await other.addIdentity(ada)
      const browser = new Browser(other.url)
      await browser.signIn(ada)
      const first = await browser.copy()
      await browser.signIn(ada)
      assert.equal((await first.get('/dashboard')).status, 303)
      assert.equal((await browser.get('/dashboard')).status, 200)
      const thief = await browser.copy()
      await browser.post('/logout', {})
      assert.equal((await thief.get('/dashboard')).status, 303)
    } finally {
      await other.close()
    }
  })
}

test('a request that signs in stores its session once', async () => {
  const statements = await recordStatements(() => new Browser(server.url).signIn(ada))
  const written = statements.filter(({ text }) => /^\s*INSERT INTO "?(\w+"?\."?)?browser_sessions/i.test(text))
  assert.equal(written.length, 1)
})

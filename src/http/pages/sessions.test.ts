import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import argon2 from 'argon2'
import { disableIdentity } from '../../domain/identities/identities.ts'
import { problemIn } from '../../testing/portal/answers.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { TEST_PASSWORD_COST } from '../../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { portOf, send } from '../../testing/network/wire.ts'

const zoe = { username: 'Zoë', email: 'zoe@example.test', password: 'a café beside a naïve 🚲 shop' }
const eve = { username: 'eve', email: 'eve@example.test', password: 'a password that signs no user in' }

let server: TestServer
let notes: Client
let backup: Client

before(async () => {
  server = await startTestServer()
  for (const person of [ada, grace, zoe]) await server.addIdentity(person)
  await disableIdentity(server.services, await server.addIdentity(eve))
  const callback = 'https://notes.example.test/callback'
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), callback)
  const offline = { ...notesApp, name: 'Backup', familyLifetime: 'offline' }
  backup = new Client(server.url, 'backup', await server.addApp('backup', offline), callback)
})
after(() => server.close())

function signIn(login: string, password: string, browser = new Browser(server.url)): Promise<Response> {
  return browser.post('/login', { login, password })
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/dashboard')).status === 200
}

for (const login of [
  'ada',
  'ADA',
  ' ada ',
  'ａｄａ',
  '\u200ba\u2060da\ufeff',
  '\u3000ada\u00a0',
  'ada@example.test',
  'Ada@Example.TEST',
  ' ada@example.test',
  'ａｄａ＠ｅｘａｍｐｌｅ．ｔｅｓｔ',
  'ada\u00ad@example.test\u200b',
]) {
  test(`ada signs in as ${JSON.stringify(login)}`, async () => {
    const browser = new Browser(server.url)
    const response = await signIn(login, ada.password, browser)
    assert.equal(response.status, 303)
    assert.equal(response.headers.get('location'), '/dashboard')
    assert.match((await readPage(await browser.get('/dashboard'))).text, /No apps yet, ada/)
  })
}

test('a user name with an accent signs in however a keyboard composes it, in either case', async () => {
  for (const login of ['Zoë', 'zoë'.normalize('NFD'), 'ZOË'.normalize('NFC'), 'zoe@example.test']) {
    assert.equal((await signIn(login, zoe.password)).status, 303)
  }
  assert.equal((await signIn('zoe', zoe.password)).status, 401)
})

test('a password with spaces, accents and emoji signs in however a keyboard composes it', async () => {
  assert.equal((await signIn('Zoë', zoe.password.normalize('NFC'))).status, 303)
  assert.equal((await signIn('Zoë', zoe.password.normalize('NFD'))).status, 303)
})

test('in a password every space and every capital counts', async () => {
  for (const password of [` ${ada.password}`, `${ada.password} `, ada.password.toUpperCase()]) {
    assert.equal((await signIn('ada', password)).status, 401)
  }
})

test('the form says so when the credentials do not match, keeps the login and forgets the password', async () => {
  const page = await readPage(await signIn('ada', 'a canary in the mine'))
  assert.equal(page.status, 401)
  assert.deepEqual(page.problems, ['That user name or e-mail and password do not match.'])
  assert.deepEqual(page.forms[0]?.fields, { login: 'ada', password: '', device_has_passkeys: '' })
  assert.equal(page.html.includes('canary'), false)
})

for (const [what, fields, problems] of [
  ['an empty form', { login: ' ', password: '' }, ['Enter your user name or e-mail address.', 'Enter your password.']],
  ['a form without a password', { login: 'ada', password: '' }, ['Enter your password.']],
  ['a form without a name', { login: '', password: ada.password }, ['Enter your user name or e-mail address.']],
  [
    'a form of invisible characters',
    { login: '\u200b\ufeff', password: '' },
    ['Enter your user name or e-mail address.', 'Enter your password.'],
  ],
] as const) {
  test(`${what} says what is missing, keeps the app, and is no guess`, async () => {
    const refusals = async () =>
      (await server.services.storage.pool.query("SELECT 1 FROM audit_events WHERE kind = 'sign_in_refused'")).rowCount
    const before = await refusals()
    const returnTo = '/oauth/authorize?client_id=notes'
    const response = await new Browser(server.url).post('/login', { ...fields, return_to: returnTo })
    const page = await readPage(response)
    assert.deepEqual([page.status, page.problems], [422, problems])
    assert.deepEqual(page.forms[0]?.fields, {
      login: fields.login,
      password: '',
      device_has_passkeys: '',
      return_to: returnTo,
    })
    assert.equal(await refusals(), before)
  })
}

test('the form tells password managers what is what', async () => {
  const { html } = await readPage(await new Browser(server.url).get('/login'))
  assert.match(html, /name="login"[^>]* autocomplete="username webauthn"/)
  assert.match(html, /name="password" type="password" autocomplete="current-password"/)
})

test('an unknown account, a wrong password and a disabled identity are answered alike', async () => {
  const answers = await Promise.all([signIn('ada', 'wrong'), signIn('eve', eve.password), signIn('xyz', ada.password)])
  const told = await Promise.all(
    answers.map(async (answer) => {
      const own = new Set(['date', 'etag', 'x-request-id'])
      return {
        status: answer.status,
        headers: [...answer.headers].filter(([name]) => !own.has(name)),
        cookies: answer.headers.getSetCookie(),
        // The challenge for a passkey is new for every page.
        body: (await answer.text())
          .replace(/value="(ada|eve|xyz)"/, 'value="…"')
          .replace(/challenge&#34;:&#34;[\w-]{59}&#34;/, 'challenge'),
      }
    }),
  )
  assert.equal(told[0]?.status, 401)
  assert.deepEqual(told[1], told[0])
  assert.deepEqual(told[2], told[0])
})

// No account enumeration; `npm run bench -- enumeration` compares the times.
test('an unknown account, a wrong password and a disabled identity cost one hash each', async (context) => {
  const [verify, hash] = [context.mock.method(argon2, 'verify'), context.mock.method(argon2, 'hash')]
  for (const [login, password] of [
    ['xyz', ada.password],
    ['ada', 'wrong'],
    ['eve', eve.password],
  ] as const) {
    verify.mock.resetCalls()
    assert.equal((await signIn(login, password)).status, 401)
    assert.deepEqual([login, verify.mock.callCount()], [login, 1])
  }
  assert.equal(hash.mock.callCount(), 0)
})

test('a weaker hash is replaced when its owner signs in, and only then', async () => {
  const weak = await argon2.hash(grace.password, {
    type: argon2.argon2id,
    memoryCost: 32,
    timeCost: 1,
    parallelism: 1,
  })
  const { pool } = server.services.storage
  await pool.query("UPDATE identities SET password_hash = $1 WHERE username_key = 'grace'", [weak])
  const stored = async () =>
    (await pool.query<{ hash: string }>("SELECT password_hash AS hash FROM identities WHERE username_key = 'grace'"))
      .rows[0]?.hash as string

  assert.equal((await signIn('grace', 'wrong')).status, 401)
  assert.equal(await stored(), weak)
  assert.equal((await signIn('grace', grace.password)).status, 303)
  assert.equal(argon2.needsRehash(await stored(), { ...TEST_PASSWORD_COST, parallelism: 1 }), false)
  assert.equal((await signIn('grace', grace.password)).status, 303)
})

test('a password of a megabyte is refused at once, without being hashed', async () => {
  const response = await signIn('ada', 'a'.repeat(1_000_000))
  assert.equal(response.status, 413)
})

test('signing out takes the cookie on both sides', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const thief = await browser.copy()
  const response = await browser.post('/logout', {})
  assert.equal(response.status, 303)
  assert.match(response.headers.getSetCookie().join(), /^identity=;/)
  const page = await readPage((await browser.follow(response)).response)
  assert.equal(page.notice, 'You are signed out.')
  assert.equal(await isSignedIn(browser), false)
  assert.equal(await isSignedIn(thief), false)
})

test('cookies that were copied before a sign-out get login_required at an app', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  await notes.connect(browser)
  const thief = await browser.copy()
  await browser.post('/logout', {})
  for (const each of [browser, thief]) {
    const { url } = await each.follow(await each.get(notes.authorizeUrl({ prompt: 'none' })))
    assert.equal(new URL(url).searchParams.get('error'), 'login_required')
  }
})

test('signing out twice at the same moment, or when not signed in, works like once', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const answers = await Promise.all([browser.post('/logout', {}), browser.post('/logout', {})])
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [303, 303],
  )
  assert.equal((await new Browser(server.url).post('/logout', {})).status, 303)
  assert.equal(await isSignedIn(browser), false)
})

test('showing the sign-out page signs no user out', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const page = await readPage(await browser.get('/logout'))
  assert.equal(page.heading, 'Sign out?')
  assert.equal(page.forms[0]?.action, '/logout')
  assert.ok(await isSignedIn(browser))
})

test('signing out everywhere ends every browser and every app, also those that may go on without the person', async () => {
  const [laptop, phone, other] = [new Browser(server.url), new Browser(server.url), new Browser(server.url)]
  await laptop.signIn(ada)
  await phone.signIn(ada)
  await other.signIn({ username: 'Zoë', password: zoe.password })
  const page = await readPage(await laptop.get('/logout'))
  assert.deepEqual(page.forms[0]?.buttons, ['Sign out', 'Sign out everywhere'])
  const connected: [Client, Tokens][] = [
    [notes, await notes.connect(laptop)],
    [notes, await notes.connect(phone)],
    [backup, await backup.connect(phone)],
  ]
  const ofOther = await notes.connect(other)

  const response = await laptop.post('/logout', { everywhere: 'yes' })
  assert.match(response.headers.getSetCookie().join(), /^identity=;/)
  const after = await readPage((await laptop.follow(response)).response)
  assert.equal(after.notice, 'You are signed out of every browser and every app.')
  assert.deepEqual([await isSignedIn(laptop), await isSignedIn(phone), await isSignedIn(other)], [false, false, true])
  for (const [client, tokens] of connected)
    assert.equal((await problemIn(await client.refresh(tokens.refresh_token))).reason, 'revoked')
  assert.equal((await notes.introspect(ofOther.access_token))['active'], true)
  await laptop.signIn(ada)
  assert.match((await readPage(await laptop.get('/activity'))).text, /Signed out of Backup: you signed out everywhere/)
})

test('only the button for it signs out everywhere', async () => {
  const [laptop, phone] = [new Browser(server.url), new Browser(server.url)]
  await laptop.signIn(ada)
  await phone.signIn(ada)
  for (const everywhere of ['', 'no', 'YES']) {
    await laptop.post('/logout', { everywhere })
    await laptop.signIn(ada)
  }
  assert.ok(await isSignedIn(phone))
  const response = await laptop.post('/logout', { everywhere: 'yes' }, { origin: 'https://evil.test' })
  assert.equal(response.status, 403)
  assert.ok(await isSignedIn(laptop))
})

test('signing in twice at the same moment in one browser works, and leaves it signed in', async () => {
  const browser = new Browser(server.url)
  const answers = await Promise.all([signIn('ada', ada.password, browser), signIn('ada', ada.password, browser)])
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [303, 303],
  )
  assert.ok(await isSignedIn(browser))
})

test('who is signed in is led past the sign-in page', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  for (const path of ['/login', '/register', '/']) {
    assert.equal((await browser.get(path)).headers.get('location'), '/dashboard')
  }
})

test('signing in again in the same browser keeps the families and ends the sign-in before', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const tokens = await notes.connect(browser)
  const before = await browser.copy()
  await browser.signIn(ada)

  assert.equal(await isSignedIn(before), false)
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)
  // What it opened before belongs to the new sign-in, so signing out ends it.
  await browser.post('/logout', {})
  assert.equal((await notes.introspect(tokens.access_token))['active'], false)
})

test('another person who signs in in the same browser ends what the first one had there', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const tokens = await notes.connect(browser)
  const before = await browser.copy()
  await browser.signIn(grace)

  assert.equal(await isSignedIn(before), false)
  assert.equal((await notes.introspect(tokens.access_token))['active'], false)
  const refusal = (await (await notes.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'revoked')
  const page = await readPage(await browser.get('/dashboard'))
  assert.match(page.text, /No apps yet, grace/)
})

test('a failed sign-in leaves the user who is signed in in that browser alone', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  assert.equal((await signIn('grace', 'wrong', browser)).status, 401)
  assert.match((await readPage(await browser.get('/dashboard'))).html, /title="ada"/)
})

test('of 300 who sign in at once some are told to try again; nothing breaks, and the portal stays awake', async (context) => {
  // No account may be guessed at by so many at once.
  const people = Array.from({ length: 4 }, (_, number) => ({
    ...ada,
    username: `crowd-${number}`,
    email: `crowd-${number}@example.test`,
  }))
  const flooded = await startTestServer({ hasUsualPasswordCost: true })
  context.after(() => flooded.close())
  for (const person of people) await flooded.addIdentity(person)
  const signInThere = (login: string) => signIn(login, ada.password, new Browser(flooded.url))
  let isFlooded = true
  const flood = Promise.all(
    Array.from({ length: 300 }, (_, turn) => signInThere(`crowd-${turn % people.length}`)),
  ).finally(() => (isFlooded = false))
  const health: number[] = []
  while (isFlooded) {
    // Not by name: looking one up takes one of the four threads that the hashing of this very process keeps busy.
    const { status } = await send(portOf(flooded.url), { path: '/healthz' })
    health.push(status)
  }

  const answers = await flood
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))].toSorted(), [303, 503])
  const refused = answers.filter((answer) => answer.status === 503)
  assert.ok(refused.every((answer) => Number(answer.headers.get('retry-after')) > 0))
  const page = await readPage(refused[0] as Response)
  assert.equal(page.heading, 'Sign in')
  assert.match(page.text, /Please try again in a moment ?The portal is very busy/)
  // The first of two was answered while others waited for their turn.
  assert.ok(health.length > 1)
  assert.deepEqual([...new Set(health)], [200])
  assert.equal((await signInThere('crowd-0')).status, 303)
})

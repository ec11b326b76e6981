import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { checkSourceStatuses, settleSourceStatuses } from '../domain/accounts/source-statuses.ts'
import { disableIdentity, enableIdentity, findIdentity, findIdentityByLogin } from '../domain/identities/identities.ts'
import { findSourceUser } from '../domain/identities/source-users.ts'
import { Authenticator } from '../testing/browser/authenticator.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { waitForMail } from '../testing/mail/outbox.ts'
import { addPasskey, answerTo } from '../testing/portal/factors.ts'
import { deskApp, notesApp } from '../testing/portal/apps.ts'
import { createRunningClock } from '../testing/portal/clock.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { SOURCE_SECRET, startUserSource, type UserSource } from '../testing/portal/user-source.ts'

const PASSWORD = 'an analytical engine in brass'
const NEW = 'a loom that weaves flowers and leaves'
const FREE_GUESSES = 20
const clock = createRunningClock()

let source: UserSource
let server: TestServer
let notes: Client
let count = 0

before(async () => {
  source = await startUserSource(clock)
  source.operations = ['create', 'set-password']
  server = await startTestServer({
    clock,
    env: {
      IDENTITY_SOURCE_URL: source.url,
      IDENTITY_SOURCE_SECRET: SOURCE_SECRET,
      IDENTITY_SOURCE_STATUS_TTL: '60',
      LOGIN_ATTEMPTS_BEFORE_DELAY: String(FREE_GUESSES),
      IP_BLOCK_AFTER: '0',
    },
  })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
beforeEach(() => {
  source.behave = null
  source.asked = []
})
after(async () => {
  await server.close()
  await source.close()
})

interface Person {
  username: string
  email: string
  password: string
}

function someone(): Person {
  const username = `person${++count}`
  return { username, email: `${username}@example.test`, password: PASSWORD }
}

async function login(name: string, password: string, browser = new Browser(server.url)): Promise<Response> {
  return browser.post('/login', { login: name, password })
}

async function pageOf(response: Response): Promise<string> {
  return (await readPage(response)).text
}

const identityOf = async (name: string) => findIdentityByLogin(server.services, name)

/** Why the last sign-in was refused. */
async function lastCause(): Promise<string | undefined> {
  const { rows } = await server.services.storage.pool.query<{ cause: string }>(
    "SELECT cause FROM audit_events WHERE kind = 'sign_in_refused' ORDER BY id DESC LIMIT 1",
  )
  return rows[0]?.cause
}

/** Where an account may live: the same is true of both. */
const PLACES: Record<string, { add(person: Person): Promise<void>; disable(person: Person): Promise<void> }> = {
  'an account here': {
    add: async (person) => void (await server.addIdentity(person)),
    disable: async ({ username }) => disableIdentity(server.services, (await identityOf(username))?.id ?? ''),
  },
  'an account in the source': {
    add: async (person) => void source.add(person),
    disable: async ({ username }) => {
      const user = source.users.find((each) => each.username === username)
      if (user) user.status = 'disabled'
      await settleSourceStatuses(server.services)
    },
  },
}

for (const [place, { add, disable }] of Object.entries(PLACES)) {
  test(`${place}: its user signs in with either name, and with no other password`, async () => {
    const person = someone()
    await add(person)
    for (const name of [person.username, person.email.toUpperCase(), ` ${person.username.toUpperCase()} `])
      assert.equal((await login(name.trim(), PASSWORD)).status, 303, name)
    const wrong = await login(person.username, 'a wrong one, of some length')
    const unknown = await login('nobody-at-all', 'a wrong one, of some length')
    assert.deepEqual([wrong.status, unknown.status], [401, 401])
    const text = async (response: Response, name: string) => (await pageOf(response)).replaceAll(name, '')
    assert.equal(await text(wrong, person.username), await text(unknown, 'nobody-at-all'))
  })

  test(`${place}: once disabled, its families and sign-ins are over, and no password helps`, async () => {
    const person = someone()
    await add(person)
    const browser = new Browser(server.url)
    await browser.signIn(person)
    const tokens = await notes.connect(browser)
    await disable(person)
    assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).reason, 'identity_disabled')
    assert.equal((await browser.get('/dashboard')).status, 303)
    assert.equal((await login(person.username, PASSWORD)).status, 401)
  })

  test(`${place}: a new password ends every other browser, and the old one is over`, async () => {
    const person = someone()
    await add(person)
    const [here, there] = [new Browser(server.url), new Browser(server.url)]
    await here.signIn(person)
    await there.signIn(person)
    const sent = { current_password: PASSWORD, password: NEW, password_confirmation: NEW }
    assert.equal((await here.post('/settings/password', { ...sent, current_password: 'wrong' })).status, 422)
    assert.equal((await here.post('/settings/password', sent)).headers.get('location'), '/settings')
    assert.deepEqual([(await here.get('/dashboard')).status, (await there.get('/dashboard')).status], [200, 303])
    assert.deepEqual(
      [(await login(person.username, PASSWORD)).status, (await login(person.username, NEW)).status],
      [401, 303],
    )
  })
}

test('a user of the source gets an identity at the first sign-in, which follows the source and has no password', async () => {
  const claims = { name: 'Grace Hopper', given_name: 'Grace', address: { locality: 'Arlington' }, zoneinfo: 'x' }
  const user = source.add({ username: 'grace', password: PASSWORD, roles: ['editor', 'admin', 'no role'], claims })
  const browser = new Browser(server.url)
  await browser.signIn(user)
  const row = await findSourceUser(server.services, user.id)
  assert.ok(row)
  assert.deepEqual([row.username, row.email, row.emailVerified], ['grace', user.email, true])
  assert.deepEqual([row.name, row.address, row.roles], ['Grace Hopper', { locality: 'Arlington' }, ['editor']])
  assert.equal(await server.services.hasher.matches(row.passwordHash, PASSWORD, 'test'), false)
  const { access_token: token } = await notes.connect(browser)
  assert.deepEqual(claimsOf(token)['roles'], ['editor'])

  Object.assign(user, { username: 'admiral', email: 'admiral@example.test', roles: ['reader'], claims: {} })
  await browser.signIn({ username: 'admiral', password: PASSWORD })
  const after = await findSourceUser(server.services, user.id)
  assert.deepEqual(
    [after?.id, after?.username, after?.email, after?.roles, after?.name],
    [row.id, 'admiral', 'admiral@example.test', ['reader'], null],
  )
  assert.equal(await identityOf('grace'), null)
  assert.equal(server.log().includes(PASSWORD), false)
})

test('twenty first sign-ins at once make one identity', async () => {
  const user = source.add({ ...someone() })
  const answers = await Promise.all(Array.from({ length: 20 }, async () => login(user.username, PASSWORD)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([303]))
  assert.ok(await findSourceUser(server.services, user.id))
})

test('another id with the same login is another identity, and gets nothing of the old one', async () => {
  const person = someone()
  const old = source.add({ ...person })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  const tokens = await notes.connect(browser)
  const before = await findSourceUser(server.services, old.id)
  source.users = source.users.filter((user) => user !== old)
  const next = source.add({ ...person })
  await new Browser(server.url).signIn(person)
  const after = await findSourceUser(server.services, next.id)
  assert.notEqual(after?.id, before?.id)
  assert.equal(after?.username, person.username)
  assert.match((await findSourceUser(server.services, old.id))?.username ?? '', /^person\d+-\w+$/)
  await settleSourceStatuses(server.services)
  assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).reason, 'identity_disabled')
})

test('two users of the source may swap their names and addresses', async () => {
  const [one, other] = [source.add({ ...someone() }), source.add({ ...someone() })]
  for (const user of [one, other]) await new Browser(server.url).signIn(user)
  const [a, b] = [{ ...one }, { ...other }]
  Object.assign(one, { username: b.username, email: b.email })
  Object.assign(other, { username: a.username, email: a.email })
  for (const user of [one, other]) await new Browser(server.url).signIn(user)
  assert.equal((await findSourceUser(server.services, one.id))?.username, b.username)
  assert.equal((await findSourceUser(server.services, other.id))?.email, a.email)
})

test('an account here keeps its name and its address, whatever the source says', async () => {
  const person = someone()
  const id = await server.addIdentity(person, { roles: ['admin'] })
  const thief = source.add({ ...person, email: `thief${count}@example.test`, password: NEW })
  assert.equal((await login(person.username, NEW)).status, 401)
  assert.deepEqual(
    source.asked.filter(({ input }) => input['login'] === person.username || input['password'] === NEW),
    [],
  )
  const refused = await login(thief.email, NEW)
  assert.equal(refused.status, 403)
  assert.match(await pageOf(refused), /belongs to another account/)
  assert.equal(await lastCause(), 'not_taken_over')
  Object.assign(thief, { username: `thief${count}`, email: person.email })
  assert.equal((await login(thief.username, NEW)).status, 403)
  assert.equal((await findIdentity(server.services, id))?.sourceId, null)
  assert.match(server.log(), /cannot be taken over: its e-mail address belongs to another account/)
  assert.equal((await login(person.username, PASSWORD)).status, 303)
})

const MISBEHAVIOURS: Record<string, (asked: import('../testing/portal/user-source.ts').Asked) => unknown> = {
  'is down': ({ res }) => res.destroy(),
  'answers something that is no JSON': ({ res }) => res.writeHead(200).end('<html>'),
  'answers with an error': ({ res }) => res.writeHead(500).end('{}'),
  redirects: ({ res }) => res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  'answers 10 MB': ({ res }) => res.writeHead(200, { 'content-type': 'application/json' }).end('x'.repeat(10_000_000)),
  'answers without a signature': ({ res }) =>
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"user":null}'),
  'lies about ids': async (asked) =>
    source.reply(asked, asked.path === 'find' ? { user: null } : { id: 'u-other', verdict: 'matches' }),
}

for (const [what, behave] of Object.entries(MISBEHAVIOURS)) {
  test(`a source that ${what}: new sign-ins say "try again", nothing is counted, and who is signed in stays`, async () => {
    const user = source.add({ ...someone() })
    const local = someone()
    await server.addIdentity(local)
    const browser = new Browser(server.url)
    await browser.signIn(user)
    const tokens = await notes.connect(browser)
    source.behave = behave
    for (const password of [PASSWORD, NEW]) {
      const response = await login(user.username, password)
      assert.equal(response.status, 503)
      assert.ok(Number(response.headers.get('retry-after')) > 0)
      const text = await pageOf(response)
      assert.match(text, /does not answer at the moment, so your password was not checked/)
      assert.doesNotMatch(text, /do not match/)
    }
    await settleSourceStatuses(server.services).catch(() => {})
    assert.equal((await browser.get('/dashboard')).status, 200)
    assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)
    assert.equal((await login(local.username, PASSWORD)).status, 303)
    assert.equal((await login(local.username, NEW)).status, 401)
    source.behave = null
    // Past the open circuit.
    clock.advance(60)
    const again = await login(user.username, PASSWORD)
    assert.equal(again.status, 303)
  })
}

test('a source that never answers holds up no other user, and a guess in that time is not counted', async () => {
  const [user, local] = [source.add({ ...someone() }), someone()]
  await server.addIdentity(local)
  source.behave = () => {}
  const waiting = Array.from({ length: 8 }, async () => login(user.username, NEW))
  assert.equal((await login(local.username, PASSWORD)).status, 303)
  assert.equal((await new Browser(server.url).get('/login')).status, 200)
  for (const response of await Promise.all(waiting)) {
    assert.equal(response.status, 503)
    assert.match(await pageOf(response), /so your password was not checked/)
  }
  source.behave = null
  clock.advance(60)
  // Had those counted, fewer guesses were left before a delay.
  let guesses = 0
  while (guesses < 3 * FREE_GUESSES && (await login(user.username, NEW)).status === 401) guesses++
  assert.ok(guesses >= FREE_GUESSES && guesses < 2 * FREE_GUESSES, String(guesses))
})

test('a user who was disabled or removed there is signed out within the time that a status counts', async () => {
  const [disabled, removed, other] = [
    source.add({ ...someone() }),
    source.add({ ...someone() }),
    source.add({ ...someone() }),
  ]
  const browsers = [disabled, removed, other].map(() => new Browser(server.url))
  for (const [index, user] of [disabled, removed, other].entries()) await browsers[index]?.signIn(user)
  await checkSourceStatuses(server.services, 60)
  disabled.status = 'disabled'
  source.users = source.users.filter((user) => user !== removed)
  clock.advance(31)
  await checkSourceStatuses(server.services, 60)
  const statuses = await Promise.all(browsers.map(async (browser) => (await browser.get('/dashboard')).status))
  assert.deepEqual(statuses, [303, 303, 200])
  const row = await findSourceUser(server.services, disabled.id)
  await assert.rejects(enableIdentity(server.services, row?.id ?? ''), /lives in the identity source/)
  disabled.status = 'active'
  assert.equal((await login(disabled.username, PASSWORD)).status, 303)
  await disableIdentity(server.services, row?.id ?? '')
  assert.equal((await login(disabled.username, PASSWORD)).status, 401)
})

test('a direct sign-in asks the source, too, and says when it cannot', async () => {
  const user = source.add({ ...someone() })
  await server.addApp('desk', { ...deskApp, firstPartyDirect: true })
  const ask = async (password: string) =>
    fetch(`${server.url}/oauth/authorize-challenge`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: 'desk',
        scope: 'openid',
        code_challenge: 'x'.repeat(43),
        code_challenge_method: 'S256',
        username: user.username,
        password,
      }),
    })
  const right = await ask(PASSWORD)
  assert.equal(right.status, 200, await right.text())
  assert.equal((await problemIn(await ask(NEW))).error, 'insufficient_authorization')
  source.behave = ({ res }) => res.destroy()
  const problem = await problemIn(await ask(PASSWORD))
  assert.deepEqual([problem.status, problem.error], [503, 'temporarily_unavailable'])
  source.behave = null
  clock.advance(60)
})

test('a passkey opens nothing for a user whom the source has disabled, or may have', async () => {
  const user = source.add({ ...someone(), email_verified: false })
  const browser = new Browser(server.url)
  await browser.signIn(user)
  // An address that the source does not vouch for, its owner confirms here.
  await waitForMail(server.mailFolder, user.email, 'Confirm')
  const key = new Authenticator(server.url)
  assert.equal((await addPasskey(browser, key)).status, 200)
  const enter = async () => {
    const other = new Browser(server.url)
    const page = await readPage(await other.get('/login'))
    return other.post('/login/passkey', { credential: answerTo(page, key) })
  }
  assert.equal((await enter()).status, 303)
  source.behave = ({ res }) => res.destroy()
  assert.equal((await enter()).status, 503)
  source.behave = null
  clock.advance(60)
  user.status = 'disabled'
  assert.equal((await enter()).status, 401)
  assert.equal((await browser.get('/dashboard')).status, 303)
})

test('what an operator has disabled stays disabled, whatever the source says', async () => {
  const user = source.add({ ...someone() })
  await new Browser(server.url).signIn(user)
  const { id } = (await findSourceUser(server.services, user.id)) ?? { id: '' }
  user.status = 'disabled'
  await settleSourceStatuses(server.services)
  await disableIdentity(server.services, id)
  user.status = 'active'
  assert.equal((await login(user.username, PASSWORD)).status, 401)
  await enableIdentity(server.services, id)
  assert.equal((await login(user.username, PASSWORD)).status, 303)
})

test('an expired password says where to change it, and a refused one why', async () => {
  const user = source.add({ ...someone(), hasExpired: true })
  const expired = await login(user.username, PASSWORD)
  assert.equal(expired.status, 403)
  assert.match(await pageOf(expired), /Your password has expired/)
  assert.equal(await lastCause(), 'password_expired')
  user.hasExpired = false
  const browser = new Browser(server.url)
  await browser.signIn(user)
  const next = 'a banned loom that weaves flowers'
  const sent = { current_password: PASSWORD, password: next, password_confirmation: next }
  const refused = await browser.post('/settings/password', sent)
  assert.equal(refused.status, 422)
  assert.match(await pageOf(refused), /refused this: This password is on our list/)
})

test('what comes from the source is read-only here, in words', async () => {
  const user = source.add({ ...someone() })
  const browser = new Browser(server.url)
  await browser.signIn(user)
  assert.match(await pageOf(await browser.get('/settings')), /come from your organisation and are changed there/)
  assert.match(await pageOf(await browser.get('/settings/deletion')), /Only what is stored here is deleted/)
  for (const [path, fields] of [
    ['/settings/email', { email: 'x@example.test' }],
    ['/settings/profile', { name: 'X' }],
  ] as const) {
    for (const response of [await browser.get(path), await browser.post(path, fields)]) {
      assert.equal(response.status, 403)
      assert.match(await pageOf(response), /manages this in a service of its own/)
    }
  }
  assert.equal((await findSourceUser(server.services, user.id))?.name, null)
})

test('people register in the source, and not at all where it creates none', async () => {
  const person = someone()
  const fields = { ...person, password: NEW, password_confirmation: NEW }
  const browser = new Browser(server.url)
  assert.equal((await browser.post('/register', fields)).status, 303)
  assert.equal(source.users.find(({ username }) => username === person.username)?.password, NEW)
  assert.equal((await browser.get('/dashboard')).status, 200)
  const others = { ...fields, username: `${person.username}x` }
  // With the address and the password of an account, it is a sign-in.
  assert.equal((await new Browser(server.url).post('/register', others)).status, 303)
  const wrong = { ...others, password: PASSWORD, password_confirmation: PASSWORD }
  const taken = await new Browser(server.url).post('/register', wrong)
  assert.equal(taken.status, 422)
  assert.match(await pageOf(taken), /cannot be created. If you have an account already/)
  assert.equal(await identityOf(others.username), null)

  source.operations = []
  // What the source can do is asked again in the background, after a while.
  clock.advance(61)
  await browser.get('/register')
  for (let tries = 0; tries < 200; tries++) {
    if (!(await readPage(await new Browser(server.url).get('/login'))).html.includes('href="/register')) break
    await wait(20)
  }
  const [shown, sent] = [
    await new Browser(server.url).get('/register'),
    await new Browser(server.url).post('/register', fields),
  ]
  for (const response of [shown, sent]) {
    assert.equal(response.status, 403)
    assert.match(await pageOf(response), /creates accounts in a service of its own/)
  }
  assert.doesNotMatch((await readPage(await new Browser(server.url).get('/login'))).html, /href="\/register/)
  const password = await new Browser(server.url).get('/forgot-password')
  assert.match(await pageOf(password), /choose a new password there/)
})

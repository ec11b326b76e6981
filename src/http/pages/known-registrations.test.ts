import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { disableIdentity, findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../../testing/portal/statements.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const CALLBACK = 'https://notes.example.test/callback'
const SIGNED_IN = 'You already have an account, so you were signed in to it. No new account was created.'
const WRONG = 'seven wet umbrellas in a row'

let server: TestServer
let clock: TestClock
let person: typeof ada
let identityId: string
let people = 0

before(async () => {
  clock = createClock()
  const env = { REGISTRATIONS_PER_HOUR: '1000', LOGIN_ATTEMPTS_BEFORE_DELAY: '3', LOGIN_DELAY_MIN: '600' }
  server = await startTestServer({ clock, env })
})
after(() => server.close())
beforeEach(async () => {
  person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
  identityId = await server.addIdentity(person, { emailVerified: true })
})

/** The registration form with the address and the password of a user who has an account, and another user name. */
function register(change: Record<string, string> = {}, browser = new Browser(server.url)): Promise<Response> {
  const password = change['password'] ?? person.password
  const fields = { username: `again-${people}`, email: person.email, password, password_confirmation: password }
  return browser.post('/register', { ...fields, ...change })
}

async function nameOn(browser: Browser): Promise<string> {
  const { text } = await readPage(await browser.get('/settings'))
  return /(?:ada|again)-\d+(?!@)/.exec(text)?.[0] ?? ''
}

async function hasAccount(username: string): Promise<boolean> {
  return (await findIdentityByLogin(server.services, username)) !== null
}

async function refused(id: string): Promise<string[]> {
  const { rows } = await server.services.storage.pool.query<{ cause: string }>(
    "SELECT cause FROM audit_events WHERE identity_id = $1 AND kind = 'sign_in_refused' ORDER BY id",
    [id],
  )
  return rows.map(({ cause }) => cause)
}

async function toldOf(id: string): Promise<number> {
  return (await queuedMails(server.services, 'registered-again')).filter((mail) => mail.identityId === id).length
}

test('who registers with the address and the password of an account is signed in to it, reads so, and gets a mail', async () => {
  const changes: Record<string, string>[] = [{}, { email: person.email.toUpperCase() }, { username: person.username }]
  for (const change of changes) {
    const browser = new Browser(server.url)
    const response = await register(change, browser)
    assert.deepEqual([response.status, response.headers.get('location')], [303, '/dashboard'])
    assert.ok((await readPage(await browser.get('/dashboard'))).text.includes(SIGNED_IN))
    assert.equal(await nameOn(browser), person.username)
  }
  assert.equal(await hasAccount(`again-${people}`), false)
  assert.equal(await toldOf(identityId), 3)
  const mail = await waitForMail(server.mailFolder, person.email, 'You were signed in to your Gatehouse account')
  assert.match(mail.text, /no new account was created/)
})

test('the second factor comes first, and an app that asked for an account gets its user', async () => {
  const notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  const home = new Browser(server.url)
  await home.signIn(person)
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const browser = new Browser(server.url)
  const { response } = await browser.follow(await browser.get(notes.authorizeUrl({ prompt: 'create' })))
  const returnTo = (await readPage(response)).forms[0]?.fields['return_to'] as string
  const asked = await register({ return_to: returnTo }, browser)
  assert.match(asked.headers.get('location') ?? '', /^\/login\/second-factor\?return_to=/)
  assert.equal((await browser.get('/dashboard')).status, 303)
  assert.equal(await toldOf(identityId), 0)

  const proved = await browser.post('/login/second-factor', { code: codeOf(key, clock()), return_to: returnTo })
  assert.ok((await browser.follow(proved)).url.startsWith(`${CALLBACK}?code=`))
  assert.equal(await toldOf(identityId), 1)
})

test('a wrong password, and a disabled account, get what a free address gets; the owner can read of the guess', async () => {
  const disabled = { ...ada, username: `gone-${people}`, email: `gone-${people}@example.test` }
  const disabledId = await server.addIdentity(disabled, { emailVerified: true })
  await disableIdentity(server.services, disabledId)
  const questions = {
    free: { email: `free-${people}@example.test`, password: WRONG },
    wrong: { password: WRONG },
    disabled: { email: disabled.email },
  }
  const answers = []
  for (const [username, change] of Object.entries(questions)) {
    const browser = new Browser(server.url)
    const { status, headers } = await register({ username, ...change }, browser)
    const { text } = await readPage(await browser.get('/dashboard'))
    answers.push([status, headers.get('location'), text.replaceAll(/\S+@\S+/g, 'EMAIL').replaceAll(username, 'NAME')])
  }
  assert.deepEqual(answers[1], answers[0])
  assert.deepEqual(answers[2], answers[0])
  assert.deepEqual([await toldOf(identityId), await toldOf(disabledId)], [0, 0])
  assert.deepEqual([await refused(identityId), await refused(disabledId)], [['wrong_password'], ['disabled']])
})

test('a known address costs the same statements as a free one', async () => {
  const quiet = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  try {
    await quiet.addIdentity(person, { emailVerified: true })
    const works = []
    // The first of its kind prepares statements and opens queues.
    for (const [turn, email] of ['first@example.test', 'free@example.test', person.email].entries()) {
      const statements = await recordStatements(() =>
        register({ username: `work-${turn}`, email, password: WRONG }, new Browser(quiet.url)),
      )
      const named = withoutPeriodic(statements).map(({ name }) => name ?? '')
      works.push(named.filter((name) => name !== '' && !/^browser-session |queue/.test(name)))
    }
    assert.ok(works[1]?.includes('identity-insert'))
    assert.deepEqual(works[2], works[1])
  } finally {
    await quiet.close()
  }
})

test('guesses through both forms count together, for addresses without an account as well', async () => {
  for (const [email, password] of [
    [person.email, person.password],
    [`nobody-${people}@example.test`, WRONG],
  ] as const) {
    const signIn = (guess: string) => new Browser(server.url).post('/login', { login: email, password: guess })
    assert.equal((await signIn('not it')).status, 401)
    // Its user name is taken, so that no account is made, and the address stays without one.
    const guess = { username: person.username, email, password: WRONG }
    assert.deepEqual([(await register(guess)).status, (await register(guess)).status], [422, 422])
    assert.equal((await signIn('not it either')).status, 401)
    assert.equal((await signIn(password)).status, 429)
    // Nothing is checked now: the right password is answered like a wrong one.
    assert.equal((await register({ ...guess, password })).status, 422)
    assert.equal((await register({ email, password, username: `late-${email.slice(0, 4)}-${people}` })).status, 303)
  }
  assert.equal(await toldOf(identityId), 0)
})

test('an account that shares its address with another is signed in to by its user name and that address', async () => {
  const own = { username: `own-${people}`, password: WRONG }
  assert.equal((await register(own)).status, 303)
  const browser = new Browser(server.url)
  // In capitals, or it would be the same form sent twice.
  assert.equal((await register({ ...own, email: person.email.toUpperCase() }, browser)).status, 303)
  assert.ok((await readPage(await browser.get('/dashboard'))).text.includes(SIGNED_IN))
  const { id } = (await findIdentityByLogin(server.services, own.username)) ?? assert.fail()
  // Its address belongs to someone else, who is not told of it.
  assert.equal(await toldOf(id), 0)
})

test('a password that would be too short by now signs in, and one repeated differently is not looked at', async () => {
  const short = { ...ada, username: `short-${people}`, email: `short-${people}@example.test`, password: 'tiny' }
  await server.addIdentity(short)
  const { email, password } = short
  for (let turn = 0; turn < 5; turn++)
    assert.equal((await register({ email, password, password_confirmation: 'other' })).status, 422)
  assert.equal((await register({ email, password: 'wild' })).status, 422)
  assert.equal((await register({ email, password })).status, 303)
})

test('a stranger cannot have an address that they have not proved flooded with mail', async () => {
  const claimed = { ...ada, username: `claim-${people}`, email: `claim-${people}@example.test` }
  const id = await server.addIdentity(claimed)
  for (let turn = 0; turn < 5; turn++) {
    const browser = new Browser(server.url)
    assert.equal((await register({ email: claimed.email, username: `turn-${turn}` }, browser)).status, 303)
  }
  assert.equal(await toldOf(id), 3)
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { eraseDeletedAccounts } from '../../domain/accounts/erasure.ts'
import { lookAtMailLink, makeMailLink } from '../../domain/identities/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { grace } from '../../testing/portal/people.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const DAY = 86_400
const password = 'a person who leaves again'

const clock = createClock()
let server: TestServer
let notes: Client
let stranger: Browser
let people = 0
let person: { username: string; email: string; password: string }
let id: string
let laptop: Browser
let phone: Browser
let tokens: Tokens

before(async () => {
  server = await startTestServer({ clock })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addIdentity(grace)
  stranger = new Browser(server.url)
  await stranger.signIn(grace)
})
after(() => server.close())

beforeEach(async () => {
  person = { username: `leaver${people}`, email: `leaver${people++}@example.test`, password }
  id = await server.addIdentity(person)
  laptop = new Browser(server.url)
  phone = new Browser(server.url)
  await laptop.signIn(person)
  await phone.signIn(person)
  tokens = await notes.connect(phone)
})

async function deleteAccount(browser = laptop): Promise<Response> {
  return browser.post('/settings/deletion', { username: person.username })
}

async function signIn(browser = new Browser(server.url), fields: Record<string, string> = {}): Promise<Response> {
  return browser.post('/login', { login: person.username, password, ...fields })
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/dashboard')).status === 200
}

test('the page says what happens and when, and asks for the user name', async () => {
  const page = await readPage(await laptop.get('/settings/deletion'))
  assert.equal(page.heading, 'Delete your account')
  assert.match(page.text, /On \d+ \w+ \d{4}, [\d:]+ UTC your account is erased for good/)
  for (const typed of ['', 'grace', `${person.username}x`, person.email]) {
    const refused = await readPage(await laptop.post('/settings/deletion', { username: typed }))
    assert.equal(refused.status, 422)
    assert.deepEqual(refused.problems, ['Type your user name exactly to confirm.'])
  }
  assert.ok(await isSignedIn(phone))
  assert.equal((await readPage(await deleteAccount())).heading, 'Your account is deleted')
})

test('everything is over with the next request, and apps hear why', async () => {
  const code = await notes.code(phone)
  const page = await readPage(await deleteAccount())
  assert.match(page.text, /If you want to keep it, sign in before then\./)
  assert.doesNotMatch(page.html, /site-nav/)

  for (const browser of [laptop, phone]) assert.equal(await isSignedIn(browser), false)
  const { url } = await phone.follow(await phone.get(notes.authorizeUrl({ prompt: 'none' })))
  assert.equal(new URL(url).searchParams.get('error'), 'login_required')
  const refusal = (await (await notes.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'identity_disabled')
  const inactive = { active: false, reason: 'identity_disabled' }
  assert.deepEqual(await notes.introspect(tokens.access_token), inactive)
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  assert.equal((await notes.exchange(code)).status, 400)
  assert.ok(await isSignedIn(stranger))
})

test('no browser is signed in even before the sessions have ended', async () => {
  await server.services.storage.pool.query('UPDATE identities SET erased_from = $2 WHERE id = $1', [
    id,
    new Date(clock().getTime() + 1000),
  ])
  assert.equal(await isSignedIn(laptop), false)
  const refusal = (await (await notes.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'identity_disabled')
  const inactive = { active: false, reason: 'identity_disabled' }
  assert.deepEqual(await notes.introspect(tokens.access_token), inactive)
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
})

test('links and known browsers are worth nothing any more, and one mail says until when it can be kept', async () => {
  const { pool } = server.services.storage
  const token = await transaction(pool, (db) =>
    makeMailLink(server.services, db, 'change-address', { identityId: id, email: 'new@example.test' }),
  )
  const answers = await Promise.all(Array.from({ length: 5 }, async () => deleteAccount()))
  assert.ok(answers.every(({ status }) => status === 200 || status === 303))
  assert.equal(await lookAtMailLink(server.services, 'change-address', token), null)
  assert.equal((await pool.query('SELECT 1 FROM devices WHERE identity_id = $1', [id])).rowCount, 0)
  const mails = (await queuedMails(server.services, 'deletion-requested')).filter(({ identityId }) => identityId === id)
  assert.deepEqual(
    mails.map(({ erasedFrom }) => erasedFrom),
    [new Date(clock().getTime() + 14 * DAY * 1000).toISOString()],
  )
})

test('who signs in before the end is asked, and keeps the account and everything in it', async () => {
  await deleteAccount()
  clock.advance(13 * DAY)
  const browser = new Browser(server.url)
  const asked = await signIn(browser, { return_to: '/settings' })
  assert.equal(asked.headers.get('location'), '/account-restoration?return_to=%2Fsettings')
  assert.equal(await isSignedIn(browser), false)
  const page = await readPage((await browser.follow(asked)).response)
  assert.match(page.text, /It is erased for good on: \d+ \w+ \d{4}/)
  const form = page.forms.at(-1)
  const response = await browser.post(actionOf(page, 'Keep my account'), form?.fields ?? {})
  assert.equal(response.headers.get('location'), '/settings')
  assert.ok(await isSignedIn(browser))

  assert.deepEqual([await isSignedIn(laptop), await isSignedIn(phone)], [false, false])
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
  await notes.connect(browser)
  const { text } = await readPage(await browser.get('/activity'))
  assert.match(
    text,
    /You signed in with your password\..*You kept your account\..*Signed out of Notes: your account was deleted\..*You deleted your account\./,
  )
  clock.advance(2 * DAY)
  await eraseDeletedAccounts(server.services)
  assert.ok(await isSignedIn(browser))
})

test('only leaving it deleted is as easy: nothing happens', async () => {
  await deleteAccount()
  const browser = new Browser(server.url)
  await browser.follow(await signIn(browser))
  assert.equal((await browser.get('/login')).status, 200)
  const { rows } = await server.services.storage.pool.query(
    'SELECT erased_from IS NOT NULL AS gone FROM identities WHERE id = $1',
    [id],
  )
  assert.deepEqual(rows, [{ gone: true }])
})

test('only a user who has just signed in keeps it', async () => {
  await deleteAccount()
  for (const browser of [new Browser(server.url), laptop, stranger]) {
    assert.equal((await browser.get('/account-restoration')).headers.get('location'), '/login')
    assert.equal((await browser.post('/account-restoration', {})).headers.get('location'), '/login')
  }
  assert.equal((await signIn(new Browser(server.url), { password: 'a wrong password' })).status, 401)
  const slow = new Browser(server.url)
  await signIn(slow)
  clock.advance(600)
  assert.equal((await slow.post('/account-restoration', {})).headers.get('location'), '/login')
  assert.equal(await isSignedIn(slow), false)
})

test('a sign-in that still lacks its second factor keeps nothing', async () => {
  await deleteAccount()
  const browser = new Browser(server.url)
  await signIn(browser)
  await server.services.storage.pool.query(
    `UPDATE browser_sessions SET sess = jsonb_set(sess::jsonb, '{pending,lacks}', '"second-factor"')
     WHERE sess::jsonb->'pending'->'proof'->>'identityId' = $1`,
    [id],
  )
  for (const response of [await browser.get('/account-restoration'), await browser.post('/account-restoration', {})]) {
    assert.equal(response.headers.get('location'), '/login')
  }
  assert.match((await signIn()).headers.get('location') ?? '', /^\/account-restoration/)
})

test('who is disabled by an operator cannot come back by it', async () => {
  await deleteAccount()
  const browser = new Browser(server.url)
  await signIn(browser)
  await disableIdentity(server.services, id)
  assert.equal((await browser.post('/account-restoration', {})).headers.get('location'), '/login')
  assert.equal((await signIn()).status, 401)
  assert.equal(await isSignedIn(browser), false)
  await enableIdentity(server.services, id)
  assert.match((await signIn()).headers.get('location') ?? '', /^\/account-restoration/)
})

test('after the end it is erased, and its user name and e-mail address can be registered again', async () => {
  await deleteAccount()
  const waiting = new Browser(server.url)
  clock.advance(14 * DAY - 60)
  await signIn(waiting)
  clock.advance(61)
  // Its grace period is over, whether or not it has been erased yet.
  assert.equal((await waiting.post('/account-restoration', {})).headers.get('location'), '/login')
  assert.equal((await signIn()).status, 401)
  assert.ok((await eraseDeletedAccounts(server.services)) >= 1)
  assert.equal((await signIn()).status, 401)
  const refusal = (await (await notes.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'unknown')
  assert.notEqual(await server.addIdentity(person), id)
  const browser = new Browser(server.url)
  await browser.signIn(person)
  assert.doesNotMatch((await readPage(await browser.get('/activity'))).text, /Notes/)
})

test('strangers delete nothing, and a sign-in that is not fresh is asked for again', async () => {
  assert.equal((await deleteAccount(new Browser(server.url))).headers.get('location'), '/login')
  await stranger.signIn(grace)
  assert.equal((await deleteAccount(stranger)).status, 422)
  clock.advance(601)
  for (const response of [await laptop.get('/settings/deletion'), await deleteAccount()]) {
    assert.equal(response.headers.get('location'), '/reauthentication?return_to=%2Fsettings%2Fdeletion')
  }
  assert.ok(await isSignedIn(laptop))
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { actionOf, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

// "Logged into one, logged into all; one expires, all expire": FAMILY_LIFETIME=session.

const IDLE = 1800
const MAX = 4 * IDLE
const LOGOUTS = 'https://apps.example.test/logouts'

const clock = createClock()
let server: TestServer
let browser: Browser
let notes: Client
let photos: Client
/** An app of its own kind: it is to go on whatever becomes of the browser. */
let backup: Client

before(async () => {
  // What the portal does by itself it does when a test says so.
  mock.timers.enable({ apis: ['setInterval'] })
  const env = {
    FAMILY_LIFETIME: 'session',
    IDENTITY_SESSION_IDLE: String(IDLE),
    IDENTITY_SESSION_MAX: String(MAX),
    // Longer than a sign-in, so that nothing here merely waits for a token to expire.
    APPLICATION_TOKEN_TTL: '3600',
  }
  server = await startTestServer({ clock, env })
  await server.addIdentity(ada)
  const add = async (id: string, settings: typeof notesApp) => {
    const secret = await server.addApp(id, { ...settings, backchannelLogoutUri: LOGOUTS })
    return new Client(server.url, id, secret, settings.redirectUris[0] as string)
  }
  notes = await add('notes', notesApp)
  photos = await add('photos', photosApp)
  backup = await add('backup', { ...notesApp, name: 'Backup', familyLifetime: 'offline' })
})
after(async () => {
  mock.timers.reset()
  await server.close()
})
beforeEach(async () => {
  await server.services.storage.pool.query('DELETE FROM notices')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

/** What apps are told: who, of how many families, and why. */
async function told(): Promise<[string, number, string][]> {
  const { rows } = await server.services.storage.pool.query<{ clientId: string; count: number; cause: string }>(
    `SELECT client_id AS "clientId", count(*)::int AS count, cause FROM notices WHERE kind = 'logout'
     GROUP BY client_id, cause ORDER BY client_id`,
  )
  return rows.map(({ clientId, count, cause }) => [clientId, count, cause])
}

/** The portal looks by itself whether anything has expired, every five seconds. */
async function untilTold(expected: [string, number, string][]): Promise<void> {
  mock.timers.tick(5000)
  const limit = performance.now() + 10_000
  while (performance.now() < limit && (await told()).length < expected.length) await sleep(10)
  assert.deepEqual(await told(), expected)
}

async function refresh(client: Client, tokens: Tokens): Promise<Tokens> {
  return tokensIn(await client.refresh(tokens.refresh_token))
}

async function reasonOf(client: Client, tokens: Tokens): Promise<string | undefined> {
  const { error, reason } = await problemIn(await client.refresh(tokens.refresh_token))
  assert.equal(error, 'invalid_grant')
  return reason
}

async function isActive(client: Client, token: string): Promise<unknown> {
  return (await client.introspect(token))['active']
}

async function isSignedIn(): Promise<boolean> {
  return (await browser.get('/sessions')).status === 200
}

test('who is signed in to one app is signed in to all', async () => {
  const visitor = new Browser(server.url)
  const asked = await visitor.follow(await visitor.get(notes.authorizeUrl()))
  assert.equal((await readPage(asked.response)).heading, 'Sign in')
  const { pathname, search } = new URL(asked.url)
  const signedIn = await visitor.post('/login', {
    login: ada.username,
    password: ada.password,
    return_to: pathname + search,
  })
  assert.equal(signedIn.status, 303)
  for (const client of [notes, photos, backup]) {
    const answer = await visitor.get(client.authorizeUrl())
    assert.ok(answer.headers.get('location')?.startsWith(`${client.redirectUri}?code=`), client.id)
  }
})

test('using one app keeps the sign-in alive, and so the others, until it has lasted as long as it may', async () => {
  let [used, unused] = [await notes.connect(browser), await photos.connect(browser)]
  for (let elapsed = 1200; elapsed < MAX; elapsed += 1200) {
    clock.advance(1200)
    used = await refresh(notes, used)
    assert.equal(await isActive(notes, used.access_token), true)
  }
  unused = await refresh(photos, unused)
  assert.equal(await isSignedIn(), true)

  clock.advance(1199)
  used = await refresh(notes, used)
  clock.advance(1)
  assert.equal(await isActive(notes, used.access_token), false)
  assert.deepEqual([await reasonOf(notes, used), await reasonOf(photos, unused)], ['expired', 'expired'])
  assert.equal(await isSignedIn(), false)
})

test('unused sessions expire everywhere at once, before a periodic job, and every app is notified', async () => {
  const [note, photo, copy] = [
    await notes.connect(browser),
    await photos.connect(browser),
    await backup.connect(browser),
  ]
  clock.advance(IDLE - 1)
  for (const token of [note.access_token, note.refresh_token]) assert.equal(await isActive(notes, token), true)
  assert.equal((await notes.userinfo(note.access_token)).status, 200)
  clock.advance(1)
  for (const token of [note.access_token, note.refresh_token]) assert.equal(await isActive(notes, token), false)
  assert.equal(await isActive(photos, photo.refresh_token), false)
  assert.equal((await notes.userinfo(note.access_token)).status, 401)
  assert.equal(await isSignedIn(), false)
  assert.deepEqual(await told(), [])

  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(ada)
  const { text } = await readPage(await elsewhere.get('/dashboard'))
  assert.match(text, /Photos.*Ended: the sign-in in the browser had expired/)

  assert.equal(await reasonOf(notes, note), 'expired')
  const cause = 'session_expired'
  assert.deepEqual(await told(), [['notes', 1, cause]])
  // Photos is told although it has not asked.
  await untilTold([
    ['notes', 1, cause],
    ['photos', 1, cause],
  ])
  assert.equal(await reasonOf(photos, photo), 'expired')
  await refresh(backup, copy)
})

test('signing out from one app ends all in this browser, and tells all, also the one that asked', async () => {
  const [note, photo, copy] = [
    await notes.connect(browser),
    await photos.connect(browser),
    await backup.connect(browser),
  ]
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(ada)
  const other = await notes.connect(elsewhere)

  const page = await readPage(
    await browser.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: note.id_token })}`),
  )
  assert.match(page.text, /signs you out of Gatehouse and of all apps in this browser/)
  await browser.post(page.forms[0]?.action as string, page.forms[0]?.fields ?? {})

  assert.equal(await isSignedIn(), false)
  for (const [client, tokens] of [
    [notes, note],
    [photos, photo],
  ] as const) {
    assert.equal(await isActive(client, tokens.refresh_token), false)
    assert.equal(await reasonOf(client, tokens), 'revoked')
  }
  assert.deepEqual(await told(), [
    ['notes', 1, 'signed_out_by_app'],
    ['photos', 1, 'signed_out_by_app'],
  ])
  await refresh(notes, other)
  await refresh(backup, copy)
})

test('an app that asks to outlive the sign-in does not, unless the operator says so', async () => {
  const asked = await browser.get(notes.authorizeUrl({ scope: 'openid offline_access', prompt: 'consent' }))
  const page = await readPage((await browser.follow(asked)).response)
  const { url } = await browser.follow(await browser.post(actionOf(page, 'Continue to Notes'), {}))
  const tokens = await tokensIn(await notes.exchange(new URL(url).searchParams.get('code') as string))
  assert.equal(tokens.scope, 'openid offline_access')
  const copy = await backup.connect(browser)
  await browser.post('/logout', {})
  assert.equal(await reasonOf(notes, tokens), 'revoked')
  await refresh(backup, copy)
})

test('who signs in again in time goes on, for as long again', async () => {
  const first = await notes.connect(browser)
  clock.advance(IDLE - 1)
  await browser.signIn(ada)
  clock.advance(IDLE - 1)
  const second = await refresh(notes, first)
  clock.advance(MAX - 2 * IDLE)
  assert.equal(await reasonOf(notes, second), 'expired')
})

test('who signs in too late finds apps that ask again, and lets them in without a page', async () => {
  const [note, photo] = [await notes.connect(browser), await photos.connect(browser)]
  clock.advance(IDLE)
  await browser.signIn(ada)
  assert.deepEqual([await reasonOf(notes, note), await reasonOf(photos, photo)], ['expired', 'expired'])
  await refresh(notes, await notes.connect(browser))
})

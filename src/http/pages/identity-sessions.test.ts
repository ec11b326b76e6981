import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

const clock = createClock()
let server: TestServer
let notes: Client

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

/** Ada in two browsers, and nowhere else. */
async function twoBrowsers(): Promise<{ laptop: Browser; phone: Browser }> {
  const laptop = new Browser(server.url)
  await laptop.signIn(ada)
  await laptop.post('/sessions/revocation', {})
  const phone = new Browser(server.url)
  await phone.post('/login', { login: 'ada', password: ada.password }, { 'user-agent': SAFARI })
  return { laptop, phone }
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/sessions')).status === 200
}

async function silently(browser: Browser): Promise<string | null> {
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl({ prompt: 'none' })))
  return new URL(url).searchParams.get('error')
}

test('a person sees every browser they are signed in with, the current one first', async () => {
  const { laptop, phone } = await twoBrowsers()
  const page = await readPage(await laptop.get('/sessions'))
  assert.equal(page.heading, 'Your browsers')
  assert.match(page.text, /Firefox on Linux this browser.*Safari on iOS/)
  assert.match(page.text, /Safari on iOS.* 127\.0\.0\.1.* Last seen just now/)
  const other = await readPage(await phone.get('/sessions'))
  assert.match(other.text, /Safari on iOS this browser.*Firefox on Linux/)
})

test('with one browser there is nothing else to end', async () => {
  const { laptop, phone } = await twoBrowsers()
  await phone.post('/logout', {})
  const page = await readPage(await laptop.get('/sessions'))
  assert.equal(
    page.forms.some((form) => form.action === '/sessions/revocation'),
    false,
  )
})

test('when a browser was last seen is a minute behind at most', async () => {
  const { laptop, phone } = await twoBrowsers()
  clock.advance(3 * 3600)
  await laptop.get('/sessions')
  const { text } = await readPage(await laptop.get('/sessions'))
  assert.match(text, /Firefox on Linux this browser.*Safari on iOS/)
  assert.match(text, /Safari on iOS .* Last seen 3 hours ago/)
  assert.ok(await isSignedIn(phone))
})

test('ending another browser makes it anonymous, for apps too, and ends what was connected there', async () => {
  const { laptop, phone } = await twoBrowsers()
  const there = await notes.connect(phone)
  const here = await notes.connect(laptop)
  const page = await readPage(await laptop.get('/sessions'))
  const response = await laptop.post(actionOf(page, 'Sign out Safari on iOS'), {})
  const after = await readPage((await laptop.follow(response)).response)

  assert.equal(after.notice, 'That browser was signed out.')
  assert.doesNotMatch(after.text.replace(/Signed out, but known.*/, ''), /Safari/)
  assert.match(after.text, /Signed out, but known.*Safari on iOS/)
  assert.equal(await isSignedIn(phone), false)
  assert.equal(await silently(phone), 'login_required')
  const refusal = (await (await notes.refresh(there.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'revoked')
  assert.equal((await notes.introspect(there.access_token))['active'], false)
  assert.equal((await notes.introspect(here.access_token))['active'], true)
  assert.ok(await isSignedIn(laptop))
})

test('ending all other browsers leaves this one', async () => {
  const { laptop, phone } = await twoBrowsers()
  const tablet = new Browser(server.url)
  await tablet.signIn(ada)
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(grace)
  const there = await notes.connect(tablet)
  const page = await readPage(await laptop.get('/sessions'))
  const response = await laptop.post(actionOf(page, 'Sign out everywhere else'), {})

  assert.equal((await readPage((await laptop.follow(response)).response)).notice, 'You are signed out everywhere else.')
  for (const browser of [phone, tablet]) {
    assert.equal(await isSignedIn(browser), false)
    assert.equal(await silently(browser), 'login_required')
  }
  assert.equal((await notes.introspect(there.access_token))['active'], false)
  assert.ok(await isSignedIn(laptop))
  assert.ok(await isSignedIn(elsewhere))
})

test('everything about one browser is one click deeper, with the apps it uses', async () => {
  const { laptop, phone } = await twoBrowsers()
  await notes.connect(phone)
  const list = await readPage(await laptop.get('/sessions'))
  const id = actionOf(list, 'Sign out Safari on iOS').split('/')[2] as string
  assert.ok(list.html.includes(`href="/sessions/${id}"`))
  assert.doesNotMatch(list.text, /Mozilla/)

  const page = await readPage(await laptop.get(`/sessions/${id}`))
  assert.equal(page.heading, 'Safari on iOS')
  assert.match(page.text, /You are signed in with this browser\./)
  assert.match(page.text, /Signed in on .* Last seen .* IP address 127\.0\.0\.1 .*Mozilla\/5\.0 \(iPhone;/)
  assert.match(page.text, /Apps used in this browser Notes Last used just now/)

  const response = await laptop.post(actionOf(page, 'Sign out this browser'), {})
  assert.equal((await readPage((await laptop.follow(response)).response)).notice, 'That browser was signed out.')
  assert.equal(await isSignedIn(phone), false)
  const over = await readPage(await laptop.get(`/sessions/${id}`))
  assert.match(over.text, /This browser was signed out on .* UTC: you ended it\./)
  assert.doesNotMatch(over.text, /Sign out this browser|Apps used/)
})

test('the page of this browser says so, and signs out here', async () => {
  const { laptop } = await twoBrowsers()
  const [, id] = /href="\/sessions\/([\w-]{36})"/.exec(await (await laptop.get('/sessions')).text()) ?? []
  const page = await readPage(await laptop.get(`/sessions/${id}`))
  assert.equal(page.heading, 'Firefox on Linux this browser')
  assert.equal(actionOf(page, 'Sign out this browser'), '/logout')
})

test("the page of another user's browser answers like one that does not exist", async () => {
  const { laptop } = await twoBrowsers()
  const stranger = new Browser(server.url)
  await stranger.signIn(grace)
  const [, id] = /href="\/sessions\/([\w-]{36})"/.exec(await (await laptop.get('/sessions')).text()) ?? []
  const pages = await Promise.all(
    [id, randomUUID(), 'x', '%00', "'"].map(async (each) => {
      const page = await readPage(await stranger.get(`/sessions/${each}`))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
})

test('a family that asked to outlive a sign-out does, and can still be ended', async () => {
  const { laptop, phone } = await twoBrowsers()
  const request = notes.authorizeUrl({ scope: 'openid offline_access', prompt: 'consent' })
  const page = await readPage((await phone.follow(await phone.get(request))).response)
  const { url } = await phone.follow(await phone.post(actionOf(page, 'Continue to Notes'), {}))
  const code = new URL(url).searchParams.get('code') as string
  const first = (await (await notes.exchange(code)).json()) as Tokens

  await phone.post('/logout', {})
  const response = await notes.refresh(first.refresh_token)
  assert.equal(response.status, 200)
  await laptop.post('/apps/notes/disconnection', {})
  assert.equal((await notes.refresh(((await response.json()) as Tokens).refresh_token)).status, 400)
})

test('ending the browser one is using signs it out', async () => {
  const { laptop, phone } = await twoBrowsers()
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    `SELECT s.id FROM identity_sessions s JOIN identities i ON i.id = s.identity_id
     WHERE ended_at IS NULL AND username = 'ada' AND browser LIKE '%Firefox%'`,
  )
  const response = await laptop.post(`/sessions/${rows[0]?.id}/revocation`, {})
  assert.equal(response.headers.get('location'), '/login')
  assert.match(response.headers.getSetCookie().join(), /^identity=;/)
  assert.equal(await isSignedIn(laptop), false)
  assert.ok(await isSignedIn(phone))
})

test("another user's browser answers like one that does not exist, and stays signed in", async () => {
  const { laptop } = await twoBrowsers()
  const stranger = new Browser(server.url)
  await stranger.signIn(grace)
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    'SELECT s.id FROM identity_sessions s JOIN identities i ON i.id = s.identity_id WHERE ended_at IS NULL AND username = $1',
    ['ada'],
  )
  const pages = await Promise.all(
    [...rows.map((row) => row.id), randomUUID(), 'x', '%00', '..%2f..', "'"].map(async (id) => {
      const page = await readPage(await stranger.post(`/sessions/${id}/revocation`, {}))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.ok(await isSignedIn(laptop))
})

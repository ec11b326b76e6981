import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../../testing/apps.ts'
import { Browser } from '../../testing/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/client.ts'
import { actionOf, readPage } from '../../testing/page.ts'
import { ada, grace } from '../../testing/people.ts'
import { startTestServer, type TestServer } from '../../testing/server.ts'

let server: TestServer
let notes: Client
let photos: Client
let browser: Browser
let stranger: Browser

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addApp('photos', photosApp)
  photos = new Client(server.url, 'photos', null, 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
  stranger = new Browser(server.url)
  await stranger.signIn(grace)
})
after(() => server.close())

async function isActive(app: Client, tokens: Tokens): Promise<boolean> {
  return (await app.introspect(tokens.access_token))['active'] === true
}

async function reasonOf(app: Client, tokens: Tokens): Promise<unknown> {
  const response = await app.refresh(tokens.refresh_token)
  return response.status === 200 ? null : ((await response.json()) as Record<string, unknown>)['reason']
}

function familyOf(tokens: Tokens): string {
  return claimsOf(tokens.access_token)['fam'] as string
}

test('ending one family leaves the others, and its app hears of it at once', async () => {
  const [first, second] = [await notes.connect(browser), await notes.connect(browser)]
  const response = await browser.post(`/families/${familyOf(first)}/revocation`, {})
  const page = await readPage((await browser.follow(response)).response)
  assert.equal(page.notice, 'That sign-in was ended.')
  assert.equal(await isActive(notes, first), false)
  assert.equal(await reasonOf(notes, first), 'revoked')
  assert.equal(await isActive(notes, second), true)
})

test('ending a family twice, or twice at once, works like once', async () => {
  const tokens = await notes.connect(browser)
  const path = `/families/${familyOf(tokens)}/revocation`
  const answers = await Promise.all([browser.post(path, {}), browser.post(path, {})])
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [303, 303],
  )
  assert.equal((await browser.post(path, {})).status, 303)
  const { rowCount } = await server.portal.storage.pool.query(
    "SELECT 1 FROM audit_events WHERE family_id = $1 AND kind = 'family_ended'",
    [familyOf(tokens)],
  )
  assert.equal(rowCount, 1)
})

test('disconnecting an app ends every family it has of this person, in every browser, and nothing else', async () => {
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(ada)
  const ended = [await notes.connect(browser), await notes.connect(elsewhere)]
  const kept = await photos.connect(browser)
  const others = await notes.connect(stranger)
  const page = await readPage(await browser.get('/dashboard'))
  const response = await browser.post(actionOf(page, 'Disconnect Notes'), {})

  const after = await readPage((await browser.follow(response)).response)
  assert.equal(after.notice, 'The app was disconnected.')
  assert.match(after.text, /Notes Not connected now/)
  for (const tokens of ended) assert.equal(await reasonOf(notes, tokens), 'revoked')
  assert.equal(await reasonOf(photos, kept), null)
  assert.equal(await isActive(notes, others), true)
})

test('a disconnected app connects again without a question, because the person is still signed in', async () => {
  await notes.connect(browser)
  await browser.post('/apps/notes/disconnection', {})
  assert.ok(await notes.code(browser, { prompt: 'none' }))
})

test("somebody else's family answers like one that does not exist, and lives on", async () => {
  const tokens = await notes.connect(browser)
  const ids = [familyOf(tokens), randomUUID(), 'x', '%00', "'", '..%2f..', familyOf(tokens).toUpperCase()]
  const pages = await Promise.all(
    ids.map(async (id) => {
      const page = await readPage(await stranger.post(`/families/${id}/revocation`, {}))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.equal(await isActive(notes, tokens), true)
})

test('an app one never connected answers like one that does not exist', async () => {
  await photos.connect(browser)
  const pages = await Promise.all(
    ['photos', 'nobody', '__proto__', '%00', "'"].map(async (id) => {
      const page = await readPage(await stranger.post(`/apps/${id}/disconnection`, {}))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.equal((await photos.connect(browser)).token_type, 'Bearer')
})

test('a stranger who posts to any of these is asked to sign in, and nothing ends', async () => {
  const tokens = await notes.connect(browser)
  const nobody = new Browser(server.url)
  for (const path of [
    `/families/${familyOf(tokens)}/revocation`,
    '/apps/notes/disconnection',
    '/sessions/revocation',
  ]) {
    const response = await nobody.post(path, {})
    assert.equal(response.status, 303)
    assert.equal(response.headers.get('location'), '/login')
  }
  assert.equal(await isActive(notes, tokens), true)
})

test('an application token opens no page of the portal', async () => {
  const { access_token: token } = await notes.connect(browser)
  for (const path of ['/dashboard', '/sessions', '/activity']) {
    const headers = { authorization: `Bearer ${token}`, cookie: `identity=${token}` }
    assert.equal((await fetch(server.url + path, { headers, redirect: 'manual' })).status, 303)
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { writePlaceDatabase } from '../../testing/portal/geoip-database.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-devices-'))
const clock = createClock()
let server: TestServer
let laptop: Browser
let phone: Browser

before(async () => {
  writePlaceDatabase(join(folder, 'places.mmdb'), { '127.0.0.0/8': { city: 'Berlin', country: 'Germany' } })
  server = await startTestServer({ clock, env: { GEOIP_DATABASE: join(folder, 'places.mmdb') } })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  laptop = new Browser(server.url)
  await laptop.signIn(ada)
  clock.advance(3600)
  phone = new Browser(server.url)
  await signInOnPhone()
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

async function signInOnPhone(): Promise<void> {
  const response = await phone.post('/login', { login: 'ada', password: ada.password }, { 'user-agent': SAFARI })
  assert.equal(response.status, 303)
}

/** What the page says of known browsers. */
async function known(browser: Browser): Promise<string> {
  const { text } = await readPage(await browser.get('/sessions'))
  return text.slice(text.indexOf('Known browsers'))
}

test('a sign-in that was the first from its browser is marked, and one that was not is not', async () => {
  const { text } = await readPage(await laptop.get('/sessions'))
  const signedIn = text.slice(0, text.indexOf('Known browsers'))
  assert.match(signedIn, /Firefox on Linux this browser new browser.*Safari on iOS new browser/)
  clock.advance(3600)
  await laptop.signIn(ada)
  assert.match(
    (await readPage(await laptop.get('/sessions'))).text,
    /Firefox on Linux this browser 127.*Safari on iOS new browser/,
  )
})

test('browsers that are known are listed with when they were first and last used', async () => {
  assert.match(
    await known(phone),
    /Firefox on Linux 127\.0\.0\.1 \(Berlin, Germany\) First seen 2 hours ago Last sign-in just now/,
  )
  assert.match(await known(phone), /Safari on iOS this browser 127\.0\.0\.1 \(Berlin, Germany\) First seen 1 hour ago/)
})

test('a place stands beside an address wherever people read one', async () => {
  const notes = new Client(
    server.url,
    'notes',
    await server.addApp('notes', notesApp),
    notesApp.redirectUris[0] as string,
  )
  await notes.connect(laptop)
  for (const path of ['/sessions', '/dashboard', '/activity']) {
    assert.match((await readPage(await laptop.get(path))).text, /127\.0\.0\.1 \(Berlin, Germany\)/, path)
  }
})

test('a browser that is forgotten stays signed in, and its next sign-in is one that is not known', async () => {
  const before = (await queuedMails(server.services, 'unfamiliar-sign-in')).length
  await signInOnPhone()
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before)

  const page = await readPage(await laptop.get('/sessions'))
  const response = await laptop.post(actionOf(page, 'Forget Safari on iOS this browser'), {})
  const after = await readPage((await laptop.follow(response)).response)
  assert.equal(after.notice, 'That browser is not known any more.')
  assert.doesNotMatch(await known(laptop), /Safari/)
  assert.equal((await phone.get('/dashboard')).status, 200)
  await signInOnPhone()
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before + 1)
  assert.match((await readPage(await laptop.get('/activity'))).text, /A known browser was forgotten\./)
})

test('the browser one is using can be forgotten, too', async () => {
  const page = await readPage(await laptop.get('/sessions'))
  await laptop.post(actionOf(page, 'Forget Firefox on Linux this browser'), {})
  assert.equal((await laptop.get('/sessions')).status, 200)
  assert.doesNotMatch(await known(laptop), /Firefox/)
  await laptop.signIn(ada)
  assert.match(await known(laptop), /Firefox on Linux this browser/)
})

test("another user's browser answers like one that does not exist, and stays known", async () => {
  const action = actionOf(await readPage(await laptop.get('/sessions')), 'Forget Firefox on Linux this browser')
  const stranger = new Browser(server.url)
  await stranger.signIn(grace)
  const pages = await Promise.all(
    [
      action,
      `/devices/${'A'.repeat(43)}/removal`,
      '/devices/x/removal',
      '/devices/%00/removal',
      "/devices/'/removal",
    ].map(async (path) => {
      const page = await readPage(await stranger.post(path, {}))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.match(await known(laptop), /Firefox on Linux this browser/)
  const anonymous = await new Browser(server.url).post(action, {})
  assert.equal(anonymous.headers.get('location'), '/login')
})

test('what a page calls a browser is no cookie of one', async () => {
  const { html } = await readPage(await laptop.get('/sessions'))
  const cookies = await laptop.jar.getCookies(server.url)
  const device = cookies.find(({ key }) => key === 'device')?.value.split('~')[0] as string
  assert.equal(html.includes(device), false)
  const [, id] = /\/devices\/([\w-]{43})\/removal/.exec(html) ?? []
  const before = (await queuedMails(server.services, 'unfamiliar-sign-in')).length
  await new Browser(server.url).post('/login', { login: 'ada', password: ada.password }, { cookie: `device=${id}` })
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before + 1)
})

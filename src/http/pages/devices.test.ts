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

/** What the page says of the browsers that are signed in, or of those that are only known. */
async function listed(browser: Browser, part: 'signed in' | 'known'): Promise<string> {
  const [signedIn = '', known = ''] = (await readPage(await browser.get('/sessions'))).text.split(KNOWN)
  return part === 'known' ? known : signedIn
}

const KNOWN = 'Signed out, but known'

test('a browser that is new says so, and the first one of all is none', async () => {
  assert.match(
    await listed(laptop, 'signed in'),
    /Firefox on Linux this browser Berlin, Germany Details of Firefox on Linux Sign out this browser Safari on iOS new browser Berlin, Germany You signed in with it for the first time just now/,
  )
  clock.advance(3600)
  await laptop.signIn(ada)
  assert.match(await listed(laptop, 'signed in'), /Safari on iOS new browser .* first time 1 hour ago/)
  await signInOnPhone()
  assert.doesNotMatch(await listed(laptop, 'signed in'), /new browser/)
})

test('each browser stands there once: signed in, or known from before', async () => {
  await phone.post('/logout', {})
  clock.advance(3600)
  assert.match(await listed(laptop, 'known'), /Safari on iOS Berlin, Germany Last sign-in 1 hour ago/)
  assert.doesNotMatch(await listed(laptop, 'signed in'), /Safari/)
  assert.doesNotMatch(await listed(laptop, 'known'), /Firefox/)
  await signInOnPhone()
  assert.match(await listed(laptop, 'signed in'), /Safari/)
  assert.doesNotMatch((await readPage(await laptop.get('/sessions'))).text, new RegExp(KNOWN))
})

test('a user gives a browser a name, which stands for it, and takes it away again', async () => {
  const rename = async (name: string) => {
    const page = await readPage(await laptop.get(await phonePage()))
    return laptop.post(actionOf(page, 'Save the name'), { name })
  }
  const saved = await laptop.follow(await rename('  Ada’s 📱 \u202Ephone\u202C  '))
  assert.equal((await readPage(saved.response)).notice, 'The name of the browser was saved.')
  assert.match(await listed(laptop, 'signed in'), /Ada’s 📱 phone Berlin/)
  const page = await readPage(await laptop.get(await phonePage()))
  assert.equal(page.heading, 'Ada’s 📱 phone')
  assert.match(page.text, /Browser Safari on iOS/)

  await rename('<b>"x"</b>')
  const hostile = await readPage(await laptop.get('/sessions'))
  assert.match(hostile.text, /<b>"x"<\/b> Berlin/)
  assert.doesNotMatch(hostile.html, /<b>/)

  assert.equal((await rename('📱'.repeat(64))).status, 303)
  const refused = await readPage(await rename('x'.repeat(65)))
  assert.deepEqual([refused.status, refused.problems], [422, ['Use at most 64 characters.']])
  assert.match(refused.title, /^Error: /)
  assert.equal(refused.forms.find(({ buttons }) => buttons.includes('Save the name'))?.fields['name'], 'x'.repeat(65))
  assert.equal((await rename('x\0')).status, 400)

  assert.equal((await rename(' \u200B')).status, 303)
  assert.match(await listed(laptop, 'signed in'), /Safari on iOS Berlin/)
})

/** The page of the phone, as the list on the laptop links it. */
async function phonePage(): Promise<string> {
  const { html } = await readPage(await laptop.get('/sessions'))
  const pages = [...html.matchAll(/href="(\/(?:sessions|devices)\/[\w-]+)"/g)].map(([, path]) => path as string)
  return pages.at(-1) as string
}

test('a place stands beside an address wherever people read one', async () => {
  const notes = new Client(
    server.url,
    'notes',
    await server.addApp('notes', notesApp),
    notesApp.redirectUris[0] as string,
  )
  await notes.connect(laptop)
  for (const path of ['/dashboard', '/activity']) {
    assert.match((await readPage(await laptop.get(path))).text, /127\.0\.0\.1 \(Berlin, Germany\)/, path)
  }
})

test('a browser that is forgotten stays signed in, and its next sign-in is one that is not known', async () => {
  const before = (await queuedMails(server.services, 'unfamiliar-sign-in')).length
  await signInOnPhone()
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before)

  const page = await readPage(await laptop.get(await phonePage()))
  const response = await laptop.post(actionOf(page, 'Forget Safari on iOS'), {})
  const after = await readPage((await laptop.follow(response)).response)
  assert.equal(after.notice, 'That browser is not known any more.')
  assert.doesNotMatch(await listed(laptop, 'known'), /Safari/)
  assert.equal((await phone.get('/dashboard')).status, 200)
  await signInOnPhone()
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before + 1)
  assert.match((await readPage(await laptop.get('/activity'))).text, /You removed a browser from your known browsers\./)
})

test('a browser that is signed out is forgotten from the list', async () => {
  await phone.post('/logout', {})
  const page = await readPage(await laptop.get('/sessions'))
  assert.match(page.text, new RegExp(`${KNOWN} Safari on iOS`))
  const known = await readPage(await laptop.get(await phonePage()))
  assert.match(known.text, /You are not signed in with it now\..* Last sign-in /)
  await laptop.post(actionOf(page, 'Forget Safari on iOS'), {})
  assert.doesNotMatch((await readPage(await laptop.get('/sessions'))).text, /Safari/)
  await signInOnPhone()
})

test('the browser one is using can be forgotten, too, and then has no name', async () => {
  const path = /href="(\/sessions\/[\w-]{36})"/.exec(await (await laptop.get('/sessions')).text())?.[1] as string
  await laptop.post(actionOf(await readPage(await laptop.get(path)), 'Forget Firefox on Linux'), {})
  const page = await readPage(await laptop.get(path))
  assert.equal(page.status, 200)
  assert.doesNotMatch(page.text, /Name of this browser|Forget/)
  await laptop.signIn(ada)
  assert.match(await listed(laptop, 'signed in'), /Firefox on Linux this browser/)
})

test("another user's browser answers like one that does not exist, and stays known", async () => {
  const action = actionOf(await readPage(await laptop.get(await phonePage())), 'Forget Safari on iOS')
  const stranger = new Browser(server.url)
  await stranger.signIn(grace)
  const pages = await Promise.all(
    [
      action,
      `/devices/${'A'.repeat(43)}/removal`,
      '/devices/x/removal',
      '/devices/%00/removal',
      "/devices/'/removal",
      action.replace('removal', 'name'),
      `/devices/${'A'.repeat(43)}/name`,
      '/devices/x/name',
    ].map(async (path) => {
      const page = await readPage(await stranger.post(path, { name: 'Eve' }))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.match(await listed(laptop, 'signed in'), /Safari on iOS/)
  for (const id of [action.split('/')[2], 'A'.repeat(43), 'x'])
    assert.equal((await stranger.get(`/devices/${id}`)).status, 404)
  const anonymous = await new Browser(server.url).post(action, {})
  assert.equal(anonymous.headers.get('location'), '/login')
})

test('what a page calls a browser is no cookie of one', async () => {
  const { html } = await readPage(await laptop.get(await phonePage()))
  const cookies = await laptop.jar.getCookies(server.url)
  const device = cookies.find(({ key }) => key === 'device')?.value.split('~')[0] as string
  assert.equal(html.includes(device), false)
  const [, id] = /\/devices\/([\w-]{43})\/removal/.exec(html) ?? []
  const before = (await queuedMails(server.services, 'unfamiliar-sign-in')).length
  await new Browser(server.url).post('/login', { login: 'ada', password: ada.password }, { cookie: `device=${id}` })
  assert.equal((await queuedMails(server.services, 'unfamiliar-sign-in')).length, before + 1)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { createClock } from '../testing/portal/clock.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const clock = createClock()
let server: TestServer

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
})
after(() => server.close())

const noticeAt = async (browser: Browser, path: string) => (await readPage(await browser.get(path))).notice

test('a message is shown once: a reload does not show it again', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const response = await browser.post('/sessions/revocation', {})
  assert.equal(response.headers.get('location'), '/sessions')
  assert.equal(await noticeAt(browser, '/sessions'), 'You are signed out everywhere else.')
  assert.equal(await noticeAt(browser, '/sessions'), null)
})

test('a browser that has just been signed out is told, and keeps no cookie of it', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  await browser.post('/logout', {})
  assert.equal(await noticeAt(browser, '/login'), 'You are signed out.')
  assert.equal(await noticeAt(browser, '/login'), null)
  const kept = (await browser.jar.getCookies(server.url)).map(({ key }) => key)
  assert.deepEqual(kept, ['device'])
})

test('the cookie of a message is kept from scripts and from requests of other sites', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const [line] = (await browser.post('/sessions/revocation', {})).headers.getSetCookie()
  assert.match(line ?? '', /^notice=others-ended\.\d+\.[^;]+; Path=\/; HttpOnly; SameSite=Lax$/)
})

test('a message that was not shown within a minute is not shown any more', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  await browser.post('/sessions/revocation', {})
  clock.advance(60)
  assert.equal(await noticeAt(browser, '/sessions'), null)
})

test('no link makes a page say something, and no made-up cookie does', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const [line = ''] = (await browser.post('/sessions/revocation', {})).headers.getSetCookie()
  const value = decodeURIComponent(line.split(';', 1)[0]?.slice('notice='.length) ?? '')
  const stranger = new Browser(server.url)
  for (const forged of [
    'password-reset',
    `password-reset.${clock().getTime()}`,
    value.replace('others-ended', 'password-reset'),
    value.replace(/\.\d+\./, `.${clock().getTime() + 1_000_000}.`),
    '__proto__.1.x',
    '',
    '%',
  ]) {
    const cookie = `notice=${encodeURIComponent(forged)}`
    assert.equal((await readPage(await stranger.get('/login', { cookie }))).notice, null, forged)
  }
  for (const path of ['/login?notice=password-reset', '/login?notice=signed-out']) {
    assert.equal(await noticeAt(stranger, path), null)
  }
  await browser.get('/sessions')
  for (const page of ['/settings', '/dashboard', '/sessions', '/verify-email']) {
    assert.equal(await noticeAt(browser, `${page}?notice=password-changed`), null)
  }
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../../testing/browser/browser.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const clock = createClock()
/** A page that wants a fresh sign-in. */
const PAGE = '/settings/export'
let server: TestServer

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
})
after(() => server.close())

async function staleBrowser(): Promise<Browser> {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  clock.advance(server.services.lifetimes.freshSignIn + 1)
  return browser
}

test('a user who has just signed in is not asked again', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  assert.equal((await browser.get(PAGE)).status, 200)
})

test('a user who signed in a while ago signs in again, and comes back to the page', async () => {
  const browser = await staleBrowser()
  const before = (await browser.jar.getCookies(server.url)).find(({ key }) => key === 'identity')?.value
  const asked = await browser.get(PAGE)
  assert.equal(asked.headers.get('location'), `/reauthentication?return_to=${encodeURIComponent(PAGE)}`)
  const page = await readPage((await browser.follow(asked)).response)
  assert.equal(page.heading, 'Confirm that it is you')
  const form = page.forms.find(({ action }) => action === '/reauthentication')
  assert.equal(form?.fields['return_to'], PAGE)

  const answer = await browser.post('/reauthentication', { password: ada.password, return_to: PAGE })
  assert.deepEqual([answer.status, answer.headers.get('location')], [303, PAGE])
  assert.equal((await browser.get(PAGE)).status, 200)
  const cookie = (await browser.jar.getCookies(server.url)).find(({ key }) => key === 'identity')?.value
  assert.notEqual(cookie, before)
})

test('a wrong password is refused in words, signs no user out, and opens nothing', async () => {
  const browser = await staleBrowser()
  for (const password of ['wrong', grace.password]) {
    const response = await browser.post('/reauthentication', { password, return_to: PAGE })
    const page = await readPage(response)
    assert.deepEqual([page.status, page.problems], [401, ['That is not your password.']])
  }
  const activity = await readPage(await browser.get('/activity'))
  assert.match(activity.text, /A wrong password was entered when you were asked to confirm that it was you\./)
  assert.doesNotMatch(activity.text, /attempt/)
  assert.equal((await browser.get('/dashboard')).status, 200)
  assert.equal((await browser.get(PAGE)).status, 303)
})

test('an empty password is asked for, and is no attempt to sign in', async () => {
  const browser = await staleBrowser()
  const page = await readPage(await browser.post('/reauthentication', { password: '', return_to: PAGE }))
  assert.deepEqual([page.status, page.problems], [422, ['Enter your password.']])
  assert.equal(page.forms.find(({ action }) => action === '/reauthentication')?.fields['return_to'], PAGE)
  const { rows } = await server.services.storage.pool.query(
    "SELECT count(*)::int FROM audit_events WHERE kind IN ('sign_in_refused', 'confirmation_refused')",
  )
  await browser.post('/reauthentication', { password: '', return_to: PAGE })
  const after = await server.services.storage.pool.query(
    "SELECT count(*)::int FROM audit_events WHERE kind IN ('sign_in_refused', 'confirmation_refused')",
  )
  assert.deepEqual(after.rows, rows)
})

test('a form that was sent too late is not acted on, and its page is where the person comes back to', async () => {
  const browser = await staleBrowser()
  const response = await browser.post(PAGE, {})
  assert.equal(response.headers.get('location'), `/reauthentication?return_to=${encodeURIComponent(PAGE)}`)
  await browser.post('/reauthentication', { password: ada.password, return_to: PAGE })
  assert.equal((await browser.post(PAGE, {})).status, 200)
})

test('no open redirect: no other origin is accepted, and strangers are led to the sign-in', async () => {
  const browser = await staleBrowser()
  for (const elsewhere of ['https://evil.test/', '//evil.test', '/\\evil.test', '/oauth/token']) {
    const response = await browser.post('/reauthentication', { password: ada.password, return_to: elsewhere })
    assert.equal(response.headers.get('location'), '/settings')
  }
  const stranger = new Browser(server.url)
  assert.match((await stranger.get('/reauthentication')).headers.get('location') ?? '', /^\/login/)
  assert.match(
    (await stranger.post('/reauthentication', { password: ada.password })).headers.get('location') ?? '',
    /^\/login/,
  )
  assert.match((await stranger.get(PAGE)).headers.get('location') ?? '', /^\/login/)
})

test('guesses here count with those at the sign-in', async () => {
  const limited = await startTestServer({ env: { LOGIN_ATTEMPTS_BEFORE_DELAY: '2', LOGIN_DELAY_MIN: '300' } })
  try {
    await limited.addIdentity(ada)
    const browser = new Browser(limited.url)
    await browser.signIn(ada)
    const found: number[] = []
    for (let turn = 0; turn < 5; turn++)
      found.push((await browser.post('/reauthentication', { password: 'no' })).status)
    assert.deepEqual(found, [401, 401, 401, 429, 429])
    // In a browser that was known only that one waits, so the owner gets in from anywhere else.
    await new Browser(limited.url).signIn(ada)
  } finally {
    await limited.close()
  }
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { answerIn, tokensIn } from '../testing/portal/answers.ts'
import { deskApp, notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { linkInLast } from '../testing/mail/mails.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
let server: TestServer
let browser: Browser
let notes: Client
let desk: Client
let person: { username: string; email: string; password: string }
let count = 0

before(async () => {
  server = await startTestServer({ env: { EMAIL_VERIFICATION: 'required' } })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  desk = new Client(server.url, 'desk', await server.addApp('desk', deskApp), 'com.example.desk:/callback')
})
after(() => server.close())
beforeEach(async () => {
  const username = `unconfirmed${++count}`
  person = { username, email: `${username}@example.test`, password: ada.password }
  browser = new Browser(server.url)
  const password = { password: ada.password, password_confirmation: ada.password }
  assert.equal((await browser.post('/register', { username, email: person.email, ...password })).status, 303)
})

async function open(client = notes, change: Record<string, string> = {}): Promise<{ url: string; page: Page }> {
  const { url, response } = await browser.follow(await browser.get(client.authorizeUrl(change)))
  return { url, page: await readPage(response) }
}

/** In another browser, as people do. */
async function confirmElsewhere(): Promise<void> {
  const link = await linkInLast(server, 'verify-address')
  assert.equal((await new Browser(server.url).post(link, {})).status, 303)
}

test('a user whose e-mail address is not confirmed reads that it must be, confirms it elsewhere, and goes on', async () => {
  const { url, page } = await open()
  assert.equal(page.status, 200)
  assert.equal(page.heading, 'Confirm your e-mail address first')
  assert.match(page.text, new RegExp(`You can use Notes once.*${person.email}`))
  assert.match(page.html, /href="\/settings\/email"/)
  assert.equal((await readPage(await browser.get(url))).heading, 'Confirm your e-mail address first')

  await confirmElsewhere()
  const reached = await browser.follow(await browser.get(url))
  assert.ok(reached.url.startsWith(`${CALLBACK}?code=`), reached.url)
  const tokens = await tokensIn(await notes.exchange(new URL(reached.url).searchParams.get('code') as string))
  assert.ok(tokens.refresh_token)
  assert.equal((await browser.get(notes.authorizeUrl())).headers.get('content-length'), '0')
})

test('the link can be sent again from there, and leads back to where the person was going', async () => {
  const { url, page } = await open()
  const form = page.forms.find(({ action }) => action === '/verify-email')
  const { url: sentUrl, response } = await browser.follow(await browser.post('/verify-email', form?.fields ?? {}))
  const sent = await readPage(response)
  assert.equal(sent.notice, 'We have sent you an e-mail with a new link.')
  const here = new URL(url).pathname + new URL(url).search
  assert.equal(sent.forms[0]?.fields['return_to'], here)
  assert.equal((await new Browser(server.url).post(await linkInLast(server, 'verify-address'), {})).status, 303)
  const confirmed = await readPage(await browser.get(sentUrl))
  assert.equal(confirmed.heading, 'Your e-mail address is confirmed')
  assert.ok((await browser.follow(await browser.get(here))).url.startsWith(`${CALLBACK}?code=`))
})

test('a user who cancels brings the app access_denied', async () => {
  const { page } = await open()
  const { url } = await browser.follow(await browser.post(actionOf(page, 'Cancel'), {}))
  const told = new URL(url).searchParams
  assert.deepEqual([told.get('error'), told.get('iss'), told.has('code')], ['access_denied', server.url, false])
})

test('an app that asks silently is told that a page is needed', async () => {
  for (const url of [notes.authorizeUrl({ prompt: 'none' }), `${notes.authorizeUrl({ prompt: 'none' })}&unrelated=1`]) {
    const told = answerIn(await browser.get(url), CALLBACK)
    assert.equal(told['error'], 'interaction_required')
    assert.equal(told['code'], undefined)
  }
})

test('no way around: another sign-in, a confirmation that was not asked for, a pushed request', async () => {
  const { url, page } = await open()
  await browser.post(actionOf(page, 'Cancel').replace('cancellation', 'confirmation'), {})
  assert.equal((await readPage(await browser.get(url))).heading, 'Confirm your e-mail address first')

  const again = await open(notes, { prompt: 'login' })
  const form = again.page.forms[0]
  const fields = { ...form?.fields, login: person.username, password: person.password }
  const signedIn = await browser.follow(await browser.post('/login', fields))
  assert.equal((await readPage(signedIn.response)).heading, 'Confirm your e-mail address first')
  await confirmElsewhere()
  assert.ok((await browser.follow(await browser.get(signedIn.url))).url.startsWith(`${CALLBACK}?code=`))
})

test('a user on the way to an app on their device confirms the address, and then the app', async () => {
  const { url, page } = await open(desk)
  assert.equal(page.heading, 'Confirm your e-mail address first')
  await confirmElsewhere()
  const { response } = await browser.follow(await browser.get(url))
  const question = await readPage(response)
  const { url: reached } = await browser.follow(await browser.post(actionOf(question, 'Continue to Desk'), {}))
  assert.ok(reached.startsWith('com.example.desk:/callback?code='), reached)
})

test('a user who signs out while they are asked signs in again, and is asked again', async () => {
  const { url } = await open()
  await browser.post('/logout', {})
  const page = await readPage(await browser.get(url))
  assert.equal(page.heading, 'Sign in')
  const fields = { ...page.forms[0]?.fields, login: person.username, password: person.password }
  const { response } = await browser.follow(await browser.post('/login', fields))
  assert.equal((await readPage(response)).heading, 'Confirm your e-mail address first')
})

test('what is connected already goes on', async () => {
  await confirmElsewhere()
  const { refresh_token: refreshToken } = await notes.connect(browser)
  await server.services.storage.pool.query('UPDATE identities SET email_verified = false WHERE username = $1', [
    person.username,
  ])
  const { refresh_token: next } = await tokensIn(await notes.refresh(refreshToken))
  await tokensIn(await notes.refresh(next, { scope: 'openid' }))
  assert.equal((await open()).page.heading, 'Confirm your e-mail address first')
  assert.equal((await browser.get('/dashboard')).status, 200)
})

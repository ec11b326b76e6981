import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { answerIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const VERSION = '2026-12'
let server: TestServer
let notes: Client
let browser: Browser
let person: typeof ada
let id: string
let count = 0

before(async () => {
  server = await startTestServer({
    env: {
      TERMS_VERSION: VERSION,
      TERMS_URL: 'https://example.test/terms',
      PRIVACY_URL: 'https://example.test/privacy',
    },
  })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
})
after(() => server.close())
beforeEach(async () => {
  const username = `person${++count}`
  person = { ...ada, username, email: `${username}@example.test` }
  id = await server.addIdentity(person)
  browser = new Browser(server.url)
  await browser.post('/login', { login: person.username, password: person.password })
})

const { query } = { query: async (text: string) => server.services.storage.pool.query(text, [id]) }
const accepted = async () =>
  (await query('SELECT terms_version, terms_accepted_at FROM identities WHERE id = $1')).rows[0] as {
    terms_version: string | null
    terms_accepted_at: Date | null
  }
const accept = (version = VERSION, returnTo = '/dashboard') => browser.post('/terms', { version, return_to: returnTo })

test('a user who has not accepted the terms is asked on every page, accepts them, and goes on', async () => {
  const asked = await browser.get('/settings?x=1')
  assert.equal(asked.headers.get('location'), '/terms?return_to=%2Fsettings%3Fx%3D1')
  const page = await readPage(await browser.get('/terms?return_to=%2Fsettings%3Fx%3D1'))
  assert.equal(page.heading, 'Terms of use')
  assert.match(page.html, /<a href="https:\/\/example\.test\/terms">terms of use<\/a>/)
  assert.match(page.html, /<a href="https:\/\/example\.test\/privacy">privacy notice<\/a>/)
  const form = page.forms.find(({ action }) => action === '/terms')
  assert.equal(form?.fields['version'], VERSION)
  const done = await browser.post('/terms', form?.fields ?? {})
  assert.equal(done.headers.get('location'), '/settings?x=1')
  assert.equal((await browser.get('/settings')).status, 200)
  assert.equal((await browser.get('/terms')).headers.get('location'), '/dashboard')

  const row = await accepted()
  assert.equal(row.terms_version, VERSION)
  assert.ok(row.terms_accepted_at)
  const { rows } = await query(`SELECT detail FROM audit_events WHERE kind = 'terms_accepted' AND identity_id = $1`)
  assert.deepEqual(rows, [{ detail: VERSION }])
  assert.match(
    (await readPage(await browser.get('/activity'))).text,
    /You accepted the terms of use \(version 2026-12\)/,
  )
})

test('a form that is sent before the terms are accepted does nothing', async () => {
  const answer = await browser.post('/settings/language', { locale: 'en', zoneinfo: 'Europe/Rome' })
  assert.equal(answer.headers.get('location'), '/terms?return_to=%2Fsettings%2Flanguage')
  const { rows } = await query('SELECT zoneinfo FROM identities WHERE id = $1')
  assert.deepEqual(rows, [{ zoneinfo: null }])
})

test('an app is opened only once they are accepted, also silently', async () => {
  for (const more of ['', '&unrelated=1']) {
    const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' }) + more), CALLBACK)
    assert.deepEqual([told['error'], told['code']], ['interaction_required', undefined])
  }
  const { url, response } = await browser.follow(await browser.get(notes.authorizeUrl()))
  assert.equal(new URL(url).pathname, '/terms')
  const form = (await readPage(response)).forms.find(({ action }) => action === '/terms')
  const reached = await browser.follow(await browser.post('/terms', form?.fields ?? {}))
  assert.ok(reached.url.startsWith(`${CALLBACK}?code=`), reached.url)
  assert.ok(
    (await tokensIn(await notes.exchange(new URL(reached.url).searchParams.get('code') as string))).refresh_token,
  )
  // By the fast path, which has no words in its body.
  assert.equal((await browser.get(notes.authorizeUrl({ prompt: 'none' }))).headers.get('content-length'), '0')
})

test('no way around: a confirmation that was not asked for, and another sign-in', async () => {
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl()))
  const interaction = new URL(url).searchParams.get('return_to') as string
  const [path, search] = interaction.split('?')
  for (const act of ['confirmation', 'account', 'introduction'])
    assert.equal((await browser.post(`${path}/${act}?${search}`, {})).status, 400)
  const again = await browser.follow(await browser.get(notes.authorizeUrl({ prompt: 'login' })))
  const form = (await readPage(again.response)).forms.find(({ action }) => action === '/login')
  const fields = { ...form?.fields, login: person.username, password: person.password }
  const signedIn = await browser.follow(await browser.post('/login', fields))
  assert.equal(new URL(signedIn.url).pathname, '/terms')
})

test('a new version is asked about again, and connected apps stay connected meanwhile', async () => {
  await accept()
  const { refresh_token } = await notes.connect(browser)
  await query(`UPDATE identities SET terms_version = 'of last year' WHERE id = $1`)
  assert.equal((await browser.get('/dashboard')).headers.get('location'), '/terms?return_to=%2Fdashboard')
  assert.match((await readPage(await browser.get('/terms'))).text, /The terms of use of Gatehouse have changed/)
  assert.equal((await notes.refresh(refresh_token)).status, 200)
  const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  assert.equal(told['error'], 'interaction_required')
})

for (const version of ['2025-01', '', 'x']) {
  test(`a form of the version ${JSON.stringify(version)} accepts nothing`, async () => {
    assert.equal((await accept(version)).headers.get('location'), '/dashboard')
    assert.equal((await accepted()).terms_version, null)
    assert.equal((await browser.get('/dashboard')).headers.get('location'), '/terms?return_to=%2Fdashboard')
  })
}

test('declining signs out; taking the data and deleting the account need no acceptance', async () => {
  for (const path of ['/settings/export', '/settings/deletion']) assert.equal((await browser.get(path)).status, 200)
  const page = await readPage(await browser.get('/terms'))
  assert.ok(page.forms.some(({ action }) => action === '/logout'))
  await browser.post('/logout', {})
  assert.equal((await browser.get('/terms')).headers.get('location')?.startsWith('/login'), true)
  assert.equal((await accepted()).terms_version, null)
})

test('the acceptance is in the export', async () => {
  await accept()
  const data = JSON.parse(await (await browser.post('/settings/export', {})).text())
  assert.equal(data.profile.terms_version, VERSION)
  assert.ok(data.profile.terms_accepted_at)
})

test('registration needs a tick, and keeps the rest of the form', async () => {
  const stranger = new Browser(server.url)
  const username = `newcomer${count}`
  const fields = {
    username,
    email: `${username}@example.test`,
    password: ada.password,
    password_confirmation: ada.password,
  }
  const form = (await readPage(await stranger.get('/register'))).html
  assert.match(form, /<input id="terms" name="terms" type="checkbox" value="2026-12" required>/)
  for (const terms of [undefined, '', 'yes', '2025-01']) {
    const refused = await stranger.post('/register', { ...fields, ...(terms === undefined ? {} : { terms }) })
    assert.equal(refused.status, 422)
    const { html, text } = await readPage(refused)
    assert.match(text, /Accept the terms of use to create an account\./)
    assert.match(html, new RegExp(`value="${username}"`))
    assert.match(html, /<a href="#terms">/)
    // The other fields are right.
    assert.doesNotMatch(text, /Use at least|not the same/)
  }
  const done = await stranger.post('/register', { ...fields, terms: VERSION })
  assert.equal(done.status, 303)
  assert.equal((await stranger.get('/dashboard')).status, 200)
})

test('without a version, terms are a link only', async () => {
  const plain = await startTestServer({ env: { TERMS_URL: 'https://example.test/terms' } })
  try {
    await plain.addIdentity(ada)
    const visitor = new Browser(plain.url)
    await visitor.signIn(ada)
    assert.equal((await visitor.get('/dashboard')).status, 200)
    assert.equal((await visitor.get('/terms')).headers.get('location'), '/dashboard')
    assert.doesNotMatch(await (await new Browser(plain.url).get('/register')).text(), /name="terms"/)
  } finally {
    await plain.close()
  }
})

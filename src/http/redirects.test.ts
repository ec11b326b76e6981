import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { makeMailLink } from '../domain/identities/mail-links.ts'
import { transaction } from '../storage/postgres.ts'
import { Browser } from '../testing/browser/browser.ts'
import { readPage } from '../testing/browser/page.ts'
import { createClock } from '../testing/portal/clock.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

/** Every redirect without a flash message, and why it needs none. */
const SILENT: Record<string, string[]> = {
  'cookie-check.ts': ['the browser keeps cookies, and the sign-in goes on'],
  'admin/guard.ts': ['the page says why it asks for the password again'],
  'admin/new-apps.ts': ['the page asks what the app is'],
  'admin/snippets.ts': ['a line of an app, which the page shows', 'a line of an app, which the page shows'],
  'middleware/identity.ts': [
    'the page asks a stranger to sign in, and leads back',
    'the page says why it asks for the password again',
    'the page says why it asks for the terms of use',
  ],
  'pages/deletions.ts': ['the other of two requests at once has the page that says so'],
  'pages/device-requests.ts': [
    'the question about the device follows, or what else is missing',
    'the page says why it asks for the password again',
  ],
  'pages/account-links.ts': [
    'the page asks for the proof that is missing',
    'the account is linked, and a message says so, or the page asks for the proof that is missing',
    'the user has declined, and goes where the sign-in leads',
  ],
  'pages/devices.ts': ['the page of the sign-in says more about that browser'],
  'pages/email-verifications.ts': ['the page asks for no confirmation any more'],
  'pages/interactions.ts': [
    'nothing is missing, and the app has the word',
    'the request is made again for a signed-in user, and the app has the word',
    'nothing is missing any more, and the app has the word',
    'the page of the interaction says what is missing instead',
    'the page says what comes next',
    'the app has the word',
    'the app has the word, or the next page of the interaction',
  ],
  'pages/languages.ts': ['the page is in the language that was chosen'],
  'pages/mail-sign-ins.ts': ['the page asks for the second step', 'the page that the user was going to opens'],
  'pages/passkey-offers.ts': ['the page that the user was going to opens'],
  'pages/reauthentications.ts': ['the page that asked for it opens'],
  'pages/recovery-codes.ts': ['the page says that there is no second factor', 'the page says that there is none'],
  'pages/registrations.ts': ['the user is signed in, and a message says that there was an account'],
  'pages/second-steps.ts': ['the page that the user was going to opens'],
  'pages/sessions.ts': [
    'the signed-in user reads their apps',
    'the page that the user was going to opens, or asks for the second step',
    'the page that the user was going to opens',
  ],
  'pages/upstream-sign-ins.ts': [
    'the page says that no account is linked, and what to do',
    'the second step is missing',
    'the user is signed in, as with the form',
    'the second step is missing',
    'the user has proved who they are, as with the form',
  ],
  'pages/well-known.ts': ['the page that a password manager asked for opens'],
  'pages/terms.ts': ['nothing is owed', 'the page that the user was going to opens'],
  'routes.ts': ['the front door'],
  'upstream.ts': ['the provider has the word'],
}

test('a redirect says what has happened, unless there is a reason why it need not', () => {
  const silent = globSync(['**/*.ts'], { cwd: import.meta.dirname })
    .filter((file) => !/\.test\.ts$|^flash-messages\.ts$/.test(file))
    .map((file) => [file, readFileSync(`${import.meta.dirname}/${file}`, 'utf8').split('res.redirect(').length - 1])
    .filter(([, count]) => count !== 0)
  const listed = Object.entries(SILENT).map(([file, reasons]) => [file, reasons.length])
  assert.deepEqual(silent.toSorted(), listed.toSorted())
})

const clock = createClock()
let server: TestServer
let browser: Browser
let person: typeof ada
let people = 0

before(async () => {
  server = await startTestServer({ clock, env: { REGISTRATIONS_PER_HOUR: '1000' } })
})
after(() => server.close())
beforeEach(async () => {
  person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
  await server.addIdentity(person)
  browser = new Browser(server.url)
})

/** What the page says that a response leads to, and where it is. */
async function noticeAfter(response: Response): Promise<[path: string, notice: string | null]> {
  const { url, response: last } = await browser.follow(response)
  const { pathname } = new URL(url)
  return [pathname, (await readPage(last)).notice]
}

/** Ends the sign-in of this browser, from another browser of its user. */
async function endSignIn(): Promise<void> {
  const other = new Browser(server.url)
  await other.signIn(person)
  await other.post('/sessions/revocation', {})
}

test('who has registered reads that the account is ready', async () => {
  const { password } = ada
  const fields = { username: 'newcomer', email: 'newcomer@example.test', password, password_confirmation: password }
  const response = await browser.post('/register', fields)
  assert.deepEqual(await noticeAfter(response), ['/dashboard', 'Your account is ready.'])
  assert.deepEqual(await noticeAfter(await browser.get('/register')), [
    '/dashboard',
    'You are signed in already. To create another account, sign out first.',
  ])
})

test('who keeps a deleted account reads so', async () => {
  await browser.signIn(person)
  await browser.post('/settings/deletion', { username: person.username })
  const asked = await browser.post('/login', { login: person.username, password: person.password })
  assert.equal(asked.headers.get('location'), '/account-restoration?return_to=%2Fdashboard')
  const kept = await browser.post('/account-restoration', { return_to: '/activity' })
  assert.deepEqual(await noticeAfter(kept), [
    '/activity',
    'Your account is kept. Sign in again in your other browsers and your apps.',
  ])
})

test('who signs in with a recovery code reads how many are left', async () => {
  await browser.signIn(person)
  const { codes } = await addTotp(browser, clock())
  const said: (string | null)[] = []
  for (const code of codes) {
    browser = new Browser(server.url)
    await browser.post('/login', { login: person.username, password: person.password })
    const [, notice] = await noticeAfter(await browser.post('/login/second-factor', { code }))
    said.push(notice)
  }
  assert.deepEqual(
    [said[0], said[8], said[9]],
    [
      'You used a recovery code. You have 9 left.',
      'You used a recovery code. You have one left: make new ones in your settings.',
      'That was your last recovery code. Make new ones in your settings.',
    ],
  )
})

test('a browser whose sign-in has ended is told so, and one that never signed in is not', async () => {
  assert.deepEqual(await noticeAfter(await browser.get('/settings')), ['/login', null])
  await browser.signIn(person)
  await endSignIn()
  assert.deepEqual(await noticeAfter(await browser.get('/settings')), [
    '/login',
    'You are not signed in here any more. Sign in to continue.',
  ])
})

for (const [what, act] of [
  ['a sign-in that waited too long for its second step', () => browser.get('/login/second-factor')],
  ['a code that comes too late', () => browser.post('/login/second-factor', { code: '123456' })],
  ['an account that is kept too late', () => browser.post('/account-restoration', {})],
  ['the page of such an account', () => browser.get('/account-restoration')],
] as const) {
  test(`${what} starts again, and says why`, async () => {
    assert.deepEqual(await noticeAfter(await act()), ['/login', 'That took too long. Sign in again from the start.'])
  })
}

test('a link that was cut off and a sign-out of no sign-in say what they lead to', async () => {
  assert.deepEqual(await noticeAfter(await browser.get('/reset-password')), [
    '/forgot-password',
    'The link was not complete. You can have a new one sent.',
  ])
  assert.deepEqual(await noticeAfter(await browser.get('/logout')), [
    '/login',
    'You are not signed in, so there is nothing to sign out of.',
  ])
})

test('who reports a sign-in reads that everything is signed out, on the page of the new password', async () => {
  await browser.signIn(person)
  const { pool } = server.services.storage
  const { rows } = await pool.query<{ id: string; identityId: string }>(
    'SELECT s.id, i.id AS "identityId" FROM identity_sessions s JOIN identities i ON i.id = s.identity_id WHERE i.email = $1',
    [person.email],
  )
  const { id: identitySessionId, identityId } = rows[0]!
  const holder = { identityId, email: person.email, identitySessionId }
  const token = await transaction(pool, (db) => makeMailLink(server.services, db, 'disown-sign-in', holder))
  const [path, notice] = await noticeAfter(await browser.post(`/not-me/${token}`, {}))
  assert.match(path, /^\/reset-password\//)
  assert.equal(notice, 'Every browser and every app was signed out. Now choose a new password.')
})

test('the fields of a form that was sent too late are there again after the sign-in, but no password', async () => {
  await browser.signIn(person)
  await endSignIn()
  const fields = { email: 'new@example.test', password: 'a canary in the mine' }
  const sent = await browser.post('/settings/email', fields, { referer: `${server.url}/settings/email` })
  const lines = sent.headers.getSetCookie()
  assert.match(
    lines.join('\n'),
    /^kept-form=[^;]+; Max-Age=600; Path=\/settings\/email; Expires=[^;]+; HttpOnly; SameSite=Lax$/m,
  )
  assert.doesNotMatch(Buffer.from(lines.join().split('=')[1] ?? '', 'base64url').toString(), /canary/)
  const { response } = await browser.follow(sent)
  const page = await readPage(response)
  assert.equal(page.notice, 'You had been signed out, so nothing was changed. Sign in to go back to the form.')
  const back = page.forms[0]?.fields['return_to']
  assert.equal(back, '/settings/email')

  await browser.post('/login', { login: person.username, password: person.password, return_to: back })
  const form = async () =>
    (await readPage(await browser.get('/settings/email'))).forms.find(({ action }) => action === '/settings/email')
  assert.equal((await form())?.fields['email'], 'new@example.test')
  assert.equal((await form())?.fields['email'], '')
})

test('a form that needs a fresh sign-in keeps its fields, too, for ten minutes', async () => {
  for (const [waited, expected] of [
    [599, 'new@example.test'],
    [600, ''],
  ] as const) {
    browser = new Browser(server.url)
    await browser.signIn(person)
    clock.advance(server.services.lifetimes.freshSignIn + 1)
    const sent = await browser.post('/settings/email', { email: 'new@example.test' })
    assert.equal(sent.headers.get('location'), '/reauthentication?return_to=%2Fsettings%2Femail')
    clock.advance(waited)
    await browser.post('/reauthentication', { password: person.password, return_to: '/settings/email' })
    const page = await readPage(await browser.get('/settings/email'))
    assert.equal(page.forms.find(({ action }) => action === '/settings/email')?.fields['email'], expected)
  }
})

test('no page shows fields that another page kept, or that were made up', async () => {
  await browser.signIn(person)
  await endSignIn()
  const [line = ''] = (await browser.post('/settings/email', { email: 'new@example.test' })).headers.getSetCookie()
  const cookie = line.split(';', 1)[0] as string
  await browser.signIn(person)
  const own = await browser.jar.getCookieString(`${server.url}/dashboard`)
  for (const forged of [cookie.replace('=ey', '=ez'), 'kept-form=x', `${cookie.split('.')[0]}.x`, 'kept-form=%']) {
    const page = await readPage(await new Browser(server.url).get('/settings/email', { cookie: `${own}; ${forged}` }))
    assert.equal(page.status, 200, page.text)
    assert.doesNotMatch(page.html, /new@example\.test/)
  }
  for (const path of [
    '/settings/second-factors/totp/a;b',
    '/settings/%0d%0a',
    '/settings/second-factors/x/y/removal',
  ]) {
    assert.ok((await new Browser(server.url).post(path, { email: 'new@example.test' })).status < 500, path)
  }
})

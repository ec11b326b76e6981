import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { Authenticator } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, claimsOf } from '../../testing/browser/client.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { addPasskey, addTotp, answerTo, optionsOn } from '../../testing/portal/factors.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let clock: TestClock
let notes: Client
let home: Browser
let person: typeof ada
let people = 0

before(async () => {
  clock = createClock(new Date('2026-11-21T12:00:00Z'))
  server = await startTestServer({ clock, env: { LOGIN_ATTEMPTS_BEFORE_DELAY: '5', LOGIN_DELAY_MIN: '600' } })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
})
beforeEach(async () => {
  people++
  person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
  await server.addIdentity(person)
  home = new Browser(server.url)
  await home.signIn(person)
})
after(async () => {
  await server.close()
})

/** The password is right, and the second factor has yet to come. */
async function halfway(browser = new Browser(server.url), returnTo?: string): Promise<Browser> {
  const fields = { login: person.username, password: person.password, ...(returnTo ? { return_to: returnTo } : {}) }
  const response = await browser.post('/login', fields)
  assert.match(response.headers.get('location') ?? '', /^\/login\/second-factor(\?|$)/)
  return browser
}

async function sessionId(browser: Browser): Promise<string> {
  const cookies = await browser.jar.getCookies(server.url)
  return cookies.find(({ key }) => key === 'identity')?.value ?? ''
}

async function amrOf(browser: Browser): Promise<unknown> {
  const tokens = await notes.connect(browser, {
    claims: JSON.stringify({ id_token: { amr: null, acr: null, auth_time: null } }),
  })
  return claimsOf(tokens.id_token)['amr']
}

test('the password and a code of the app sign in, and lead where the person was going', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const browser = await halfway(new Browser(server.url), '/activity')
  const page = await readPage(await browser.get('/login/second-factor?return_to=/activity'))
  assert.equal(page.heading, 'Two-step verification')
  assert.match(page.text, new RegExp(`Enter your code to finish signing in. Account: ${person.username}`))
  assert.match(page.html, /<input id="code"[^>]* inputmode="numeric" autocomplete="one-time-code"/)
  const response = await browser.post('/login/second-factor', { code: codeOf(key, clock()), return_to: '/activity' })
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), '/activity')
  assert.equal((await browser.get('/activity')).status, 200)
  assert.deepEqual(await amrOf(browser), ['pwd', 'otp', 'mfa'])
})

test('halfway through, the user is not signed in anywhere, and the app gets nothing', async () => {
  await addTotp(home, clock())
  const browser = await halfway()
  for (const path of ['/dashboard', '/sessions', '/activity', '/settings', '/settings/second-factors']) {
    const response = await browser.get(path)
    assert.equal(response.status, 303, path)
    assert.match(response.headers.get('location') ?? '', /^\/login\?/, path)
  }
  const silent = await browser.get(notes.authorizeUrl({ prompt: 'none' }))
  assert.match(silent.headers.get('location') ?? '', /error=login_required/)
  const { response } = await browser.follow(await browser.get(notes.authorizeUrl()))
  assert.equal((await readPage(response)).heading, 'Sign in')
  assert.equal((await browser.post('/sessions/revocation', {})).headers.get('location'), '/login')
})

test('a half-finished sign-in is over after ten minutes', async () => {
  const { key } = await addTotp(home, clock())
  const browser = await halfway()
  clock.advance(600)
  const response = await browser.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.equal(response.headers.get('location'), '/login')
  assert.equal((await browser.get('/dashboard')).status, 303)
})

test('each step of a sign-in has a session id of its own, and the old ones are worth nothing', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const browser = await halfway()
  const before = await browser.copy()
  await browser.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.notEqual(await sessionId(browser), await sessionId(before))
  assert.equal((await browser.get('/dashboard')).status, 200)
  assert.equal((await before.get('/dashboard')).status, 303)
  assert.equal((await before.get('/login/second-factor')).headers.get('location'), '/login')
})

test('a code is good for one sign-in, also when two browsers present it at once', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const browsers = await Promise.all([1, 2, 3, 4].map(async () => halfway()))
  const code = codeOf(key, clock())
  const responses = await Promise.all(browsers.map(async (browser) => browser.post('/login/second-factor', { code })))
  assert.deepEqual(responses.map(({ status }) => status).toSorted(), [303, 401, 401, 401])
})

test('a wrong code is refused in words, and the next one is asked for', async () => {
  await addTotp(home, clock())
  const browser = await halfway()
  const page = await readPage(await browser.post('/login/second-factor', { code: '000000' }))
  assert.equal(page.status, 401)
  assert.deepEqual(page.problems, [
    'That code is not right, or it was used before. Wait for the next one and try again.',
  ])
  assert.equal((await browser.get('/login/second-factor')).status, 200)
})

test('a wrong recovery code is not told to wait for the next one', async () => {
  await addTotp(home, clock())
  const browser = await halfway()
  for (const code of ['abcd-efgh-jkmn-pqrs', '0123 4567 8901 2345']) {
    const page = await readPage(await browser.post('/login/second-factor', { code }))
    assert.deepEqual(page.problems, [
      'That recovery code is not right, or it was used before. Check how it is written, or use another one.',
    ])
  }
})

test('a code in Arabic-Indic digits, with what came along when it was copied, is the code', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const browser = await halfway()
  const digits = codeOf(key, clock()).replaceAll(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit)))
  const code = `\u{200b}${digits.slice(0, 3)}\u{a0}-${digits.slice(3)}\t`
  assert.equal((await browser.post('/login/second-factor', { code })).status, 303)
})

test('an empty code is asked for, and is no guess; who has to wait keeps the form and the app', async () => {
  await addTotp(home, clock())
  const app = new URL(notes.authorizeUrl())
  const returnTo = app.pathname + app.search
  const browser = await halfway(new Browser(server.url), returnTo)
  for (let turn = 0; turn < 8; turn++) {
    const page = await readPage(await browser.post('/login/second-factor', { code: ' ', return_to: returnTo }))
    assert.deepEqual([page.status, page.problems], [422, ['Enter the code.']])
  }
  const statuses = []
  for (let turn = 0; turn < 7; turn++)
    statuses.push((await browser.post('/login/second-factor', { code: '000000', return_to: returnTo })).status)
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429])
  const held = await browser.post('/login/second-factor', { code: '000000', return_to: returnTo })
  assert.ok(Number(held.headers.get('retry-after')) > 500)
  const page = await readPage(held)
  assert.match(page.text, /to continue to Notes ?Too many attempts ?There were/)
  assert.deepEqual(page.forms[0]?.fields, { return_to: returnTo, code: '', trust_browser: 'yes' })
})

test('a client that guesses codes has to wait, and the person still gets in from a browser of theirs', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const thief = await halfway()
  for (let count = 0; count < 6; count++) {
    assert.equal((await thief.post('/login/second-factor', { code: '000000' })).status, 401)
  }
  const held = await thief.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.equal(held.status, 429)
  assert.ok(Number(held.headers.get('retry-after')) > 0)
  // Giving the right password again does not start the count anew.
  assert.equal((await (await halfway()).post('/login/second-factor', { code: codeOf(key, clock()) })).status, 429)

  await home.post('/logout', {})
  await halfway(home)
  assert.equal((await home.post('/login/second-factor', { code: codeOf(key, clock()) })).status, 303)
})

test('a sign-in that waits for its second factor is over once the password is another', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const thief = await halfway()
  const password = 'a password that is used only here'
  const change = { current_password: person.password, password, password_confirmation: password }
  assert.equal((await home.post('/settings/password', change)).status, 303)
  assert.equal((await thief.post('/login/second-factor', { code: codeOf(key, clock()) })).status, 401)
  assert.equal((await thief.get('/dashboard')).status, 303)
})

test('a recovery code signs in once, with the password', async () => {
  const { codes } = await addTotp(home, clock())
  assert.equal(codes.length, 10)
  const code = codes[0] as string
  const browser = await halfway()
  assert.equal((await browser.post('/login/second-factor', { code })).status, 303)
  assert.equal((await (await halfway()).post('/login/second-factor', { code })).status, 401)
  assert.deepEqual(await amrOf(browser), ['pwd', 'otp', 'mfa'])
})

test('a recovery code has a form of its own, and the next page says how many are left', async () => {
  const { key, codes } = await addTotp(home, clock())
  clock.advance(60)
  const browser = await halfway()
  const empty = await readPage(await browser.post('/login/second-factor', { recovery_code: ' ' }))
  assert.deepEqual([empty.status, empty.problems], [422, ['Enter a recovery code.']])
  // The code of an app is none, and is not used up by it.
  const wrong = await readPage(await browser.post('/login/second-factor', { recovery_code: codeOf(key, clock()) }))
  assert.match(wrong.problems[0] ?? '', /^That recovery code is not right/)
  assert.match(wrong.html, /<a id="problem" href="#recovery_code">/)
  assert.match(wrong.html, /<details class="aside-details" open>\s*<summary>Use a recovery code instead/)
  const fields = { recovery_code: codes[0] as string }
  assert.equal((await browser.post('/login/second-factor', fields)).headers.get('location'), '/dashboard')
  assert.equal((await readPage(await browser.get('/dashboard'))).notice, 'You used a recovery code. You have 9 left.')
  for (const recovery_code of codes.slice(1, 9))
    assert.equal((await (await halfway()).post('/login/second-factor', { recovery_code })).status, 303)
  const last = await halfway()
  await last.post('/login/second-factor', { recovery_code: codes[9] as string })
  assert.match(
    (await readPage(await last.get('/dashboard'))).notice ?? '',
    /^That was your last recovery code\. Make new ones/,
  )
})

test('a user who has lost the device reads what to do', async () => {
  await addTotp(home, clock())
  const { text } = await readPage(await (await halfway()).get('/login/second-factor'))
  assert.match(text, /I have lost my device Use one of your recovery codes\./)
})

test('a passkey is offered to confirm with only to users who have one that works alone', async () => {
  const offer = async () => (await readPage(await home.get('/reauthentication'))).forms.map(({ action }) => action)
  assert.equal((await offer()).includes('/login/passkey'), false)
  await addTotp(home, clock())
  await addPasskey(home, new Authenticator(server.url), { discoverable: false })
  assert.equal((await offer()).includes('/login/passkey'), false)
  await addPasskey(home, new Authenticator(server.url))
  assert.equal((await offer()).includes('/login/passkey'), true)
})

test('a passkey is a second step', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const browser = await halfway()
  const page = await readPage(await browser.get('/login/second-factor'))
  const credential = answerTo(page, device, { userVerified: false })
  assert.equal((await browser.post('/login/second-factor', { credential })).status, 303)
  assert.deepEqual(await amrOf(browser), ['pwd', 'hwk', 'user', 'mfa'])
})

test('a passkey is the only step on the sign-in page, with user verification', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const browser = new Browser(server.url)
  const page = await readPage(await browser.get('/login?return_to=/activity'))
  const refused = await browser.post('/login/passkey', { credential: answerTo(page, device, { userVerified: false }) })
  assert.equal(refused.status, 401)
  assert.deepEqual((await readPage(refused)).problems, [
    'That passkey was not accepted. Try again, or use your password.',
  ])
  const again = await readPage(await browser.get('/login'))
  const credential = answerTo(again, device)
  const response = await browser.post('/login/passkey', { credential, return_to: '/activity' })
  assert.equal(response.headers.get('location'), '/activity')
  assert.deepEqual(await amrOf(browser), ['hwk', 'user', 'mfa'])
  assert.equal((await new Browser(server.url).post('/login/passkey', { credential })).status, 401)
})

test('a passkey also confirms that it is the same person, before what protects the account is changed', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  clock.advance(601)
  const asked = await home.get('/settings/second-factors')
  const page = await readPage(await home.get(asked.headers.get('location') ?? ''))
  assert.equal(page.heading, 'Confirm that it is you')
  const fields = { credential: answerTo(page, device), return_to: '/settings/second-factors' }
  assert.equal((await home.post('/login/passkey', fields)).headers.get('location'), '/settings/second-factors')
  assert.equal((await home.get('/settings/second-factors')).status, 200)
})

test('the passkey of a disabled user opens nothing', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  await server.services.storage.pool.query('UPDATE identities SET disabled_at = now() WHERE username = $1', [
    person.username,
  ])
  const browser = new Browser(server.url)
  const credential = answerTo(await readPage(await browser.get('/login')), device)
  assert.equal((await browser.post('/login/passkey', { credential })).status, 401)
})

test('strangers leave nothing behind by looking at the sign-in page, nor by answering it with nonsense', async () => {
  const count = async () => {
    const { rows } = await server.services.storage.pool.query<{ n: number }>(
      'SELECT (SELECT count(*) FROM handshakes)::int + (SELECT count(*) FROM browser_sessions)::int AS n',
    )
    return rows[0]?.n
  }
  const before = await count()
  for (let visit = 0; visit < 10; visit++) {
    const browser = new Browser(server.url)
    assert.deepEqual((await browser.get('/login')).headers.getSetCookie(), [])
    assert.equal((await browser.post('/login/passkey', { credential: '{}' })).status, 401)
  }
  assert.equal(await count(), before)
})

/** Refused second steps, by their reason. */
async function countRefusals(): Promise<Record<string, number>> {
  const { rows } = await server.services.storage.pool.query<{ cause: string; n: number }>(
    `SELECT cause, count(*)::int AS n FROM audit_events WHERE kind = 'second_factor_refused' GROUP BY cause`,
  )
  return Object.fromEntries(rows.map(({ cause, n }) => [cause, n]))
}

test('wrong answers of a passkey to a half-finished sign-in are counted like wrong codes, and leave as many rows', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const browser = await halfway()
  const before = await countRefusals()
  const statuses: number[] = []
  for (let turn = 0; turn < 12; turn++) {
    const page = await readPage(await browser.get('/login/second-factor'))
    const credential = turn % 2 === 0 ? '{}' : answerTo(page, device, { forged: true })
    statuses.push((await browser.post('/login/second-factor', { credential })).status)
  }
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, ...Array<number>(6).fill(429)])
  const { wrong_passkey: wrong = 0, throttled = 0 } = await countRefusals()
  assert.deepEqual([wrong - (before['wrong_passkey'] ?? 0), throttled - (before['throttled'] ?? 0)], [6, 6])
  const code = await browser.post('/login/second-factor', { code: '000000' })
  assert.equal(code.status, 429, 'codes share the count')
})

test('strangers who answer the sign-in page with passkeys of their own have to wait after a few', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const statuses: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    const stranger = new Browser(server.url)
    const page = await readPage(await stranger.get('/login?return_to=/activity'))
    const own = new Authenticator(server.url)
    own.create(optionsOn(await readPage(await home.get('/settings/second-factors/passkey/new'))))
    const credential = answerTo(page, own)
    const response = await stranger.post('/login/passkey', { credential, return_to: '/activity' })
    statuses.push(response.status)
    if (response.status !== 429) continue
    assert.ok(Number(response.headers.get('retry-after')) > 0)
    const form = (await readPage(response)).forms.find(({ action }) => action === '/login/passkey')
    assert.equal(form?.fields['return_to'], '/activity')
  }
  assert.deepEqual(statuses.slice(-2), [429, 429])
  // A known passkey is not throttled.
  const browser = new Browser(server.url)
  const credential = answerTo(await readPage(await browser.get('/login')), device)
  assert.equal((await browser.post('/login/passkey', { credential })).status, 303)
})

test('forged answers of a known passkey have to wait, and not its owner in a browser of theirs', async () => {
  const device = new Authenticator(server.url)
  await addPasskey(home, device)
  const statuses: number[] = []
  for (let turn = 0; turn < 8; turn++) {
    const stranger = new Browser(server.url)
    const page = await readPage(await stranger.get('/login'))
    statuses.push(
      (await stranger.post('/login/passkey', { credential: answerTo(page, device, { forged: true }) })).status,
    )
  }
  assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429, 429])
  await home.post('/logout', {})
  const credential = answerTo(await readPage(await home.get('/login')), device)
  assert.equal((await home.post('/login/passkey', { credential })).status, 303)
})

test('fields that are missing, repeated or odd are 400s', async () => {
  await addTotp(home, clock())
  const browser = await halfway()
  assert.equal((await browser.post('/login/second-factor', {})).status, 400)
  assert.equal((await browser.post('/login/second-factor', { code: 'x'.repeat(65) })).status, 400)
  assert.equal((await browser.post('/login/second-factor', { code: '12\u00003456' })).status, 400)
  assert.equal((await browser.post('/login/passkey', {})).status, 400)
  assert.equal((await browser.post('/login/passkey', { credential: 'x'.repeat(20_000) })).status, 400)
})

test('a browser without a password sign-in is asked for the password first', async () => {
  const stranger = new Browser(server.url)
  const response = await stranger.post('/login/second-factor', { code: '123456', return_to: '/activity' })
  assert.equal(response.headers.get('location'), '/login?return_to=%2Factivity')
})

test('the step is refused when another site asks for it', async () => {
  await addTotp(home, clock())
  const browser = await halfway()
  const foreign = { origin: 'https://evil.test' }
  assert.equal((await browser.post('/login/second-factor', { code: '000000' }, foreign)).status, 403)
  assert.equal((await browser.post('/login/passkey', { credential: '{}' }, foreign)).status, 403)
})

test('signing in again as another user in the same browser leaves nothing of the first', async () => {
  const { key } = await addTotp(home, clock())
  clock.advance(60)
  const other = { ...grace, username: `grace-${people}`, email: `grace-${people}@example.test` }
  await server.addIdentity(other)
  const browser = new Browser(server.url)
  await browser.signIn(other)
  await halfway(browser)
  // Until the second step they are still who they were.
  assert.match((await readPage(await browser.get('/settings'))).text, new RegExp(other.username))
  await browser.post('/login/second-factor', { code: codeOf(key, clock()) })
  assert.match((await readPage(await browser.get('/settings'))).text, new RegExp(person.username))
})

test('no code, key or passkey answer is in the log', async () => {
  const { key, codes } = await addTotp(home, clock())
  clock.advance(60)
  const code = codeOf(key, clock())
  await (await halfway()).post('/login/second-factor', { code })
  await (await halfway()).post('/login/second-factor', { code: codes[0] as string })
  const log = server.log()
  assert.match(log, /"signed_in"/)
  for (const secret of [key, key.replaceAll(' ', ''), ...codes, `"${code}"`]) assert.equal(log.includes(secret), false)
})

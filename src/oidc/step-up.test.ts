import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { answerIn, tokensIn } from '../testing/portal/answers.ts'
import { deskApp, notesApp } from '../testing/portal/apps.ts'
import { Authenticator } from '../testing/browser/authenticator.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock, type TestClock } from '../testing/portal/clock.ts'
import { addPasskey, addTotp, answerTo } from '../testing/portal/factors.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'

const CALLBACK = 'https://notes.example.test/callback'
const MFA = { acr_values: 'mfa' }
const ESSENTIAL = (acr: object) => ({ claims: JSON.stringify({ id_token: { acr: { essential: true, ...acr } } }) })

let server: TestServer
let clock: TestClock
let notes: Client
let desk: Client
let person: typeof ada
let people = 0
/** In which the person is signed in with the password alone. */
let browser: Browser

before(async () => {
  clock = createClock(new Date('2026-11-21T12:00:00Z'))
  server = await startTestServer({ clock })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  desk = new Client(server.url, 'desk', await server.addApp('desk', deskApp), 'http://127.0.0.1:7777/callback')
})
beforeEach(async () => {
  clock.advance(120)
  people++
  person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
  await server.addIdentity(person)
  browser = new Browser(server.url)
  await browser.signIn(person)
})
after(async () => {
  await server.close()
})

/** Adds an app in another browser, so that the sign-in in this one stays what it was. */
async function addFactorElsewhere(): Promise<{ key: string; codes: string[] }> {
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const added = await addTotp(elsewhere, clock())
  clock.advance(60)
  return added
}

async function ask(
  change: Record<string, string>,
  client = notes,
  who = browser,
): Promise<{ url: string; page: Page }> {
  const { url, response } = await who.follow(await who.get(client.authorizeUrl(change)))
  return { url, page: await readPage(response) }
}

/** Presses the button of the form on a page that asks for a code. */
async function sendCode(page: Page, code: string): Promise<Response> {
  const form = page.forms.find(({ fields }) => 'code' in fields) ?? assert.fail('no form for a code')
  return browser.post(form.action, { return_to: form.fields['return_to'] ?? '', code })
}

async function tokensFrom(response: Response): Promise<Tokens> {
  const { url } = await browser.follow(response)
  return tokensIn(await notes.exchange(new URL(url).searchParams.get('code') ?? ''))
}

for (const [what, change] of Object.entries({
  'in acr_values': MFA,
  'as an essential claim': ESSENTIAL({ value: 'mfa' }),
  'as one of several essential values': ESSENTIAL({ values: ['mfa', 'aal3'] }),
  'as a voluntary claim': { claims: JSON.stringify({ id_token: { acr: { value: 'mfa' } } }) },
})) {
  test(`an app that asks for two factors ${what} gets them from a user signed in with one`, async () => {
    const { key } = await addFactorElsewhere()
    const { page } = await ask(change)
    assert.equal(page.heading, 'Two-step verification')
    assert.match(page.text, new RegExp(`Notes asks for two-step verification. Account: ${person.username}`))
    const tokens = await tokensFrom(await sendCode(page, codeOf(key, clock())))
    assert.equal(claimsOf(tokens.id_token)['acr'], 'mfa')
    assert.equal(claimsOf(tokens.access_token)['acr'], 'mfa')
    assert.deepEqual(claimsOf(tokens.access_token)['amr'], ['pwd', 'otp', 'mfa'])
    assert.equal(claimsOf(tokens.access_token)['auth_time'], Math.floor(clock().getTime() / 1000))
  })
}

test('a refresh keeps how and when the person signed in, and introspection says it too', async () => {
  const { key } = await addFactorElsewhere()
  const tokens = await tokensFrom(await sendCode((await ask(MFA)).page, codeOf(key, clock())))
  const then = claimsOf(tokens.access_token)
  clock.advance(1000)
  const plain = await tokensIn(await notes.refresh(tokens.refresh_token))
  const byLibrary = await tokensIn(await notes.refresh(plain.refresh_token, { scope: 'openid profile' }))
  for (const { access_token: token } of [plain, byLibrary]) {
    for (const name of ['acr', 'amr', 'auth_time']) assert.deepEqual(claimsOf(token)[name], then[name], name)
  }
  const seen = await notes.introspect(byLibrary.access_token)
  assert.deepEqual([seen['acr'], seen['auth_time']], ['mfa', then['auth_time']])
})

test('the next app that asks for two factors gets its code without a page, and one that does not gets mfa, too', async () => {
  const { key } = await addFactorElsewhere()
  await tokensFrom(await sendCode((await ask(MFA)).page, codeOf(key, clock())))
  const silent = await tokensIn(await notes.exchange(await notes.code(browser, { ...MFA, prompt: 'none' })))
  assert.equal(claimsOf(silent.access_token)['acr'], 'mfa')
  assert.equal(claimsOf((await notes.connect(browser)).access_token)['acr'], 'mfa')
  const weaker = await tokensIn(await notes.exchange(await notes.code(browser, ESSENTIAL({ value: 'aal1' }))))
  assert.equal(typeof weaker.access_token, 'string')
})

test('stepping up is a new sign-in under a new id, and what was connected before goes on', async () => {
  const { key } = await addFactorElsewhere()
  const before = await notes.connect(browser)
  assert.equal(claimsOf(before.access_token)['acr'], 'aal1')
  const old = await browser.copy()
  await tokensFrom(await sendCode((await ask(MFA)).page, codeOf(key, clock())))
  assert.equal((await old.get('/dashboard')).status, 303)
  assert.equal((await browser.get('/dashboard')).status, 200)
  const refreshed = await tokensIn(await notes.refresh(before.refresh_token))
  // What the first sign-in proved is what this connection stands on.
  assert.equal(claimsOf(refreshed.access_token)['acr'], 'aal1')
})

test('a wrong code steps no user up, and the right one still does', async () => {
  const { key } = await addFactorElsewhere()
  const refused = await readPage(await sendCode((await ask(MFA)).page, '000000'))
  assert.equal(refused.status, 401)
  assert.equal(refused.problems.length, 1)
  assert.equal((await notes.connect(browser)).token_type, 'Bearer')
  const tokens = await tokensFrom(await sendCode(refused, codeOf(key, clock())))
  assert.equal(claimsOf(tokens.access_token)['acr'], 'mfa')
})

test('a passkey steps up, too', async () => {
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const device = new Authenticator(server.url)
  await addPasskey(elsewhere, device)
  const { page } = await ask(MFA)
  const form = page.forms.find(({ fields }) => 'credential' in fields) ?? assert.fail()
  const response = await browser.post(form.action, {
    credential: answerTo(page, device),
    return_to: form.fields['return_to'] ?? '',
  })
  assert.deepEqual(claimsOf((await tokensFrom(response)).access_token)['amr'], ['pwd', 'hwk', 'user', 'mfa'])
})

test('a stranger signs in with both on the way, without a page more', async () => {
  const { key } = await addFactorElsewhere()
  browser = new Browser(server.url)
  const { page } = await ask(MFA)
  assert.equal(page.heading, 'Sign in')
  const returnTo = page.forms[0]?.fields['return_to'] ?? ''
  const fields = { login: person.username, password: person.password, return_to: returnTo }
  const { response } = await browser.follow(await browser.post('/login', fields))
  const tokens = await tokensFrom(await sendCode(await readPage(response), codeOf(key, clock())))
  assert.equal(claimsOf(tokens.access_token)['acr'], 'mfa')
})

test('a user without a second factor is told so, sets one up and goes on to the app', async () => {
  const { page } = await ask(MFA)
  assert.equal(page.heading, 'Two-step verification is needed')
  const href = /href="(\/settings\/second-factors\?[^"]+)"/.exec(page.html)?.[1]?.replaceAll('&amp;', '&') ?? ''
  const list = await readPage(await browser.get(href))
  assert.match(list.notice ?? '', /^Notes asks for two-step verification/)
  const newHref = /href="(\/settings\/second-factors\/totp\/new\?[^"]+)"/.exec(list.html)?.[1] ?? ''
  const form = (await readPage(await browser.get(newHref.replaceAll('&amp;', '&')))).html
  const key = /<code class="key"[^>]*>([^<]+)</.exec(form)?.[1] ?? ''
  const returnTo = new URL(href, server.url).searchParams.get('return_to') ?? ''
  const fields = { name: 'Phone', code: codeOf(key, clock()), return_to: returnTo }
  const shown = await readPage(await browser.post('/settings/second-factors/totp', fields))
  assert.equal(shown.heading, 'Your recovery codes')
  assert.match(shown.text, /I have saved them, continue to Notes/)
  const tokens = await tokensFrom(await browser.get(returnTo))
  assert.equal(claimsOf(tokens.access_token)['acr'], 'mfa')
})

test('a user who cancels brings the app unmet_authentication_requirements, and no code', async () => {
  for (const hasFactor of [false, true]) {
    if (hasFactor) await addFactorElsewhere()
    const { page } = await ask(MFA)
    const response = await browser.post(actionOf(page, 'Cancel'), {})
    const { response: last } = await browser.follow(response)
    const answer = answerIn(last, CALLBACK)
    assert.equal(answer['error'], 'unmet_authentication_requirements')
    assert.equal(answer['state'], 'state')
    assert.equal(answer['code'], undefined)
  }
})

test('prompt=none tells the app that a page is needed, and shows none', async () => {
  await addFactorElsewhere()
  const answer = answerIn(await browser.get(notes.authorizeUrl({ ...MFA, prompt: 'none' })), CALLBACK)
  assert.equal(answer['error'], 'interaction_required')
})

test('what no user here can reach is left out when it is voluntary, and refused when it is essential', async () => {
  const code = await notes.code(browser, { acr_values: 'urn:example:platinum' })
  assert.equal(claimsOf((await tokensIn(await notes.exchange(code))).access_token)['acr'], 'aal1')
  for (const acr of [{ value: 'urn:example:platinum' }, { values: ['aal3'] }]) {
    const answer = answerIn(await browser.get(notes.authorizeUrl(ESSENTIAL(acr))), CALLBACK)
    assert.equal(answer['error'], 'unmet_authentication_requirements')
  }
  assert.equal((await ask({ acr_values: 'aal1' })).url.startsWith(CALLBACK), true)
  assert.equal((await ask({ acr_values: 'mfa aal1' })).url.startsWith(CALLBACK), true)
})

test('prompt=login and max_age=0 ask for the password as well, and then for the second factor', async () => {
  const { key } = await addFactorElsewhere()
  for (const change of [
    { ...MFA, prompt: 'login' },
    { ...MFA, max_age: '0' },
  ]) {
    clock.advance(60)
    const { page } = await ask(change)
    assert.equal(page.heading, 'Sign in')
    const returnTo = page.forms[0]?.fields['return_to'] ?? ''
    const fields = { login: person.username, password: person.password, return_to: returnTo }
    const { response } = await browser.follow(await browser.post('/login', fields))
    const tokens = await tokensFrom(await sendCode(await readPage(response), codeOf(key, clock())))
    const claims = claimsOf(tokens.access_token)
    assert.equal(claims['acr'], 'mfa')
    assert.equal(claims['auth_time'], Math.floor(clock().getTime() / 1000))
  }
})

test('an app on a device still asks for its confirmation after the step', async () => {
  const { key } = await addFactorElsewhere()
  const { page } = await ask(MFA, desk)
  const { response } = await browser.follow(await sendCode(page, codeOf(key, clock())))
  assert.equal((await readPage(response)).heading, 'Continue to Desk?')
})

test('the page of a step belongs to the browser that began it, and another site cannot answer it', async () => {
  const { key } = await addFactorElsewhere()
  const { page } = await ask(MFA)
  const action = page.forms.find(({ fields }) => 'code' in fields)?.action ?? ''
  const stranger = new Browser(server.url)
  const lost = await stranger.post(action, { code: codeOf(key, clock()) })
  assert.equal(lost.headers.get('location'), action.replace('/second-factor', ''))
  assert.equal(
    (await browser.post(action, { code: codeOf(key, clock()) }, { origin: 'https://evil.test' })).status,
    403,
  )
})

test('discovery names both classes', async () => {
  const metadata = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as object
  assert.deepEqual((metadata as { acr_values_supported: string[] }).acr_values_supported, ['aal1', 'mfa'])
})

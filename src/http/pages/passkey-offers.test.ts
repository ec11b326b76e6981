import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { PublicKeyCredentialCreationOptionsJSON } from '@simplewebauthn/server'
import { Authenticator, type Lies } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { type Page, readPage } from '../../testing/browser/page.ts'
import { lastMail } from '../../testing/mail/mails.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { addPasskey, addTotp, answerTo, optionsOn } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const DAY = 86_400
const OFFER = '/passkey-offer?return_to=%2Fdashboard'
const clock = createClock()
let server: TestServer
let notes: Client
let browser: Browser
let device: Authenticator
let person: typeof ada
let personId: string
let people = 0

before(async () => {
  server = await startTestServer({ clock, env: { MAIL_SIGN_IN: 'true' } })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())
beforeEach(async () => {
  const name = `ada-${++people}`
  person = { ...ada, username: name, email: `${name}@example.test` }
  personId = await server.addIdentity(person)
  browser = new Browser(server.url)
  device = new Authenticator(server.url)
})

/** Sends the sign-in form as its script leaves it on a device with passkeys. @returns where it leads */
async function signIn(from = browser, fields: Record<string, string> = {}): Promise<string | null> {
  const { username: login, password } = person
  const response = await from.post('/login', { login, password, device_has_passkeys: 'yes', ...fields })
  assert.equal(response.status, 303)
  return response.headers.get('location')
}

/** The options for a passkey without a question, on the page of the offer. */
function upgradeOptionsOn({ html }: Page): PublicKeyCredentialCreationOptionsJSON {
  return optionsOn({
    html: html.replaceAll('data-options', 'data-x').replaceAll('data-upgrade-options', 'data-options'),
  } as Page)
}

async function offered(from = browser, path = OFFER): Promise<Page> {
  const page = await readPage(await from.get(path))
  assert.equal(page.heading, 'Sign in faster with a passkey')
  return page
}

async function accept(page: Page, lies?: Lies, outcome = ''): Promise<Response> {
  const options =
    outcome === 'upgrade' ? upgradeOptionsOn(page) : optionsOn<PublicKeyCredentialCreationOptionsJSON>(page)
  const { return_to = '' } = page.forms[0]?.fields ?? {}
  return browser.post('/passkey-offer', { credential: device.create(options, lies), outcome, return_to })
}

test('after a sign-in with the password a passkey is offered, once in thirty days in each browser', async () => {
  assert.equal(await signIn(), OFFER)
  const page = await offered()
  assert.deepEqual(
    page.forms.slice(0, 2).map(({ action, buttons }) => [action, ...buttons]),
    [
      ['/passkey-offer', 'Create a passkey'],
      ['/passkey-offer/refusal', 'Don’t ask again'],
    ],
  )
  assert.match(page.html, /<a [^>]*href="\/dashboard">Not now<\/a>/)
  assert.equal(await signIn(), '/dashboard')
  assert.equal(await signIn(new Browser(server.url)), OFFER)
  clock.advance(30 * DAY - 1)
  assert.equal(await signIn(), '/dashboard')
  clock.advance(1)
  assert.equal(await signIn(), OFFER)
})

test('of sign-ins at the same moment in one browser one is led to the offer', async () => {
  await signIn(browser, { device_has_passkeys: '' })
  const browsers = await Promise.all([1, 2, 3, 4].map(() => browser.copy()))
  const places = await Promise.all(browsers.map((each, turn) => signIn(each, { nothing: String(turn) })))
  assert.deepEqual(places.toSorted(), ['/dashboard', '/dashboard', '/dashboard', OFFER])
})

test('without the word of the script nothing is offered', async () => {
  for (const word of ['', 'no', 'yes!']) {
    const response = await new Browser(server.url).post('/login', {
      login: person.username,
      password: person.password,
      ...(word === 'yes!' ? {} : { device_has_passkeys: word }),
    })
    assert.equal(response.headers.get('location'), '/dashboard')
  }
  const form = (await readPage(await browser.get('/login'))).forms[0]
  assert.deepEqual(form?.fields, { device_has_passkeys: '', login: '', password: '' })
})

test('the passkey signs in alone from then on, the password still does, and a mail says that there is one', async () => {
  await signIn()
  const response = await accept(await offered())
  assert.equal(`${response.status} ${response.headers.get('location')}`, '303 /dashboard')
  const { factor, identityId } = await lastMail(server.services, 'second-factor-added')
  assert.deepEqual([factor, identityId], ['passkey “Firefox on Linux”', personId])

  const phone = new Browser(server.url)
  assert.equal(await signIn(phone), OFFER)
  const fresh = new Browser(server.url)
  const credential = answerTo(await readPage(await fresh.get('/login')), device)
  assert.equal((await fresh.post('/login/passkey', { credential })).headers.get('location'), '/dashboard')
  clock.advance(31 * DAY)
  assert.equal(await signIn(), '/dashboard')
  assert.equal(await signIn(fresh), '/dashboard')
  const { rows } = await server.services.storage.pool.query('SELECT FROM recovery_codes WHERE identity_id = $1', [
    personId,
  ])
  assert.equal(rows.length, 0)
})

test('“Don’t ask again” holds in every browser', async () => {
  await signIn()
  const response = await browser.post('/passkey-offer/refusal', { return_to: '/settings' })
  assert.equal(`${response.status} ${response.headers.get('location')}`, '303 /settings')
  clock.advance(31 * DAY)
  assert.equal(await signIn(), '/dashboard')
  assert.equal(await signIn(new Browser(server.url)), '/dashboard')
})

test('the offer follows the second step, and the passkey of it takes no part in two-step verification', async () => {
  await signIn(browser, { device_has_passkeys: '' })
  const { key } = await addTotp(browser, clock())
  await browser.post('/logout', {})
  assert.equal(await signIn(), '/login/second-factor')
  const answer = await browser.post('/login/second-factor', { code: codeOf(key, clock(), 1) })
  assert.equal(answer.headers.get('location'), OFFER)
  assert.equal((await accept(await offered())).headers.get('location'), '/dashboard')

  const page = await readPage(await browser.get('/settings/second-factors'))
  const totp = /\/settings\/second-factors\/totp\/[\w-]{36}/.exec(page.html)?.[0] as string
  const removed = await browser.post(`${totp}/removal`, {})
  assert.equal(removed.status, 303)
  const { rows } = await server.services.storage.pool.query('SELECT FROM recovery_codes WHERE identity_id = $1', [
    personId,
  ])
  assert.equal(rows.length, 0)
  assert.equal(await signIn(new Browser(server.url)), OFFER)
})

test('a passkey of two-step verification that is added after it turns that on, with recovery codes', async () => {
  await signIn()
  await accept(await offered())
  const key = new Authenticator(server.url)
  const page = await readPage(await addPasskey(browser, key))
  assert.match(page.text, /Your recovery codes/)
  assert.equal(await signIn(new Browser(server.url)), '/login/second-factor')
})

test('it leads on to the app, whether the user accepts, waits or refuses', async () => {
  for (const answer of ['accept', 'later', 'never'] as const) {
    browser = new Browser(server.url)
    const { url } = await browser.follow(await browser.get(notes.authorizeUrl()))
    const interaction = url.slice(server.url.length)
    const place = (await signIn(browser, { return_to: interaction })) as string
    assert.equal(place, `/passkey-offer?return_to=${encodeURIComponent(interaction)}`)
    const page = await offered(browser, place)
    assert.match(page.html, /Not now, continue to Notes/)
    const next =
      answer === 'accept'
        ? await accept(page)
        : answer === 'never'
          ? await browser.post('/passkey-offer/refusal', { return_to: page.forms[1]?.fields['return_to'] ?? '' })
          : await browser.get(interaction)
    const { url: end } = await browser.follow(next)
    assert.match(end, /^https:\/\/notes\.example\.test\/callback\?code=/, answer)
  }
})

test('an app that asks for two factors gets them from a passkey that was offered', async () => {
  await signIn()
  await accept(await offered())
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl({ acr_values: 'mfa' })))
  const { pathname, search } = new URL(url)
  const credential = answerTo(await readPage(await browser.get(pathname + search)), device)
  const { url: end } = await browser.follow(await browser.post(`${pathname}/second-factor${search}`, { credential }))
  const tokens = (await (await notes.exchange(new URL(end).searchParams.get('code') as string)).json()) as {
    id_token: string
  }
  assert.equal(claimsOf(tokens.id_token)['acr'], 'mfa')
})

test('a sign-in by passkey is offered none, nor is one that only confirms who it is; a link in a mail is a sign-in', async () => {
  await signIn()
  await accept(await offered())
  const other = new Browser(server.url)
  const credential = answerTo(await readPage(await other.get('/login')), device)
  const byPasskey = await other.post('/login/passkey', { credential, device_has_passkeys: 'yes' })
  assert.equal(byPasskey.headers.get('location'), '/dashboard')
  const third = new Browser(server.url)
  await signIn(third, { device_has_passkeys: '' })
  const again = await third.post('/reauthentication', { password: person.password, device_has_passkeys: 'yes' })
  assert.equal(again.headers.get('location'), '/settings')
})

test('an answer that proves too little is refused on the page, which still leads on', async () => {
  await signIn()
  for (const lies of [{ userVerified: false }, { userPresent: false }, { origin: 'https://evil.example.test' }]) {
    const refused = await readPage(await accept(await offered(), lies))
    assert.equal(refused.status, 422)
    assert.match(refused.text, /That did not make a passkey/)
    assert.match(refused.html, /href="\/dashboard">Not now/)
  }
  assert.equal((await browser.post('/passkey-offer', { credential: '{}' })).status, 422)
})

test('a password manager makes a passkey without a question, and only where it was asked to', async () => {
  await signIn()
  const silent = { userPresent: false, userVerified: false }
  const options = upgradeOptionsOn(await offered())
  assert.equal((await browser.post('/passkey-offer', { credential: device.create(options, silent) })).status, 422)
  device = new Authenticator(server.url)
  const response = await accept(await offered(), silent, 'upgrade')
  assert.equal(`${response.status} ${response.headers.get('location')}`, '303 /dashboard')
  const fresh = new Browser(server.url)
  const credential = answerTo(await readPage(await fresh.get('/login')), device)
  assert.equal((await fresh.post('/login/passkey', { credential })).status, 303)
  const { rows } = await server.services.storage.pool.query(
    'SELECT is_second_step FROM passkeys WHERE identity_id = $1',
    [personId],
  )
  assert.deepEqual(rows, [{ is_second_step: false }])
})

test('a device that has a passkey already is not asked again', async () => {
  await signIn()
  const response = await browser.post('/passkey-offer', { credential: '', outcome: 'present', return_to: '/activity' })
  assert.equal(response.headers.get('location'), '/activity')
  clock.advance(31 * DAY)
  assert.equal(await signIn(), '/dashboard')
})

test('an offer that was left open leads on without a passkey, and to the sign-in page once that is over', async () => {
  await signIn()
  const page = await offered()
  clock.advance(11 * 60)
  const late = await readPage(await accept(page))
  assert.equal(late.status, 422)
  const stale = await accept(await offered())
  assert.equal(stale.headers.get('location'), '/dashboard')
  const { rows } = await server.services.storage.pool.query('SELECT FROM passkeys WHERE identity_id = $1', [personId])
  assert.equal(rows.length, 0)
  await (await browser.copy()).post('/logout', {})
  assert.equal((await browser.get(OFFER)).headers.get('location'), `/login?return_to=${encodeURIComponent(OFFER)}`)
})

test('no other site is led to', async () => {
  await signIn()
  for (const evil of ['https://evil.example.test/', '//evil.example.test', '/\\evil.example.test']) {
    const page = await offered(browser, `/passkey-offer?return_to=${encodeURIComponent(evil)}`)
    assert.match(page.html, /href="\/dashboard">Not now/)
    const response = await browser.post('/passkey-offer/refusal', { return_to: evil })
    assert.equal(response.headers.get('location'), '/dashboard')
  }
})

test('the list of passkeys lets the browser say which ones work, and the sign-in page which one does not', async () => {
  await signIn()
  await accept(await offered())
  const signalsOn = ({ html }: Page) =>
    JSON.parse((/data-passkey-signals="([^"]*)"/.exec(html)?.[1] ?? 'null').replaceAll('&#34;', '"')) as Record<
      string,
      Record<string, unknown>
    > | null
  const factors = await readPage(await browser.get('/settings/second-factors'))
  const signals = signalsOn(factors)
  const userId = Buffer.from(personId.replaceAll('-', ''), 'hex').toString('base64url')
  const answer = answerTo(await readPage(await browser.copy().then((each) => each.get('/reauthentication'))), device)
  const { id } = JSON.parse(answer) as { id: string }
  assert.deepEqual(signals, {
    signalAllAcceptedCredentials: { rpId: 'localhost', userId, allAcceptedCredentialIds: [id] },
    signalCurrentUserDetails: { rpId: 'localhost', userId, name: person.username, displayName: person.username },
  })

  const fresh = new Browser(server.url)
  const login = async (lies?: Lies) => {
    const credential = answerTo(await readPage(await fresh.get('/login')), device, lies)
    return signalsOn(await readPage(await fresh.post('/login/passkey', { credential })))
  }
  assert.equal(await login({ forged: true }), null)
  const removal = /\/settings\/second-factors\/passkey\/[\w-]{36}/.exec(factors.html)?.[0] as string
  assert.equal((await browser.post(`${removal}/removal`, {})).status, 303)
  assert.deepEqual(await login(), { signalUnknownCredential: { rpId: 'localhost', credentialId: id } })
  const none = signalsOn(await readPage(await browser.get('/settings/second-factors')))
  assert.deepEqual(none?.['signalAllAcceptedCredentials']?.['allAcceptedCredentialIds'], [])
})

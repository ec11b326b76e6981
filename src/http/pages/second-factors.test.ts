import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Authenticator } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { addPasskey, addTotp, keyOn, recoveryCodesOn } from '../../testing/portal/factors.ts'
import { actionOf, type Page, readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const FACTORS = '/settings/second-factors'

let server: TestServer
let clock: TestClock
let browser: Browser
let person: typeof ada
let people = 0

before(async () => {
  clock = createClock(new Date('2026-11-21T12:00:00Z'))
  server = await startTestServer({ clock })
})
beforeEach(async () => {
  browser = await newcomer()
})
after(async () => {
  await server.close()
})

async function newcomer(): Promise<Browser> {
  people++
  person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
  await server.addIdentity(person)
  const fresh = new Browser(server.url)
  await fresh.signIn(person)
  return fresh
}

async function read(path: string): Promise<Page> {
  return readPage(await browser.get(path))
}

/** The pages of the factors that are listed. */
async function hrefs(): Promise<string[]> {
  const { html } = await read(FACTORS)
  return [...html.matchAll(/href="(\/settings\/second-factors\/(?:totp|passkey)\/[0-9a-f-]{36})"/g)].map(
    ([, href]) => href as string,
  )
}

test('a user without a second factor reads what that means, and how to add one', async () => {
  assert.match((await read(FACTORS)).text, /Two-step verification Off You have not set up two-step verification\./)
  assert.match((await read('/settings')).text, /Two-step verification Off You have not set up two-step verification/)
})

test('the page for an app shows the key as a picture and in words, and asks for a code before anything is stored', async () => {
  const page = await read(`${FACTORS}/totp/new`)
  assert.match(page.html, /<img src="data:image\/svg\+xml;base64,[A-Za-z0-9+/=]+"/)
  assert.match(keyOn(page), /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/)
  const refused = await readPage(await browser.post(`${FACTORS}/totp`, { name: 'Phone', code: '000000' }))
  assert.equal(refused.status, 422)
  assert.match(refused.problems[0] ?? '', /not the code your app shows now/)
  assert.equal(keyOn(refused), keyOn(page))
  assert.deepEqual(await hrefs(), [])
})

test('the first factor shows its recovery codes at once, and never again', async () => {
  const { codes } = await addTotp(browser, clock())
  assert.equal(codes.length, 10)
  const page = await read(FACTORS)
  assert.match(page.text, /Phone Authenticator app/)
  assert.match(page.text, /10 codes left/)
  for (const code of codes) assert.equal(page.html.includes(code), false)
})

test('a user who adds a factor is signed in with two from then on, under a new session id', async () => {
  const before = await browser.copy()
  await addTotp(browser, clock())
  assert.equal((await browser.get('/dashboard')).status, 200)
  assert.equal((await before.get('/dashboard')).status, 303)
  const { rows } = await server.services.storage.pool.query<{ amr: string[] }>(
    `SELECT s.amr FROM identity_sessions s JOIN identities i ON i.id = s.identity_id WHERE i.username = $1 AND s.ended_at IS NULL`,
    [person.username],
  )
  assert.deepEqual(rows, [{ amr: ['pwd', 'otp', 'mfa'] }])
})

test('a passkey is added, named after the browser, and listed', async () => {
  assert.match((await read(`${FACTORS}/passkey/new`)).html, /name="name"[^>]* value="Firefox on Linux"/)
  const response = await addPasskey(browser, new Authenticator(server.url))
  assert.equal(recoveryCodesOn(await readPage(response)).length, 10)
  assert.match((await read(FACTORS)).text, /Laptop Passkey/)
})

test('the sections are passkeys, password, two-step verification and recovery codes, and a security key is in the third', async () => {
  await addPasskey(browser, new Authenticator(server.url))
  await addPasskey(browser, new Authenticator(server.url), { discoverable: false })
  const { html, text } = await read(FACTORS)
  const headings = [...html.matchAll(/<h2 id="([\w-]+)"/g)].map(([, id]) => id)
  assert.deepEqual(headings, ['passkeys', 'password', 'two-step-verification', 'recovery-codes'])
  assert.match(text, /Passkeys .* Laptop Passkey .* Two-step verification On .* Laptop Security key .* 10 codes left/)
})

test('the page for an app has a link for a phone that shows it', async () => {
  const { html } = await read(`${FACTORS}/totp/new`)
  const link = /<a [^>]*href="(otpauth:[^"]*)"/.exec(html)?.[1]?.replaceAll('&amp;', '&')
  const url = new URL(link as string)
  assert.match(decodeURIComponent(url.pathname), new RegExp(`:${person.username}$`))
  assert.equal(url.searchParams.get('secret'), keyOn(await read(`${FACTORS}/totp/new`)).replaceAll(' ', ''))
})

test('a passkey made for another site is refused in words', async () => {
  const response = await addPasskey(browser, new Authenticator('https://evil.test'))
  assert.equal(response.status, 422)
  assert.deepEqual((await readPage(response)).problems, ['That did not make a passkey. Try again.'])
})

test('a factor is renamed, and a name that will not do is refused in words', async () => {
  await addTotp(browser, clock())
  const [href = ''] = await hrefs()
  assert.equal((await browser.post(href, { name: '' })).status, 422)
  assert.equal((await browser.post(href, { name: 'x'.repeat(41) })).status, 422)
  const hostile = '<script>alert(1)</script>'
  assert.equal((await browser.post(href, { name: hostile })).status, 303)
  const page = await read(FACTORS)
  assert.equal(page.notice, 'The sign-in method has a new name.')
  assert.equal(page.html.includes(hostile), false)
  assert.match(page.text, /<script>alert\(1\)<\/script> Authenticator app/)
})

test('removing the last factor says plainly what it means, and is told', async () => {
  const { codes } = await addTotp(browser, clock())
  const [href = ''] = await hrefs()
  const page = await read(href)
  assert.match(page.text, /This turns two-step verification off. Then your password alone signs you in/)
  const removal = actionOf(page, 'Remove it and turn two-step verification off')
  const response = await browser.post(removal, {})
  assert.equal(response.headers.get('location'), FACTORS)
  assert.deepEqual(await hrefs(), [])
  assert.match((await read('/activity')).text, /The authenticator app “Phone” was removed./)

  const other = new Browser(server.url)
  assert.equal((await other.post('/login', { login: person.username, password: person.password })).status, 303)
  assert.equal((await other.get('/dashboard')).status, 200)
  assert.equal(codes.length, 10)
})

test('removing one of two says that the other stays', async () => {
  await addTotp(browser, clock(), 'Phone')
  clock.advance(60)
  await addTotp(browser, clock(), 'Tablet')
  const [phone = ''] = await hrefs()
  const page = await read(phone)
  assert.match(page.text, /Your other sign-in methods stay./)
  await browser.post(actionOf(page, 'Remove Phone'), {})
  assert.match((await read(FACTORS)).text, /Tablet.*10 codes left/)
})

test('a password that is too short to stand alone keeps the last factor, and the page says what to do', async () => {
  await addTotp(browser, clock())
  await server.services.storage.pool.query('UPDATE identities SET password_stands_alone = false WHERE username = $1', [
    person.username,
  ])
  const [href = ''] = await hrefs()
  const page = await read(href)
  assert.match(page.text, /first choose a password of at least 15 characters/)
  assert.throws(() => actionOf(page, 'Remove it and turn two-step verification off'))
  assert.equal((await browser.post(`${href}/removal`, {})).status, 409)
  assert.deepEqual(await hrefs(), [href])
})

test('what belongs to another user, or does not exist, is not found', async () => {
  await addTotp(browser, clock())
  const [href = ''] = await hrefs()
  const stranger = await newcomer()
  const id = href.split('/').at(-1) as string
  for (const path of [href, `${FACTORS}/passkey/${id}`, `${FACTORS}/totp/x`, `${FACTORS}/nothing/${id}`]) {
    assert.equal((await stranger.get(path)).status, 404, path)
    assert.equal((await stranger.post(path, { name: 'Mine' })).status, 404, path)
    assert.equal((await stranger.post(`${path}/removal`, {})).status, 404, path)
  }
  assert.deepEqual(await hrefs(), [href])
})

test('new recovery codes are made on purpose, and the old ones stop working', async () => {
  const { codes } = await addTotp(browser, clock())
  assert.match((await read(`${FACTORS}/recovery-codes/new`)).text, /The 10 you have left stop working/)
  const page = await readPage(await browser.post(`${FACTORS}/recovery-codes`, {}))
  const fresh = recoveryCodesOn(page)
  assert.equal(fresh.length, 10)
  assert.equal(
    fresh.some((code) => codes.includes(code)),
    false,
  )
})

test('a user without a second factor has no use for recovery codes', async () => {
  for (const response of [
    await browser.get(`${FACTORS}/recovery-codes/new`),
    await browser.post(`${FACTORS}/recovery-codes`, {}),
  ])
    assert.equal(response.headers.get('location'), FACTORS)
})

test('everything here asks for a fresh sign-in, and with a second factor that means both', async () => {
  const { key } = await addTotp(browser, clock())
  const [href = ''] = await hrefs()
  clock.advance(601)
  for (const path of [
    FACTORS,
    `${FACTORS}/totp/new`,
    `${FACTORS}/passkey/new`,
    `${FACTORS}/recovery-codes/new`,
    href,
  ]) {
    const response = await browser.get(path)
    assert.equal(response.headers.get('location'), `/reauthentication?return_to=${encodeURIComponent(path)}`, path)
  }
  for (const path of [`${FACTORS}/totp`, `${FACTORS}/passkey`, `${FACTORS}/recovery-codes`, href, `${href}/removal`]) {
    const response = await browser.post(path, { name: 'x', code: '000000', credential: '{}' })
    assert.equal(response.headers.get('location'), `/reauthentication?return_to=${encodeURIComponent(FACTORS)}`, path)
  }
  const half = await browser.post('/reauthentication', { password: person.password, return_to: href })
  assert.equal(half.headers.get('location'), `/login/second-factor?return_to=${encodeURIComponent(href)}`)
  assert.match((await browser.get(href)).headers.get('location') ?? '', /^\/reauthentication/)
  const whole = await browser.post('/login/second-factor', { code: codeOf(key, clock()), return_to: href })
  assert.equal(whole.headers.get('location'), href)
  assert.equal((await browser.get(href)).status, 200)
})

test('strangers are sent to sign in, and other sites are refused', async () => {
  const stranger = new Browser(server.url)
  assert.match((await stranger.get(FACTORS)).headers.get('location') ?? '', /^\/login\?return_to=/)
  assert.equal((await stranger.post(`${FACTORS}/recovery-codes`, {})).status, 303)
  await addTotp(browser, clock())
  const foreign = { origin: 'https://evil.test' }
  assert.equal((await browser.post(`${FACTORS}/recovery-codes`, {}, foreign)).status, 403)
})

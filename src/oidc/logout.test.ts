import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { answerIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const HOME = 'https://notes.example.test/'

let ahead = 0
let server: TestServer
let browser: Browser
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer({ clock: () => new Date(Date.now() + ahead) })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
})
after(() => server.close())
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

function logoutUrl(params: Record<string, string>): string {
  return `/oauth/logout?${new URLSearchParams(params)}`
}

async function isSignedIn(who = browser): Promise<boolean> {
  const silent = answerIn(await who.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  const atDashboard = (await who.get('/dashboard')).status === 200
  assert.equal('code' in silent, atDashboard, 'the two layers disagree')
  return atDashboard
}

/** Sends the form of a logout page; `logout` is what the button that was pressed says. */
async function confirm(page: Page, fields: Record<string, string> = { logout: 'yes' }): Promise<Response> {
  const form = page.forms[0]
  assert.ok(form, page.html)
  const { logout: _unpressed, ...hidden } = form.fields
  return browser.post(form.action, { ...hidden, ...fields })
}

async function isLiving(client: Client, tokens: Tokens): Promise<boolean> {
  return (await client.refresh(tokens.refresh_token)).status === 200
}

/** A family that is to outlive a sign-out, which the person confirms (OpenID Connect Core §11). */
async function connectOffline(): Promise<Tokens> {
  const asked = await browser.get(notes.authorizeUrl({ scope: 'openid offline_access', prompt: 'consent' }))
  const page = await readPage((await browser.follow(asked)).response)
  const { url } = await browser.follow(await browser.post(actionOf(page, 'Continue to Notes'), {}))
  const tokens = await tokensIn(await notes.exchange(new URL(url).searchParams.get('code') as string))
  assert.equal(tokens.scope, 'openid offline_access')
  return tokens
}

test('an app that shows the ID token of the person signs them out with a page that submits itself', async () => {
  const { id_token: hint } = await notes.connect(browser)
  const response = await browser.get(
    logoutUrl({ id_token_hint: hint, post_logout_redirect_uri: HOME, state: 'bye & <on>' }),
  )
  assert.equal(response.status, 200)
  const page = await readPage(response)
  assert.match(page.html, /<form[^>]* data-auto-submit>/)
  assert.match(page.html, /src="\/public\/auto-submit\.js\?v=/)
  assert.match(response.headers.get('content-security-policy') ?? '', /script-src 'self'/)
  assert.equal((await browser.get('/public/auto-submit.js')).status, 200)
  // Without script there is a button.
  assert.deepEqual(page.forms[0]?.buttons, ['Sign out'])

  const done = await confirm(page)
  assert.equal(done.status, 303)
  const home = new URL(done.headers.get('location') as string)
  assert.equal(`${home.origin}/`, HOME)
  assert.deepEqual([...home.searchParams], [['state', 'bye & <on>']])
  assert.equal(await isSignedIn(), false)
})

test('every page of a sign-out is in the language that the app asks for', async () => {
  const language = async (page: Response) => /<html lang="([^"]*)"/.exec(await page.clone().text())?.[1]
  const question = await browser.get(logoutUrl({ client_id: 'notes', ui_locales: 'tlh de-AT en' }))
  assert.equal(await language(question), 'de')
  const done = await browser.follow(await confirm(await readPage(question)))
  assert.equal(await language(done.response), 'de')
  // The sign-in has ended already.
  const again = await browser.follow(await browser.get(logoutUrl({ client_id: 'notes', ui_locales: 'fr' })))
  assert.equal(await language(again.response), 'fr')
})

test('an app that only says who it is makes the person confirm', async () => {
  await notes.connect(browser)
  const page = await readPage(await browser.get(logoutUrl({ client_id: 'notes', post_logout_redirect_uri: HOME })))
  assert.match(page.text, /Notes asks to sign you out/)
  assert.equal(page.html.includes('data-auto-submit'), false)
  assert.deepEqual(page.forms[0]?.buttons, ['Sign out', 'Stay signed in'])
  assert.equal(await isSignedIn(), true)
  assert.equal((await confirm(page)).headers.get('location'), HOME)
  assert.equal(await isSignedIn(), false)
})

test('a link to the logout signs no user out', async () => {
  for (let visit = 0; visit < 3; visit++) {
    const page = await readPage(await browser.get('/oauth/logout'))
    assert.match(page.text, /An app asks to sign you out/)
  }
  assert.equal(await isSignedIn(), true)
})

test('the ID token of another user does not sign this user out without a question', async () => {
  const other = new Browser(server.url)
  await other.signIn(grace)
  const { id_token: hint } = await notes.connect(other)
  const page = await readPage(await browser.get(logoutUrl({ id_token_hint: hint })))
  assert.equal(page.html.includes('data-auto-submit'), false)
  assert.deepEqual(page.forms[0]?.buttons, ['Sign out', 'Stay signed in'])
  assert.equal(await isSignedIn(), true)
})

test('a user who declines to be signed out stays signed in', async () => {
  await notes.connect(browser)
  const other = await photos.connect(browser)
  const page = await readPage(await browser.get(logoutUrl({ client_id: 'notes' })))
  const done = await browser.follow(await confirm(page, {}))
  assert.ok(done.response.status < 400)
  assert.equal(await isSignedIn(), true)
  assert.equal(await isLiving(photos, other), true)
})

test('a logout is confirmed only by the browser it was asked in, from a page of ours', async () => {
  const page = await readPage(await browser.get('/oauth/logout'))
  const xsrf = page.forms[0]?.fields['xsrf'] ?? ''
  assert.notEqual(xsrf, '')
  const thief = new Browser(server.url)
  await thief.signIn(grace)

  for (const refused of [
    await browser.post('/oauth/logout/confirm', { logout: 'yes' }),
    await browser.post('/oauth/logout/confirm', { logout: 'yes', xsrf: 'wrong' }),
    await browser.post('/oauth/logout/confirm', { logout: 'yes', xsrf }, { origin: 'https://evil.test' }),
    await thief.post('/oauth/logout/confirm', { logout: 'yes', xsrf }),
    await new Browser(server.url).post('/oauth/logout/confirm', { logout: 'yes', xsrf: 'wrong' }),
    await new Browser(server.url).post('/oauth/logout/confirm', { logout: 'yes' }),
    await browser.get(`/oauth/logout/confirm?logout=yes&xsrf=${xsrf}`),
  ]) {
    assert.ok(refused.status >= 400 && refused.status < 500, String(refused.status))
  }
  // Where no user is signed in it leads home, as the question itself would, and ends nothing.
  const stranger = await new Browser(server.url).post('/oauth/logout/confirm', { logout: 'yes', xsrf })
  assert.match(stranger.headers.get('location') ?? '', /\/oauth\/logout\/success$/)
  // A later sign-in of the same browser was never asked.
  const later = await browser.copy()
  await later.signIn(ada)
  assert.equal((await later.post('/oauth/logout/confirm', { logout: 'yes', xsrf })).status, 400)
  assert.equal(await isSignedIn(later), true)
  assert.equal(await isSignedIn(thief), true)
  await browser.signIn(ada)
  const late = (await readPage(await browser.get('/oauth/logout'))).forms[0]?.fields['xsrf'] ?? ''
  ahead = 3_601_000
  assert.equal((await browser.post('/oauth/logout/confirm', { logout: 'yes', xsrf: late })).status, 400)
  assert.equal(await isSignedIn(), true)
})

test('two tabs that ask to sign out spoil nothing for each other, and each leads to its own app', async () => {
  const ways = [
    [{ client_id: 'notes', post_logout_redirect_uri: HOME, state: 'one' }, `${HOME}?state=one`],
    [{ client_id: 'photos', state: 'none' }, '/oauth/logout/success'],
    [{ client_id: 'notes', post_logout_redirect_uri: HOME, state: 'two' }, `${HOME}?state=two`],
  ] as const
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
  ]) {
    await browser.signIn(ada)
    const tabs: Page[] = []
    for (const [params] of ways) tabs.push(await readPage(await browser.get(logoutUrl(params))))
    for (const index of order) {
      const done = await confirm(tabs[index] as Page)
      assert.equal(done.status, 303)
      assert.ok(done.headers.get('location')?.endsWith(ways[index]?.[1] as string))
    }
    assert.equal(await isSignedIn(), false)
  }
})

test('signing out from an app ends the families of this browser, except those asked for to outlive it', async () => {
  const plain = await notes.connect(browser)
  const offline = await connectOffline()
  const photo = await photos.connect(browser)
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(ada)
  const other = await notes.connect(elsewhere)

  await confirm(await readPage(await browser.get(logoutUrl({ id_token_hint: plain.id_token }))))
  assert.equal((await problemIn(await notes.refresh(plain.refresh_token))).reason, 'revoked')
  assert.equal((await notes.userinfo(plain.access_token)).status, 401)
  assert.equal(await isLiving(photos, photo), false)
  assert.equal(await isLiving(notes, offline), true)
  assert.equal(await isLiving(notes, other), true)
  assert.equal(await isSignedIn(elsewhere), true)
})

test('an app that asks to outlive a sign-out without asking the person does not', async () => {
  const tokens = await notes.connect(browser, { scope: 'openid offline_access' })
  assert.equal(tokens.scope, 'openid')
  await browser.post('/logout', {})
  assert.equal(await isLiving(notes, tokens), false)
})

test('signing out at the portal ends the same families', async () => {
  const plain = await notes.connect(browser)
  const offline = await connectOffline()
  await browser.post('/logout', {})
  assert.equal(await isLiving(notes, plain), false)
  assert.equal(await isLiving(notes, offline), true)
  assert.equal(await isSignedIn(), false)
})

test('a copy of the cookies is worth nothing after the logout', async () => {
  const { id_token: hint } = await notes.connect(browser)
  const thief = await browser.copy()
  await confirm(await readPage(await browser.get(logoutUrl({ id_token_hint: hint }))))
  assert.equal(await isSignedIn(thief), false)
})

for (const uri of [
  `${HOME}?x=1`,
  HOME.slice(0, -1),
  `${HOME}#f`,
  CALLBACK,
  'https://evil.test/',
  'https://notes.example.test@evil.test/',
  '//notes.example.test/',
  'javascript:alert(1)',
]) {
  test(`no browser is redirected to ${uri} after a logout`, async () => {
    const { id_token: hint } = await notes.connect(browser)
    for (const who of [{ id_token_hint: hint }, { client_id: 'notes' }] as Record<string, string>[]) {
      const response = await browser.get(logoutUrl({ ...who, post_logout_redirect_uri: uri }))
      assert.equal(response.status, 400)
      assert.equal(response.headers.get('location'), null)
      assert.match((await readPage(response)).text, /not registered/)
    }
    assert.equal(await isSignedIn(), true)
  })
}

test('an address without an app that asks is ignored', async () => {
  const page = await readPage(await browser.get(logoutUrl({ post_logout_redirect_uri: HOME })))
  const { url, response } = await browser.follow(await confirm(page))
  assert.ok(url.startsWith(`${server.url}/oauth/logout/success`))
  assert.match((await readPage(response)).text, /You are signed out/)
})

test('a hint that is none, or of an app that is none, is refused', async () => {
  const { id_token: hint } = await notes.connect(browser)
  const [header, , signature] = hint.split('.') as [string, string, string]
  const forged = `${header}.${Buffer.from('{"aud":"nope","iss":"x"}').toString('base64url')}.${signature}`
  const body = JSON.parse(Buffer.from(hint.split('.')[1] as string, 'base64url').toString()) as object
  const altered = `${header}.${Buffer.from(JSON.stringify({ ...body, sub: 'x' })).toString('base64url')}.${signature}`
  for (const params of [
    { id_token_hint: 'junk' },
    { id_token_hint: forged },
    { id_token_hint: altered },
    { id_token_hint: `${hint}x` },
    { id_token_hint: hint, client_id: 'photos' },
    { client_id: 'nope' },
    { client_id: '__proto__' },
  ] as Record<string, string>[]) {
    const response = await browser.get(logoutUrl(params), { accept: 'text/html' })
    assert.equal(response.status, 400, JSON.stringify(params))
    const { text, html } = await readPage(response)
    assert.equal(/This app is not known here/.test(text), params['id_token_hint'] === undefined, text)
    assert.equal(/You were not signed out/.test(text), params['id_token_hint'] !== undefined, text)
    if (params['id_token_hint'] !== undefined) assert.match(html, /href="\/logout"/)
  }
  assert.equal(await isSignedIn(), true)
})

test('a user who is signed out already is led on to the app, and nothing is kept of it', async () => {
  const { id_token: hint } = await notes.connect(browser)
  await browser.post('/logout', {})
  const response = await browser.get(logoutUrl({ id_token_hint: hint, post_logout_redirect_uri: HOME, state: 's' }))
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), `${HOME}?state=s`)
  assert.deepEqual(response.headers.getSetCookie(), [])
  const { response: done } = await browser.follow(await browser.get(logoutUrl({ client_id: 'notes' })))
  assert.match((await readPage(done)).text, /signed out/)
})

test('two logouts at once both end well', async () => {
  const { id_token: hint } = await notes.connect(browser)
  const page = await readPage(await browser.get(logoutUrl({ id_token_hint: hint })))
  const answers = await Promise.all([confirm(page), confirm(page)])
  for (const answer of answers) assert.ok(answer.status < 500)
  assert.equal(await isSignedIn(), false)
})

test('after a logout the same person can come back to the app', async () => {
  const { id_token: hint } = await notes.connect(browser)
  await confirm(await readPage(await browser.get(logoutUrl({ id_token_hint: hint }))))
  await browser.signIn(ada)
  await tokensIn(await notes.exchange(await notes.code(browser)))
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { deskApp, notesApp, photosApp } from '../testing/portal/apps.ts'
import { answerIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const LOOPBACK = 'http://127.0.0.1:51234/callback'
const clock = createClock()

let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let photos: Client
let desk: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  desk = new Client(server.url, 'desk', await server.addApp('desk', deskApp), LOOPBACK)
})
after(() => server.close())
beforeEach(() => {
  browser = new Browser(server.url)
})

/** Asks for an authorization and goes on to the page that is needed for it. */
async function open(url: string, from = browser): Promise<{ url: string; page: Page }> {
  const { url: reached, response } = await from.follow(await from.get(url))
  assert.equal(new URL(reached).pathname.split('/')[1], 'interaction', reached)
  return { url: reached, page: await readPage(response) }
}

/** Fills in the sign-in form of a page and goes on to where it leads. */
async function signInOn(page: Page, person = ada, from = browser): Promise<URL> {
  const form = page.forms[0]
  const fields = { ...form?.fields, login: person.username, password: person.password }
  return new URL((await from.follow(await from.post(form?.action ?? '', fields))).url)
}

function assertCode(url: URL, client = notes): void {
  assert.ok(url.href.startsWith(`${client.redirectUri}?`), url.href)
  assert.ok(url.searchParams.get('code'), url.href)
}

test('a stranger signs in on the way and comes back with a code for the request they began', async () => {
  const { page } = await open(notes.authorizeUrl({ state: 'where I was' }))
  assert.equal(page.status, 200)
  assert.match(page.text, /to continue to Notes/)
  const url = await signInOn(page)
  assertCode(url)
  assert.equal(url.searchParams.get('state'), 'where I was')
  assert.equal(url.searchParams.get('iss'), server.url)
})

test('a wrong password keeps the way to the app', async () => {
  const { page } = await open(notes.authorizeUrl())
  const form = page.forms[0]
  const refused = await readPage(
    await browser.post('/login', { ...form?.fields, login: 'ada', password: 'not this one at all' }),
  )
  assert.equal(refused.status, 401)
  assert.match(refused.text, /to continue to Notes/)
  assertCode(await signInOn(refused))
})

test('the login hint of the app is filled in, as text', async () => {
  const { page } = await open(notes.authorizeUrl({ login_hint: '"><script>ada' }))
  assert.equal(page.forms[0]?.fields['login'], '"><script>ada')
  assert.equal(page.html.includes('<script>ada'), false)
})

test('a signed-in user confirms before a code goes to an app on their device', async () => {
  await browser.signIn(ada)
  for (const redirectUri of [LOOPBACK, 'com.example.desk:/callback']) {
    const { page } = await open(desk.authorizeUrl({ redirect_uri: redirectUri }))
    assert.equal(page.status, 200)
    assert.match(page.text, /Desk asks to sign you in as ada/)
    assert.match(page.text, redirectUri === LOOPBACK ? /127\.0\.0\.1:51234/ : /com\.example\.desk/)
    const { url } = await browser.follow(await browser.post(actionOf(page, 'Continue to Desk'), {}))
    assert.ok(url.startsWith(`${redirectUri}?code=`), url)
    const response = await desk.exchange(new URL(url).searchParams.get('code') as string, { redirect_uri: redirectUri })
    assert.equal(response.status, 200)
  }
})

test('a stranger signs in, and then confirms, before a code goes to an app on their device', async () => {
  const { page } = await open(desk.authorizeUrl())
  const form = page.forms[0]
  const { response } = await browser.follow(
    await browser.post('/login', { ...form?.fields, login: 'ada', password: ada.password }),
  )
  const question = await readPage(response)
  const { url } = await browser.follow(await browser.post(actionOf(question, 'Continue to Desk'), {}))
  assertCode(new URL(url), desk)
})

test('a confirmation belongs to one sign-in: the next user to sign in there before it is used is asked, too', async () => {
  await browser.signIn(ada)
  const { page } = await open(desk.authorizeUrl())
  const confirmed = await browser.post(actionOf(page, 'Continue to Desk'), {})
  await browser.signIn(grace)
  const { response } = await browser.follow(confirmed)
  const question = await readPage(response)
  assert.match(question.text, /Desk asks to sign you in as grace/)
  const { url } = await browser.follow(await browser.post(actionOf(question, 'Continue to Desk'), {}))
  assertCode(new URL(url), desk)
})

test('the same where the protocol knows already who signed in there afterwards, and where it is the same person', async () => {
  for (const person of [grace, ada]) {
    browser = new Browser(server.url)
    await browser.signIn(ada)
    const { page } = await open(desk.authorizeUrl())
    const confirmed = await browser.post(actionOf(page, 'Continue to Desk'), {})
    clock.advance(1)
    await browser.signIn(person)
    await notes.connect(browser)
    const { response } = await browser.follow(confirmed)
    assert.match((await readPage(response)).text, new RegExp(`Desk asks to sign you in as ${person.username}`))
  }
})

test('a user who cancels brings the app access_denied, and no code', async () => {
  await browser.signIn(ada)
  const { page } = await open(desk.authorizeUrl())
  const { url } = await browser.follow(await browser.post(actionOf(page, 'Cancel'), {}))
  const told = new URL(url).searchParams
  assert.equal(told.get('error'), 'access_denied')
  assert.equal(told.get('state'), 'state')
  assert.equal(told.get('iss'), server.url)
  assert.equal(told.has('code'), false)
})

test('a stranger who cancels on the way brings the app access_denied, from every page of the sign-in', async () => {
  const long = { state: 's+/='.repeat(1000) }
  const onPages: ((page: Page) => Promise<Page>)[] = [
    async (page) => page,
    async (page) =>
      readPage(await browser.post('/login', { ...page.forms[0]?.fields, login: 'ada', password: 'wrong' })),
    async (page) => {
      const href = /href="(\/register\?[^"]*)"/.exec(page.html)?.[1] as string
      return readPage(await browser.get(href.replaceAll('&amp;', '&')))
    },
  ]
  for (const change of [{}, long, { prompt: 'login' }] as Record<string, string>[]) {
    for (const turn of onPages) {
      const { page } = await open(notes.authorizeUrl(change))
      const shown = await turn(page)
      assert.match(shown.html, /<button [^>]*title="Cancel and go back to Notes">Cancel</)
      const { url } = await browser.follow(await browser.post(actionOf(shown, 'Cancel'), {}))
      const { error, state, iss, code } = Object.fromEntries(new URL(url).searchParams)
      const sent = change['state'] ?? 'state'
      assert.deepEqual(
        { error, state, iss, code },
        { error: 'access_denied', state: sent, iss: server.url, code: undefined },
      )
    }
  }
  const { page } = await open(notes.authorizeUrl({ response_mode: 'form_post' }))
  const { response } = await browser.follow(await browser.post(actionOf(page, 'Cancel'), {}))
  assert.match(
    await response.text(),
    /action="https:\/\/notes\.example\.test\/callback"[^]*name="error" value="access_denied"/,
  )
})

test('only the browser that began a sign-in cancels it, for a minute and once, and a sign-in of no app has no such button', async () => {
  const { page } = await open(notes.authorizeUrl())
  const action = actionOf(page, 'Cancel')
  assert.equal((await new Browser(server.url).post(action, {})).status, 400)
  assert.equal((await browser.post(action, {}, { origin: 'https://evil.test' })).status, 403)
  const refusal = (await browser.post(action, {})).headers.get('location') as string
  assert.equal((await new Browser(server.url).get(refusal)).status, 400)
  const late = await browser.copy()
  clock.advance(61)
  assert.equal((await late.get(refusal)).status, 400)
  const other = await open(notes.authorizeUrl())
  const swapped = refusal.replace(/authorize\/[^?]+/, `authorize/${/interaction\/([^/?]+)/.exec(other.url)?.[1]}`)
  assert.equal((await browser.get(swapped)).status, 400)
  for (const path of ['/login', '/register', '/login?return_to=/dashboard', '/login?return_to=/interaction/..%2f'])
    assert.doesNotMatch((await readPage(await new Browser(server.url).get(path))).html, /Cancel/)
})

test('the log says why a request without PKCE was refused', async () => {
  await browser.get(notes.authorizeUrl({ code_challenge: null, code_challenge_method: null }))
  assert.match(server.log(), /"event":"authorization.error"[^\n]*"detail":"[^"]*(PKCE|code_challenge)/)
})

test('a confirmation asked for silently is refused to the app', async () => {
  await browser.signIn(ada)
  const told = answerIn(await browser.get(desk.authorizeUrl({ prompt: 'none' })), LOOPBACK)
  assert.match(told['error'] ?? '', /interaction_required|consent_required/)
})

test('a confirmation that another site sends is refused', async () => {
  await browser.signIn(ada)
  const { url, page } = await open(desk.authorizeUrl())
  const refused = await browser.post(actionOf(page, 'Continue to Desk'), {}, { origin: 'https://evil.test' })
  assert.equal(refused.status, 403)
  assert.match((await readPage(await browser.get(url))).text, /Desk asks to sign you in/)
})

test('a confirmation cannot be given where only a sign-in was asked for', async () => {
  const { url } = await open(notes.authorizeUrl())
  const response = await browser.post(`${new URL(url).pathname}/confirmation`, {})
  assert.equal(response.status, 400)
})

test('a native app is answered on any loopback port, and only at the address written as figures', async () => {
  await open(desk.authorizeUrl({ redirect_uri: 'http://127.0.0.1:60999/callback' }))
  for (const uri of [
    'http://localhost:51234/callback',
    'http://127.0.0.2:51234/callback',
    'http://127.0.0.1:1/other',
  ]) {
    const response = await browser.get(desk.authorizeUrl({ redirect_uri: uri }))
    assert.equal(response.status, 400)
    assert.match((await readPage(response)).text, /invalid_redirect_uri/)
  }
})

test('a request belongs to the browser that began it', async () => {
  const { url } = await open(notes.authorizeUrl())
  const other = new Browser(server.url)
  const response = await other.get(url)
  const page = await readPage(response)
  assert.equal(response.status, 400)
  assert.match(page.text, /belongs to another browser/)
  assert.deepEqual(page.forms, [])

  const resumed = await other.get(url.replace('/interaction/', '/oauth/authorize/').replace(/\?.*/, ''))
  assert.equal(resumed.status, 400)
  assert.match((await readPage(resumed)).text, /authorization request has expired/)
})

test('another user who is signed in and opens the page of a request does not complete it', async () => {
  const { url, page } = await open(notes.authorizeUrl({ state: 'begun by ada' }))
  const other = new Browser(server.url)
  await other.signIn(grace)
  const reached = await other.follow(await other.get(url))
  assertCode(new URL(reached.url))
  const code = new URL(reached.url).searchParams.get('code') as string
  const tokens = (await (await notes.exchange(code)).json()) as { access_token: string }
  assert.notEqual(claimsOf(tokens.access_token)['sub'], adasId)
  assertCode(await signInOn(page))
})

test('a page that was left open too long leads on with the same request', async () => {
  const { url, page } = await open(notes.authorizeUrl({ state: 'still wanted' }))
  clock.advance(3601)
  const lost = await readPage(await browser.get(url))
  assert.equal(lost.status, 400)
  assert.equal(lost.heading, 'This sign-in cannot go on')
  assert.match(lost.html, /href="\/oauth\/authorize\?[^"]*state=still\+wanted/)

  const reached = await signInOn(page)
  assertCode(reached)
  assert.equal(reached.searchParams.get('state'), 'still wanted')
})

test('a lost page of a request that would be refused leads nowhere', async () => {
  for (const query of [
    '',
    'client_id=notes&redirect_uri=https://evil.test/',
    'client_id=nope&redirect_uri=x',
    'client_id=%00',
  ]) {
    const page = await readPage(await browser.get(`/interaction/gone?${query}`))
    assert.equal(page.status, 400)
    assert.equal(/oauth\/authorize|evil/.test(page.html), false, query)
  }
})

test('the back button after finishing leads to the app again, without a question', async () => {
  const { url, page } = await open(notes.authorizeUrl())
  assertCode(await signInOn(page))
  assertCode(new URL((await browser.follow(await browser.get(url))).url))
  assertCode(await signInOn(page))
})

test('two tabs of one browser both come back with their own request', async () => {
  const first = await open(notes.authorizeUrl({ state: 'first tab' }))
  const second = await open(photos.authorizeUrl({ state: 'second tab' }))
  const fromSecond = await signInOn(second.page)
  assertCode(fromSecond, photos)
  assert.equal(fromSecond.searchParams.get('state'), 'second tab')

  const { url } = await browser.follow(await browser.get(first.url))
  assertCode(new URL(url))
  assert.equal(new URL(url).searchParams.get('state'), 'first tab')
})

test('two tabs both filled in come back with their own request', async () => {
  const first = await open(notes.authorizeUrl({ state: 'first tab' }))
  const second = await open(notes.authorizeUrl({ state: 'second tab' }))
  for (const { page, state } of [
    { ...second, state: 'second tab' },
    { ...first, state: 'first tab' },
  ]) {
    const url = await signInOn(page)
    assertCode(url)
    assert.equal(url.searchParams.get('state'), state)
  }
})

test('fifty requests begun in one browser leave it able to finish the last', async () => {
  let last = ''
  for (let i = 0; i < 50; i++) {
    last = (await browser.get(notes.authorizeUrl({ state: `tab ${i}` }))).headers.get('location') as string
  }
  const url = await signInOn(await readPage(await browser.get(last)))
  assertCode(url)
  assert.equal(url.searchParams.get('state'), 'tab 49')
  assert.ok((await browser.jar.getCookieString(new URL(last, server.url).href)).length < 4096)
})

test('prompt=none tells the app that no user is signed in', async () => {
  const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  assert.equal(told['error'], 'login_required')
})

test('prompt=none is silent for a signed-in user, even for the first app they ever open', async () => {
  await browser.signIn(ada)
  assert.ok(answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)['code'])
  assert.ok(answerIn(await browser.get(photos.authorizeUrl({ prompt: 'none' })), photos.redirectUri)['code'])
})

test('prompt=none asks for a sign-in again at the very moment the person has signed out', async () => {
  await browser.signIn(ada)
  await notes.code(browser)
  await browser.post('/logout', {})
  const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  assert.equal(told['error'], 'login_required')
})

const AGAIN = 'Notes asks you to sign in again, to make sure that it is you.'
for (const [change, why] of [
  [{ prompt: 'login' }, AGAIN],
  // The library takes it for `prompt=login`.
  [{ max_age: '0' }, AGAIN],
  [{ prompt: 'login', max_age: '3600' }, AGAIN],
] as [Record<string, string>, string][]) {
  test(`${new URLSearchParams(change)} asks a signed-in user again, says why, and when they answered`, async () => {
    await browser.signIn(ada)
    const before = await notes.connect(browser, { max_age: '100000' })
    clock.advance(100)
    const { url, page } = await open(notes.authorizeUrl(change))
    assert.equal(page.heading, 'Sign in')
    assert.equal(page.forms[0]?.fields['login'], 'ada')
    assert.ok(page.text.includes(why), page.text)

    // Looking at the page again is not an answer.
    assert.equal((await readPage(await browser.get(url))).heading, 'Sign in')
    const reached = await signInOn(page)
    assertCode(reached)
    const response = await notes.exchange(reached.searchParams.get('code') as string)
    const after = (await response.json()) as { id_token: string }
    const [then, now] = [claimsOf(before.id_token)['auth_time'], claimsOf(after.id_token)['auth_time']]
    assert.equal((now as number) - (then as number), 100)
  })
}

test('a sign-in older than max_age is asked for again, and the page says why', async () => {
  // The library reads a clock of its own.
  const ahead = (clock().getTime() - Date.now()) / 1000
  clock.advance(-ahead - 100)
  await browser.signIn(ada)
  clock.advance(ahead + 100)
  const { page } = await open(notes.authorizeUrl({ max_age: '50' }))
  assert.match(page.text, /You signed in too long ago for Notes\. Sign in again\./)
  assertCode(await signInOn(page))
})

test('who is not signed in is not told that they are asked again', async () => {
  for (const change of [{ prompt: 'login' }, { max_age: '0' }] as Record<string, string>[]) {
    const { page } = await open(notes.authorizeUrl(change))
    assert.doesNotMatch(page.text, /again/)
  }
})

test('prompt=login cannot be answered silently, and prompt=none with max_age=0 is refused', async () => {
  await browser.signIn(ada)
  const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none', max_age: '0' })), CALLBACK)
  assert.match(told['error'] ?? '', /login_required|invalid_request/)
})

test('a sign-in younger than max_age is enough', async () => {
  await browser.signIn(ada)
  const tokens = await notes.connect(browser, { max_age: '100000' })
  assert.equal(typeof claimsOf(tokens.id_token)['auth_time'], 'number')
})

test('an app that names the person it expects does not get another', async () => {
  await browser.signIn(ada)
  const { id_token: hint } = await notes.connect(browser)
  const other = new Browser(server.url)
  await other.signIn(grace)

  assert.ok(answerIn(await browser.get(notes.authorizeUrl({ id_token_hint: hint, prompt: 'none' })), CALLBACK)['code'])
  const told = answerIn(await other.get(notes.authorizeUrl({ id_token_hint: hint, prompt: 'none' })), CALLBACK)
  assert.equal(told['error'], 'login_required')

  const { page } = await open(notes.authorizeUrl({ id_token_hint: hint }), other)
  assert.equal(page.heading, 'Sign in')
  assert.match(page.text, /You are signed in as grace, but Notes expects another account\./)
  assert.equal(page.forms[0]?.fields['login'], '')
  const reached = await signInOn(page, ada, other)
  assertCode(reached)
  const tokens = (await (await notes.exchange(reached.searchParams.get('code') as string)).json()) as {
    id_token: string
  }
  assert.equal(claimsOf(tokens.id_token)['sub'], adasId)
})

test('another person who signs in to the same browser gets a code for themselves', async () => {
  await browser.signIn(ada)
  const before = await notes.connect(browser)
  await browser.signIn(grace)
  const after = await notes.connect(browser)
  assert.equal(claimsOf(before.access_token)['sub'], adasId)
  assert.notEqual(claimsOf(after.access_token)['sub'], adasId)
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { answerIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { type Page, readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'

const CALLBACK = 'https://notes.example.test/callback'
const WITH_QUERY = `https://notes.example.test/callback?tenant=${'t'.repeat(1500)}`
/** What common reverse proxies give to one header, and to all headers of an answer. */
const HEADER_BUFFER = 8192

const LONG_STATES = {
  '4,000 characters of base64': `${randomBytes(2998).toString('base64').slice(0, 3990)}++++////==`,
  '8,000 plain characters': 'x'.repeat(8000),
}

/** A browser behind a reverse proxy: what it sends, and what the portal answers, has to fit. */
class ProxiedBrowser extends Browser {
  override async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    const url = new URL(path, server.url)
    // How long its own request is, the app has decided.
    if (url.pathname !== '/oauth/authorize') {
      assert.ok(url.href.length < HEADER_BUFFER / 2, `${url.pathname}: ${url.href.length} characters`)
      assert.ok((await this.jar.getCookieString(url.href)).length < HEADER_BUFFER / 2)
    }
    return this.#fits(await super.get(path, headers))
  }

  override async post(path: string, fields: Record<string, string>, headers = {}): Promise<Response> {
    return this.#fits(await super.post(path, fields, headers))
  }

  #fits(response: Response): Response {
    const location = response.headers.get('location') ?? ''
    if (location.startsWith(CALLBACK)) return response
    const size = [...response.headers].reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
    assert.ok(size < HEADER_BUFFER / 2, `${response.url.slice(0, 80)}: ${size} bytes of headers`)
    return response
  }
}

const clock = createClock()
let server: TestServer
let notes: Client
let browser: ProxiedBrowser

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  const app = { ...notesApp, redirectUris: [CALLBACK, WITH_QUERY] }
  notes = new Client(server.url, 'notes', await server.addApp('notes', app), CALLBACK)
})
after(() => server.close())

async function open(change: Record<string, string | null>): Promise<Page> {
  browser = new ProxiedBrowser(server.url)
  const { response } = await browser.follow(await browser.get(notes.authorizeUrl(change)))
  const page = await readPage(response)
  assert.equal(page.heading, 'Sign in')
  return page
}

async function signInOn(page: Page, person = ada): Promise<Response> {
  const fields = { ...page.forms[0]?.fields, login: person.username, password: person.password }
  return browser.post(page.forms[0]?.action ?? '', fields)
}

/** What the app is told in the end. */
async function follow(response: Response): Promise<URLSearchParams> {
  const { url } = await browser.follow(response)
  assert.ok(url.startsWith(CALLBACK), url.slice(0, 200))
  return new URL(url).searchParams
}

for (const [what, state] of Object.entries(LONG_STATES)) {
  test(`a state of ${what} comes back after a sign-in`, async () => {
    const told = await follow(await signInOn(await open({ state })))
    assert.equal(told.get('state'), state)
    assert.ok(told.get('code'))
    // Who is signed in needs no page.
    assert.equal(answerIn(await browser.get(notes.authorizeUrl({ state })), CALLBACK)['state'], state)
  })

  test(`a state of ${what} survives a wrong password, a registration and a new sign-in`, async () => {
    const page = await open({ state, prompt: 'login' })
    const refused = await readPage(await signInOn(page, { ...ada, password: 'not this one at all' }))
    const href = /href="(\/register\?[^"]*)"/.exec(refused.html)?.[1]?.replaceAll('&amp;', '&') as string
    const form = (await readPage(await browser.get(href))).forms[0]
    assert.ok((form?.fields['return_to'] ?? '').startsWith('/interaction/'))
    const told = await follow(await signInOn(refused))
    assert.equal(told.get('state'), state)
  })
}

test('a long state comes back after a registration and after a second factor', async () => {
  const state = LONG_STATES['8,000 plain characters']
  const page = await open({ state })
  const password = 'five wide rivers under glass'
  const fields = { username: 'newcomer', email: 'newcomer@example.test', password, password_confirmation: password }
  const returnTo = page.forms[0]?.fields['return_to'] as string
  assert.equal((await follow(await browser.post('/register', { ...fields, return_to: returnTo }))).get('state'), state)

  const { key } = await addTotp(browser, clock())
  clock.advance(60)
  const second = await signInOn(await open({ state }), { username: 'newcomer', email: fields.email, password })
  const question = await readPage((await browser.follow(second)).response)
  assert.equal(question.heading, 'Two-step verification')
  const answer = { ...question.forms[0]?.fields, code: codeOf(key, clock()) }
  const told = await follow(await browser.post(question.forms[0]?.action ?? '', answer))
  assert.equal(told.get('state'), state)
})

for (const [what, change] of [
  ['nonce', { nonce: 'n'.repeat(4000) }],
  ['login_hint', { login_hint: 'h'.repeat(4000) }],
  ['claims', { claims: JSON.stringify({ id_token: { name: { values: Array.from({ length: 300 }, () => 'a b') } } }) }],
  ['redirect_uri', { redirect_uri: WITH_QUERY, state: 's'.repeat(3000) }],
  ['state of other alphabets', { state: 'ключ'.repeat(400) }],
] as [string, Record<string, string>][])
  test(`a request with a long ${what} comes back`, async () => {
    const told = await follow(await signInOn(await open(change)))
    assert.equal(told.get('state'), change['state'] ?? 'state')
    assert.equal(told.get('tenant'), change['redirect_uri'] === undefined ? null : 't'.repeat(1500))
    const code = told.get('code') as string
    const tokens = (await (
      await notes.exchange(code, change['redirect_uri'] === undefined ? {} : { redirect_uri: WITH_QUERY })
    ).json()) as { id_token: string }
    assert.equal(claimsOf(tokens.id_token)['nonce'], change['nonce'] ?? 'nonce')
  })

test('a request that is too long is refused at its app, with the reason, signed in or not', async () => {
  const state = 'x'.repeat(10_000)
  const signedIn = new Browser(server.url)
  await signedIn.signIn(ada)
  for (const who of [new Browser(server.url), signedIn])
    for (const prompt of [null, 'none', 'login']) {
      const told = answerIn(await who.get(notes.authorizeUrl({ state, prompt })), CALLBACK)
      assert.equal(told['error'], 'invalid_request')
      assert.match(told['error_description'] ?? '', /^the authorization request is longer than \d+ bytes$/)
      assert.equal(told['state'], state)
      assert.equal(told['iss'], server.url)
    }
})

test('a long request is not lost where its neighbours begin more of them than are kept', async () => {
  const state = LONG_STATES['8,000 plain characters']
  const before = await open({ state, nonce: 'before' })
  const own = browser
  for (let request = 0; request < 150; request++) {
    const answer = await new Browser(server.url).get(notes.authorizeUrl({ state, nonce: String(request) }))
    assert.equal(answer.status, 303)
  }
  const late = new Browser(server.url)
  const { response } = await late.follow(await late.get(notes.authorizeUrl({ state, nonce: 'late' })))
  const page = await readPage(response)
  const form = { ...page.forms[0]?.fields, login: 'grace', password: grace.password }
  const { url } = await late.follow(await late.post('/login', form))
  assert.equal(new URL(url).searchParams.get('state'), state)

  browser = own
  assert.equal((await follow(await signInOn(before))).get('state'), state)
})

test('fifty long requests begun in one browser leave it able to finish the first and the last, signed in', async () => {
  const own = new Browser(server.url)
  const state = LONG_STATES['4,000 characters of base64']
  const pages: string[] = []
  for (let tab = 0; tab < 50; tab++)
    pages.push((await own.get(notes.authorizeUrl({ state: `${tab} ${state}` }))).headers.get('location') as string)
  for (const tab of [49, 0]) {
    const answer = await own.get(pages[tab] as string)
    const page = answer.status === 200 ? await readPage(answer) : null
    const form = { ...page?.forms[0]?.fields, login: 'ada', password: ada.password }
    const { url } = await own.follow(page === null ? answer : await own.post('/login', form))
    assert.equal(new URL(url).searchParams.get('state'), `${tab} ${state}`)
  }
  assert.equal((await own.get('/dashboard')).status, 200)
})

test('what an interaction carries opens in no other one, and not when it was altered', async () => {
  const own = new Browser(server.url)
  const [one = '', other = ''] = await Promise.all(
    ['one', 'other'].map(async (state) => (await own.get(notes.authorizeUrl({ state }))).headers.get('location') ?? ''),
  )
  const request = new URL(one, server.url).searchParams.get('request') as string
  const path = other.replace(/\?.*/, '')
  for (const wrong of [request, `${request}x`, request.slice(0, -4), 'x', '..', 'a.b.c', '%00', 'x'.repeat(5000)]) {
    const page = await readPage(await own.get(`${path}?request=${encodeURIComponent(wrong)}`))
    assert.equal(page.heading, 'This sign-in cannot go on')
  }
  assert.equal((await readPage(await own.get(other))).heading, 'Sign in')
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../testing/portal/statements.ts'

const clock = createClock()
let server: TestServer
let browser: Browser
let notes: Client

before(async () => {
  // Only what the requests send is counted.
  server = await startTestServer({ clock, env: { IN_PROCESS_WORKER: 'false' } })
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

/** The names of the statements of an act, in order of their names. */
async function namesOf(act: () => Promise<unknown>): Promise<string[]> {
  const statements = await recordStatements(act)
  // The name of one holds the id that it asks for.
  return withoutPeriodic(statements)
    .map(({ name, text }) => (name ?? text).replace(/^(browser-session) .*/, '$1'))
    .toSorted()
}

/** Sends a refresh with this answer. */
async function refreshed({ refresh_token: token }: Tokens, status: number, extra: Record<string, string> = {}) {
  const response = await notes.refresh(token, extra)
  assert.equal(response.status, status)
  return response
}

test('a plain refresh is one statement', async () => {
  const tokens = await notes.connect(browser)
  assert.deepEqual(await namesOf(() => refreshed(tokens, 200)), ['family-advance'])
})

/** What is asked of a refresh that does not move its family: an update for families of each lifetime, the app, the family, the timeline. */
const REFUSED = ['app-find', 'family-advance', 'family-advance-any', 'family-find', 'ledger-upsert']

test('a repeated refresh within the grace window sends each update once', async () => {
  const tokens = await notes.connect(browser)
  await refreshed(tokens, 200)
  assert.deepEqual(await namesOf(() => refreshed(tokens, 200)), REFUSED)
})

test('a refused refresh sends each update once', async () => {
  const tokens = await notes.connect(browser)
  await notes.revoke(tokens.refresh_token)
  assert.deepEqual(await namesOf(() => refreshed(tokens, 400)), REFUSED)
})

test('a refresh that only the library reads sends each update once', async () => {
  const tokens = await notes.connect(browser)
  assert.deepEqual(await namesOf(() => refreshed(tokens, 200, { unrelated: '1' })), ['app-find', 'family-advance'])
  assert.deepEqual(await namesOf(() => refreshed(tokens, 200, { unrelated: '1' })), REFUSED)
})

test('a token that is none of ours costs the reading of its app', async () => {
  const tokens = await notes.connect(browser)
  const broken = { ...tokens, refresh_token: `${tokens.refresh_token.slice(0, -1)}~` }
  assert.deepEqual(await namesOf(() => refreshed(broken, 400)), ['app-find'])
})

test('a silent authorization reads the app once, also where the library answers', async () => {
  const expected = ['app-find', 'browser-session', 'handshake-put', 'identity-session-find']
  assert.deepEqual(await namesOf(() => browser.get(notes.authorizeUrl({ prompt: 'none' }))), expected)

  const ask = () => browser.get(notes.authorizeUrl({ prompt: 'none', claims: '{"id_token":{"email":null}}' }))
  assert.equal((await namesOf(ask)).filter((name) => name === 'app-find').length, 1)
})

test('an authorization that shows the form reads the app once in each of its two requests', async () => {
  const stranger = new Browser(server.url)
  let page: string | null = null
  const authorize = async () => {
    page = (await stranger.get(notes.authorizeUrl())).headers.get('location')
  }
  assert.deepEqual(await namesOf(authorize), ['app-find'])
  assert.ok(page)
  const show = async () => {
    assert.match(await (await stranger.get(page as string)).text(), /Notes/)
  }
  // The first form of some seconds reads which other providers it offers.
  await show()
  assert.deepEqual(await namesOf(show), ['app-find'])
})

test('a page of an interaction reads the app once, whoever is signed in', async () => {
  const page = (await browser.get(notes.authorizeUrl({ prompt: 'select_account' }))).headers.get('location') as string
  const names = await namesOf(async () => browser.get(page))
  assert.equal(names.filter((name) => name === 'app-find').length, 1)
})

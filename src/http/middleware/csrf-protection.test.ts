import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { writeCounts } from '../../domain/statistics.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

/** Every route that changes something, from the table of contents itself, so that none is forgotten. */
const ROUTES = [
  ...readFileSync(join(import.meta.dirname, '../routes.ts'), 'utf8').matchAll(
    /routes\.(post|put|patch|delete)\(\s*'([^']+)'/g,
  ),
].map((match) => ({ method: match[1]?.toUpperCase() as string, path: match[2] as string }))

const ELSEWHERE: Record<string, string>[] = [
  { origin: 'https://evil.test' },
  { origin: 'http://localhost:1' },
  { origin: 'null' },
  { origin: '' },
  { origin: 'https://evil.test', 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'nonsense' },
]

let server: TestServer
let browser: Browser
let notes: Client
const ids: Record<string, string> = {}

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  browser = new Browser(server.url)
  await browser.signIn(ada)
  ids['family'] = claimsOf((await notes.connect(browser)).access_token)['fam'] as string
  const other = new Browser(server.url)
  await other.signIn(ada)
  // What is done in the background for that must not look like something a page did.
  await waitForMail(server.mailFolder, ada.email, 'New sign-in')
  const mine = await readPage(await browser.get('/sessions'))
  ids['session'] = actionOf(mine, 'Sign out Firefox on Linux').split('/')[2] as string
  const asked = await browser.follow(await browser.get(notes.authorizeUrl({ prompt: 'consent' })))
  ids['interaction'] = new URL(asked.url).pathname.split('/')[2] as string
})
after(() => server.close())

function pathOf(route: string): string {
  return route
    .replace('/families/:id', `/families/${ids['family']}`)
    .replace('/sessions/:id', `/sessions/${ids['session']}`)
    .replace(':clientId', 'notes')
    .replace(':uid', ids['interaction'] as string)
}

/** Everything the stores hold, by table. What the process has counted of earlier requests is written first. */
async function everything(): Promise<Record<string, string>> {
  const { pool } = server.services.storage
  await writeCounts(server.services)
  const { rows } = await pool.query<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
  )
  const tables = await Promise.all(
    rows.map(async ({ name }) => {
      const table = await pool.query(`SELECT * FROM ${name} ORDER BY 1`)
      return [name, JSON.stringify(table.rows)] as const
    }),
  )
  return Object.fromEntries(tables)
}

const FORM = new URLSearchParams({
  login: 'ada',
  username: 'eve',
  email: 'eve@example.test',
  password: ada.password,
  password_confirmation: ada.password,
})

test('the table of routes was read', () => {
  assert.ok(ROUTES.length >= 9)
  assert.ok(ROUTES.some(({ path }) => path === '/login'))
})

for (const { method, path } of ROUTES) {
  test(`${method} ${path} is refused when another site asks for it, and changes nothing`, async () => {
    const before = await everything()
    const cookie = await browser.jar.getCookieString(server.url + pathOf(path))
    // Pages that keep their address secret come without an origin; a client that knows the URL need not come from there.
    const elsewhere = ELSEWHERE.filter(({ origin }) => !path.includes('/:token') || origin !== 'null')
    for (const headers of elsewhere) {
      // An empty Origin cannot be sent by fetch alone; undici passes it on as it is.
      const response = await fetch(server.url + pathOf(path), {
        method,
        body: FORM,
        redirect: 'manual',
        headers: { cookie, ...headers },
      })
      assert.equal(response.status, 403, JSON.stringify(headers))
      assert.deepEqual(response.headers.getSetCookie(), [])
      assert.equal((await readPage(response)).heading, 'That came from another site')
    }
    assert.deepEqual(await everything(), before)
  })
}

test('an app may not be refused what the person asks for on this very site', async () => {
  const page = await browser.post(`/families/${ids['family']}/revocation`, {}, { 'sec-fetch-site': 'same-origin' })
  assert.equal(page.status, 303)
})

test('the confirmation of a sign-out an app asked for is refused to other sites as well', async () => {
  const before = await everything()
  for (const headers of ELSEWHERE) {
    const response = await browser.post('/oauth/logout/confirm', { xsrf: 'x', logout: 'yes' }, headers)
    assert.equal(response.status, 403, JSON.stringify(headers))
  }
  assert.deepEqual(await everything(), before)
})

test('a program that sends neither Origin nor Sec-Fetch-Site may post a form, for it has no cookies of another user', async () => {
  const response = await fetch(`${server.url}/login`, {
    method: 'POST',
    body: new URLSearchParams({ login: 'ada', password: ada.password }),
    redirect: 'manual',
  })
  assert.equal(response.status, 303)
  await waitForMail(server.mailFolder, ada.email, 'New sign-in', 2)
})

test('looking at pages changes nothing, however often and wherever a link leads', async () => {
  const paths = new Set(['/', '/login', '/register', '/dashboard', '/sessions', '/activity', '/settings', '/logout'])
  const before = await everything()
  for (const path of paths) {
    const { html } = await readPage(await browser.get(path))
    for (const [, href = ''] of html.matchAll(/(?:href|action|src)="(\/[^"]*)"/g)) paths.add(href)
  }
  for (const { path } of ROUTES) paths.add(pathOf(path))
  for (const path of paths) {
    for (const method of ['GET', 'HEAD']) {
      const cookie = await browser.jar.getCookieString(server.url + path)
      await (await fetch(server.url + path, { method, redirect: 'manual', headers: { cookie } })).text()
    }
  }
  assert.ok(paths.size > 30)
  assert.deepEqual(await everything(), before)
})

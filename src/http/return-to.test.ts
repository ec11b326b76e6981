import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { listEndpoints } from '../testing/portal/endpoints.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { portOf, send } from '../testing/network/wire.ts'
import { safeReturnTo } from './return-to.ts'

let server: TestServer

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
})
after(() => server.close())

const ELSEWHERE = [
  '//evil.test',
  '///evil.test/dashboard',
  '/\\evil.test',
  '\\\\evil.test\\dashboard',
  '/\t/evil.test',
  '/%09/evil.test',
  'https:evil.test',
  'https://evil.test/dashboard',
  'https:/evil.test',
  'javascript:alert(1)',
  'data:text/html,x',
  '%2f%2fevil.test',
  '%252f%252fevil.test',
  '/%2f%2fevil.test',
  '/%5cevil.test',
  '/dashboard%0d%0aSet-Cookie:%20a=b',
  '/dashboard\r\nSet-Cookie: a=b',
  '/dashboard/../../evil.test',
  '/..//evil.test',
  '/.//evil.test',
  '@evil.test',
  '.evil.test',
  ' /dashboard',
  '/logout',
  '/public/style.css',
  `/dashboard?${'a'.repeat(8000)}`,
  'ÿ',
  '/dashboard?\u202e',
]

test('a sign-in is led to no other place, however it is written', () => {
  for (const place of ELSEWHERE) assert.equal(safeReturnTo(place, 'https://portal.example.test'), null, place)
})

// The form, the sign-in and the way past it ask that one rule.
for (const place of ['//evil.test', '/dashboard\r\nSet-Cookie: a=b']) {
  test(`a sign-in that asks to be led to ${JSON.stringify(place.slice(0, 60))} stays on the portal`, async () => {
    const browser = new Browser(server.url)
    const page = await readPage(await browser.get(`/login?${new URLSearchParams({ return_to: place })}`))
    assert.equal(page.forms[0]?.fields['return_to'], undefined)

    const form = { login: 'ada', password: ada.password, return_to: place }
    const response = await browser.post('/login', form)
    if (response.status === 400) return
    assert.equal(response.status, 303)
    assert.equal(response.headers.get('location'), '/dashboard')
    assert.equal(response.headers.has('set-cookie'), true)
    // Who is signed in already is led past the form by the same rule.
    const past = await browser.get(`/login?${new URLSearchParams({ return_to: place })}`)
    assert.equal(past.headers.get('location'), '/dashboard')
  })
}

test('a stranger is led back to every page that asks to sign in, as its address was typed', async () => {
  const pages = listEndpoints().filter(
    ({ method, path }) => method === 'GET' && path !== '/' && !path.startsWith('/oauth'),
  )
  let asked = 0
  for (const { path } of pages) {
    const address = path.replaceAll(/:\w+/g, '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f')
    for (const typed of [address, `${address}/`, address.toUpperCase(), `${address}?page=2&sort=%C3%BC`]) {
      const browser = new Browser(server.url)
      const response = await browser.get(typed)
      if (!response.headers.get('location')?.startsWith('/login?return_to=')) continue
      asked++
      const { forms } = await readPage((await browser.follow(response)).response)
      assert.equal(forms[0]?.fields['return_to'], typed)
      const signedIn = await browser.post('/login', { ...forms[0].fields, login: 'ada', password: ada.password })
      assert.equal(signedIn.headers.get('location'), typed)
    }
  }
  assert.ok(asked >= 60, `${asked} pages asked to sign in`)
})

for (const [form, referer, page] of [
  ['/families/0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f/revocation', '/dashboard', '/dashboard'],
  ['/families/0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f/revocation', null, '/families/0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f'],
  ['/sessions/revocation', '/sessions?x=1', '/sessions?x=1'],
  ['/devices/x/removal', '/sessions', '/sessions'],
  ['/settings/password', '/settings/password', '/settings/password'],
  ['/settings/password', null, '/settings/password'],
  ['/settings/email/withdrawal', '/settings', '/settings'],
  ['/settings/second-factors/totp', '/settings/second-factors/totp', '/settings/second-factors'],
  ['/settings/second-factors/totp', 'https://evil.test/dashboard', '/settings/second-factors'],
  ['/apps/notes/disconnection', null, '/apps/notes/disconnection'],
  ['/devices/x/name', null, '/devices/x'],
] as const) {
  test(`a form to ${form} from ${referer ?? 'nowhere'} without a sign-in says so and leads back`, async () => {
    const browser = new Browser(server.url)
    const from: Record<string, string> = referer === null ? {} : { referer: new URL(referer, server.url).href }
    const { response } = await browser.follow(await browser.post(form, {}, from))
    const signIn = await readPage(response)
    assert.equal(signIn.heading, 'Sign in')
    assert.equal(signIn.notice, 'You had been signed out, so nothing was changed. Sign in to go back to the form.')
    assert.equal(signIn.forms[0]?.fields['return_to'] ?? null, page)
  })
}

test('a browser that keeps no cookies is told so, and one that keeps them does not notice', async () => {
  const form = new URLSearchParams({ login: 'ada', password: ada.password, return_to: '/sessions' })
  const headers = { origin: server.url, referer: `${server.url}/login` }
  const signedIn = await fetch(`${server.url}/login`, { method: 'POST', body: form, headers, redirect: 'manual' })
  const next = new URL(signedIn.headers.get('location') ?? '', server.url)
  const page = await readPage(await fetch(next, { headers }))
  assert.deepEqual([page.status, page.heading], [400, 'Your browser keeps no cookies'])
  assert.match(page.text, /Allow cookies for this site/)

  const browser = new Browser(server.url)
  const kept = await browser.follow(
    await browser.post('/login', Object.fromEntries(form), { referer: headers.referer }),
  )
  assert.equal(new URL(kept.url).pathname, '/sessions')
  assert.equal(kept.response.status, 200)

  const lost = await readPage(await fetch(`${server.url}/interaction/long-gone`))
  assert.match(lost.text, /Your browser sent no cookies/)
})

test('a place named twice is no place', async () => {
  const browser = new Browser(server.url)
  const page = await readPage(await browser.get('/login?return_to=/sessions&return_to=//evil.test'))
  assert.equal(page.forms[0]?.fields['return_to'], undefined)
})

for (const place of ['/sessions', '/activity?before=12', '/oauth/authorize?client_id=notes&state=%2F%2Fevil.test']) {
  test(`a sign-in on the way to ${place} goes on to it`, async () => {
    const browser = new Browser(server.url)
    const page = await readPage(await browser.get(`/login?${new URLSearchParams({ return_to: place })}`))
    assert.equal(page.forms[0]?.fields['return_to'], place)
    const response = await browser.post('/login', { login: 'ada', password: ada.password, return_to: place })
    assert.equal(response.headers.get('location'), place)
  })
}

test('a stranger who opens a page is asked to sign in and then led back to it', async () => {
  const browser = new Browser(server.url)
  const { response } = await browser.follow(await browser.get('/activity?before=7'))
  const page = await readPage(response)
  assert.equal(page.heading, 'Sign in')
  assert.equal(page.forms[0]?.fields['return_to'], '/activity?before=7')
})

test('the way from one form to the other keeps where the person was going', async () => {
  const { html } = await readPage(await new Browser(server.url).get('/login?return_to=%2Fsessions'))
  assert.match(html, /href="\/register\?return_to=%2Fsessions"/)
  assert.match(
    (await readPage(await new Browser(server.url).get('/register?return_to=%2Fsessions'))).html,
    /href="\/login\?return_to=%2Fsessions"/,
  )
})

test('no address of the portal leads away from it', async () => {
  for (const path of [
    '//evil.test/',
    '//evil.test/%2e%2e',
    '/\\evil.test',
    '/public',
    '/public//evil.test/..',
    '/public/%2f%2fevil.test',
    '//evil.test/dashboard',
    '/dashboard?//evil.test',
    '/login//evil.test',
    '/interaction//evil.test',
  ]) {
    const answer = await send(portOf(server.url), { path, headers: { host: new URL(server.url).host } })
    const { location } = answer.headers
    if (location === undefined) assert.ok(answer.status >= 400, `${path}: ${answer.status}`)
    else assert.equal(new URL(location, `${server.url}${path}`).origin, server.url, `${path} leads to ${location}`)
  }
})

test('only what is a path of this very portal is safe', () => {
  assert.equal(safeReturnTo('/dashboard', 'https://portal.example.test'), '/dashboard')
  assert.equal(safeReturnTo('/dashboard#fragment', 'https://portal.example.test'), '/dashboard')
  assert.equal(safeReturnTo(['/dashboard'], 'https://portal.example.test'), null)
  assert.equal(safeReturnTo(undefined, 'https://portal.example.test'), null)
})

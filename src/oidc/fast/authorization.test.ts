import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { type AppRow, disableApp, enableApp, findApp } from '../../domain/apps/apps.ts'
import { tokensIn } from '../../testing/portal/answers.ts'
import { deskApp, notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const SCOPE = 'openid profile email offline_access notes:read'

let server: TestServer
let browser: Browser
let notes: Client
let photos: Client
let desk: Client
let listener: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const settings = {
    ...notesApp,
    scope: SCOPE,
    redirectUris: [...notesApp.redirectUris, 'https://n.example.test/?a=b'],
  }
  const callback = 'https://notes.example.test/callback'
  notes = new Client(server.url, 'notes', await server.addApp('notes', settings), callback)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  const listening = { ...settings, backchannelLogoutUri: 'https://notes.example.test/logout' }
  listener = new Client(server.url, 'listener', await server.addApp('listener', listening), callback)
  desk = new Client(server.url, 'desk', await server.addApp('desk', deskApp), 'com.example.desk:/callback')
})
after(() => server.close())
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

interface Case {
  what: string
  status: number
  change?: Record<string, string | null>
  client?: () => Client
  /** Added to the address as it is. */
  more?: string
  before?: () => Promise<unknown>
  after?: () => Promise<unknown>
}

const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow

const CASES: Case[] = [
  { what: 'everything as it is taught', status: 303 },
  { what: 'a public app', status: 303, client: () => photos },
  { what: 'an app that is told of endings', status: 303, client: () => listener },
  { what: 'no state', status: 303, change: { state: null } },
  { what: 'a strange state', status: 303, change: { state: 'a b+c&d=é\u0000"<>' } },
  { what: 'a long state', status: 303, change: { state: 'x'.repeat(4000) } },
  { what: 'no nonce', status: 303, change: { nonce: null } },
  { what: 'the least', status: 303, change: { scope: 'openid' } },
  { what: 'a scope of its own, first', status: 303, change: { scope: 'notes:read email openid' } },
  { what: 'an address with a query', status: 303, change: { redirect_uri: 'https://n.example.test/?a=b' } },
  { what: 'prompt=none', status: 303, change: { prompt: 'none' } },
  { what: 'prompt=login', status: 303, change: { prompt: 'login' } },
  { what: 'prompt=consent', status: 303, change: { prompt: 'consent', scope: 'openid offline_access' } },
  { what: 'offline_access without a question', status: 303, change: { scope: 'openid offline_access' } },
  { what: 'an unknown scope', status: 303, change: { scope: 'openid admin' } },
  { what: 'a scope twice', status: 303, change: { scope: 'openid openid profile' } },
  { what: 'two spaces in the scope', status: 303, change: { scope: 'openid  profile' } },
  { what: 'no openid', status: 303, change: { scope: 'profile', nonce: null } },
  { what: 'no scope', status: 303, change: { scope: null, nonce: null } },
  { what: 'a scope of the portal that the app may not have', status: 303, change: { scope: 'openid phone' } },
  { what: 'another response type', status: 303, change: { response_type: 'id_token' } },
  { what: 'an answer as a form', status: 200, change: { response_mode: 'form_post' } },
  { what: 'no challenge', status: 303, change: { code_challenge: null, code_challenge_method: null } },
  { what: 'a plain challenge', status: 303, change: { code_challenge_method: 'plain' } },
  { what: 'a short challenge', status: 303, change: { code_challenge: 'short' } },
  { what: 'max_age=0', status: 303, change: { max_age: '0' } },
  { what: 'claims', status: 303, change: { claims: '{"id_token":{"email":null}}' } },
  { what: 'a foreign address', status: 400, change: { redirect_uri: 'https://evil.example.test/' } },
  { what: 'an address in other letters', status: 400, change: { redirect_uri: 'https://notes.example.test/Callback' } },
  { what: 'no address', status: 400, change: { redirect_uri: null } },
  { what: 'an unknown app', status: 400, change: { client_id: 'nobody' } },
  { what: 'a native app', status: 303, client: () => desk },
  { what: 'the app named twice', status: 400, more: '&client_id=photos' },
  { what: 'the state twice', status: 303, more: '&state=other' },
  { what: 'a resource', status: 303, more: '&resource=urn:gatehouse:audience:notes' },
  {
    what: 'a disabled app',
    status: 400,
    before: async () => disableApp(server.services, await appOf('notes')),
    after: async () => enableApp(server.services, await appOf('notes')),
  },
  { what: 'no user signed in', status: 303, before: () => browser.post('/logout', {}) },
]

interface Said {
  status: number
  location: string | null
  /** What was kept for the code, and what it gives. */
  kept: unknown
  tokens: unknown
}

async function ask({ change, client = () => notes, more = '', before, after }: Case, extra: string): Promise<Said> {
  await browser.signIn(ada)
  await before?.()
  const response = await browser.get(`${client().authorizeUrl(change)}${more}${extra}`)
  await after?.()
  const location = response.headers.get('location')
  const url = location === null ? null : new URL(location, server.url)
  const code = url?.searchParams.get('code') ?? null
  // What is drawn anew for each, and where each goes on.
  if (code !== null) url?.searchParams.set('code', `${code.length} letters`)
  if (url?.pathname.startsWith('/interaction/') === true) {
    url.pathname = '/interaction/'
    url.searchParams.delete('request')
  }
  return {
    status: response.status,
    location: url?.href ?? null,
    kept: code === null ? null : await recordOf(code),
    tokens: code === null ? null : await exchange(client(), code, change?.['redirect_uri'] ?? client().redirectUri),
  }
}

async function recordOf(code: string): Promise<unknown> {
  const id = `AuthorizationCode:${createHash('sha256').update(code).digest('base64url')}`
  const { rows } = await server.services.storage.pool.query('SELECT payload FROM handshakes WHERE id = $1', [id])
  const { grantId, authTime: _then, ...record } = JSON.parse(rows[0].payload)
  const { identitySessionId, grant, ...pending } = record.pending
  assert.equal(grant.jti, grantId)
  assert.match(identitySessionId, /^[\w-]{36}$/)
  if (record.sid !== undefined) {
    assert.equal(record.sid, grantId)
    record.sid = ''
  }
  return { ...record, pending: { ...pending, grant: { ...grant, jti: '' } } }
}

async function exchange(client: Client, code: string, redirectUri: string): Promise<unknown> {
  const tokens = await tokensIn(await client.exchange(code, { redirect_uri: redirectUri }))
  const { iat: _i, exp: _e, jti: _j, fam, auth_time: _t, ...application } = claimsOf(tokens.access_token)
  const { iat: _k, exp: _l, auth_time: _a, at_hash: _h, ...id } = tokens.id_token ? claimsOf(tokens.id_token) : {}
  if (id['sid'] !== undefined) {
    assert.equal(id['sid'], fam)
    id['sid'] = ''
  }
  return { scope: tokens.scope, application, id }
}

for (const each of CASES) {
  test(`a plain authorization and one that takes the library's path get the same answer: ${each.what}`, async () => {
    const plain = await ask(each, '')
    // An unknown parameter is ignored (RFC 6749 §3.1) and is not plain.
    const byLibrary = await ask(each, '&unrelated=1')
    assert.equal(plain.status, each.status, JSON.stringify(plain))
    assert.deepEqual(plain, byLibrary)
  })
}

test('what nearly every app asks for is answered without the library', async () => {
  // Only the library's redirect has words in its body.
  assert.equal((await browser.get(notes.authorizeUrl())).headers.get('content-length'), '0')
  assert.notEqual((await browser.get(`${notes.authorizeUrl()}&unrelated=1`)).headers.get('content-length'), '0')
})

test('a cookie that the portal did not sign gets no code', async () => {
  const cookie = (await browser.jar.getCookies(server.url)).find(({ key }) => key === 'identity')
  const value = decodeURIComponent(cookie?.value as string).replace(/~\d+$/, '')
  const authorize = (header: string) =>
    fetch(notes.authorizeUrl({ prompt: 'none' }), { redirect: 'manual', headers: { cookie: header } })
  const good = await authorize(`identity=${encodeURIComponent(value)}`)
  assert.match(good.headers.get('location') ?? '', /code=/)
  for (const bad of [value.slice(2), value.slice(0, -2), `${value}x`, `s:${value}`, 's:', '', value.split('.')[0]]) {
    const refused = await authorize(`identity=${encodeURIComponent(bad as string)}`)
    assert.match(refused.headers.get('location') ?? '', /error=login_required/, bad)
  }
})

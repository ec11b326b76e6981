import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AppRow, disableApp, enableApp, findApp } from '../../domain/apps/apps.ts'
import { changeRoles, disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { tokensIn } from '../../testing/portal/answers.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { headersOf, isAnswered } from '../../testing/portal/plain.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import type { Sent } from '../../testing/network/wire.ts'
import { answerPlainUserinfo } from './userinfo.ts'

const clock = createClock()
let server: TestServer
let adaId: string
let notes: Client
let photos: Client
let browser: Browser

before(async () => {
  server = await startTestServer({ clock })
  adaId = await server.addIdentity(ada, { roles: ['editor'] })
  const settings = { ...notesApp, scope: `notes:read ${notesApp.scope}` }
  const callback = 'https://notes.example.test/callback'
  notes = new Client(server.url, 'notes', await server.addApp('notes', settings), callback)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const update = (change: string) => async (tokens: Tokens) => {
  const id = claimsOf(tokens.access_token)['fam']
  await server.services.storage.pool.query(`UPDATE families SET ${change} WHERE id = $1`, [id])
}
const narrowed = (scope: string) => async (tokens: Tokens) =>
  (await tokensIn(await notes.refresh(tokens.refresh_token, { scope }))).access_token

interface Case {
  what: string
  status: number
  /** What the app asks for at the authorization. */
  change?: Record<string, string>
  client?: () => Client
  authorization?: (tokens: Tokens) => string | Promise<string>
  headers?: Record<string, string>
  before?: (tokens: Tokens) => Promise<unknown>
  after?: () => Promise<unknown>
}

const CASES: Case[] = [
  { what: 'what nearly every app asks for', status: 200 },
  { what: 'a public app', status: 200, client: () => photos },
  { what: 'the least', status: 200, change: { scope: 'openid' } },
  { what: 'the profile alone', status: 200, change: { scope: 'openid profile' } },
  { what: 'the address first', status: 200, change: { scope: 'email openid' } },
  { what: 'everything', status: 200, change: { scope: 'openid profile email address phone notes:read' } },
  { what: 'a claim by name', status: 200, change: { scope: 'openid', claims: '{"userinfo":{"email":null}}' } },
  {
    what: 'less at the refresh',
    status: 200,
    authorization: async (tokens) => `Bearer ${await narrowed('email openid')(tokens)}`,
  },
  {
    what: 'no openid at the refresh',
    status: 403,
    authorization: async (tokens) => `Bearer ${await narrowed('profile')(tokens)}`,
  },
  { what: 'a script of another site', status: 400, headers: { origin: 'https://anywhere.test' } },
  { what: 'a refresh token', status: 401, authorization: (tokens) => `Bearer ${tokens.refresh_token}` },
  { what: 'an ID token', status: 401, authorization: (tokens) => `Bearer ${tokens.id_token}` },
  { what: 'one letter more', status: 401, authorization: (tokens) => `Bearer ${tokens.access_token}A` },
  { what: 'a scheme in small letters', status: 200, authorization: (tokens) => `bearer ${tokens.access_token}` },
  { what: 'two spaces', status: 400, authorization: (tokens) => `Bearer  ${tokens.access_token}` },
  { what: 'another scheme', status: 400, authorization: (tokens) => `DPoP ${tokens.access_token}` },
  { what: 'a proof with a token that is not bound', status: 400, headers: { dpop: 'x' } },
  { what: 'a token that has expired', status: 401, before: async () => clock.advance(301) },
  { what: 'a family that was ended', status: 401, before: (tokens) => notes.revoke(tokens.refresh_token) },
  { what: 'an idle family', status: 401, before: update('idle_expires_at = created_at') },
  { what: 'a family that is too old', status: 401, before: update('expires_at = created_at') },
  {
    what: 'a family whose session is over',
    status: 401,
    before: update("lifetime = 'session', identity_session_id = NULL"),
  },
  {
    what: 'roles that have changed',
    status: 401,
    before: () => changeRoles(server.services, adaId, ['auditor']),
    after: async () => {
      await changeRoles(server.services, adaId, ['editor'])
      clock.advance(2)
    },
  },
  {
    what: 'a disabled identity',
    status: 401,
    before: () => disableIdentity(server.services, adaId),
    after: async () => {
      await enableIdentity(server.services, adaId)
      await browser.signIn(ada)
    },
  },
  {
    what: 'a disabled app',
    status: 401,
    before: async () => disableApp(server.services, await appOf('notes')),
    after: async () => enableApp(server.services, await appOf('notes')),
  },
]

async function ask(each: Case, query: string): Promise<{ status: number; said: string; headers: [string, string][] }> {
  const { client = () => notes, authorization = (tokens) => `Bearer ${tokens.access_token}`, before, after } = each
  const tokens = await client().connect(browser, each.change)
  const given = await authorization(tokens)
  await before?.(tokens)
  const response = await fetch(`${server.url}/oauth/userinfo${query}`, {
    headers: { authorization: given, ...each.headers },
  })
  const said = await response.text()
  await after?.()
  return { status: response.status, said, headers: headersOf(response) }
}

for (const each of CASES) {
  test(`a plain userinfo request and one that takes the library's path get the same answer: ${each.what}`, async () => {
    const plain = await ask(each, '')
    // This parameter is not defined, so it says nothing and is not plain.
    const byLibrary = await ask(each, '?unrelated=1')
    assert.equal(plain.status, each.status, plain.said)
    assert.deepEqual(plain, byLibrary)
  })
}

test('what nearly every app asks is answered without the library, and nothing else', async () => {
  const answer = answerPlainUserinfo.bind(undefined, server.services)
  const { access_token: token, refresh_token: refreshToken } = await notes.connect(browser)
  const headers = { authorization: `Bearer ${token}` }
  // Once to verify the signature, once with it known.
  for (let turn = 0; turn < 2; turn++) assert.equal(await isAnswered(answer, { headers }), true)
  const named = await notes.connect(browser, { claims: '{"userinfo":{"email":null}}' })
  for (const sent of [
    { method: 'POST', headers, body: '' },
    { method: 'GET', headers, body: 'x' },
    { headers: { ...headers, origin: 'https://notes.example.test' } },
    { headers: { ...headers, dpop: 'x' } },
    { headers: { authorization: `bearer ${token}` } },
    { headers: { authorization: `Bearer ${refreshToken}` } },
    { headers: { authorization: `Bearer ${named.access_token}` } },
    {},
  ] as Sent[])
    assert.equal(await isAnswered(answer, sent), false, JSON.stringify(sent))
})

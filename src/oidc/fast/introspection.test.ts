import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AppRow, changeApp, disableApp, enableApp, findApp, rotateSecret } from '../../domain/apps/apps.ts'
import { changeRoles, disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { headersOf, isAnswered } from '../../testing/portal/plain.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import type { Sent } from '../../testing/network/wire.ts'
import { answerPlainIntrospection } from './introspection.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createClock()
let server: TestServer
let adaId: string
let notes: Client
let api: Client
let papers: Client
let photos: Client
let browser: Browser

before(async () => {
  server = await startTestServer({ clock })
  adaId = await server.addIdentity(ada, { roles: ['editor'] })
  const add = async (id: string, settings: typeof notesApp) =>
    new Client(server.url, id, await server.addApp(id, settings), settings.redirectUris[0] as string)
  notes = await add('notes', notesApp)
  api = await add('api', notesApp)
  papers = await add('papers', { ...notesApp, audience: 'papers' })
  photos = await add('photos', photosApp)
  await add('slides', photosApp)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

interface Asked {
  fields: [string, string][]
  headers?: Record<string, string>
}

const basic = ({ id, secret }: Client) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const byBasic = (client: () => Client) => (token: string) => ({
  fields: [['token', token]] satisfies [string, string][],
  headers: basic(client()),
})
const byPost = (token: string): Asked => ({
  fields: [
    ['token', token],
    ['client_id', 'notes'],
    ['client_secret', notes.secret as string],
  ],
})
const byNobody = (id: string) => (token: string) => ({
  fields: [
    ['token', token],
    ['client_id', id],
  ] satisfies [string, string][],
})
const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const update = (change: string) => async (tokens: Tokens) => {
  const id = claimsOf(tokens.access_token)['fam']
  await server.services.storage.pool.query(`UPDATE families SET ${change} WHERE id = $1`, [id])
}

interface Case {
  what: string
  status: number
  isActive?: boolean
  asked: (token: string) => Asked
  /** Whose token it is; that of Notes unless it says otherwise. */
  owner?: () => Client
  token?: (tokens: Tokens) => string
  before?: (tokens: Tokens) => Promise<unknown>
  after?: () => Promise<unknown>
}

const NOTES = byBasic(() => notes)

// Those that fail to prove who they are come last: from then on the limits on guesses watch their address.
const CASES: Case[] = [
  { what: 'its own token, with a secret in the header', status: 200, isActive: true, asked: NOTES },
  { what: 'its own token, with a secret in the form', status: 200, isActive: true, asked: byPost },
  {
    what: 'its own token, of a public app',
    status: 200,
    isActive: true,
    asked: byNobody('photos'),
    owner: () => photos,
  },
  { what: 'a token of its audience', status: 200, isActive: true, asked: byBasic(() => api) },
  {
    what: 'a hint',
    status: 200,
    isActive: true,
    asked: (token) => ({ ...NOTES(token), fields: [...NOTES(token).fields, ['token_type_hint', 'access_token']] }),
  },
  {
    what: 'another hint',
    status: 200,
    isActive: true,
    asked: (token) => ({ ...NOTES(token), fields: [...NOTES(token).fields, ['token_type_hint', 'nonsense']] }),
  },
  {
    what: 'a secret that was replaced within the day',
    status: 200,
    isActive: true,
    asked: byBasic(() => api),
    before: async () => rotateSecret(server.services, await appOf('api')),
    after: async () =>
      server.services.storage.pool.query("UPDATE apps SET secret_hash = previous_secret_hash WHERE client_id = 'api'"),
  },
  { what: 'a token of another audience', status: 200, asked: byBasic(() => papers) },
  {
    what: 'a token of its audience, of a public app',
    status: 200,
    asked: byNobody('slides'),
    owner: () => photos,
  },
  { what: 'a refresh token', status: 200, isActive: true, asked: NOTES, token: (tokens) => tokens.refresh_token },
  { what: 'an ID token', status: 200, asked: NOTES, token: (tokens) => tokens.id_token },
  { what: 'garbage', status: 200, asked: NOTES, token: () => 'garbage' },
  {
    what: 'a signature that was changed',
    status: 200,
    asked: NOTES,
    token: ({ access_token: token }) => token.slice(0, -4) + (token.endsWith('AAAA') ? 'BBBB' : 'AAAA'),
  },
  { what: 'one letter more', status: 200, asked: NOTES, token: (tokens) => `${tokens.access_token}A` },
  {
    what: 'claims that were changed',
    status: 200,
    asked: NOTES,
    token({ access_token: token }) {
      const [header, , signature] = token.split('.')
      const claims = { ...claimsOf(token), roles: ['admin'] }
      return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
    },
  },
  { what: 'no token', status: 400, asked: () => ({ fields: [], headers: basic(notes) }) },
  { what: 'an empty token', status: 400, asked: () => NOTES('') },
  {
    what: 'two tokens',
    status: 400,
    asked: (token) => ({ ...NOTES(token), fields: [...NOTES(token).fields, ['token', 'x']] }),
  },
  { what: 'a token that has expired', status: 200, asked: NOTES, before: async () => clock.advance(301) },
  {
    what: 'a family that was ended',
    status: 200,
    asked: NOTES,
    before: (tokens) => notes.revoke(tokens.refresh_token),
  },
  { what: 'an idle family', status: 200, asked: NOTES, before: update('idle_expires_at = created_at') },
  { what: 'a family that is too old', status: 200, asked: NOTES, before: update('expires_at = created_at') },
  {
    what: 'a family whose session is over',
    status: 200,
    asked: NOTES,
    before: update("lifetime = 'session', identity_session_id = NULL"),
  },
  {
    what: 'roles that have changed',
    status: 200,
    asked: NOTES,
    before: () => changeRoles(server.services, adaId, ['auditor']),
    after: async () => {
      await changeRoles(server.services, adaId, ['editor'])
      clock.advance(2)
    },
  },
  {
    what: 'an audience that the API no longer has',
    status: 200,
    asked: byBasic(() => api),
    before: async () => changeApp(server.services, await appOf('api'), { audience: 'elsewhere' }),
    after: async () => changeApp(server.services, await appOf('api'), { audience: notesApp.audience }),
  },
  {
    what: 'a disabled identity',
    status: 200,
    asked: NOTES,
    before: () => disableIdentity(server.services, adaId),
    after: async () => {
      await enableIdentity(server.services, adaId)
      await browser.signIn(ada)
    },
  },
  {
    what: 'a disabled app, asked by its API',
    status: 200,
    asked: byBasic(() => api),
    before: async () => disableApp(server.services, await appOf('notes')),
    after: async () => enableApp(server.services, await appOf('notes')),
  },
  {
    what: 'a disabled app that asks',
    status: 401,
    asked: byBasic(() => api),
    before: async () => disableApp(server.services, await appOf('api')),
    after: async () => enableApp(server.services, await appOf('api')),
  },
  {
    what: 'a wrong secret in the header',
    status: 401,
    asked: (token) => ({ ...NOTES(token), headers: basic(new Client(server.url, 'notes', 'wrong', CALLBACK)) }),
  },
  {
    what: 'a secret, from a public app',
    status: 401,
    asked: (token) => ({ ...NOTES(token), headers: basic(new Client(server.url, 'photos', 'secret', CALLBACK)) }),
    owner: () => photos,
  },
  { what: 'no secret, from a confidential app', status: 401, asked: byNobody('notes') },
  { what: 'an app that is not registered', status: 401, asked: byNobody('nobody') },
  { what: 'no app at all', status: 400, asked: (token) => ({ fields: [['token', token]] }) },
]

async function ask(each: Case, extra: [string, string][]): Promise<unknown> {
  const { asked, owner = () => notes, token = (tokens) => tokens.access_token, before, after } = each
  const tokens = await owner().connect(browser)
  await before?.(tokens)
  const { fields, headers } = asked(token(tokens))
  const body = new URLSearchParams([...fields, ...extra])
  const response = await fetch(`${server.url}/oauth/introspect`, { method: 'POST', body, headers: { ...headers } })
  const {
    iat: _i,
    exp: _e,
    jti: _j,
    fam: _f,
    auth_time: _t,
    ...said
  } = (await response.json()) as Record<string, unknown>
  await after?.()
  return { status: response.status, headers: headersOf(response), said, names: Object.keys(said) }
}

for (const each of CASES) {
  test(`a plain introspection and one that takes the library's path get the same answer: ${each.what}`, async () => {
    const plain = (await ask(each, [])) as { status: number; said: { active?: boolean } }
    // This parameter is not defined, so it says nothing (RFC 7662 §2.1) and is not plain.
    const byLibrary = await ask(each, [['unrelated', '1']])
    assert.equal(plain.status, each.status, JSON.stringify(plain.said))
    if (plain.status === 200) assert.equal(plain.said.active, each.isActive ?? false)
    assert.deepEqual(plain, byLibrary)
  })
}

test('what nearly every API asks is answered without the library, and nothing else', async () => {
  const answer = answerPlainIntrospection.bind(undefined, server.services)
  const { access_token: token } = await notes.connect(browser)
  const { fields, headers } = NOTES(token)
  const body = `${new URLSearchParams(fields)}`
  const sent = (change: Sent): Sent => ({
    method: 'POST',
    body,
    ...change,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers, ...change.headers },
  })
  // Once to verify the signature, once with it known.
  for (let turn = 0; turn < 2; turn++) assert.equal(await isAnswered(answer, sent({})), true)
  assert.equal(await isAnswered(answer, sent({ body: `${body}&token_type_hint=access_token` })), true)
  for (const change of [
    { headers: { dpop: 'x' } },
    { headers: { origin: 'https://notes.example.test' } },
    { headers: { 'content-type': 'application/json' } },
    { body: `${body}&unrelated=1` },
    { body: `${body}&token_type_hint=refresh_token` },
    { body: `${body}&client_assertion=x` },
    { body: `${body}&${'x'.repeat(3000)}` },
    { method: 'PUT' },
  ] as Sent[])
    assert.equal(await isAnswered(answer, sent(change)), false, JSON.stringify(change))
})

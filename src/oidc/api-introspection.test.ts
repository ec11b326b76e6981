import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as jose from 'jose'
import { type ApiRow, deleteApi, findApiByClientId, rotateApiSecret } from '../domain/apps/apis.ts'
import { type AppRow, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { changeRoles, disableIdentity, enableIdentity } from '../domain/identities/identities.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { assertionOf, makeClientKey } from '../testing/browser/client-key.ts'
import { calendarApi, contactsApi } from '../testing/portal/apis.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../testing/portal/statements.ts'

const CONTACTS = 'https://contacts.example.test'
const CALENDAR = 'https://calendar.example.test/'
const JWT = 'application/token-introspection+jwt'
const INACTIVE = { active: false }
const clock = createClock()

let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let photos: Client
let contacts: Client
let calendar: Client

before(async () => {
  server = await startTestServer({ clock, env: { IN_PROCESS_WORKER: 'false' } })
  adasId = await server.addIdentity(ada)
  // Their own audience is an API of the registry, so that it can ask about their tokens.
  const add = async (id: string, settings: typeof notesApp) =>
    new Client(
      server.url,
      id,
      await server.addApp(id, { ...settings, audience: CONTACTS }),
      settings.redirectUris[0] as string,
    )
  notes = await add('notes', notesApp)
  photos = await add('photos', photosApp)
  contacts = await server.addApi(CONTACTS, contactsApi)
  calendar = await server.addApi(CALENDAR, { ...calendarApi, signingAlg: 'EdDSA' })
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** What the fast path answers, which must be what the library answers to the same question with a parameter that it ignores. */
async function introspect(client: Client, token: string): Promise<unknown> {
  const forms: Record<string, string>[] = [{ token }, { token, unrelated: '1' }]
  const [fast, slow] = await Promise.all(
    forms.map(async (fields) => {
      const response = await client.send('/oauth/introspect', fields)
      return { status: response.status, body: await response.json() }
    }),
  )
  assert.deepEqual(fast, slow)
  assert.equal(fast?.status, 200)
  return fast.body
}

const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const apiOf = async ({ id }: Client) => (await findApiByClientId(server.services, id)) as ApiRow

test('an API learns everything about a token for it, in one statement', async () => {
  const { access_token: token } = await notes.connect(browser)
  assert.deepEqual(await introspect(contacts, token), { active: true, ...claimsOf(token), token_type: 'Bearer' })
  const statements = await recordStatements(() => contacts.introspect(token))
  const names = withoutPeriodic(statements).map(({ name }) => name)
  assert.deepEqual(names, ['application-token-introspect-api'])
})

test('an API may send its secret in the form', async () => {
  const { access_token: token } = await notes.connect(browser)
  const body = { token, client_id: contacts.id, client_secret: contacts.secret as string }
  const response = await fetch(`${server.url}/oauth/introspect`, { method: 'POST', body: new URLSearchParams(body) })
  assert.equal(((await response.json()) as { active: boolean }).active, true)
})

test('of a token for another audience, a refresh token, an ID token or garbage an API learns nothing', async () => {
  const tokens = await notes.connect(browser)
  assert.deepEqual(await introspect(calendar, tokens.access_token), INACTIVE)
  const [header, claims] = tokens.access_token.split('.')
  const forged = `${header}.${claims}.${Buffer.alloc(64).toString('base64url')}`
  for (const token of [tokens.refresh_token, tokens.id_token, 'garbage', forged])
    assert.deepEqual(await introspect(contacts, token), INACTIVE)
})

/** What makes a token inactive, in the order in which it is tried, and how it is mended for the next. */
const REASONS: [
  reason: string,
  what: string,
  end: (tokens: Tokens) => Promise<unknown>,
  mend?: () => Promise<unknown>,
][] = [
  ['claims_changed', 'its roles have changed', () => changeRoles(server.services, adasId, ['editor'])],
  ['expired', 'it has expired', async () => clock.advance(301)],
  ['family_ended', 'its family was ended', (tokens) => notes.revoke(tokens.refresh_token)],
  ['family_ended', 'its family has long expired', async () => clock.advance(91 * 86_400), () => browser.signIn(ada)],
  [
    'family_ended',
    'its family was erased',
    async ({ access_token: token }) =>
      server.services.storage.pool.query('DELETE FROM families WHERE id = $1', [claimsOf(token)['fam']]),
  ],
  [
    'app_disabled',
    'its app is disabled',
    async () => disableApp(server.services, await appOf('notes')),
    async () => enableApp(server.services, await appOf('notes')),
  ],
  [
    'identity_disabled',
    'its identity is disabled',
    () => disableIdentity(server.services, adasId),
    async () => {
      await enableIdentity(server.services, adasId)
      await browser.signIn(ada)
    },
  ],
]

for (const [reason, what, end, mend] of REASONS) {
  test(`an API learns that a token is inactive because ${what}; no other caller does`, async () => {
    const tokens = await notes.connect(browser)
    const { access_token: token } = tokens
    assert.equal((await contacts.introspect(token))['active'], true)
    await end(tokens)
    assert.deepEqual(await introspect(contacts, token), { active: false, reason })
    if (reason !== 'app_disabled') assert.deepEqual(await introspect(notes, token), { active: false, reason })
    assert.deepEqual(await introspect(calendar, token), INACTIVE)
    assert.deepEqual(await introspect(photos, token), INACTIVE)
    await mend?.()
    if (mend !== undefined && what.includes('disabled'))
      assert.deepEqual(await introspect(contacts, token), { active: false, reason: 'family_ended' })
  })
}

test('a public app learns of its own token whether it is active, and no reason', async () => {
  const tokens = await photos.connect(browser)
  assert.equal((await photos.introspect(tokens.access_token))['active'], true)
  await photos.revoke(tokens.refresh_token)
  assert.deepEqual(await introspect(photos, tokens.access_token), INACTIVE)
  assert.deepEqual(await introspect(contacts, tokens.access_token), { active: false, reason: 'family_ended' })
})

test('an answer in a signed JWT is verified with the published keys, for each algorithm, active or not', async () => {
  const keys = jose.createRemoteJWKSet(new URL(`${server.url}/oauth/jwks`), { cooldownDuration: 0 })
  const { access_token: token, refresh_token: refreshToken } = await notes.connect(browser)
  const ask = async (client: Client, shown: string) => {
    const response = await client.send('/oauth/introspect', { token: shown }, { accept: JWT })
    assert.equal(response.headers.get('content-type'), JWT)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const options = { issuer: server.url, audience: client.id, typ: 'token-introspection+jwt', currentDate: clock() }
    return jose.jwtVerify(await response.text(), keys, options)
  }
  const told = await ask(contacts, token)
  const answer = { active: true, ...claimsOf(token), token_type: 'Bearer' }
  const claims = { iss: server.url, aud: contacts.id, iat: Math.floor(clock().getTime() / 1000) }
  assert.deepEqual(told.payload, { ...claims, token_introspection: answer })
  assert.equal(told.protectedHeader.alg, 'ES256')

  const others = await Promise.all([ask(notes, refreshToken), ask(calendar, token)])
  assert.deepEqual(
    others.map(({ protectedHeader }) => protectedHeader.alg),
    ['RS256', 'EdDSA'],
  )
  assert.equal((others[0].payload['token_introspection'] as { active: boolean }).active, true)
  assert.deepEqual(others[1].payload['token_introspection'], INACTIVE)
})

test('only who accepts nothing else is sent a JWT, and never a public app or a refusal', async () => {
  const { access_token: token } = await photos.connect(browser)
  const typeOf = async (client: Client, accept: string) =>
    (await client.send('/oauth/introspect', { token }, { accept })).headers.get('content-type')
  const json = 'application/json; charset=utf-8'
  for (const accept of ['application/json', '*/*', 'text/html', `${JWT};q=0.5, application/json`])
    assert.equal(await typeOf(contacts, accept), json, accept)
  for (const accept of [JWT, JWT.toUpperCase(), `${JWT}, application/json;q=0.5`])
    assert.equal(await typeOf(contacts, accept), JWT, accept)
  assert.equal(await typeOf(photos, JWT), json)
  assert.equal(await typeOf(new Client(server.url, contacts.id, 'wrong', ''), JWT), json)
})

test('an API is a client of the introspection endpoint only', async () => {
  const { access_token: token, refresh_token: refreshToken } = await notes.connect(browser)
  const fields: Record<string, Record<string, string>> = {
    '/oauth/token': { grant_type: 'refresh_token', refresh_token: refreshToken },
    '/oauth/revoke': { token },
    '/oauth/par': { response_type: 'code', redirect_uri: notes.redirectUri },
  }
  for (const [path, form] of Object.entries(fields)) {
    const { status, error } = await problemIn(await contacts.send(path, form))
    assert.deepEqual([path, status, error], [path, 401, 'invalid_client'])
  }
  const page = await browser.get(notes.authorizeUrl({ client_id: contacts.id }))
  assert.equal(page.status, 400)
  assert.equal((await notes.introspect(token))['active'], true)
})

test('an API that does not authenticate learns nothing', async () => {
  const { access_token: token } = await notes.connect(browser)
  const unknown = `api.${'0'.repeat(20)}`
  for (const [client, status] of [
    [new Client(server.url, contacts.id, 'wrong', ''), 401],
    [new Client(server.url, contacts.id, null, ''), 401],
    [new Client(server.url, unknown, contacts.secret, ''), 401],
    [new Client(server.url, calendar.id, contacts.secret, ''), 401],
  ] as const) {
    const problem = await problemIn(await client.send('/oauth/introspect', { token }))
    assert.deepEqual([problem.status, problem.error], [status, 'invalid_client'])
  }
  const withOrigin = await contacts.send('/oauth/introspect', { token }, { origin: 'https://contacts.example.test' })
  assert.equal((await problemIn(withOrigin)).error, 'invalid_request')
})

test('a replaced secret stays good for a day, and a deleted API is a stranger at once', async () => {
  const { access_token: token } = await notes.connect(browser)
  const secret = await rotateApiSecret(server.services, await apiOf(contacts))
  const renewed = new Client(server.url, contacts.id, secret, '')
  for (const client of [contacts, renewed])
    assert.equal(((await introspect(client, token)) as { active: boolean }).active, true)
  clock.advance(86_401)
  const late = (await notes.connect(browser)).access_token
  assert.equal((await problemIn(await contacts.send('/oauth/introspect', { token: late }))).error, 'invalid_client')
  assert.equal((await renewed.introspect(late))['active'], true)

  assert.equal((await calendar.introspect(late))['active'], false)
  await deleteApi(server.services, await apiOf(calendar))
  assert.equal((await problemIn(await calendar.send('/oauth/introspect', { token: late }))).status, 401)
})

test('an API with a key authenticates with a signed assertion, once, and has no secret', async () => {
  const key = await makeClientKey()
  const settings = { ...calendarApi, authMethod: 'private_key_jwt', jwks: { keys: [key.jwk] } }
  const keyed = await server.addApi('https://keyed.example.test', settings)
  const tasks = { ...notesApp, audience: 'https://keyed.example.test' }
  const app = new Client(server.url, 'tasks', await server.addApp('tasks', tasks), notes.redirectUri)
  const { access_token: token } = await app.connect(browser)
  const assertion = await assertionOf(key, keyed.id, server.url)
  const ask = async (fields: Record<string, string>) => keyed.send('/oauth/introspect', { token, ...fields })
  assert.equal(((await (await ask(assertion)).json()) as { active: boolean }).active, true)
  for (const fields of [assertion, await assertionOf(await makeClientKey(), keyed.id, server.url), {}])
    assert.equal((await problemIn(await ask(fields))).error, 'invalid_client')
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { calculateJwkThumbprint, decodeJwt, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type AppRow, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import { changeRoles, disableIdentity, enableIdentity } from '../domain/identities/identities.ts'
import { Browser } from '../testing/browser/browser.ts'
import { type ClientKey, epochNow, makeClientKey, signWith } from '../testing/browser/client-key.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { type Problem, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { mailApi } from '../testing/portal/apis.ts'
import { notesApp, photosApp, robotService } from '../testing/portal/apps.ts'
import { createClock } from '../testing/portal/clock.ts'
import { home } from '../testing/portal/connections.ts'
import { ada } from '../testing/portal/people.ts'
import { publishedKeys } from '../testing/portal/published-keys.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'
const ALL = ['a', 'b', 'c']
const apiOf = (index: number) => `https://api-${index}.example.test/`
/** Back ends of APIs; each may call every API for users. */
const BACK_ENDS = 6

const clock = createClock()
let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let photos: Client
let robot: Client
let bound: Client
/** It may call one API, and has one scope there that the tokens of users have. */
let narrow: Client
let apis: Client[]
let backEnds: Client[]
let key: ClientKey

before(async () => {
  server = await startTestServer({ clock, env: { IN_PROCESS_WORKER: 'false' } })
  adasId = await server.addIdentity(ada, { roles: ['editor'] })
  key = await makeClientKey()
  apis = []
  for (let index = 0; index < BACK_ENDS; index++)
    apis.push(
      await server.addApi(apiOf(index), {
        ...mailApi,
        scopes: [...ALL, 'd'],
        signingAlg: index === 2 ? 'EdDSA' : 'ES256',
        tokenTtl: index === 3 ? 60 : null,
      }),
    )
  const everything = apis.map((_, index) => ({ identifier: apiOf(index), scopes: [...ALL, 'd'] }))
  const add = async (id: string, settings: typeof notesApp, given: Parameters<TestServer['addApp']>[2] = {}) =>
    new Client(server.url, id, await server.addApp(id, settings, given), settings.redirectUris[0] ?? '')
  backEnds = []
  for (let index = 0; index < BACK_ENDS; index++)
    backEnds.push(await add(`back-end-${index}`, { ...robotService, audience: apiOf(index) }, { exchange: everything }))
  // The tokens of Notes are for the first back end.
  const scope = ['openid', ...ALL].join(' ')
  notes = await add('notes', { ...notesApp, scope, audience: apiOf(0) }, { exchange: everything })
  photos = await add('photos', { ...photosApp, scope, audience: apiOf(0) })
  robot = await add('robot', { ...robotService, audience: apiOf(0) }, { request: everything })
  bound = await add('bound', { ...robotService, audience: apiOf(0), requireDpop: true }, { exchange: everything })
  narrow = await add(
    'narrow',
    { ...robotService, audience: apiOf(0) },
    { exchange: [{ identifier: apiOf(1), scopes: ['a', 'd'] }] },
  )
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

const connect = (client = notes): Promise<Tokens> => client.connect(browser, { scope: ['openid', ...ALL].join(' ') })
const backEnd = (index: number) => backEnds[index] as Client
const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow

function exchange(
  client: Client,
  subjectToken: string,
  fields: Record<string, string | null> = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  const usual = { subject_token: subjectToken, subject_token_type: ACCESS_TOKEN, resource: apiOf(1) }
  return client.send('/oauth/token', { grant_type: EXCHANGE, ...usual, ...fields }, headers)
}

async function exchanged(client: Client, subjectToken: string, fields: Record<string, string | null> = {}) {
  return (await tokensIn(await exchange(client, subjectToken, fields))) as Tokens & { issued_token_type: string }
}

test('a back end gets a token for another API, on behalf of the user, and no more than it was sent', async () => {
  const { access_token: subject } = await connect()
  const answer = await exchanged(backEnd(0), subject)
  const { access_token: token, expires_in: life, ...rest } = answer
  assert.deepEqual(rest, { issued_token_type: ACCESS_TOKEN, scope: 'a b c', token_type: 'Bearer' })
  assert.ok(life <= 300)
  const { payload } = await jwtVerify(token, await publishedKeys(server.services), {
    audience: apiOf(1),
    typ: 'at+jwt',
    currentDate: clock(),
  })
  const { jti, ...claims } = payload
  const { jti: others, ...given } = claimsOf(subject)
  assert.notEqual(jti, others)
  const act = { sub: 'back-end-0' }
  assert.deepEqual(claims, { ...given, aud: apiOf(1), client_id: 'back-end-0', scope: 'a b c', act })
  assert.deepEqual(await (apis[1] as Client).introspect(token), { active: true, ...payload, token_type: 'Bearer' })

  // The next one, by the back end of that API, with another algorithm and a type that it asks for.
  const next = await exchanged(backEnd(1), token, { resource: null, audience: apiOf(2), requested_token_type: JWT })
  assert.deepEqual(claimsOf(next.access_token)['act'], { sub: 'back-end-1', act })
  assert.equal(next.issued_token_type, JWT)
})

test('a token lives no longer than the one it was made of, nor than its API says', async () => {
  const { access_token: subject } = await connect()
  clock.advance(250)
  assert.equal((await exchanged(backEnd(0), subject)).expires_in, 50)
  assert.equal((await exchanged(backEnd(0), subject, { resource: apiOf(3) })).expires_in, 50)
  const { access_token: fresh } = await connect()
  assert.equal((await exchanged(backEnd(0), fresh, { resource: apiOf(3) })).expires_in, 60)
})

test('an app with users exchanges a token that it got itself, when it is for the app', async () => {
  const { access_token: subject } = await connect()
  const { access_token: token } = await exchanged(notes, subject, { scope: 'b' })
  assert.deepEqual([claimsOf(token)['scope'], claimsOf(token)['act']], ['b', { sub: 'notes' }])
})

interface Bad {
  what: string
  client?: () => Client
  subject?: (tokens: Tokens) => string | Promise<string>
  fields?: Record<string, string | null>
  before?: (tokens: Tokens) => Promise<unknown>
  after?: () => Promise<unknown>
  error: string
  reason?: string
}
const familyOf = ({ access_token: token }: Tokens) => claimsOf(token)['fam'] as string
const chainOf = async (subject: string, callers: number[]) => {
  let token = subject
  for (const [index, caller] of callers.entries())
    token = (await exchanged(backEnd(caller), token, { resource: apiOf(callers[index + 1] ?? 5) })).access_token
  return token
}

const BAD: Bad[] = [
  { what: 'garbage', subject: () => 'garbage', error: 'invalid_request' },
  { what: 'ten thousand characters', subject: () => 'x'.repeat(10_000), error: 'invalid_request' },
  { what: 'NUL', subject: () => 'a.\0.b', error: 'invalid_request' },
  {
    what: 'a changed signature',
    subject: ({ access_token: token }) => `${token.slice(0, -8)}AAAAAAAA`,
    error: 'invalid_request',
  },
  {
    what: 'alg none',
    subject: ({ access_token: token }) =>
      `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.`,
    error: 'invalid_request',
  },
  { what: 'an ID token', subject: ({ id_token: token }) => token, error: 'invalid_request' },
  { what: 'a refresh token', subject: ({ refresh_token: token }) => token, error: 'invalid_request' },
  { what: 'an empty token', subject: () => '', error: 'invalid_request' },
  {
    what: 'the token of a service',
    subject: async () =>
      (await tokensIn(await robot.send('/oauth/token', { grant_type: 'client_credentials' }))).access_token,
    error: 'invalid_request',
  },
  { what: 'a token for another audience', client: () => backEnd(1), error: 'invalid_request' },
  { what: 'an expired token', before: async () => clock.advance(301), error: 'invalid_request', reason: 'expired' },
  {
    what: 'an ended family',
    before: (tokens) => notes.revoke(tokens.refresh_token),
    error: 'invalid_request',
    reason: 'family_ended',
  },
  {
    what: 'changed roles',
    before: () => changeRoles(server.services, adasId, ['auditor']),
    after: () => changeRoles(server.services, adasId, ['editor']),
    error: 'invalid_request',
    reason: 'claims_changed',
  },
  {
    what: 'a disabled identity',
    before: () => disableIdentity(server.services, adasId),
    after: async () => {
      await enableIdentity(server.services, adasId)
      await browser.signIn(ada)
    },
    error: 'invalid_request',
    reason: 'identity_disabled',
  },
  { what: 'no resource', fields: { resource: null }, error: 'invalid_target' },
  { what: 'an unknown API', fields: { resource: 'https://nowhere.example.test/' }, error: 'invalid_target' },
  { what: 'a resource with NUL', fields: { resource: `${apiOf(1)}\0` }, error: 'invalid_target' },
  { what: 'a long resource', fields: { resource: 'x'.repeat(10_000) }, error: 'invalid_target' },
  { what: 'two targets', fields: { audience: apiOf(2) }, error: 'invalid_target' },
  {
    what: 'an API that the app may not call',
    client: () => narrow,
    fields: { resource: apiOf(2) },
    error: 'invalid_target',
  },
  { what: 'a scope that the token has not', fields: { scope: 'd' }, error: 'invalid_scope' },
  { what: 'a scope that the API has not', fields: { scope: 'openid' }, error: 'invalid_scope' },
  { what: 'one scope too many', fields: { scope: 'a d' }, error: 'invalid_scope' },
  { what: 'a malformed scope', fields: { scope: 'a  b' }, error: 'invalid_scope' },
  { what: 'an actor token', fields: { actor_token: 'x', actor_token_type: JWT }, error: 'invalid_request' },
  { what: 'the type of an actor token alone', fields: { actor_token_type: JWT }, error: 'invalid_request' },
  { what: 'no type', fields: { subject_token_type: null }, error: 'invalid_request' },
  {
    what: 'another type',
    fields: { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    error: 'invalid_request',
  },
  {
    what: 'a refresh token in return',
    fields: { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    error: 'invalid_request',
  },
  { what: 'a service that may call no API for users', client: () => robot, error: 'unauthorized_client' },
  { what: 'a public app', client: () => photos, error: 'unauthorized_client' },
  { what: 'an app whose tokens are bound, without a proof', client: () => bound, error: 'invalid_grant' },
  {
    what: 'a caller that acted before',
    client: () => backEnd(0),
    subject: ({ access_token: token }) =>
      chainOf(token, [0, 1])
        .then((last) => exchanged(backEnd(5), last, { resource: apiOf(0) }))
        .then((answer) => answer.access_token),
    error: 'invalid_request',
  },
  {
    what: 'the app of the family, once others have acted',
    client: () => notes,
    subject: ({ access_token: token }) =>
      chainOf(token, [0, 1])
        .then((last) => exchanged(backEnd(5), last, { resource: apiOf(0) }))
        .then((answer) => answer.access_token),
    error: 'invalid_request',
  },
  {
    what: 'a fifth caller',
    client: () => backEnd(5),
    subject: ({ access_token: token }) => chainOf(token, [0, 1, 2, 3]),
    error: 'invalid_request',
  },
  { what: 'a wrong secret', client: () => new Client(server.url, 'back-end-0', 'wrong', ''), error: 'invalid_client' },
]

for (const {
  what,
  client = () => backEnd(0),
  subject = ({ access_token: token }: Tokens) => token,
  fields,
  before,
  after,
  error,
  reason,
} of BAD) {
  test(`a bad exchange is refused and changes nothing: ${what}`, async () => {
    const tokens = await connect()
    const subjectToken = await subject(tokens)
    await before?.(tokens)
    const problem: Problem = await problemIn(await exchange(client(), subjectToken, fields))
    assert.ok(problem.status === 400 || problem.status === 401, JSON.stringify(problem))
    assert.deepEqual([problem.error, problem.reason], [error, reason], JSON.stringify(problem))
    assert.ok((problem.error_description ?? '').length > 10)
    await after?.()
    if (before === undefined) assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)
  })
}

test('what the registry grants a pair limits the scope, whatever was asked for', async () => {
  const { access_token: subject } = await connect()
  assert.equal((await exchanged(narrow, subject)).scope, 'a')
  assert.equal((await problemIn(await exchange(narrow, subject, { scope: 'a b' }))).error, 'invalid_scope')
})

test('a proof binds the new token to the caller, and a token that is bound to another may be exchanged', async () => {
  const proof = (own: ClientKey) =>
    signWith(
      own,
      { jti: randomUUID(), htm: 'POST', htu: `${server.url}/oauth/token`, iat: epochNow() },
      { typ: 'dpop+jwt', kid: undefined, jwk: { ...own.jwk, kid: undefined, use: undefined } },
    )
  const others = await makeClientKey()
  const code = await notes.code(browser, { scope: 'openid a b c' })
  const { access_token: subject } = await tokensIn(await notes.exchange(code, {}, { dpop: await proof(others) }))
  assert.notEqual(claimsOf(subject)['cnf'], undefined)
  const plain = await exchanged(backEnd(0), subject)
  assert.deepEqual([plain.token_type, claimsOf(plain.access_token)['cnf']], ['Bearer', undefined])
  for (const client of [backEnd(0), bound]) {
    const answer = await tokensIn(await exchange(client, subject, {}, { dpop: await proof(key) }))
    assert.equal(answer.token_type, 'DPoP')
    assert.deepEqual(claimsOf(answer.access_token)['cnf'], { jkt: await calculateJwkThumbprint(key.jwk) })
  }
})

test('a derived token ends with a disabled caller, wherever it is in the chain, and does not come back', async () => {
  const { access_token: subject } = await connect()
  const { access_token: first } = await exchanged(backEnd(0), subject)
  const { access_token: second } = await exchanged(backEnd(1), first, { resource: apiOf(2) })
  const active = async () => [await (apis[1] as Client).introspect(first), await (apis[2] as Client).introspect(second)]
  assert.deepEqual(
    (await active()).map((told) => told['active']),
    [true, true],
  )
  await disableApp(server.services, await appOf('back-end-0'))
  const gone = { active: false, reason: 'app_disabled' }
  assert.deepEqual(await active(), [gone, gone])
  const { error, reason } = await problemIn(await exchange(backEnd(1), first, { resource: apiOf(2) }))
  assert.deepEqual([error, reason], ['invalid_request', 'app_disabled'])
  clock.advance(2)
  await enableApp(server.services, await appOf('back-end-0'))
  assert.deepEqual(await active(), [gone, gone])
  assert.equal((await notes.introspect(subject))['active'], true)
})

test('who exchanged a token cannot end the family with it, nor ask UserInfo', async () => {
  const tokens = await connect()
  const { access_token: token } = await exchanged(backEnd(0), tokens.access_token)
  assert.equal((await problemIn(await backEnd(0).revoke(token))).error, 'unsupported_token_type')
  assert.equal((await notes.revoke(token)).status, 200)
  assert.ok([401, 403].includes((await notes.userinfo(token)).status))
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)
})

test('openid-client and oauth4webapi exchange tokens', async () => {
  const { access_token: subject } = await connect()
  const { id, secret } = backEnd(0)
  const parameters = { subject_token: subject, subject_token_type: ACCESS_TOKEN, resource: apiOf(1), scope: 'a' }
  const config = await openid.discovery(new URL(server.url), id, {}, openid.ClientSecretBasic(secret as string), {
    execute: [openid.allowInsecureRequests],
  })
  const answer = await openid.genericGrantRequest(config, EXCHANGE, parameters)
  assert.deepEqual([answer.scope, answer['issued_token_type']], ['a', ACCESS_TOKEN])
  assert.equal(decodeJwt(answer.access_token).aud, apiOf(1))

  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(server.url)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
  assert.ok(as.grant_types_supported?.includes(EXCHANGE))
  const client = { client_id: id }
  const proof = oauth.ClientSecretPost(secret as string)
  const response = await oauth.genericTokenEndpointRequest(as, client, proof, EXCHANGE, parameters, insecure)
  assert.equal((await oauth.processGenericTokenEndpointResponse(as, client, response)).scope, 'a')
})

test('ending a family ends every token of its tree, over HTTP', async () => {
  const step = fc.record({ parent: fc.nat(2), target: fc.nat(BACK_ENDS - 1) })
  const trees = fc.sample(fc.array(step, { minLength: 1, maxLength: 6 }), 100)
  let derived = 0
  for (const steps of trees) {
    const tokens = await connect()
    const nodes = [{ token: tokens.access_token, at: 0, callers: [] as number[] }]
    for (const { parent: back, target } of steps) {
      const parent = nodes.at(-1 - (back % nodes.length)) as (typeof nodes)[number]
      const response = await exchange(backEnd(parent.at), parent.token, { resource: apiOf(target) })
      const isAllowed = !parent.callers.includes(parent.at) && parent.callers.length < 4
      assert.equal(response.status, isAllowed ? 200 : 400)
      const { access_token: token } = (await response.json()) as Tokens
      if (isAllowed) nodes.push({ token, at: target, callers: [parent.at, ...parent.callers] })
    }
    derived += nodes.length - 1
    const active = async () =>
      Promise.all(nodes.map(async ({ token, at }) => (await (apis[at] as Client).introspect(token))['active']))
    assert.deepEqual(new Set(await active()), new Set([true]))
    await endFamilies(server.services, { id: familyOf(tokens) }, 'ended_by_person', home)
    assert.deepEqual(new Set(await active()), new Set([false]))
  }
  assert.ok(derived > 150, `${derived}`)
})

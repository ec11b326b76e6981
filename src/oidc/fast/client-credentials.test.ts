import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { jwtVerify } from 'jose'
import { createApi } from '../../domain/apps/apis.ts'
import type { ApiGrants } from '../../domain/apps/app-apis.ts'
import { type AppRow, disableApp, enableApp, findApp, rotateSecret } from '../../domain/apps/apps.ts'
import { createLogger } from '../../logger.ts'
import { mailApi } from '../../testing/portal/apis.ts'
import { notesApp, photosApp, robotService } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { headersOf, isAnswered } from '../../testing/portal/plain.ts'
import { publishedKeys } from '../../testing/portal/published-keys.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../../testing/portal/statements.ts'
import { answerPlainClientCredentials } from './client-credentials.ts'
import { readPlainForm } from './forms.ts'

const MAIL = 'https://mail.example.test/'
const FILES = 'https://files.example.test/'
const LEDGER = 'urn:example:ledger'
const OWN = robotService.audience

const clock = createClock()
let server: TestServer
const secrets = new Map<string, string | null>()

before(async () => {
  server = await startTestServer({ clock })
  await createApi(server.services, MAIL, mailApi)
  await createApi(server.services, FILES, { ...mailApi, scopes: ['files'], tokenTtl: 60, signingAlg: 'EdDSA' })
  await createApi(server.services, LEDGER, { ...mailApi, scopes: ['book'], signingAlg: 'RS256' })
  const add = async (id: string, settings: typeof notesApp, apis?: ApiGrants) =>
    secrets.set(id, await server.addApp(id, settings, apis))
  const mail = { identifier: MAIL, scopes: ['mail:read', 'mail:send'] }
  const files = { identifier: FILES, scopes: ['files'] }
  await add('robot', robotService, { request: [mail] })
  await add('reader', robotService, { request: [{ identifier: MAIL, scopes: ['mail:read'] }] })
  await add('clerk', { ...robotService, applicationTokenTtl: 90 }, { request: [mail, files] })
  await add('ledger', { ...robotService, scope: 'a b' }, { request: [{ identifier: LEDGER, scopes: ['book'] }, mail] })
  await add('delegate', robotService, { exchange: [mail] })
  await add('alone', { ...robotService, scope: 'own:a own:b' })
  await add('bound', { ...robotService, requireDpop: true }, { request: [mail] })
  await add('certified', { ...robotService, bindCertificate: true }, { request: [mail] })
  await add('stripped', robotService, { request: [{ identifier: MAIL, scopes: [] }] })
  await add('notes', notesApp, { request: [mail] })
  await add('photos', photosApp)
})
after(() => server.close())

type Fields = [string, string][]

interface Case {
  what: string
  client?: string
  fields?: Fields
  /** Instead of the secret in the header. */
  sent?: (client: string) => { fields: Fields; headers?: Record<string, string> }
  status?: number
  error?: string
  /** What the token says. */
  claims?: { aud: string; scope?: string; life?: number; alg?: string }
  before?: () => Promise<unknown>
  after?: () => Promise<unknown>
}

const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const basic = (id: string, secret: string | null = secrets.get(id) ?? null) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const refused = (error: string, status = 400) => ({ status, error })

const CASES: Case[] = [
  { what: 'the only API, with every scope', claims: { aud: MAIL, scope: 'mail:read mail:send' } },
  {
    what: 'a secret in the form',
    sent: (id) => ({
      fields: [
        ['client_id', id],
        ['client_secret', secrets.get(id) as string],
      ],
    }),
    claims: { aud: MAIL, scope: 'mail:read mail:send' },
  },
  {
    what: 'the API by name',
    fields: [['resource', MAIL]],
    claims: { aud: MAIL, scope: 'mail:read mail:send' },
  },
  {
    what: 'one scope of two, twice',
    fields: [['scope', 'mail:send mail:send']],
    claims: { aud: MAIL, scope: 'mail:send' },
  },
  {
    what: 'its own audience by name',
    client: 'alone',
    fields: [['resource', OWN]],
    claims: { aud: OWN, scope: 'own:a own:b' },
  },
  { what: 'no API', client: 'alone', claims: { aud: OWN, scope: 'own:a own:b' } },
  { what: 'no API, and no scope', client: 'delegate', claims: { aud: OWN } },
  { what: 'two APIs, and none named', client: 'clerk', claims: { aud: OWN, life: 90 } },
  {
    what: 'the life and the algorithm of the API',
    client: 'clerk',
    fields: [['resource', FILES]],
    claims: { aud: FILES, scope: 'files', life: 60, alg: 'EdDSA' },
  },
  {
    what: 'the life of the service where the API has none',
    client: 'clerk',
    fields: [['resource', MAIL]],
    claims: { aud: MAIL, scope: 'mail:read mail:send', life: 90 },
  },
  {
    what: 'RS256',
    client: 'ledger',
    fields: [['resource', LEDGER]],
    claims: { aud: LEDGER, scope: 'book', alg: 'RS256' },
  },
  { what: 'an empty resource', fields: [['resource', '']], claims: { aud: MAIL, scope: 'mail:read mail:send' } },
  {
    what: 'the API twice',
    fields: [
      ['resource', MAIL],
      ['resource', MAIL],
    ],
    ...refused('invalid_target'),
  },
  {
    what: 'two APIs by name',
    client: 'clerk',
    fields: [
      ['resource', MAIL],
      ['resource', FILES],
    ],
    ...refused('invalid_target'),
  },
  { what: 'an API that is granted to another', fields: [['resource', FILES]], ...refused('invalid_target') },
  {
    what: 'an API that is granted only in exchange',
    client: 'delegate',
    fields: [['resource', MAIL]],
    ...refused('invalid_target'),
  },
  { what: 'an unknown API', fields: [['resource', 'https://nowhere.example.test/']], ...refused('invalid_target') },
  { what: 'an API with another ending', fields: [['resource', MAIL.slice(0, -1)]], ...refused('invalid_target') },
  { what: 'a resource with NUL', fields: [['resource', `${MAIL}\0`]], ...refused('invalid_target') },
  { what: 'a resource that is long', fields: [['resource', 'x'.repeat(10_000)]], ...refused('invalid_target') },
  { what: 'a resource in a list', fields: [['resource[]', MAIL]], claims: { aud: MAIL, scope: 'mail:read mail:send' } },
  {
    what: 'a scope that the API has and the service has not',
    client: 'reader',
    fields: [['scope', 'mail:read mail:send']],
    ...refused('invalid_scope'),
  },
  { what: 'an unknown scope', fields: [['scope', 'mail:delete']], ...refused('invalid_scope') },
  { what: 'a scope of users', fields: [['scope', 'openid']], ...refused('invalid_scope') },
  { what: 'a scope in other letters', fields: [['scope', 'MAIL:READ']], ...refused('invalid_scope') },
  {
    what: 'a scope of its own at an API',
    client: 'ledger',
    fields: [
      ['resource', LEDGER],
      ['scope', 'a'],
    ],
    ...refused('invalid_scope'),
  },
  { what: 'a scope with NUL', fields: [['scope', 'mail:read\0']], ...refused('invalid_scope') },
  { what: 'a scope with two spaces', fields: [['scope', 'mail:read  mail:send']], ...refused('invalid_scope') },
  { what: 'an API of which nothing is left', client: 'stripped', ...refused('invalid_scope') },
  {
    what: 'two scopes parameters',
    fields: [
      ['scope', 'mail:read'],
      ['scope', 'mail:read'],
    ],
    ...refused('invalid_request'),
  },
  { what: 'an app with users', client: 'notes', ...refused('unauthorized_client') },
  {
    what: 'an app with users, for its API',
    client: 'notes',
    fields: [['resource', MAIL]],
    ...refused('unauthorized_client'),
  },
  {
    what: 'a public app',
    client: 'photos',
    sent: (id) => ({ fields: [['client_id', id]] }),
    ...refused('unauthorized_client'),
  },
  { what: 'a service whose tokens are bound to a key', client: 'bound', ...refused('invalid_grant') },
  { what: 'a service whose tokens are bound to a certificate', client: 'certified', ...refused('invalid_grant') },
  {
    what: 'a secret that was replaced within the day',
    before: async () => rotateSecret(server.services, await appOf('robot')),
    after: async () =>
      server.services.storage.pool.query(
        "UPDATE apps SET secret_hash = previous_secret_hash WHERE client_id = 'robot'",
      ),
    claims: { aud: MAIL, scope: 'mail:read mail:send' },
  },
  // Those that fail to prove who they are come last: from then on the limits on guesses watch their address.
  {
    what: 'a disabled service',
    client: 'reader',
    before: async () => disableApp(server.services, await appOf('reader')),
    after: async () => enableApp(server.services, await appOf('reader')),
    ...refused('invalid_client', 401),
  },
  {
    what: 'a wrong secret',
    sent: (id) => ({ fields: [], headers: basic(id, 'wrong') }),
    ...refused('invalid_client', 401),
  },
  { what: 'no secret', sent: (id) => ({ fields: [['client_id', id]] }), ...refused('invalid_client', 401) },
  {
    what: 'a secret in the header and another in the form',
    sent: (id) => ({ fields: [['client_secret', 'x']], headers: basic(id) }),
    ...refused('invalid_request'),
  },
]

function requestOf({ client = 'robot', fields = [], sent = (id) => ({ fields: [], headers: basic(id) }) }: Case) {
  const { fields: credentials, headers = {} } = sent(client)
  const body = new URLSearchParams([['grant_type', 'client_credentials'], ...credentials, ...fields])
  return { body, headers }
}

async function ask(each: Case, extra: Fields) {
  const { body, headers } = requestOf(each)
  for (const [name, value] of extra) body.append(name, value)
  await each.before?.()
  const response = await fetch(`${server.url}/oauth/token`, { method: 'POST', body, headers })
  const { access_token: token, ...said } = (await response.json()) as { access_token?: string; error?: string }
  await each.after?.()
  return { token, seen: { status: response.status, headers: headersOf(response), said } }
}

for (const each of CASES) {
  const { what, client = 'robot', status = 200, error, claims } = each
  test(`a plain request of a service and one that takes the library's path get the same answer: ${what}`, async () => {
    const plain = await ask(each, [])
    const byLibrary = await ask(each, [['unrelated', '1']])
    assert.deepEqual([plain.seen.status, plain.seen.said.error], [status, error], JSON.stringify(plain.seen.said))
    assert.deepEqual(plain.seen, byLibrary.seen)
    if (claims === undefined) return

    const { aud, scope, life = 300, alg = 'ES256' } = claims
    assert.deepEqual(plain.seen.said, {
      expires_in: life,
      ...(scope === undefined ? {} : { scope }),
      token_type: 'Bearer',
    })
    const keys = await publishedKeys(server.services)
    for (const { token } of [plain, byLibrary]) {
      const currentDate = clock()
      const { payload, protectedHeader } = await jwtVerify(token as string, keys, { typ: 'at+jwt', currentDate })
      const { jti, iat = 0, exp = 0, ...rest } = payload
      assert.equal(typeof jti, 'string')
      const expected = {
        iss: server.url,
        sub: client,
        aud,
        client_id: client,
        ...(scope === undefined ? {} : { scope }),
      }
      assert.deepEqual(rest, expected)
      assert.deepEqual([exp - iat, protectedHeader.alg], [life, alg])
    }
  })
}

test('what nearly every service asks is answered without the library, and nothing else', async () => {
  const logger = createLogger('silent')
  const isPlain = (what: string, changed: { headers?: Record<string, string>; fields?: Fields } = {}) => {
    const each = CASES.find((candidate) => candidate.what === what) as Case
    const { body, headers } = requestOf(each)
    for (const [name, value] of changed.fields ?? []) body.append(name, value)
    const type = 'application/x-www-form-urlencoded'
    const sent = { method: 'POST', path: '/oauth/token', body: `${body}` }
    return isAnswered(
      async (req, res) => {
        const form = await readPlainForm(req)
        return form !== null && answerPlainClientCredentials(server.services, logger, req, res, form)
      },
      {
        ...sent,
        headers: {
          ...headers,
          'content-type': type,
          'content-length': String(sent.body.length),
          ...changed.headers,
        },
      },
    )
  }
  const [first] = CASES as [Case]
  for (const { what, status = 200, fields = [] } of CASES) {
    const isOdd = ['a resource in a list', 'an empty resource', 'a secret that was replaced within the day'].includes(
      what,
    )
    if (isOdd || what === 'a disabled service') continue
    assert.equal(await isPlain(what), status === 200, what)
    assert.equal(await isPlain(what, { fields: [['unrelated', '1']] }), false, `${what}, ${JSON.stringify(fields)}`)
  }
  const odd: Record<string, string>[] = [
    { dpop: 'proof' },
    { origin: 'https://robot.example.test' },
    { 'content-encoding': 'gzip' },
  ]
  for (const headers of odd) assert.equal(await isPlain(first.what, { headers }), false, JSON.stringify(headers))
})

test('a plain request of a service is one statement, which writes nothing', async () => {
  const names = async (fields: Fields) => {
    const [first] = CASES as [Case]
    const statements = await recordStatements(() => ask({ ...first, fields }, []))
    return withoutPeriodic(statements).map(({ name, text }) => name ?? text)
  }
  // An address that has failed is watched, and its requests take the library's path.
  clock.advance(3601)
  assert.deepEqual(await names([]), ['service-grants-unproved'])
  assert.deepEqual(await names([['unrelated', '1']]), ['app-find', 'service-grants'])
})

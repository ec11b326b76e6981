import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, before, beforeEach, test } from 'node:test'
import { type AppRow, disableApp, enableApp, findApp, rotateSecret } from '../../domain/apps/apps.ts'
import { disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { createLogger } from '../../logger.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { isAnswered } from '../../testing/portal/plain.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { portOf, type Sent } from '../../testing/network/wire.ts'
import { readPlainForm } from './forms.ts'
import { answerPlainRefresh } from './refresh.ts'

const clock = createClock()
let server: TestServer
let adaId: string
let notes: Client
let photos: Client
let other: Client
let browser: Browser

before(async () => {
  server = await startTestServer({ clock })
  adaId = await server.addIdentity(ada, { roles: ['editor'] })
  const callback = 'https://notes.example.test/callback'
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), callback)
  other = new Client(server.url, 'other', await server.addApp('other', notesApp), callback)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
})
after(() => server.close())
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})

interface Asked {
  fields: [string, string][]
  headers?: Record<string, string>
}

const basic = (id: string, secret: string | null) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const asked = (refreshToken: string): [string, string][] => [
  ['grant_type', 'refresh_token'],
  ['refresh_token', refreshToken],
]
const byBasic = ({ refresh_token: token }: Tokens): Asked => ({
  fields: asked(token),
  headers: basic('notes', notes.secret),
})
const byPost = ({ refresh_token: token }: Tokens): Asked => ({
  fields: [...asked(token), ['client_id', 'notes'], ['client_secret', notes.secret as string]],
})
const byNobody = ({ refresh_token: token }: Tokens): Asked => ({ fields: [...asked(token), ['client_id', 'photos']] })

async function appOf(id: string): Promise<AppRow> {
  return (await findApp(server.services, id)) as AppRow
}
const familyOf = (tokens: Tokens) => claimsOf(tokens.access_token)['fam'] as string
const update = (change: string) => async (tokens: Tokens) => {
  await server.services.storage.pool.query(`UPDATE families SET ${change} WHERE id = $1`, [familyOf(tokens)])
}

interface Case {
  what: string
  status: number
  sent: (tokens: Tokens) => Asked
  /** Whose tokens they are; Notes unless it says otherwise. */
  client?: () => Client
  before?: (tokens: Tokens) => Promise<unknown>
  after?: () => Promise<unknown>
}

const CASES: Case[] = [
  { what: 'a secret in the header', status: 200, sent: byBasic },
  { what: 'a secret in the form', status: 200, sent: byPost },
  { what: 'no secret, from a public app', status: 200, sent: byNobody, client: () => photos },
  {
    what: 'a secret in the header and the same id in the form',
    status: 200,
    sent: (tokens) => ({ ...byBasic(tokens), fields: [...asked(tokens.refresh_token), ['client_id', 'notes']] }),
  },
  {
    what: 'a secret that was replaced within the day',
    status: 200,
    sent: (tokens) => ({ fields: asked(tokens.refresh_token), headers: basic('other', other.secret) }),
    client: () => other,
    before: async () => rotateSecret(server.services, await appOf('other')),
    after: async () =>
      server.services.storage.pool.query(
        "UPDATE apps SET secret_hash = previous_secret_hash WHERE client_id = 'other'",
      ),
  },
  {
    what: 'the token before, within its grace',
    status: 200,
    sent: byBasic,
    before: (tokens) => notes.refresh(tokens.refresh_token),
  },
  {
    what: 'the token before, after its grace, from an app that proves itself',
    status: 200,
    sent: byBasic,
    before: async (tokens) => {
      await notes.refresh(tokens.refresh_token)
      await update("rotated_at = rotated_at - interval '31 seconds'")(tokens)
    },
  },
  {
    what: 'the token before, after its grace, from a public app',
    status: 400,
    sent: byNobody,
    client: () => photos,
    before: async (tokens) => {
      await photos.refresh(tokens.refresh_token)
      clock.advance(31)
    },
  },
  {
    what: 'the token two generations back, within its grace',
    status: 200,
    sent: byBasic,
    before: async (tokens) => {
      const { refresh_token: next } = (await (await notes.refresh(tokens.refresh_token)).json()) as Tokens
      await notes.refresh(next)
    },
  },
  {
    what: 'the token two generations back, after its grace',
    status: 400,
    sent: byBasic,
    before: async (tokens) => {
      const { refresh_token: next } = (await (await notes.refresh(tokens.refresh_token)).json()) as Tokens
      await notes.refresh(next)
      clock.advance(31)
    },
  },
  {
    what: 'a made-up token',
    status: 400,
    sent: () => ({ fields: asked('x'.repeat(91)), headers: basic('notes', notes.secret) }),
  },
  { what: 'an empty token', status: 400, sent: () => ({ fields: asked(''), headers: basic('notes', notes.secret) }) },
  {
    what: 'no token',
    status: 400,
    sent: () => ({ fields: [['grant_type', 'refresh_token']], headers: basic('notes', notes.secret) }),
  },
  {
    what: 'two tokens',
    status: 400,
    sent: (tokens) => ({
      fields: [...asked(tokens.refresh_token), ['refresh_token', 'x']],
      headers: basic('notes', notes.secret),
    }),
  },
  { what: 'a token of another app', status: 400, sent: byBasic, client: () => other },
  {
    what: 'another grant type',
    status: 400,
    sent: () => ({ fields: [['grant_type', 'password']], headers: basic('notes', notes.secret) }),
  },
  {
    what: 'a wrong secret in the header',
    status: 401,
    sent: (tokens) => ({ ...byBasic(tokens), headers: basic('notes', other.secret) }),
  },
  {
    what: 'a wrong secret in the form',
    status: 401,
    sent: (tokens) => ({
      fields: [...asked(tokens.refresh_token), ['client_id', 'notes'], ['client_secret', 'wrong']],
    }),
  },
  {
    what: 'an empty secret in the form',
    status: 401,
    sent: (tokens) => ({ fields: [...asked(tokens.refresh_token), ['client_id', 'notes'], ['client_secret', '']] }),
  },
  {
    what: 'no secret, from a confidential app',
    status: 401,
    sent: (tokens) => ({ fields: [...asked(tokens.refresh_token), ['client_id', 'notes']] }),
  },
  {
    what: 'a secret, from a public app',
    status: 401,
    sent: (tokens) => ({ fields: asked(tokens.refresh_token), headers: basic('photos', 'secret') }),
    client: () => photos,
  },
  {
    what: 'secrets in two places',
    status: 400,
    sent: (tokens) => ({ ...byPost(tokens), headers: basic('notes', notes.secret) }),
  },
  {
    what: 'two ids that differ',
    status: 400,
    sent: (tokens) => ({ ...byBasic(tokens), fields: [...asked(tokens.refresh_token), ['client_id', 'other']] }),
  },
  {
    what: 'an unknown app',
    status: 401,
    sent: (tokens) => ({ fields: asked(tokens.refresh_token), headers: basic('nobody', 'secret') }),
  },
  { what: 'no app at all', status: 400, sent: (tokens) => ({ fields: asked(tokens.refresh_token) }) },
  {
    what: 'a bearer token for a secret',
    status: 400,
    sent: (tokens) => ({ fields: asked(tokens.refresh_token), headers: { authorization: 'Bearer x' } }),
  },
  {
    what: 'a family that was ended',
    status: 400,
    sent: byBasic,
    before: (tokens) => browser.post(`/families/${familyOf(tokens)}/revocation`, {}),
  },
  { what: 'an idle family', status: 400, sent: byBasic, before: update('idle_expires_at = created_at') },
  { what: 'a family that is too old', status: 400, sent: byBasic, before: update('expires_at = created_at') },
  { what: 'a family bound to a key', status: 400, sent: byBasic, before: update("jkt = 'a thumbprint'") },
  {
    what: 'a disabled app',
    status: 400,
    sent: byBasic,
    before: async () => disableApp(server.services, await appOf('notes')),
    after: async () => enableApp(server.services, await appOf('notes')),
  },
  {
    what: 'a disabled identity',
    status: 400,
    sent: byBasic,
    before: () => disableIdentity(server.services, adaId),
    after: () => enableIdentity(server.services, adaId),
  },
]

/** What an answer says, with all that is new each time taken out. */
interface Said {
  status: number
  headers: [string, string][]
  body: Record<string, unknown>
}

async function ask({ sent, client = () => notes, before, after }: Case, extra: [string, string][]): Promise<Said> {
  await browser.signIn(ada)
  const tokens = await client().connect(browser)
  await before?.(tokens)
  const { fields, headers } = sent(tokens)
  const body = new URLSearchParams([...fields, ...extra])
  const response = await fetch(`${server.url}/oauth/token`, { method: 'POST', body, headers: { ...headers } })
  const said = (await response.json()) as Record<string, unknown>
  await after?.()
  return {
    status: response.status,
    headers: [...response.headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name)),
    body: {
      ...said,
      ...('fam' in said ? { fam: (said['fam'] as string).length } : {}),
      ...('access_token' in said ? { access_token: withoutTheNew(said['access_token'] as string) } : {}),
      ...('refresh_token' in said ? { refresh_token: (said['refresh_token'] as string).length } : {}),
    },
  }
}

function withoutTheNew(token: string): unknown {
  const { iat, exp, jti, fam, ...claims } = claimsOf(token)
  const life = (exp as number) - (iat as number)
  return [
    token.split('.')[0],
    claims,
    life,
    (jti as string).length,
    (fam as string).length,
    Object.keys(claimsOf(token)),
  ]
}

for (const each of CASES) {
  test(`a plain refresh and one that takes the library's path get the same answer: ${each.what}`, async () => {
    const plain = await ask(each, [])
    // An unknown parameter is ignored (RFC 6749 §3.2) and is not plain.
    const byLibrary = await ask(each, [['unrelated', '1']])
    assert.equal(plain.status, each.status, JSON.stringify(plain.body))
    assert.deepEqual(plain, byLibrary)
  })
}

/** Whether a form is answered here. */
async function isAnsweredHere({ method = 'POST', headers, ...sent }: Sent): Promise<boolean> {
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const form = await readPlainForm(req)
    return form !== null && answerPlainRefresh(server.services, createLogger('silent'), req, res, form)
  }
  return isAnswered(answer, {
    method,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    ...sent,
  })
}

test('what nearly every app sends is answered without the library', async () => {
  for (const [client, sent] of [
    [notes, byBasic],
    [notes, byPost],
    [photos, byNobody],
  ] as const) {
    const { fields, headers } = sent(await client.connect(browser))
    assert.equal(await isAnsweredHere({ body: `${new URLSearchParams(fields)}`, headers: { ...headers } }), true)
  }
})

test('whatever has one thing more is left to the library, whole', async () => {
  const { fields, headers = {} } = byBasic(await notes.connect(browser))
  const body = `${new URLSearchParams(fields)}`
  for (const request of [
    { body, headers: { ...headers, dpop: 'x' } },
    { body, headers: { ...headers, origin: 'https://notes.example.test' } },
    { body, headers: { ...headers, 'content-type': 'application/json' } },
    { body, headers: { ...headers, 'transfer-encoding': 'chunked' } },
    { body, headers: { ...headers, 'content-encoding': 'gzip' } },
    { body, headers: { ...headers, authorization: 'Basic bm90ZXM6JTIw' } },
    { body: `${body}&scope=openid`, headers },
    { body: `${body}&resource=notes`, headers },
    { body: `${body}&${'x'.repeat(3000)}`, headers },
    { headers, method: 'PUT' },
    { headers },
  ])
    assert.equal(await isAnsweredHere(request), false, JSON.stringify({ ...request.headers, authorization: '' }))
  assert.equal(await isAnsweredHere({ body, headers }), true)
})

test('a refresh whose body comes in pieces is answered all the same', async () => {
  const { fields, headers = {} } = byBasic(await notes.connect(browser))
  const body = `${new URLSearchParams(fields)}`
  const sent = request({
    port: portOf(server.url),
    host: '127.0.0.1',
    method: 'POST',
    path: '/oauth/token',
    headers: {
      ...headers,
      host: new URL(server.url).host,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    },
  })
  sent.flushHeaders()
  sent.write(body.slice(0, 50))
  setTimeout(() => sent.end(body.slice(50)), 50)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200, await text(response))
})

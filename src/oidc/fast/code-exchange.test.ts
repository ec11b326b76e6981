import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { type AppRow, changeApp, disableApp, enableApp, findApp, rotateSecret } from '../../domain/apps/apps.ts'
import { CODE_KIND } from '../../domain/families/authorization-codes.ts'
import { changeRoles, disableIdentity, enableIdentity } from '../../domain/identities/identities.ts'
import { createLogger } from '../../logger.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { headersOf, isAnswered } from '../../testing/portal/plain.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import type { Sent } from '../../testing/network/wire.ts'
import { answerPlainCodeExchange } from './code-exchange.ts'
import { readPlainForm } from './forms.ts'

const SCOPE = 'notes:read openid profile email address phone offline_access'
const CALLBACK = 'https://notes.example.test/callback'

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let adaId: string
  let browser: Browser
  const clients: Record<string, Client> = {}

  before(async () => {
    server = await startTestServer({ kind, clock: createClock() })
    adaId = await server.addIdentity(ada, { roles: ['editor'] })
    const notes = { ...notesApp, scope: SCOPE, redirectUris: [CALLBACK, `${CALLBACK}/other`] }
    for (const [id, settings] of Object.entries({
      notes,
      other: notes,
      photos: photosApp,
      legacy: { ...notes, idTokenAlg: 'ES256', applicationTokenTtl: 60, familyIdle: 1000, familyMax: 2000 },
      listener: { ...notes, backchannelLogoutUri: 'https://notes.example.test/logout', familyLifetime: 'session' },
      apart: { ...notes, audience: 'https://notes.example.test/api', familyLifetime: 'offline' },
      odd: { ...notes, audience: 'notes/é'.normalize('NFKD').replaceAll(/[^!-~]/g, '"') },
      tools: { ...notes, allowNoPkce: true },
    }))
      clients[id] = new Client(server.url, id, await server.addApp(id, settings), settings.redirectUris[0] as string)
  })
  after(() => server.close())
  beforeEach(async () => {
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })

  const clientOf = (id: string) => clients[id] as Client
  const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
  const basic = (id: string, secret: string | null) => ({
    authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
  })

  interface Exchange {
    fields: Record<string, string>
    headers?: Record<string, string>
  }

  interface Case {
    what: string
    status: number
    /** Whose code it is; that of Notes unless it says otherwise. */
    client?: string
    /** What the app asks for at the authorization. */
    asked?: Record<string, string | null>
    change?: (fields: Record<string, string>) => Exchange | Record<string, string>
    before?: (code: string) => Promise<unknown>
    after?: () => Promise<unknown>
    /** Whether the code is as good as before, for an exchange that is right. */
    isUnspent?: boolean
  }

  const by = (fields: Record<string, string>, id: string, secret: string | null): Exchange => ({
    fields,
    headers: basic(id, secret),
  })
  const without =
    (name: string) =>
    ({ [name]: _left, ...rest }: Record<string, string>) =>
      rest

  const CASES: Case[] = [
    { what: 'a secret in the header', status: 200 },
    {
      what: 'a secret in the form',
      status: 200,
      change: (fields) => ({
        fields: { ...fields, client_id: 'notes', client_secret: clientOf('notes').secret as string },
        headers: {},
      }),
    },
    { what: 'a public app', status: 200, client: 'photos' },
    { what: 'an RS256 app with times of its own', status: 200, client: 'legacy' },
    { what: 'an app that is told of endings, and follows the session', status: 200, client: 'listener' },
    { what: 'an app whose audience is a URL', status: 200, client: 'apart' },
    { what: 'an app with an odd audience', status: 200, client: 'odd' },
    { what: 'the least', status: 200, asked: { scope: 'openid' } },
    { what: 'a scope of its own, first', status: 200, asked: { scope: 'notes:read email openid' } },
    { what: 'everything', status: 200, asked: { scope: SCOPE.replace(' offline_access', '') } },
    { what: 'a scope that the app may not have', status: 200, asked: { scope: 'openid admin' } },
    { what: 'no openid', status: 200, asked: { scope: 'notes:read', nonce: null } },
    { what: 'prompt=none', status: 200, asked: { prompt: 'none' } },
    { what: 'no nonce', status: 200, asked: { nonce: null } },
    { what: 'a nonce that no database takes', status: 200, asked: { nonce: 'a\u0000b' } },
    { what: 'a nonce with quotes', status: 200, asked: { nonce: '"\'\\é{}' } },
    { what: 'claims by name', status: 200, asked: { claims: '{"id_token":{"email":null}}' } },
    {
      what: 'the id in the header and in the form',
      status: 200,
      change: (fields) => by({ ...fields, client_id: 'notes' }, 'notes', clientOf('notes').secret),
    },
    {
      what: 'a secret that was replaced within the day',
      status: 200,
      client: 'other',
      before: async () => rotateSecret(server.services, await appOf('other')),
      after: async () =>
        server.services.storage.pool.query(
          "UPDATE apps SET secret_hash = previous_secret_hash WHERE client_id = 'other'",
        ),
    },
    {
      what: 'roles that have changed since',
      status: 200,
      before: () => changeRoles(server.services, adaId, ['auditor']),
      after: () => changeRoles(server.services, adaId, ['editor']),
    },
    {
      what: 'a scope that the app has lost since',
      status: 200,
      client: 'other',
      asked: { scope: 'openid email notes:read' },
      before: async () => changeApp(server.services, await appOf('other'), { scope: 'openid email' }),
      after: async () => changeApp(server.services, await appOf('other'), { scope: SCOPE }),
    },
    {
      what: 'no verifier for a code without a challenge',
      status: 200,
      client: 'tools',
      asked: { code_challenge: null, code_challenge_method: null },
      change: without('code_verifier'),
    },
    {
      what: 'an audience that the app has lost since',
      status: 400,
      client: 'other',
      before: async () => changeApp(server.services, await appOf('other'), { audience: 'elsewhere' }),
      after: async () => changeApp(server.services, await appOf('other'), { audience: notesApp.audience }),
    },
    {
      what: 'another address of the app',
      status: 400,
      change: (fields) => ({ ...fields, redirect_uri: `${CALLBACK}/other` }),
      isUnspent: true,
    },
    { what: 'no address', status: 400, change: without('redirect_uri'), isUnspent: true },
    { what: 'no verifier', status: 400, change: without('code_verifier'), isUnspent: true },
    {
      what: 'a wrong verifier',
      status: 400,
      change: (fields) => ({ ...fields, code_verifier: 'x'.repeat(43) }),
      isUnspent: true,
    },
    {
      what: 'a malformed verifier',
      status: 400,
      change: (fields) => ({ ...fields, code_verifier: 'short' }),
      isUnspent: true,
    },
    { what: 'no code', status: 400, change: without('code'), isUnspent: true },
    { what: 'a code that was not given', status: 400, change: (fields) => ({ ...fields, code: 'A'.repeat(64) }) },
    {
      what: 'a code of the wrong length',
      status: 400,
      change: (fields) => ({ ...fields, code: `${fields['code']}A` }),
    },
    {
      what: 'a code of another app',
      status: 400,
      change: (fields) => by(fields, 'other', clientOf('other').secret),
      isUnspent: true,
    },
    {
      what: 'a code that was used',
      status: 400,
      before: async (code) => clientOf('notes').exchange(code),
    },
    {
      what: 'a code that is gone',
      status: 400,
      before: (code) => server.services.storage.protocolRecords.delete(CODE_KIND, code),
    },
    { what: 'a sign-in that has ended', status: 400, before: () => browser.post('/logout', {}) },
    {
      what: 'a disabled identity',
      status: 400,
      before: () => disableIdentity(server.services, adaId),
      after: () => enableIdentity(server.services, adaId),
    },
    {
      what: 'a wrong secret',
      status: 401,
      change: (fields) => by(fields, 'notes', 'wrong'),
      isUnspent: true,
    },
    {
      what: 'no secret, from a confidential app',
      status: 401,
      change: (fields) => ({ fields: { ...fields, client_id: 'notes' }, headers: {} }),
      isUnspent: true,
    },
    {
      what: 'a secret, from a public app',
      status: 401,
      client: 'photos',
      change: (fields) => by(fields, 'photos', 'secret'),
      isUnspent: true,
    },
    {
      what: 'a disabled app',
      status: 401,
      before: async () => disableApp(server.services, await appOf('notes')),
      after: async () => enableApp(server.services, await appOf('notes')),
    },
  ]

  async function ask(each: Case, more: Record<string, string>, authorizedBy: string): Promise<unknown> {
    const { client: id = 'notes', asked, change, before, after } = each
    const client = clientOf(id)
    await browser.signIn(ada)
    const redirected = await browser.get(`${client.authorizeUrl(asked)}${authorizedBy}`)
    const code = new URL(redirected.headers.get('location') as string).searchParams.get('code') as string
    await before?.(code)

    const right = {
      grant_type: 'authorization_code',
      code,
      redirect_uri: client.redirectUri,
      code_verifier: client.verifier,
      ...(client.secret === null ? { client_id: id } : {}),
    }
    const rightly = client.secret === null ? {} : basic(id, client.secret)
    const changed = change?.(right) ?? right
    const { fields, headers = rightly } = ('fields' in changed ? changed : { fields: changed }) as Exchange
    const response = await send({ ...fields, ...more }, headers)
    const said = (await response.json()) as Record<string, unknown> & Partial<Tokens>
    await after?.()
    if (each.isUnspent === true) assert.equal((await send(right, rightly)).status, 200, 'the code is spent')
    return {
      status: response.status,
      headers: headersOf(response),
      said: 'access_token' in said ? tokensIn(said as Tokens) : said,
      names: Object.keys(said),
      kept: 'access_token' in said ? await keptOf(said as Tokens) : null,
    }
  }

  function send(fields: Record<string, string>, headers: Record<string, string>): Promise<Response> {
    return fetch(`${server.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(fields), headers })
  }

  /** What the tokens say, with all that is new each time taken out. */
  function tokensIn({ access_token: accessToken, refresh_token: refreshToken, id_token: idToken, ...rest }: Tokens) {
    const { iat, exp, jti, fam, auth_time: _t, claims_version: _v, ...application } = claimsOf(accessToken)
    const { iat: _i, exp: idExp, auth_time: _a, sid, ...id } = idToken === undefined ? {} : claimsOf(idToken)
    if (sid !== undefined) assert.equal(sid, fam)
    assert.equal((jti as string).length, 36)
    return {
      ...rest,
      application: [
        accessToken.split('.')[0],
        application,
        (exp as number) - (iat as number),
        Object.keys(claimsOf(accessToken)),
      ],
      id:
        idToken === undefined ? null : [idToken.split('.')[0], id, idExp === undefined, Object.keys(claimsOf(idToken))],
      refreshToken: refreshToken.length,
    }
  }

  /** The family and what was written down of it, without what is new each time. */
  async function keptOf(tokens: Tokens): Promise<unknown> {
    const { pool } = server.services.storage
    const id = claimsOf(tokens.access_token)['fam']
    const families = await pool.query(
      `SELECT client_id, identity_id, identity_session_id IS NOT NULL AS followed, generation, previous_hash, rotated_at, scope, claims, sid = id::text AS sid,
         acr, amr, jkt, lifetime, stale_since IS NULL AS "isFresh", claims_version >= 0 AS version, seen, ended_at, browser, address,
         expires_at = 'infinity' AS endless, extract(epoch FROM idle_expires_at - created_at)::int / 60 AS idle, review_at = idle_expires_at AS due,
         created_at = last_used_at AS used, opened_silently, replaced_by FROM families WHERE id = $1`,
      [id],
    )
    const events = await pool.query(
      'SELECT kind, identity_id, client_id, cause, detail, browser, address FROM audit_events WHERE family_id = $1',
      [id],
    )
    return [families.rows, events.rows]
  }

  for (const each of CASES) {
    test(`a plain exchange and one that takes the library's path get the same answer: ${each.what} (${kind})`, async () => {
      // This parameter is not defined, so it says nothing (RFC 6749 §3.2) and is not plain; nor is a code then.
      const extra = { unrelated: '1' }
      const plain = (await ask(each, {}, '')) as { status: number; said: unknown }
      assert.equal(plain.status, each.status, JSON.stringify(plain.said))
      assert.deepEqual(plain, await ask(each, extra, ''))
      if (each.status === 200) assert.deepEqual(plain, await ask(each, {}, '&unrelated=1'))
    })
  }

  /** Whether an exchange is answered here. */
  async function isAnsweredHere({ method = 'POST', headers, ...sent }: Sent): Promise<boolean> {
    const answer = async (req: IncomingMessage, res: ServerResponse) => {
      const form = await readPlainForm(req)
      return form !== null && answerPlainCodeExchange(server.services, createLogger('silent'), req, res, form)
    }
    return isAnswered(answer, {
      method,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      ...sent,
    })
  }

  test(`what nearly every app sends is answered without the library, and nothing else (${kind})`, async () => {
    const notes = clientOf('notes')
    const headers = basic('notes', notes.secret)
    const bodyFor = (code: string) =>
      `${new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: notes.verifier })}`
    for (const authorizedBy of ['', '&unrelated=1']) {
      const redirected = await browser.get(`${notes.authorizeUrl()}${authorizedBy}`)
      const code = new URL(redirected.headers.get('location') as string).searchParams.get('code') as string
      const body = bodyFor(code)
      for (const more of [
        { body, headers: { ...headers, dpop: 'x' } },
        { body, headers: { ...headers, origin: 'https://notes.example.test' } },
        { body: `${body}&scope=openid`, headers },
        { body: `${body}&resource=notes`, headers },
        { body: `${body}&code=x`, headers },
        { body, headers, method: 'PUT' },
      ])
        assert.equal(await isAnsweredHere(more), false, JSON.stringify(more))
      assert.equal(await isAnsweredHere({ body, headers }), true)
      // The second time is a reuse, which the library is left to refuse.
      assert.equal(await isAnsweredHere({ body, headers }), false)
    }
    const offline = await notes.code(browser, { scope: 'openid', claims: '{"userinfo":{"email":null}}' })
    assert.equal(await isAnsweredHere({ body: bodyFor(offline), headers }), false)
  })
}

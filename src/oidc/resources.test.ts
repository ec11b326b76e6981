import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as jose from 'jose'
import { type ApiRow, deleteApi, findApi } from '../domain/apps/apis.ts'
import { type ApiGrant, apiGrantsFor } from '../domain/apps/app-apis.ts'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { Revocations } from '../domain/families/revocations.ts'
import { calendarApi, contactsApi } from '../testing/portal/apis.ts'
import { answerIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../testing/portal/statements.ts'

const CONTACTS = 'https://contacts.example.test'
const CALENDAR = 'urn:example:calendar'
const TASKS = 'https://tasks.example.test/v1?tenant=1'
const SECRET = 'https://secret.example.test'
const OWN = 'urn:gatehouse:audience:notes'
const DAY = 86_400

for (const kind of ['embedded', 'postgres+redis'] as const) {
  const clock = createClock()
  let server: TestServer
  let browser: Browser
  let notes: Client
  let photos: Client
  let contacts: Client
  let calendar: Client

  before(async () => {
    server = await startTestServer({ kind, clock, env: { IN_PROCESS_WORKER: 'false' } })
    await server.addIdentity(ada)
    contacts = await server.addApi(CONTACTS, contactsApi)
    calendar = await server.addApi(CALENDAR, { ...calendarApi, signingAlg: 'RS256', tokenTtl: 60 })
    await server.addApi(TASKS, {
      ...contactsApi,
      name: 'Tasks',
      scopes: ['tasks', 'contacts:read'],
      signingAlg: 'EdDSA',
    })
    await server.addApi(SECRET, { ...contactsApi, name: 'Secret' })
    const add = async (id: string, settings: typeof notesApp) =>
      new Client(server.url, id, await server.addApp(id, settings), settings.redirectUris[0] as string)
    notes = await add('notes', notesApp)
    photos = await add('photos', photosApp)
    await grant('notes', await all(CONTACTS, CALENDAR, TASKS))
    await grant('photos', [{ identifier: CONTACTS, scopes: ['contacts:read'] }])
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })
  after(() => server.close())

  const all = (...identifiers: string[]) => apiGrantsFor(server.services, identifiers, null)

  async function grant(clientId: string, request: ApiGrant[]): Promise<void> {
    const app = (await findApp(server.services, clientId)) as AppRow
    await changeApp(server.services, app, {}, undefined, { request })
  }

  /** An authorization request with each of these resources. */
  function urlOf(client: Client, resources: string[], change: Record<string, string | null> = {}): string {
    return resources.reduce(
      (url, resource) => `${url}&resource=${encodeURIComponent(resource)}`,
      client.authorizeUrl(change),
    )
  }

  async function codeFor(client: Client, resources: string[], scope: string): Promise<string> {
    const { code } = answerIn(await browser.get(urlOf(client, resources, { scope })), client.redirectUri)
    assert.ok(code)
    return code
  }

  async function connect(client: Client, resources: string[], scope: string): Promise<Tokens> {
    return tokensIn(await client.exchange(await codeFor(client, resources, scope)))
  }

  /** Who a token is for, and what for. */
  const gist = ({ access_token: token, scope }: Tokens) => {
    const claims = claimsOf(token)
    assert.equal(claims['scope'], scope)
    return [claims['aud'], scope]
  }

  test(`a token for the one API that was asked for is the app's own but for audience and scope (${kind})`, async () => {
    const own = await connect(notes, [], 'openid contacts:read')
    assert.deepEqual(gist(own), ['notes', 'openid'])
    const first = await connect(notes, [CONTACTS], 'openid profile contacts:read unknown')
    assert.deepEqual(gist(first), [CONTACTS, 'contacts:read'])
    assert.equal(first.expires_in, 300)
    assert.equal(claimsOf(first.id_token)['aud'], 'notes')
    const same = (tokens: Tokens) => {
      const claims = Object.entries(claimsOf(tokens.access_token))
      const changing = ['aud', 'scope', 'jti', 'fam', 'iat', 'exp', 'auth_time']
      return [claims.map(([name]) => name), claims.filter(([name]) => !changing.includes(name))]
    }
    assert.deepEqual(same(first), same(own))

    const second = await tokensIn(await notes.refresh(first.refresh_token))
    assert.deepEqual(gist(second), [CONTACTS, 'contacts:read'])
    assert.equal(claimsOf(second.access_token)['fam'], claimsOf(first.access_token)['fam'])
    assert.deepEqual(same(second), same(own))
    const third = await tokensIn(await notes.refresh(second.refresh_token, { resource: OWN }))
    assert.deepEqual(gist(third), ['notes', 'openid profile'])
    const fourth = await tokensIn(await notes.refresh(third.refresh_token, { resource: CONTACTS }))
    assert.deepEqual(gist(fourth), [CONTACTS, 'contacts:read'])
    assert.equal((await notes.userinfo(third.access_token)).status, 200)
    const refused = await notes.userinfo(fourth.access_token)
    assert.deepEqual([refused.status, (await problemIn(refused)).error], [403, 'insufficient_scope'])
  })

  test(`of several APIs each token is for one, and by default for the app itself (${kind})`, async () => {
    const scope = 'openid contacts:read contacts:write calendar:read'
    const expected: Record<string, [aud: string, scope: string]> = {
      [CONTACTS]: [CONTACTS, 'contacts:read contacts:write'],
      [CALENDAR]: [CALENDAR, 'calendar:read'],
      [TASKS]: [TASKS, 'contacts:read'],
      [OWN]: ['notes', 'openid'],
    }
    const resources = [CONTACTS, CALENDAR, TASKS]
    let tokens = await connect(notes, resources, scope)
    assert.deepEqual(gist(tokens), expected[OWN])
    tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
    assert.deepEqual(gist(tokens), expected[OWN])
    for (const [resource, told] of Object.entries(expected)) {
      assert.deepEqual(
        gist(await tokensIn(await notes.exchange(await codeFor(notes, resources, scope), { resource }))),
        told,
      )
      tokens = await tokensIn(await notes.refresh(tokens.refresh_token, { resource }))
      assert.deepEqual(gist(tokens), told)
    }
    const less = { resource: CONTACTS, scope: 'openid contacts:write calendar:read' }
    tokens = await tokensIn(await notes.refresh(tokens.refresh_token, less))
    assert.deepEqual(gist(tokens), [CONTACTS, 'contacts:write'])
    assert.equal(claimsOf(tokens.id_token)['aud'], 'notes')
    // The app's own audience has none of these scopes.
    tokens = await tokensIn(await notes.refresh(tokens.refresh_token, { scope: 'openid contacts:write' }))
    assert.deepEqual(gist(tokens), ['notes', 'openid'])
  })

  test(`tokens for an API are signed with its algorithm and live as long as it says (${kind})`, async () => {
    const keys = jose.createRemoteJWKSet(new URL(`${server.url}/oauth/jwks`))
    for (const [resource, scope, alg, life] of [
      [CONTACTS, 'contacts:read', 'ES256', 300],
      [CALENDAR, 'calendar:read', 'RS256', 60],
      [TASKS, 'tasks', 'EdDSA', 300],
    ] as const) {
      let tokens = await connect(notes, [resource], `openid ${scope}`)
      for (let turn = 0; turn < 2; turn++) {
        const options = { issuer: server.url, audience: resource, typ: 'at+jwt', currentDate: clock() }
        const { protectedHeader, payload } = await jose.jwtVerify(tokens.access_token, keys, options)
        assert.deepEqual([protectedHeader.alg, (payload.exp ?? 0) - (payload.iat ?? 0)], [alg, life])
        assert.equal(tokens.expires_in, life)
        assert.equal((await notes.introspect(tokens.access_token))['active'], true)
        tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
      }
    }
  })

  test(`a token of which no scope of its API was asked for has none (${kind})`, async () => {
    let tokens = await connect(notes, [CONTACTS], 'openid profile')
    for (const turn of [0, 1]) {
      const claims = claimsOf(tokens.access_token)
      assert.deepEqual([claims['aud'], 'scope' in claims, 'scope' in tokens], [CONTACTS, false, false], String(turn))
      assert.deepEqual(await contacts.introspect(tokens.access_token), {
        active: true,
        ...claims,
        token_type: 'Bearer',
      })
      assert.equal((await notes.userinfo(tokens.access_token)).status, 403)
      tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
    }
  })

  test(`the API and the app learn of a token for the API, and no other client (${kind})`, async () => {
    const { access_token: token } = await connect(notes, [CONTACTS], 'openid contacts:read')
    const told = { active: true, ...claimsOf(token), token_type: 'Bearer' }
    assert.deepEqual(await contacts.introspect(token), told)
    assert.deepEqual(await notes.introspect(token), told)
    assert.deepEqual(await calendar.introspect(token), { active: false })
    // Anyone can pretend to be a public app.
    const theirs = await connect(photos, [CONTACTS], 'openid contacts:read contacts:write')
    assert.deepEqual(gist(theirs), [CONTACTS, 'contacts:read'])
    assert.deepEqual(await photos.introspect(theirs.access_token), { active: false })
    assert.equal((await contacts.introspect(theirs.access_token))['active'], true)
    await photos.revoke(theirs.access_token)
    assert.deepEqual(await contacts.introspect(theirs.access_token), { active: false, reason: 'family_ended' })
  })

  test(`what the registry takes away is gone at the next request, and the refresh token stays good (${kind})`, async () => {
    const scope = 'openid contacts:read contacts:write'
    const code = await codeFor(notes, [CONTACTS], scope)
    const first = await connect(notes, [CONTACTS], scope)
    await grant('notes', [{ identifier: CONTACTS, scopes: ['contacts:read'] }])
    const second = await tokensIn(await notes.refresh(first.refresh_token))
    assert.deepEqual(gist(second), [CONTACTS, 'contacts:read'])

    await grant('notes', [])
    for (const resource of [null, CONTACTS]) {
      assert.equal((await problemIn(await notes.refresh(second.refresh_token, { resource }))).error, 'invalid_target')
      assert.equal((await problemIn(await notes.exchange(code, { resource }))).error, 'invalid_target')
    }
    // A lost answer is not found again either.
    assert.equal((await problemIn(await notes.refresh(first.refresh_token))).error, 'invalid_target')
    const asked = answerIn(await browser.get(urlOf(notes, [CONTACTS])), notes.redirectUri)
    assert.equal(asked['error'], 'invalid_target')
    assert.deepEqual(gist(await tokensIn(await notes.refresh(second.refresh_token, { resource: OWN }))), [
      'notes',
      'openid',
    ])

    await grant('notes', await all(CONTACTS, CALENDAR, TASKS))
    assert.deepEqual(gist(await tokensIn(await notes.exchange(code))), [CONTACTS, 'contacts:read contacts:write'])
    const replayed = await tokensIn(await notes.refresh(second.refresh_token))
    assert.deepEqual(gist(replayed), [CONTACTS, 'contacts:read contacts:write'])
  })

  test(`a deleted API gets no more tokens, and the revocation feed remembers as long as those that are out (${kind})`, async () => {
    const identifier = 'https://short.example.test'
    await server.addApi(identifier, { ...contactsApi, tokenTtl: 3000 })
    await grant('notes', await all(identifier, CONTACTS, CALENDAR, TASKS))
    const tokens = await connect(notes, [identifier], 'openid contacts:read')
    assert.equal(tokens.expires_in, 3000)
    const window = async () => {
      const feed = new Revocations(server.services)
      await feed.look()
      return feed.list(0).window
    }
    clock.advance(7200)
    assert.equal(await window(), 3060)
    await deleteApi(server.services, (await findApi(server.services, identifier)) as ApiRow)
    assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).error, 'invalid_target')
    assert.ok((await window()) >= 3060)
  })

  test(`a lost answer is found again for the same API, by either path (${kind})`, async () => {
    const first = await connect(notes, [CONTACTS, CALENDAR], 'openid contacts:read')
    const second = await tokensIn(await notes.refresh(first.refresh_token, { resource: CONTACTS }))
    for (const [resource, told] of [
      [CONTACTS, [CONTACTS, 'contacts:read']],
      [OWN, ['notes', 'openid']],
      [null, ['notes', 'openid']],
    ] as const) {
      const again = await tokensIn(await notes.refresh(first.refresh_token, { resource }))
      assert.deepEqual([again.refresh_token, ...gist(again)], [second.refresh_token, ...told])
    }
    const only = await connect(notes, [CONTACTS], 'openid contacts:read')
    await notes.refresh(only.refresh_token)
    assert.deepEqual(gist(await tokensIn(await notes.refresh(only.refresh_token))), [CONTACTS, 'contacts:read'])
  })

  test(`a refresh is one statement for an app without APIs, with one, and with several (${kind})`, async () => {
    for (const resources of [[], [CONTACTS], [CONTACTS, CALENDAR]]) {
      const tokens = await connect(notes, resources, 'openid contacts:read')
      const statements = await recordStatements(() => notes.refresh(tokens.refresh_token))
      const names = withoutPeriodic(statements).map(({ name }) => name)
      assert.deepEqual(names, ['family-advance'])
    }
  })

  test(`a silent renewal replaces no family that has an API which it has not (${kind})`, async () => {
    const silent = async (resources: string[]) => {
      const url = urlOf(notes, resources, { prompt: 'none', scope: 'openid contacts:read' })
      const { code } = answerIn(await browser.get(url), notes.redirectUri)
      return tokensIn(await notes.exchange(code as string))
    }
    const first = await silent([CONTACTS])
    clock.advance(301)
    await silent([])
    assert.deepEqual(gist(await tokensIn(await notes.refresh(first.refresh_token))), [CONTACTS, 'contacts:read'])
    const second = await silent([CONTACTS])
    clock.advance(301)
    await silent([CONTACTS])
    assert.equal((await problemIn(await notes.refresh(second.refresh_token))).error, 'invalid_grant')
  })

  /** What no authorization may name, and what no token request may either. */
  const WRONG: [what: string, resources: string[]][] = [
    ['an API that is not registered', ['https://unknown.example.test']],
    ['an API that the app may not have', [SECRET]],
    ['an API that the app may have, and one that it may not', [CONTACTS, SECRET]],
    ['the audience of another app', ['https://photos.example.test/api']],
    ['the client id of an API', ['api.00000000000000000000']],
    ['its address with a slash more', [`${CONTACTS}/`]],
    ['its address in capitals', [CONTACTS.toUpperCase()]],
    ['a fragment', [`${CONTACTS}#part`]],
    ['no URI', ['contacts']],
    ['NUL', ['\0']],
    ['an address with NUL', [`${CONTACTS}\0`]],
    ['a name that objects have', ['__proto__']],
    ['3,000 characters', [`https://a.example.test/${'a'.repeat(3000)}`]],
  ]

  for (const [what, resources] of WRONG) {
    test(`${what} is no target, at any endpoint, and nothing changes (${kind})`, async () => {
      const url = urlOf(notes, resources)
      assert.equal(answerIn(await browser.get(url), notes.redirectUri)['error'], 'invalid_target')
      const body = new URL(url).searchParams
      const headers = { authorization: `Basic ${btoa(`${notes.id}:${notes.secret}`)}` }
      const pushed = await fetch(`${server.url}/oauth/par`, { method: 'POST', body, headers })
      assert.deepEqual([pushed.status, (await problemIn(pushed)).error], [400, 'invalid_target'])
      await assertRefused(resources)
    })
  }

  test(`a token request names one resource, and one that was authorized (${kind})`, async () => {
    await assertRefused([CONTACTS, CALENDAR])
    await assertRefused([CONTACTS, CONTACTS])
    await assertRefused([OWN, CONTACTS])
    // The registry grants it, and the authorization did not.
    await assertRefused([TASKS])
  })

  /** Sends a code and a refresh token with these resources; both stay as good as they were. */
  async function assertRefused(resources: string[]): Promise<void> {
    const granted = [CONTACTS, CALENDAR]
    const code = await codeFor(notes, granted, 'openid contacts:read')
    const { refresh_token: token } = await connect(notes, granted, 'openid contacts:read')
    const forms: Record<string, string>[] = [
      { grant_type: 'authorization_code', code, redirect_uri: notes.redirectUri, code_verifier: notes.verifier },
      { grant_type: 'refresh_token', refresh_token: token },
    ]
    for (const fields of forms) {
      const body = new URLSearchParams(fields)
      for (const resource of resources) body.append('resource', resource)
      const headers = { authorization: `Basic ${btoa(`${notes.id}:${notes.secret}`)}` }
      const response = await fetch(`${server.url}/oauth/token`, { method: 'POST', body, headers })
      assert.deepEqual(
        [response.status, (await problemIn(response)).error],
        [400, 'invalid_target'],
        fields['grant_type'],
      )
    }
    await tokensIn(await notes.exchange(code))
    const { generation } = await familyOf(token)
    assert.equal(generation, 0)
    await tokensIn(await notes.refresh(token, { resource: CONTACTS }))
  }

  async function familyOf(refreshToken: string): Promise<{ generation: number }> {
    const id = Buffer.from(refreshToken, 'base64url').subarray(0, 16).toString('hex')
    const { rows } = await server.services.storage.pool.query('SELECT generation FROM families WHERE id = $1', [id])
    return rows[0] as { generation: number }
  }

  test(`a scope beyond what was granted is refused at a refresh, and changes nothing (${kind})`, async () => {
    const { refresh_token: token } = await connect(notes, [CONTACTS], 'openid contacts:read')
    for (const scope of ['contacts:write', 'contacts:read calendar:read', 'profile']) {
      const refused = await problemIn(await notes.refresh(token, { resource: CONTACTS, scope }))
      assert.equal(refused.error, 'invalid_scope', scope)
    }
    assert.equal((await familyOf(token)).generation, 0)
  })

  test(`an empty resource is none (${kind})`, async () => {
    const tokens = await connect(notes, [''], 'openid')
    assert.deepEqual(gist(tokens), ['notes', 'openid'])
    assert.deepEqual(gist(await tokensIn(await notes.refresh(tokens.refresh_token, { resource: '' }))), [
      'notes',
      'openid',
    ])
  })

  test(`a pushed request may name APIs, too, and so may a form (${kind})`, async () => {
    const body = new URL(urlOf(notes, [CONTACTS, CALENDAR], { scope: 'openid contacts:read' })).searchParams
    const headers = { authorization: `Basic ${btoa(`${notes.id}:${notes.secret}`)}` }
    const pushed = await (await fetch(`${server.url}/oauth/par`, { method: 'POST', body, headers })).json()
    const { request_uri: uri } = pushed as { request_uri: string }
    const query = new URLSearchParams({ client_id: 'notes', request_uri: uri })
    const form = await browser.post('/oauth/authorize', Object.fromEntries(body))
    for (const answer of [await browser.get(`/oauth/authorize?${query}`), (await browser.follow(form)).response]) {
      const { code } = answerIn(answer, notes.redirectUri)
      const tokens = await tokensIn(await notes.exchange(code as string, { resource: CALENDAR }))
      assert.equal(gist(tokens)[0], CALENDAR)
    }
  })

  test(`each answer with a refresh token says how long it is good, and how long the family lasts at most (${kind})`, async () => {
    const future = (tokens: Tokens) => {
      const { refresh_token_timeout: timeout, authorization_expires_in: end } = tokens as unknown as Record<
        string,
        number
      >
      return [timeout, end]
    }
    const full = [30 * DAY, 90 * DAY]
    assert.deepEqual(future(await connect(notes, [], 'openid')), full)
    let tokens = await connect(notes, [CONTACTS], 'openid contacts:read')
    assert.deepEqual(future(tokens), full)
    clock.advance(20 * DAY)
    const told = await notes.introspect(tokens.refresh_token)
    assert.deepEqual([told['active'], ...future(told as unknown as Tokens)], [true, 10 * DAY, 70 * DAY])
    await browser.signIn(ada)
    tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
    assert.deepEqual(future(tokens), [30 * DAY, 70 * DAY])
    for (const days of [25, 25]) {
      clock.advance(days * DAY)
      tokens = await tokensIn(await notes.refresh(tokens.refresh_token, { unrelated: '1' }))
    }
    assert.deepEqual(future(tokens), [20 * DAY, 20 * DAY])
    const lost = await tokensIn(await notes.refresh(tokens.refresh_token))
    clock.advance(10)
    const again = await tokensIn(await notes.refresh(tokens.refresh_token))
    assert.deepEqual([again.refresh_token, ...future(again)], [lost.refresh_token, 20 * DAY - 10, 20 * DAY - 10])
    assert.equal('refresh_token_timeout' in (await notes.introspect(again.access_token)), false)
  })

  test(`a family that follows its session says when that ends, as far as it is known (${kind})`, async () => {
    const app = (await findApp(server.services, 'notes')) as AppRow
    await changeApp(server.services, app, { familyLifetime: 'session' })
    await browser.signIn(ada)
    for (const resources of [[], [CONTACTS]]) {
      let tokens = await connect(notes, resources, 'openid')
      for (const turn of [0, 1]) {
        const { refresh_token_timeout: timeout, authorization_expires_in: end } = tokens as unknown as Record<
          string,
          number
        >
        assert.equal(timeout, 14 * DAY, String(turn))
        assert.ok(end !== undefined && end <= 90 * DAY && end > 90 * DAY - 60)
        tokens = await tokensIn(await notes.refresh(tokens.refresh_token))
      }
    }
    await changeApp(server.services, app, { familyLifetime: null })
  })

  test(`the metadata names what the answers say (${kind})`, async () => {
    const metadata = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as Record<
      string,
      unknown
    >
    assert.deepEqual(metadata['refresh_token_expiration_types_supported'], ['authorization', 'token_timeout'])
    assert.deepEqual(metadata['introspection_signing_alg_values_supported'], ['ES256', 'RS256', 'EdDSA'])
  })

  test(`a DPoP key binds tokens for an API as it does the app's own (${kind})`, async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true })
    const jwk = await jose.exportJWK(publicKey)
    const proof = async () =>
      new jose.SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${server.url}/oauth/token` })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .setIssuedAt()
        .sign(privateKey)
    const code = await codeFor(notes, [CONTACTS], 'openid contacts:read')
    let tokens = await tokensIn(await notes.exchange(code, {}, { dpop: await proof() }))
    for (const resource of [null, CONTACTS]) {
      const { aud, cnf } = claimsOf(tokens.access_token)
      assert.deepEqual([aud, cnf], [CONTACTS, { jkt: await jose.calculateJwkThumbprint(jwk) }])
      tokens = await tokensIn(await notes.refresh(tokens.refresh_token, { resource }, { dpop: await proof() }))
    }
  })
}

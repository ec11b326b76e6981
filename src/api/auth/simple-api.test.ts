import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createPublicKey, verify as verifySignature } from 'node:crypto'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { Validator } from '@seriousme/openapi-schema-validator'
import addFormats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { importSPKI, jwtVerify } from 'jose'
import { addAppRole } from '../../domain/apps/app-roles.ts'
import { type AppRow, changeApp, createApp, findApp } from '../../domain/apps/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf } from '../../testing/browser/client.ts'
import { makeClientKey } from '../../testing/browser/client-key.ts'
import { dpopProof } from '../../testing/browser/dpop-proof.ts'
import { readPage } from '../../testing/browser/page.ts'
import { deskApp, notesApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'
import { CODES, type SimpleCode } from './codes.ts'

const DOCUMENT = join(import.meta.dirname, '../../../docs/simple-api.md')

interface Reply {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`the simple API (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let basic: string
    let ajv: Ajv2020
    let document: { paths: Record<string, Record<string, { responses: Record<string, object> }>> }
    let person: typeof ada
    let identityId: string
    let people = 0

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      server = await startTestServer({
        database,
        clock,
        env: { TRUST_PROXY: 'true', LOGIN_ATTEMPTS_BEFORE_DELAY: '5' },
      })
      const { secret } = await createApp(server.services, 'till', { ...notesApp, name: 'Till', simpleApi: true })
      basic = `Basic ${Buffer.from(`till:${secret}`).toString('base64')}`
      await createApp(server.services, 'closed', { ...notesApp, name: 'Closed', audience: 'closed' })
      document = (await (await fetch(`${server.url}/api/auth/openapi.json`)).json()) as typeof document
      ajv = new Ajv2020({ strict: false })
      addFormats.default(ajv)
      ajv.addSchema({ $id: 'document', ...document })
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(async () => {
      clock.advance(3600)
      person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
      identityId = await server.addIdentity(person)
    })

    /** Sends JSON, and compares the answer with the OpenAPI document. */
    async function post(path: string, json: object, headers: Record<string, string> = {}): Promise<Reply> {
      // An empty header would be malformed credentials.
      const { authorization = basic, ...others } = headers
      return send(path, {
        method: 'POST',
        body: JSON.stringify(json),
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': `198.51.100.${people}`,
          ...(authorization === '' ? {} : { authorization }),
          ...others,
        },
      })
    }

    async function send(path: string, request: RequestInit): Promise<Reply> {
      const response = await fetch(`${server.url}/api/auth${path}`, request)
      const { status, headers } = response
      assert.equal(headers.get('content-type'), 'application/json', path)
      assert.deepEqual(headers.getSetCookie(), [])
      assert.equal(headers.get('cache-control'), 'no-store')
      const body = (await response.json()) as Reply['body']
      if (path in document.paths && request.method === 'POST') {
        const pointer = `document#/paths/${path.replace('/', '~1')}/post/responses/${status}/content/application~1json/schema`
        const isValid = ajv.validate(pointer, body)
        assert.ok(isValid, `${path} ${status} ${JSON.stringify(body)} ${ajv.errorsText()}`)
      }
      return { status, headers, body }
    }

    function refused({ status, body }: Reply, code: SimpleCode, what?: string): void {
      assert.deepEqual([body['error'], status], [code, CODES[code].status], `${what ?? code}: ${JSON.stringify(body)}`)
    }

    const login = async (change: object = {}, headers = {}) =>
      post('/login', { username: person.username, password: person.password, ...change }, headers)

    test('a user registers, adds a second factor, logs in with it, is verified, refreshes and logs out', async () => {
      const password = 'a moth in relay seventy, panel F'
      const [username, email] = [`grace-${people}`, `grace-${people}@example.test`]
      const registered = await post('/register', { username, email, password, password_confirmation: password })
      assert.equal(registered.status, 201)
      assert.equal((await post('/verify', { token: registered.body['access_token'] })).status, 200)

      const browser = new Browser(server.url)
      await browser.signIn({ username, password })
      const { key, codes } = await addTotp(browser, clock())
      clock.advance(60)
      const first = await post('/login', { email: email.toUpperCase(), password })
      refused(first, 'second_factor_required')
      assert.deepEqual(first.body['next'], ['totp', 'recovery_code'])
      const wrong = await post('/login', { auth_session: first.body['auth_session'], totp: '000000' })
      refused(wrong, 'second_factor_invalid')
      refused(
        await post('/login', { auth_session: first.body['auth_session'], totp: codeOf(key, clock()) }),
        'session_invalid',
      )
      const step = { auth_session: wrong.body['auth_session'], totp: codeOf(key, clock()) }
      const racing = await Promise.all(Array.from({ length: 20 }, async () => post('/login', step)))
      const [tokens, ...others] = racing.filter(({ status }) => status === 200).map(({ body }) => body)
      assert.equal(others.length, 0)
      assert.deepEqual(claimsOf(tokens?.['access_token'] as string)['amr'], ['pwd', 'otp', 'mfa'])
      const again = await post('/login', { username, password })
      const recovered = await post('/login', { auth_session: again.body['auth_session'], recovery_code: codes[0] })
      assert.equal(recovered.status, 200)

      const verified = await post('/verify', { token: tokens?.['access_token'] })
      assert.deepEqual([verified.body['active'], verified.body['client_id']], [true, 'till'])
      assert.match((await readPage(await browser.get('/dashboard'))).text, /Till/)
      const next = await post('/refresh', { refresh_token: tokens?.['refresh_token'] })
      assert.equal(next.status, 200)
      assert.deepEqual((await post('/logout', { refresh_token: next.body['refresh_token'] })).body, {})
      refused(await post('/verify', { token: next.body['access_token'] }), 'family_ended')
      refused(await post('/refresh', { refresh_token: next.body['refresh_token'] }), 'family_ended')
      assert.equal((await post('/logout', { refresh_token: next.body['refresh_token'] })).status, 200)
    })

    test('an unknown account is refused as a wrong password is, and guesses here and on the page count together', async () => {
      const unknown = await login({ username: 'no-one' })
      const wrong = await login({ password: 'wrong, wrong, wrong' })
      refused(wrong, 'credentials_invalid')
      assert.deepEqual(unknown.body, wrong.body)
      const from = { 'x-forwarded-for': `198.51.100.${people}` }
      const onPage = async (login: string, guess: number) =>
        (await new Browser(server.url).post('/login', { login, password: `a wrong ${guess}` }, from)).status
      let alone = 0
      while ((await onPage('someone-else', alone)) === 401) alone++
      // The wrong one above was the first.
      let together = 1
      for (; together < 2 * alone; together++) {
        const isHere = together % 2 === 0
        const status = isHere
          ? (await login({ password: `a wrong ${together}` })).status
          : await onPage(person.username, together)
        if (status === 429) break
      }
      assert.equal(together, alone)
      const throttled = await login()
      refused(throttled, 'throttled')
      assert.equal(throttled.headers.get('retry-after'), String(throttled.body['retry_after']))
      assert.ok((throttled.body['retry_after'] as number) > 0)
    })

    test('an e-mail address that has an account is answered like a free one, and signs in with its password', async () => {
      const password = 'another password of a stranger'
      const [free, taken] = await Promise.all(
        ['free@example.test', person.email].map(async (email, index) =>
          post('/register', {
            username: `new-${kind.length}-${index}`,
            email,
            password,
            password_confirmation: password,
          }),
        ),
      )
      assert.equal(taken?.status, 201)
      assert.deepEqual(Object.keys(taken?.body ?? {}), Object.keys(free?.body ?? {}))
      assert.notEqual(claimsOf(taken?.body['access_token'] as string)['sub'], identityId)
      const again = { username: `again-${people}`, email: person.email }
      const known = await post('/register', {
        ...again,
        password: person.password,
        password_confirmation: person.password,
      })
      assert.equal(claimsOf(known.body['access_token'] as string)['sub'], identityId)
    })

    test('a user gets the roles that they may give themselves, and no other', async () => {
      for (const role of ['cashier', 'manager']) await addAppRole(server.services, 'till', role)
      const row = async () => (await findApp(server.services, 'till')) as AppRow
      await assert.rejects(changeApp(server.services, await row(), { selfAssignableRoles: ['admin'] }), /no role admin/)
      await changeApp(server.services, await row(), { selfAssignableRoles: ['cashier'] })
      const password = 'a till with many drawers'
      const fields = {
        username: `cash-${kind.length}`,
        email: 'cash@example.test',
        password,
        password_confirmation: password,
      }
      for (const roles of [['manager'], ['cashier', 'admin'], ['none']])
        refused(await post('/register', { ...fields, roles }), 'role_not_assignable')
      const { body } = await post('/register', { ...fields, roles: ['cashier'] })
      const ask = async (question: object) =>
        (await post('/authorize', { token: body['access_token'], ...question })).body['allowed']
      assert.equal(await ask({ role: 'cashier' }), true)
      assert.equal(await ask({ role: 'manager' }), false)
      assert.equal(await ask({ permission: 'cashier', scope: 'openid email' }), true)
      assert.equal(await ask({ role: 'cashier', scope: 'openid admin:write' }), false)
      refused(await post('/authorize', { token: body['access_token'] }), 'invalid_request')
      refused(await post('/authorize', { token: 'x', role: 'cashier' }), 'token_invalid')
    })

    test('a public app proves its key with every request, and a stolen auth_session is useless without it', async () => {
      await assert.rejects(createApp(server.services, 'desk', { ...deskApp, simpleApi: true }), /require-dpop/)
      await createApp(server.services, 'desk', { ...deskApp, simpleApi: true, requireDpop: true })
      const [own, thief] = await Promise.all([makeClientKey(), makeClientKey()])
      const ask = async (path: string, json: object, key: typeof own | null, proved = path) =>
        post(
          path,
          { client_id: 'desk', ...json },
          {
            authorization: '',
            ...(key === null ? {} : await dpopProof(key, ['POST', `${server.url}/api/auth${proved}`])),
          },
        )
      const credentials = { username: person.username, password: person.password }
      const tokens = await ask('/login', credentials, own)
      assert.deepEqual([tokens.status, tokens.body['token_type']], [200, 'DPoP'], JSON.stringify(tokens.body))
      refused(await ask('/login', credentials, own, '/refresh'), 'invalid_dpop_proof')
      const next = await ask('/refresh', { refresh_token: tokens.body['refresh_token'] }, own)
      assert.equal(next.status, 200)
      for (const key of [thief, null]) {
        const stolen = await ask('/refresh', { refresh_token: next.body['refresh_token'] }, key)
        assert.ok(stolen.status >= 400 && stolen.status < 500, JSON.stringify(stolen.body))
      }
      const proof = await dpopProof(own, ['POST', `${server.url}/api/auth/login`])
      const both = await Promise.all(
        [1, 2].map(async () => post('/login', { client_id: 'desk', ...credentials }, { authorization: '', ...proof })),
      )
      assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 400])

      const browser = new Browser(server.url)
      await browser.signIn(person)
      const { key } = await addTotp(browser, clock())
      clock.advance(60)
      const first = await ask('/login', credentials, own)
      refused(first, 'second_factor_required')
      const step = () => ({ auth_session: first.body['auth_session'], totp: codeOf(key, clock()) })
      for (const other of [thief, null]) refused(await ask('/login', step(), other), 'session_invalid')
      assert.equal((await ask('/login', step(), own)).status, 200)
    })

    test('every wrong request is refused in JSON, by a code', async () => {
      // Wrong secrets are counted by IP address.
      let strangers = 0
      const stranger = () => ({ authorization: '', 'x-forwarded-for': `203.0.113.${++strangers}` })
      const json = { 'content-type': 'application/json' }
      const tokens = (await login()).body
      const wrong: [string, SimpleCode, Promise<Reply>][] = [
        ['no such path', 'not_found', post('/nothing', {})],
        ['the root', 'not_found', post('', {})],
        ['another method', 'method_not_allowed', send('/login', { method: 'GET' })],
        ['PUT', 'method_not_allowed', send('/verify', { method: 'PUT', body: '{}', headers: json })],
        ['a form', 'unsupported_media_type', send('/login', { method: 'POST', body: new URLSearchParams({ a: 'b' }) })],
        ['no body', 'unsupported_media_type', send('/login', { method: 'POST' })],
        ['no JSON', 'invalid_request', send('/login', { method: 'POST', body: '{', headers: json })],
        ['a list', 'invalid_request', send('/login', { method: 'POST', body: '[]', headers: json })],
        ['null', 'invalid_request', send('/login', { method: 'POST', body: 'null', headers: json })],
        ['long', 'body_too_long', post('/login', { password: 'x'.repeat(1_000_000) })],
        ['deep', 'invalid_request', send('/login', { method: 'POST', body: '['.repeat(15_000), headers: json })],
        ['NUL', 'invalid_request', login({ username: 'a\0' })],
        ['a lone surrogate', 'invalid_request', login({ password: '\ud800' })],
        ['a list as text', 'invalid_request', login({ password: ['x'] })],
        ['an unknown field', 'invalid_request', login({ is_admin: true })],
        [
          'an own prototype',
          'invalid_request',
          send('/login', { method: 'POST', body: '{"__proto__":{"a":1},"username":1}', headers: json }),
        ],
        ['two names', 'invalid_request', login({ email: person.email })],
        ['no password', 'invalid_request', login({ password: undefined })],
        ['a query', 'invalid_request', post('/login?password=x', {})],
        ['an auth_session of no one', 'session_invalid', post('/login', { auth_session: 'x', totp: '1' })],
        ['no client', 'invalid_client', login({}, stranger())],
        ['an unknown client', 'invalid_client', login({ client_id: 'nobody' }, stranger())],
        ['a wrong secret', 'invalid_client', login({ client_id: 'till', client_secret: 'wrong' }, stranger())],
        ['a client that is no id', 'invalid_client', login({ client_id: 'ä' }, stranger())],
        ['an app without this API', 'simple_api_off', login({ client_id: 'closed' }, stranger())],
        [
          'a scope it has not',
          'invalid_scope',
          post('/refresh', { refresh_token: tokens['refresh_token'], scope: 'admin:write' }),
        ],
        ['no refresh token', 'token_invalid', post('/refresh', { refresh_token: 'x' })],
        ['an application token', 'token_invalid', post('/refresh', { refresh_token: tokens['access_token'] })],
        ['an ID token', 'token_invalid', post('/verify', { token: tokens['id_token'] })],
        ['a refresh token', 'token_invalid', post('/verify', { token: tokens['refresh_token'] })],
        ['registering without a name', 'invalid_request', post('/register', { email: 'a@example.test' })],
        [
          'registering with a wrong repetition',
          'registration_refused',
          post('/register', {
            username: 'xyz-1',
            email: 'x@example.test',
            password: 'one password, long',
            password_confirmation: 'another',
          }),
        ],
        [
          'registering a taken name',
          'registration_refused',
          post('/register', {
            ...person,
            email: 'elsewhere@example.test',
            password_confirmation: person.password,
          }),
        ],
        [
          'registering with a weak password',
          'registration_refused',
          post('/register', {
            username: 'xyz-2',
            email: 'x@example.test',
            password: 'short',
            password_confirmation: 'short',
          }),
        ],
        [
          'registering for a wrong app',
          'invalid_client',
          post(
            '/register',
            { ...person, client_id: 'till', client_secret: 'x', password_confirmation: person.password },
            stranger(),
          ),
        ],
      ]
      for (const [what, code, reply] of wrong) refused(await reply, code, what)
      const foreign = await fetch(`${server.url}/oauth/authorize-challenge`, {
        method: 'POST',
        body: new URLSearchParams({
          code_challenge: 'x'.repeat(43),
          code_challenge_method: 'S256',
          login: person.username,
          password: person.password,
          scope: 'openid',
        }),
        headers: { authorization: basic },
      })
      assert.equal(((await foreign.json()) as { error: string }).error, 'unauthorized_client')
    })

    test('a token that has expired or is out of date is told from one of another app', async () => {
      const tokens = (await login()).body
      clock.advance(301)
      refused(await post('/verify', { token: tokens['access_token'] }), 'token_expired')
      const used = await post('/refresh', { refresh_token: tokens['refresh_token'] })
      assert.equal(used.status, 200)
      clock.advance(100 * 86_400)
      refused(await post('/refresh', { refresh_token: used.body['refresh_token'] }), 'token_expired')
    })

    test('the public key verifies the tokens, as JWKS and as PEM', async () => {
      const { body } = await login()
      const token = body['access_token'] as string
      const response = await fetch(`${server.url}/api/auth/public-key`, {
        headers: { accept: 'application/x-pem-file' },
      })
      assert.equal(response.headers.get('content-type'), 'application/x-pem-file')
      const pem = await response.text()
      await jwtVerify(token, await importSPKI(pem, 'ES256'), { currentDate: clock() })
      const [header, payload, signature] = token.split('.') as [string, string, string]
      const key = { key: createPublicKey(pem), dsaEncoding: 'ieee-p1363' as const }
      assert.ok(
        verifySignature('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')),
      )
      const jwks = await send('/public-key', {})
      assert.ok(Array.isArray(jwks.body['keys']))
    })

    test('the document is valid OpenAPI 3.1', async () => {
      const validator = new Validator()
      const { valid, errors } = await validator.validate(structuredClone(document))
      assert.ok(valid, JSON.stringify(errors, null, 1))
      assert.deepEqual(Object.keys(document.paths).toSorted(), [
        '/authorize',
        '/login',
        '/logout',
        '/public-key',
        '/refresh',
        '/register',
        '/verify',
      ])
    })

    test('every curl line of docs/simple-api.md does what it says', async () => {
      const lines = readFileSync(DOCUMENT, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('curl '))
      assert.equal(lines.length, 8)
      const credentials = Buffer.from(basic.slice(6), 'base64').toString()
      const env: Record<string, string | undefined> = {
        PATH: process.env['PATH'],
        PORTAL: server.url,
        APP: credentials,
      }
      const answers = []
      for (const line of lines) {
        const { stdout } = await promisify(execFile)('bash', ['-c', `${line} --fail-with-body`], { env })
        answers.push(stdout)
        if (!stdout.startsWith('{')) continue
        const { access_token: access, refresh_token: refresh } = JSON.parse(stdout) as Record<string, string>
        if (access !== undefined) Object.assign(env, { ACCESS_TOKEN: access, REFRESH_TOKEN: refresh })
      }
      assert.match(answers[3] ?? '', /"active":true/)
      assert.match(answers[4] ?? '', /"allowed":true/)
      assert.equal(answers[5], '{}')
      assert.match(answers[7] ?? '', /^-----BEGIN PUBLIC KEY-----/)
    })
  })

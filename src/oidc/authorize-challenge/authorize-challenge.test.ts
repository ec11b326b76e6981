import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import * as oauth from 'oauth4webapi'
import { deleteAccount } from '../../domain/accounts/deletions.ts'
import { type AppRow, disableApp, findApp } from '../../domain/apps/apps.ts'
import { end as endIdentity } from '../../domain/endings/endings.ts'
import { expireIdentitySessions } from '../../domain/endings/expiry.ts'
import { disableIdentity } from '../../domain/identities/identities.ts'
import { listIdentitySessions } from '../../domain/sign-in/identity-sessions.ts'
import { Authenticator } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { assertionOf, type ClientKey, makeClientKey } from '../../testing/browser/client-key.ts'
import { dpopProof } from '../../testing/browser/dpop-proof.ts'
import { problemIn, tokensIn } from '../../testing/portal/answers.ts'
import { deskApp, notesApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addPasskey, addTotp } from '../../testing/portal/factors.ts'
import { mailsTo, waitForMail } from '../../testing/mail/outbox.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

/** For the issuer of a test. */
const HTTP = { [oauth.allowInsecureRequests]: true }
/** What Android reports as the origin of an app. */
const ANDROID = `android:apk-key-hash:${'x'.repeat(43)}`
const PATH = '/oauth/authorize-challenge'
const PHONE = { 'user-agent': 'Desk/3.1 (Android 15)', 'x-forwarded-for': '198.51.100.7' }

interface Answer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`direct sign-ins (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let desk: Client
    let notes: Client
    let brief: Client
    let person: typeof ada
    let identityId: string
    let people = 0

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      server = await startTestServer({
        database,
        clock,
        env: { TRUST_PROXY: 'true', LOGIN_ATTEMPTS_BEFORE_DELAY: '5', WEBAUTHN_RELATED_ORIGINS: ANDROID },
      })
      await server.addApp('desk', { ...deskApp, firstPartyDirect: true })
      const secret = await server.addApp('notes', { ...notesApp, firstPartyDirect: true })
      await server.addApp('brief', { ...deskApp, name: 'Brief', audience: 'brief', firstPartyDirect: true })
      await server.addApp('staff', {
        ...deskApp,
        audience: 'staff',
        firstPartyDirect: true,
        access: 'assigned',
        allowedRoles: ['staff'],
      })
      await server.addApp('closed', deskApp)
      brief = new Client(server.url, 'brief', null, '')
      desk = new Client(server.url, 'desk', null, '')
      notes = new Client(server.url, 'notes', secret, '')
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

    /** A first request, but for what `change` names; null leaves a parameter out. */
    async function begin(change: Record<string, string | null> = {}, client = desk, headers = {}): Promise<Answer> {
      const { searchParams } = new URL(client.authorizeUrl({ redirect_uri: null }))
      const asked = {
        ...Object.fromEntries(searchParams),
        login: person.username,
        password: person.password,
        ...change,
      }
      return ask(asked, client, headers)
    }

    async function ask(fields: Record<string, string | null>, client = desk, headers = {}): Promise<Answer> {
      const response = await client.send(PATH, fields, { ...PHONE, ...headers })
      assert.deepEqual(response.headers.getSetCookie(), [])
      assert.equal(response.headers.get('cache-control'), 'no-store')
      return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
    }

    /** The same in JSON, of the public app. */
    async function json(fields: object): Promise<Answer> {
      const headers = { ...PHONE, 'content-type': 'application/json' }
      const body = JSON.stringify({ client_id: 'desk', ...fields })
      const response = await fetch(server.url + PATH, { method: 'POST', body, headers })
      return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
    }

    async function redeem({ status, body }: Answer, client = desk): Promise<Tokens> {
      assert.deepEqual([status, Object.keys(body)], [200, ['authorization_code']], JSON.stringify(body))
      return tokensIn(await client.exchange(body['authorization_code'] as string, { redirect_uri: null }))
    }

    async function withTotp(): Promise<{ key: string; codes: string[] }> {
      const browser = new Browser(server.url)
      await browser.signIn(person)
      const added = await addTotp(browser, clock())
      clock.advance(60)
      return added
    }

    test('discovery names the endpoint', async () => {
      const discovery = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as object
      assert.equal(
        Object.entries(discovery).find(([name]) => name === 'authorization_challenge_endpoint')?.[1],
        server.url + PATH,
      )
    })

    test('an app signs its user in with the password, and gets tokens of a family like any other', async () => {
      for (const client of [desk, notes]) {
        const tokens = await redeem(await begin({}, client), client)
        const { sub, amr, acr, nonce } = claimsOf(tokens.id_token)
        assert.deepEqual([sub, amr, acr, nonce], [identityId, ['pwd'], 'aal1', 'nonce'])
        const next = await tokensIn(await client.refresh(tokens.refresh_token))
        assert.notEqual(next.refresh_token, tokens.refresh_token)
      }
    })

    test('the user finds the app on the dashboard, the sign-in on the activity page, and can end it', async () => {
      const tokens = await redeem(await begin())
      const browser = new Browser(server.url)
      await browser.signIn(person)
      assert.match((await readPage(await browser.get('/dashboard'))).text, /Desk/)
      assert.match((await readPage(await browser.get('/activity'))).text, /Desk on Android/)
      const signIns = async () => (await listIdentitySessions(server.services, identityId)).map((each) => each.browser)
      assert.ok((await signIns()).includes('Desk ▸ Desk/3.1 (Android 15)'))
      // A code that is never exchanged leaves a sign-in for ten minutes.
      await begin()
      clock.advance(601)
      await expireIdentitySessions(server.services)
      assert.equal((await signIns()).length, 2)
      assert.equal((await desk.introspect(tokens.refresh_token))['active'], true)
      await desk.revoke(tokens.refresh_token)
      assert.equal((await desk.refresh(tokens.refresh_token)).status, 400)
      assert.equal((await signIns()).length, 1)
    })

    test('a second factor is asked for, and 20 racing steps with the right code give one authorization code', async () => {
      const { key } = await withTotp()
      const first = await begin()
      assert.deepEqual([first.status, first.body['error']], [403, 'insufficient_authorization'])
      assert.deepEqual(first.body['next'], ['totp', 'recovery_code'])
      const step = { auth_session: first.body['auth_session'] as string, totp: codeOf(key, clock()) }
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(step)))
      const codes = answers.filter(({ status }) => status === 200)
      assert.equal(codes.length, 1)
      assert.deepEqual(
        new Set(answers.filter(({ status }) => status !== 200).map(({ body }) => body['error'])),
        new Set(['invalid_session']),
      )
      assert.deepEqual(claimsOf((await redeem(codes[0] as Answer)).id_token)['amr'], ['pwd', 'otp', 'mfa'])
    })

    test('a recovery code stands for the app, a wrong code asks again, and each auth_session works once', async () => {
      const { key, codes } = await withTotp()
      const first = await begin()
      const step = { auth_session: sessionOf(first), totp: '000000' }
      const wrong = await ask(step)
      assert.deepEqual(
        [wrong.status, wrong.body['error'], wrong.body['reason'], wrong.body['next']],
        [403, 'insufficient_authorization', 'code_invalid', first.body['next']],
      )
      assert.equal(errorIn(await ask({ ...step, totp: codeOf(key, clock()) })), 'invalid_session')
      const last = { auth_session: sessionOf(wrong), recovery_code: codes[0] as string }
      await redeem(await ask(last))
      assert.equal(errorIn(await ask(last)), 'invalid_session')
      // Both steps fit into one request, and a code works once.
      const atOnce = { totp: codeOf(key, clock()) }
      await redeem(await begin(atOnce))
      assert.equal((await begin(atOnce)).body['reason'], 'code_invalid')
    })

    test('an auth_session is useless for another app, another request and another key, and the right one goes on', async () => {
      const { key } = await withTotp()
      const [own, thief] = [await makeClientKey(), await makeClientKey()]
      const url: [string, string] = ['POST', server.url + PATH]
      const first = await begin({}, desk, await dpopProof(own, url))
      const step = { auth_session: sessionOf(first), totp: codeOf(key, clock()) }
      for (const stolen of [
        await ask(step),
        await ask(step, desk, await dpopProof(thief, url)),
        await ask(step, notes, await dpopProof(own, url)),
        await ask({ ...step, code_challenge: 'x'.repeat(43) }, desk, await dpopProof(own, url)),
        await ask({ ...step, scope: 'openid' }, desk, await dpopProof(own, url)),
      ])
        assert.deepEqual([stolen.status, errorIn(stolen)], [400, 'invalid_session'])
      assert.equal(errorIn(await ask(step, desk, { DPoP: 'x' })), 'invalid_dpop_proof')

      // The code is bound to the key, too (RFC 9449 §10.1).
      const exchange = async ({ body }: Answer, key: ClientKey) => {
        const proof = await dpopProof(key, ['POST', `${server.url}/oauth/token`])
        return desk.exchange(body['authorization_code'] as string, { redirect_uri: null }, proof)
      }
      const tokens = await tokensIn(await exchange(await ask(step, desk, await dpopProof(own, url)), own))
      clock.advance(30)
      const bound = await begin({ totp: codeOf(key, clock()) }, desk, await dpopProof(own, url))
      assert.equal((await exchange(bound, thief)).status, 400)
      assert.equal(tokens.token_type, 'DPoP')
    })

    test('oauth4webapi, unmodified, exchanges the code with its DPoP key', async () => {
      const as = await oauth
        .discoveryRequest(new URL(server.url), HTTP)
        .then((response) => oauth.processDiscoveryResponse(new URL(server.url), response))
      const client = { client_id: 'desk' }
      const DPoP = oauth.DPoP({}, await oauth.generateKeyPair('ES256'))
      const verifier = oauth.generateRandomCodeVerifier()
      const { body } = await begin({ code_challenge: await oauth.calculatePKCECodeChallenge(verifier), state: null })
      const callback = new URLSearchParams({ code: body['authorization_code'] as string, iss: server.url })
      const parameters = oauth.validateAuthResponse(as, client, callback, oauth.expectNoState)
      const options = { ...HTTP, DPoP }
      const none = oauth.None()
      const response = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        none,
        parameters,
        'urn:gatehouse:direct',
        verifier,
        options,
      )
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: 'nonce' })
      assert.deepEqual([tokens.token_type, oauth.getValidatedIdTokenClaims(tokens)?.sub], ['dpop', identityId])
      const refreshed = await oauth.refreshTokenGrantRequest(as, client, none, tokens.refresh_token as string, options)
      assert.equal((await oauth.processRefreshTokenResponse(as, client, refreshed)).token_type, 'dpop')
    })

    test('the cookies of a browser change nothing', async () => {
      const other = { ...ada, username: `${person.username}-other`, email: `other-${person.email}` }
      await server.addIdentity(other)
      const browser = new Browser(server.url)
      await browser.signIn(other)
      const cookie = await browser.jar.getCookieString(server.url)
      assert.match(cookie, /identity=/)
      const asked = await begin({ login: null, password: null }, desk, { cookie })
      assert.deepEqual([asked.status, errorIn(asked)], [403, 'insufficient_authorization'])
      assert.equal(claimsOf((await redeem(await begin({}, desk, { cookie }))).id_token)['sub'], identityId)
    })

    test('a passkey signs in alone, and is a second factor after the password', async () => {
      const authenticator = new Authenticator(server.url)
      const browser = new Browser(server.url)
      await browser.signIn(person)
      await addPasskey(browser, authenticator)

      const asked = await begin({ login: null, password: null })
      assert.deepEqual([asked.status, asked.body['next']], [403, ['password', 'passkey']])
      const question = asked.body['passkey_options'] as PublicKeyCredentialRequestOptionsJSON
      const foreign = authenticator.get(question, { origin: 'https://evil.example.test' })
      assert.equal((await begin({ login: null, password: null, passkey: foreign })).body['reason'], 'passkey_invalid')
      const alone = authenticator.get(question, { origin: ANDROID })
      const tokens = await redeem(await ask({ auth_session: sessionOf(asked), passkey: alone }))
      assert.deepEqual(claimsOf(tokens.id_token)['amr'], ['hwk', 'user', 'mfa'])
      // Its challenge is used.
      const replayed = await begin({ login: null, password: null, passkey: alone })
      assert.deepEqual([replayed.status, replayed.body['reason']], [403, 'passkey_invalid'])

      const first = await begin()
      assert.deepEqual(first.body['next'], ['passkey', 'recovery_code'])
      const options = first.body['passkey_options'] as PublicKeyCredentialRequestOptionsJSON
      const second = await json({ auth_session: sessionOf(first), passkey: JSON.parse(authenticator.get(options)) })
      assert.deepEqual(claimsOf((await redeem(second)).id_token)['amr'], ['pwd', 'hwk', 'user', 'mfa'])
    })

    test('a body in JSON is the same request, and the login can come before the password', async () => {
      const { searchParams } = new URL(desk.authorizeUrl({ redirect_uri: null }))
      const claims = { id_token: { email: null } }
      const first = await json({
        ...Object.fromEntries(searchParams),
        client_id: 'desk',
        login_hint: person.email,
        claims,
      })
      assert.deepEqual([first.status, first.body['reason']], [403, undefined])
      const tokens = await redeem(await json({ auth_session: sessionOf(first), password: person.password }))
      assert.equal(claimsOf(tokens.id_token)['email'], person.email)
    })

    test('an unknown, a disabled and a known account are answered alike', async () => {
      const disabled = { ...ada, username: `${person.username}-off`, email: `off-${person.email}` }
      await disableIdentity(server.services, await server.addIdentity(disabled))
      const wrong = await begin({ password: 'a wrong password' })
      assert.deepEqual([wrong.status, wrong.body['reason']], [403, 'credentials_invalid'])
      const shape = ({ status, headers, body }: Answer) => {
        const { passkey_options: options, auth_session: secret, ...rest } = body
        const names = [...headers.keys()].toSorted()
        return {
          status,
          names,
          length: headers.get('content-length'),
          rest,
          options: Object.keys(options as object),
          secret: typeof secret,
        }
      }
      for (const login of ['nobody', 'nobody@example.test', disabled.username, person.email])
        assert.deepEqual(shape(await begin({ login, password: 'a wrong password' })), shape(wrong), login)
      assert.deepEqual(shape(await begin({ login: disabled.username })), shape(wrong))
    })

    test('guesses here and on the page count together', async () => {
      const from = { 'x-forwarded-for': '203.0.113.9' }
      const page = (password: string) =>
        new Browser(server.url).post('/login', { login: person.username, password }, from)
      for (const guess of ['one', 'two']) assert.equal((await page(`a wrong ${guess}`)).status, 401)
      for (const guess of ['three', 'four', 'five', 'six'])
        assert.equal((await begin({ password: `a wrong ${guess}` }, desk, from)).status, 403)
      const { status, headers, body } = await begin({}, desk, from)
      assert.deepEqual([status, body['error'], body['reason']], [429, 'temporarily_unavailable', 'throttled'])
      assert.equal(headers.get('retry-after'), String(body['retry_after']))
      assert.equal((await page(person.password)).status, 429)
      assert.equal(
        (await ask({ auth_session: sessionOf({ status, headers, body }), password: 'x' }, desk, from)).status,
        429,
      )
    })

    test('a sign-out everywhere, a disabled identity and time end a sign-in between its steps', async () => {
      const { key } = await withTotp()
      const endings: Record<string, () => Promise<unknown> | void> = {
        'a sign-out everywhere': () =>
          endIdentity(
            server.services,
            { sessions: { identityId }, families: 'all' },
            { cause: 'operator', clientInfo: null },
          ),
        'ten minutes': () => clock.advance(600),
        'a disabled identity': () => disableIdentity(server.services, identityId),
      }
      for (const [what, happen] of Object.entries(endings)) {
        const first = await begin()
        await happen()
        const last = await ask({ auth_session: sessionOf(first), totp: codeOf(key, clock()) })
        assert.deepEqual([last.status, errorIn(last)], [400, 'invalid_session'], what)
        clock.advance(60)
      }
    })

    test('a sign-out everywhere ends the code and the family, and so does a disabled app', async () => {
      const signOut = () =>
        endIdentity(
          server.services,
          { sessions: { identityId }, families: 'all' },
          { cause: 'operator', clientInfo: null },
        )
      const tokens = await redeem(await begin())
      const { body } = await begin()
      await signOut()
      const exchanged = await desk.exchange(body['authorization_code'] as string, { redirect_uri: null })
      assert.deepEqual([exchanged.status, (await problemIn(exchanged)).error], [400, 'invalid_grant'])
      assert.equal((await desk.refresh(tokens.refresh_token)).status, 400)

      await withTotp()
      const first = await begin({}, brief)
      await disableApp(server.services, (await findApp(server.services, 'brief')) as AppRow)
      assert.equal(errorIn(await ask({ auth_session: sessionOf(first), totp: '123456' }, brief)), 'invalid_client')
    })

    test('a code works once, for the verifier of its request, and a second use ends the family', async () => {
      for (const client of [desk, notes]) {
        const { body } = await begin({}, client)
        const code = body['authorization_code'] as string
        const wrong = await client.exchange(code, { redirect_uri: null, code_verifier: 'x'.repeat(43) })
        assert.equal((await problemIn(wrong)).error, 'invalid_grant')
        const tokens = await tokensIn(await client.exchange(code, { redirect_uri: null }))
        assert.equal((await problemIn(await client.exchange(code, { redirect_uri: null }))).error, 'invalid_grant')
        assert.equal((await client.refresh(tokens.refresh_token)).status, 400)
      }
      const named = { redirect_uri: notesApp.redirectUris[0] as string }
      const { body } = await begin(named, notes)
      const code = body['authorization_code'] as string
      assert.equal((await notes.exchange(code, { redirect_uri: null })).status, 400)
      await tokensIn(await notes.exchange(code, named))
    })

    test('what only a page can do leads there, with the request pushed for it', async () => {
      for (const [change, client] of [
        [{ prompt: 'consent' }, notes],
        [{ acr_values: 'mfa' }, notes],
        [{ prompt: 'select_account', redirect_uri: 'com.example.desk:/callback' }, desk],
      ] as const) {
        const { status, body } = await begin(change, client)
        assert.deepEqual([status, body['error'], body['expires_in']], [403, 'redirect_to_web', 60])
        const query = new URLSearchParams({ client_id: client.id, request_uri: body['request_uri'] as string })
        const led = await new Browser(server.url).get(`/oauth/authorize?${query}`)
        assert.match(led.headers.get('location') ?? '', /\/interaction\//)
      }
      // This app has two redirect URIs, and the request named none.
      const { body } = await begin({ prompt: 'consent' })
      assert.deepEqual([body['error'], 'request_uri' in body], ['redirect_to_web', false])
      await deleteAccount(server.services, identityId, null)
      assert.equal(errorIn(await begin()), 'redirect_to_web')
    })

    test('an app without the permission, a user without access and a request that cannot be met are refused', async () => {
      const refusals: [Record<string, string | null>, Client, number, string][] = [
        [{}, new Client(server.url, 'closed', null, ''), 400, 'unauthorized_client'],
        [{}, new Client(server.url, 'nowhere', null, ''), 401, 'invalid_client'],
        [{}, new Client(server.url, 'notes', 'a-wrong-secret', ''), 401, 'invalid_client'],
        [{}, new Client(server.url, 'staff', null, ''), 400, 'access_denied'],
        [{ prompt: 'none' }, desk, 400, 'login_required'],
        [{ claims: JSON.stringify({ id_token: { sub: { value: 'another' } } }) }, desk, 400, 'login_required'],
        [{ code_challenge: null }, desk, 400, 'invalid_request'],
        [{ code_challenge_method: 'plain' }, desk, 400, 'invalid_request'],
        [{ response_type: 'token' }, desk, 400, 'unsupported_response_type'],
        [{ redirect_uri: 'https://evil.test/' }, desk, 400, 'invalid_redirect_uri'],
        [{ resource: 'https://unknown.test/' }, desk, 400, 'invalid_target'],
        [{ request: 'x.y.z' }, desk, 400, 'request_not_supported'],
        [{ username: 'another' }, desk, 400, 'invalid_request'],
        [{ auth_session: 'x' }, desk, 400, 'invalid_session'],
        [{ totp: 'x'.repeat(65) }, desk, 400, 'invalid_request'],
      ]
      for (const [change, client, status, error] of refusals) {
        const answer = await begin(change, client)
        assert.deepEqual([answer.status, errorIn(answer)], [status, error], JSON.stringify([change, client.id]))
      }
      const odd = ['{"login":{}', '[]', 'null', '{"login":["a","b"]}', '{"login":true}', '{"login":null}', '"x"', '']
      for (const body of [
        ...odd,
        '{"login":"\\u0000"}',
        '{"login":"\\ud800"}',
        `{"claims":${'{"a":'.repeat(5000)}1${'}'.repeat(5001)}`,
      ]) {
        const headers = { 'content-type': 'application/json', authorization: basicOf(notes) }
        const response = await fetch(server.url + PATH, { method: 'POST', body, headers })
        assert.deepEqual(
          [response.status, (await problemIn(response)).error],
          [400, 'invalid_request'],
          body.slice(0, 40),
        )
      }
    })

    test('an app authenticates as at the token endpoint, also with a key, and the activity page names it', async () => {
      const key = await makeClientKey()
      const keyedApp = {
        ...notesApp,
        name: 'Keyed',
        authMethod: 'private_key_jwt',
        audience: 'keyed',
        firstPartyDirect: true,
      }
      await server.addApp('keyed', { ...keyedApp, jwks: { keys: [key.jwk] } })
      const keyed = new Client(server.url, 'keyed', null, '')
      const assertion = () => assertionOf(key, 'keyed', server.url)
      assert.equal(errorIn(await begin({}, keyed)), 'invalid_client')
      const { body } = await begin(await assertion(), keyed)
      await tokensIn(
        await keyed.exchange(body['authorization_code'] as string, { redirect_uri: null, ...(await assertion()) }),
      )
    })

    test('a sign-in from a new place is told by mail, and one with a known key is not', async () => {
      const own = await makeClientKey()
      const url: [string, string] = ['POST', server.url + PATH]
      await begin({}, desk, await dpopProof(own, url))
      await begin({}, desk, { ...(await dpopProof(own, url)), 'x-forwarded-for': '203.0.113.77' })
      await begin({}, desk, { 'x-forwarded-for': '203.0.113.78', 'accept-language': 'de' })
      const mail = await waitForMail(server.mailFolder, person.email, 'Neue Anmeldung')
      assert.match(mail.text, /Desk auf Android/)
      assert.match(mail.text, /203\.0\.113\.78/)
      assert.equal((await mailsTo(server.mailFolder, person.email)).length, 1)
    })
  })

function sessionOf({ body }: Answer): string {
  return typeof body['auth_session'] === 'string' ? body['auth_session'] : assert.fail(JSON.stringify(body))
}

function errorIn({ body }: Answer): unknown {
  return body['error']
}

function basicOf({ id, secret }: Client): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

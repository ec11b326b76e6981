import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { exportSPKI, UnsecuredJWT } from 'jose'
import * as oauth from 'openid-client'
import type { AppRow } from '../domain/apps/apps.ts'
import { changeApp, findApp } from '../domain/apps/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import {
  ASSERTION_TYPE,
  assertionOf,
  type ClientKey,
  epochNow,
  type JwtChange,
  makeClientKey,
} from '../testing/browser/client-key.ts'
import { type Problem, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const keyedApp = { ...notesApp, authMethod: 'private_key_jwt', audience: 'keyed' }

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let browser: Browser
  let key: ClientKey
  let other: ClientKey
  let keyed: Client

  before(async () => {
    server = await startTestServer({ kind })
    await server.addIdentity(ada)
    key = await makeClientKey()
    other = await makeClientKey()
    await server.addApp('keyed', { ...keyedApp, jwks: { keys: [key.jwk] } })
    await server.addApp('neighbour', { ...keyedApp, jwks: { keys: [other.jwk] } })
    keyed = new Client(server.url, 'keyed', null, CALLBACK)
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })
  after(() => server.close())

  const assertion = (change: JwtChange = {}) => assertionOf(key, 'keyed', server.url, change)
  /** The cheapest request that authenticates: nothing is known about the token. */
  const ask = (fields: Record<string, string>) =>
    fetch(`${server.url}/oauth/introspect`, { method: 'POST', body: new URLSearchParams({ token: 'x', ...fields }) })

  test(`an app with a key connects, refreshes, asks and revokes with one assertion for each request (${kind})`, async () => {
    const tokens = await tokensIn(await keyed.exchange(await keyed.code(browser), await assertion()))
    const next = await tokensIn(await keyed.refresh(tokens.refresh_token, await assertion()))
    const told = await keyed.send('/oauth/introspect', { token: next.access_token, ...(await assertion()) })
    assert.equal(((await told.json()) as { active: boolean }).active, true)
    const revoked = await keyed.send('/oauth/revoke', { token: next.refresh_token, ...(await assertion()) })
    assert.equal(revoked.status, 200)
    assert.equal((await keyed.refresh(next.refresh_token, await assertion())).status, 400)
  })

  test(`an app with a key is refused without an assertion, also on the fast paths (${kind})`, async () => {
    const tokens = await tokensIn(await keyed.exchange(await keyed.code(browser), await assertion()))
    const code = await keyed.code(browser)
    for (const response of [
      await keyed.refresh(tokens.refresh_token),
      await keyed.refresh(tokens.refresh_token, { client_secret: 'guessed' }),
      await keyed.exchange(code),
      await ask({ client_id: 'keyed' }),
      await ask({ client_id: 'keyed', client_secret: 'guessed' }),
    ])
      assertRefused(await problemIn(response))
    await tokensIn(await keyed.exchange(code, await assertion()))
    await tokensIn(await keyed.refresh(tokens.refresh_token, await assertion()))
  })

  const seconds = (from: number) => epochNow() + from
  const REFUSED: [string, () => JwtChange][] = [
    ['of another key', () => ({ key: other })],
    ['with the key id of another key', () => ({ header: { kid: other.jwk.kid } })],
    ['of another issuer', () => ({ claims: { iss: 'neighbour' } })],
    ['of an unknown client', () => ({ claims: { iss: 'unknown', sub: 'unknown' } })],
    [
      'of an API that does not exist',
      () => ({ claims: { iss: `api.${'0'.repeat(20)}`, sub: `api.${'0'.repeat(20)}` } }),
    ],
    ['without iss', () => ({ claims: { iss: undefined } })],
    ['without sub', () => ({ claims: { sub: undefined } })],
    ['without exp', () => ({ claims: { exp: undefined } })],
    ['without aud', () => ({ claims: { aud: undefined } })],
    ['without jti', () => ({ claims: { jti: undefined } })],
    ['with an empty jti', () => ({ claims: { jti: '' } })],
    ['with a number as jti', () => ({ claims: { jti: 7 } })],
    ['that has expired', () => ({ claims: { exp: seconds(-20) } })],
    ['that never expires', () => ({ claims: { exp: 1e300 } })],
    ['that expires in an hour', () => ({ claims: { exp: seconds(3600) } })],
    ['with exp as text', () => ({ claims: { exp: String(seconds(60)) } })],
    ['with iat as text', () => ({ claims: { iat: String(seconds(0)) } })],
    ['issued in the future', () => ({ claims: { iat: seconds(61) } })],
    ['valid from the future on', () => ({ claims: { nbf: seconds(61) } })],
    ['for another server', () => ({ claims: { aud: 'https://other.example.test' } })],
    ['for the issuer with a slash', () => ({ claims: { aud: `${server.url}/` } })],
    ['for the endpoint that it is sent to', () => ({ claims: { aud: `${server.url}/oauth/introspect` } })],
    ['for another server, too', () => ({ claims: { aud: [server.url, 'https://other.example.test'] } })],
    ['for nothing', () => ({ claims: { aud: [] } })],
    ['for an object', () => ({ claims: { aud: { [server.url]: true } } })],
    ['with the type of a DPoP proof', () => ({ header: { typ: 'dpop+jwt' } })],
    ['with the type of a request object', () => ({ header: { typ: 'oauth-authz-req+jwt' } })],
    ['with a type that is no text', () => ({ header: { typ: 7 } })],
  ]
  for (const [what, change] of REFUSED) {
    test(`an assertion ${what} is refused, and nothing is remembered of it (${kind})`, async () => {
      assertRefused(await problemIn(await ask(await assertion(change()))))
    })
  }

  for (const [what, change] of [
    ['for the token endpoint', () => ({ claims: { aud: `${server.url}/oauth/token` } })],
    ['for the issuer alone, in a list', () => ({ claims: { aud: [server.url] } })],
    ['of a clock that is ahead', () => ({ claims: { iat: seconds(8), nbf: seconds(8) } })],
    ['without iat', () => ({ claims: { iat: undefined } })],
    ['that is valid for ten minutes', () => ({ claims: { exp: seconds(600) } })],
    ['with a jti of 10,000 characters', () => ({ claims: { jti: randomUUID().repeat(278) } })],
    ['with its own type', () => ({ header: { typ: 'client-authentication+jwt' } })],
    ['without a key id', () => ({ header: { kid: undefined } })],
  ] satisfies [string, () => JwtChange][]) {
    test(`an assertion ${what} is accepted (${kind})`, async () => {
      assert.deepEqual(await (await ask(await assertion(change()))).json(), { active: false })
    })
  }

  test(`an assertion without a signature, or with the public key as a secret, is refused (${kind})`, async () => {
    const now = epochNow()
    const claims = { iss: 'keyed', sub: 'keyed', aud: server.url, jti: randomUUID(), iat: now, exp: now + 60 }
    const unsigned = new UnsecuredJWT(claims).encode()
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const head = `${part({ alg: 'HS256', kid: key.jwk.kid })}.${part(claims)}`
    const secrets = [await exportSPKI(key.publicKey), JSON.stringify(key.jwk), key.jwk.x as string, '']
    const symmetric = secrets.map(
      (secret) => `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`,
    )
    const stripped = (await assertion()).client_assertion.replace(/[^.]*$/, '')
    for (const jwt of [unsigned, ...symmetric, stripped, `${head}.`])
      assertRefused(await problemIn(await ask({ client_assertion_type: ASSERTION_TYPE, client_assertion: jwt })))
  })

  for (const [what, fields] of [
    ['that is no JWT', async () => ({ ...(await assertion()), client_assertion: 'no.jwt.here' })],
    ['that is empty', async () => ({ ...(await assertion()), client_assertion: '' })],
    ['that has NUL bytes', async () => ({ ...(await assertion()), client_assertion: '\0.\0.\0' })],
    ['of 20,000 characters', async () => ({ ...(await assertion()), client_assertion: 'x'.repeat(20_000) })],
    ['of an unknown kind', async () => ({ ...(await assertion()), client_assertion_type: 'urn:example:saml' })],
    ['without its kind', async () => ({ client_assertion: (await assertion()).client_assertion })],
    ['beside a secret', async () => ({ ...(await assertion()), client_secret: 'secret' })],
    ['of another client than client_id names', async () => ({ ...(await assertion()), client_id: 'neighbour' })],
  ] satisfies [string, () => Promise<Record<string, string>>][]) {
    test(`a request with an assertion ${what} is malformed (${kind})`, async () => {
      const problem = await problemIn(await ask(await fields()))
      assert.ok([400, 401].includes(problem.status), JSON.stringify(problem))
      assert.match(problem.error, /^invalid_(request|client)$/)
    })
  }

  test(`an assertion beside credentials in the header, or sent twice, is malformed (${kind})`, async () => {
    const fields = await assertion()
    const basic = { authorization: `Basic ${Buffer.from('keyed:secret').toString('base64')}` }
    const body = new URLSearchParams({ token: 'x', ...fields })
    const post = (form: URLSearchParams, headers = {}) =>
      fetch(`${server.url}/oauth/introspect`, { method: 'POST', body: form, headers })
    assert.equal((await problemIn(await post(body, basic))).error, 'invalid_request')
    const twice = new URLSearchParams([...body, ['client_assertion', fields.client_assertion]])
    assert.equal((await problemIn(await post(twice))).error, 'invalid_request')
    // Neither used it up.
    assert.equal((await post(body)).status, 200)
  })

  test(`an assertion works once, at whatever endpoint it comes back, and of twenty at once one succeeds (${kind})`, async () => {
    const used = await assertion()
    assert.equal((await ask(used)).status, 200)
    assertRefused(await problemIn(await ask(used)))
    assertRefused(await problemIn(await keyed.send('/oauth/par', used)))
    const raced = await assertion()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(raced)))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array.from({ length: 19 }, () => 401)])
    // The same jti of another client is another assertion.
    const jti = randomUUID()
    assert.equal((await ask(await assertion({ claims: { jti } }))).status, 200)
    const neighbours = await assertionOf(other, 'neighbour', server.url, { claims: { jti } })
    const answer = await new Client(server.url, 'neighbour', null, CALLBACK).send('/oauth/introspect', {
      token: 'x',
      ...neighbours,
    })
    assert.equal(answer.status, 200)
  })

  test(`the assertion of another app gets nothing of this one (${kind})`, async () => {
    const { refresh_token: token } = await tokensIn(await keyed.exchange(await keyed.code(browser), await assertion()))
    const neighbour = new Client(server.url, 'neighbour', null, CALLBACK)
    const foreign = await neighbour.refresh(token, await assertionOf(other, 'neighbour', server.url))
    assert.equal((await problemIn(foreign)).error, 'invalid_grant')
    await tokensIn(await keyed.refresh(token, await assertion()))
  })

  for (const alg of ['PS256', 'RS256', 'Ed25519', 'ES256'] as const) {
    test(`openid-client, unmodified, authenticates with ${alg} (${kind})`, async () => {
      const own = await makeClientKey(alg)
      const id = `own-${alg.toLowerCase()}`
      await server.addApp(id, { ...keyedApp, jwks: { keys: [own.jwk] } })
      const config = await oauth.discovery(
        new URL(server.url),
        id,
        {},
        oauth.PrivateKeyJwt({ key: own.privateKey, kid: own.jwk.kid as string }),
        { execute: [oauth.allowInsecureRequests] },
      )
      const verifier = oauth.randomPKCECodeVerifier()
      const request = new URLSearchParams({
        redirect_uri: CALLBACK,
        scope: 'openid profile',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: 'state',
      })
      const pushed = await oauth.buildAuthorizationUrlWithPAR(config, request)
      const { url } = await browser.follow(await browser.get(pushed.href))
      const checks = { pkceCodeVerifier: verifier, expectedState: 'state' }
      const tokens = await oauth.authorizationCodeGrant(config, new URL(url), checks)
      const next = await oauth.refreshTokenGrant(config, tokens.refresh_token as string)
      assert.equal((await oauth.tokenIntrospection(config, next.access_token)).active, true)
    })
  }

  test(`an app that gives up its secret for a key is refused with the secret at once, its families stay (${kind})`, async () => {
    const id = 'moves'
    const secret = await server.addApp(id, { ...notesApp, audience: id })
    const before = new Client(server.url, id, secret, CALLBACK)
    const tokens = await before.connect(browser)
    const app = (await findApp(server.services, id)) as AppRow
    await changeApp(server.services, app, {
      authMethod: 'private_key_jwt',
      jwks: { keys: [key.jwk] },
    })
    assertRefused(await problemIn(await before.refresh(tokens.refresh_token)))
    const afterwards = new Client(server.url, id, null, CALLBACK)
    await tokensIn(await afterwards.refresh(tokens.refresh_token, await assertionOf(key, id, server.url)))
  })
}

function assertRefused(problem: Problem): void {
  assert.deepEqual([problem.status, problem.error], [401, 'invalid_client'], JSON.stringify(problem))
}

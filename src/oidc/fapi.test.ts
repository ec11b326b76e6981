import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as oauth from 'openid-client'
import { type AppRow, type AppSettings, changeApp, findApp } from '../domain/apps/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import {
  assertionOf,
  type ClientKey,
  epochNow,
  type JwtChange,
  makeClientKey,
  signWith,
} from '../testing/browser/client-key.ts'
import { dpopProof } from '../testing/browser/dpop-proof.ts'
import { answerIn, jsonIn, type Problem, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { createRunningClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const fapiApp: AppSettings = {
  ...notesApp,
  audience: 'bank',
  authMethod: 'private_key_jwt',
  securityProfile: 'fapi2',
  requirePar: true,
  requireDpop: true,
}

// What the conformance plan of the FAPI 2.0 Security Profile asks of an authorization server, from outside.
for (const kind of ['postgres', 'postgres+redis'] as const) {
  const clock = createRunningClock()
  let server: TestServer
  let browser: Browser
  let key: ClientKey
  let proofKey: ClientKey
  let otherProofKey: ClientKey
  let bank: Client
  let neighbourKey: ClientKey
  let neighbour: Client

  before(async () => {
    server = await startTestServer({ kind, clock })
    await server.addIdentity(ada)
    key = await makeClientKey('PS256')
    neighbourKey = await makeClientKey()
    proofKey = await makeClientKey()
    otherProofKey = await makeClientKey()
    await server.addApp('bank', { ...fapiApp, jwks: { keys: [key.jwk] } })
    await server.addApp('neighbour', { ...fapiApp, jwks: { keys: [neighbourKey.jwk] } })
    bank = new Client(server.url, 'bank', null, CALLBACK)
    neighbour = new Client(server.url, 'neighbour', null, CALLBACK)
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })
  after(() => server.close())

  const keyOf = (client: Client) => (client.id === 'bank' ? key : neighbourKey)
  const assertion = (client = bank, change: JwtChange = {}) => assertionOf(keyOf(client), client.id, server.url, change)
  const proof = (change: JwtChange = {}, path = '/oauth/token') =>
    dpopProof(proofKey, ['POST', server.url + path], undefined, change)

  async function push(
    change: Record<string, string | null> = {},
    { client = bank, headers = {} }: { client?: Client; headers?: Record<string, string> } = {},
  ): Promise<Response> {
    const params = Object.fromEntries(new URL(client.authorizeUrl(change)).searchParams)
    return client.send('/oauth/par', { ...params, ...(await assertion(client)) }, headers)
  }

  async function pushed(...args: Parameters<typeof push>): Promise<string> {
    const response = await push(...args)
    assert.equal(response.status, 201, await response.clone().text())
    return (await jsonIn(response))['request_uri'] as string
  }

  const authorizeAt = (uri: string, more: Record<string, string> = {}) =>
    browser.get(`/oauth/authorize?${new URLSearchParams({ client_id: 'bank', request_uri: uri, ...more })}`)

  async function codeOf(...args: Parameters<typeof push>): Promise<string> {
    return answerIn(await authorizeAt(await pushed(...args)), CALLBACK)['code'] as string
  }

  async function connect(): Promise<Tokens> {
    return tokensIn(await bank.exchange(await codeOf(), await assertion(), await proof()))
  }

  async function errorAt(response: Response): Promise<string> {
    const { error } = answerIn(response, CALLBACK)
    return error ?? /invalid_\w+|\w+_not_supported/.exec(await response.text())?.[0] ?? 'none'
  }

  test(`the whole way: PAR, a code with iss, DPoP-bound tokens, refresh, UserInfo (${kind})`, async () => {
    const answer = answerIn(await authorizeAt(await pushed()), CALLBACK)
    assert.deepEqual([answer['iss'], answer['state']], [server.url, 'state'])
    const tokens = await tokensIn(await bank.exchange(answer['code'] as string, await assertion(), await proof()))
    assert.equal(tokens.token_type, 'DPoP')
    assert.ok((claimsOf(tokens.access_token)['cnf'] as { jkt: string }).jkt)
    const next = await tokensIn(await bank.refresh(tokens.refresh_token, await assertion(), await proof()))
    const at = `${server.url}/oauth/userinfo`
    const ask = (headers: Record<string, string>) => fetch(at, { headers })
    const shown = await dpopProof(proofKey, ['GET', at], next.access_token)
    const person = await ask({ authorization: `DPoP ${next.access_token}`, ...shown })
    assert.equal(((await person.json()) as { preferred_username: string }).preferred_username, 'ada')
    for (const headers of [
      { authorization: `Bearer ${next.access_token}` },
      { authorization: `DPoP ${next.access_token}` },
      // The proof was used before.
      { authorization: `DPoP ${next.access_token}`, ...shown },
      // Without ath, with that of another token, and of another key.
      { authorization: `DPoP ${next.access_token}`, ...(await dpopProof(proofKey, ['GET', at])) },
      { authorization: `DPoP ${next.access_token}`, ...(await dpopProof(proofKey, ['GET', at], tokens.access_token)) },
      {
        authorization: `DPoP ${next.access_token}`,
        ...(await dpopProof(otherProofKey, ['GET', at], next.access_token)),
      },
    ])
      assert.ok([400, 401].includes((await ask(headers)).status), JSON.stringify(headers))
  })

  test(`no request goes around PAR, signed in or not, silently or not (${kind})`, async () => {
    for (const change of [{}, { prompt: 'none' }, { nonce: null }, { scope: 'openid' }] as Record<
      string,
      string | null
    >[])
      assert.equal(await errorAt(await browser.get(bank.authorizeUrl(change))), 'invalid_request')
    const stranger = new Browser(server.url)
    assert.equal(await errorAt(await stranger.get(bank.authorizeUrl())), 'invalid_request')
  })

  test(`a request_uri works once, for its own client, for less than ten minutes (${kind})`, async () => {
    const { request_uri: uri, expires_in: life } = await jsonIn(await push())
    assert.ok((life as number) >= 5 && (life as number) < 600)
    const theirs = await browser.get(
      `/oauth/authorize?${new URLSearchParams({ client_id: 'neighbour', request_uri: uri as string })}`,
    )
    assert.match(await errorAt(theirs), /^invalid_request/)
    assert.ok(answerIn(await authorizeAt(uri as string), CALLBACK)['code'])
    assert.equal(await errorAt(await authorizeAt(uri as string)), 'invalid_request_uri')
    // The parameters beside it do not count.
    const forged = await pushed()
    const answer = answerIn(
      await authorizeAt(forged, { state: 'forged', redirect_uri: 'https://x.example.test/' }),
      CALLBACK,
    )
    assert.equal(answer['state'], 'state')
  })

  for (const [what, send] of [
    [
      'without authentication',
      () => bank.send('/oauth/par', Object.fromEntries(new URL(bank.authorizeUrl()).searchParams)),
    ],
    ['with request_uri in it', () => push({ request_uri: 'urn:ietf:params:oauth:request_uri:x' })],
    ['without PKCE', () => push({ code_challenge: null, code_challenge_method: null })],
    ['with the method plain', () => push({ code_challenge_method: 'plain' })],
    ['with another redirect URI', () => push({ redirect_uri: 'https://notes.example.test/callback/other' })],
    ['without redirect URI', () => push({ redirect_uri: null })],
    ['for a token', () => push({ response_type: 'token' })],
    ['for a hybrid response', () => push({ response_type: 'code id_token' })],
    [
      'with a thumbprint other than that of its proof',
      async () => push({ dpop_jkt: 'x'.repeat(43) }, { headers: await proof({}, '/oauth/par') }),
    ],
    ['with a proof for another endpoint', async () => push({}, { headers: await proof() })],
  ] as const) {
    test(`a pushed request ${what} is refused (${kind})`, async () => {
      const problem = await problemIn(await send())
      assert.ok([400, 401].includes(problem.status), JSON.stringify(problem))
      assert.match(problem.error, /^(invalid_|unsupported_|request_uri_not_supported)/)
    })
  }

  for (const [what, change] of [
    ['for the token endpoint', () => ({ claims: { aud: `${server.url}/oauth/token` } })],
    ['for the issuer, in a list', () => ({ claims: { aud: [server.url] } })],
    ['that has expired', () => ({ claims: { exp: epochNow() - 20 } })],
    ['issued a minute ahead', () => ({ claims: { iat: epochNow() + 61 } })],
    ['valid a minute ahead', () => ({ claims: { nbf: epochNow() + 61 } })],
    ['of the neighbour', () => ({ key: neighbourKey })],
  ] satisfies [string, () => JwtChange][]) {
    test(`an assertion ${what} is refused at PAR and at the token endpoint (${kind})`, async () => {
      const code = await codeOf()
      const params = Object.fromEntries(new URL(bank.authorizeUrl()).searchParams)
      refusedAs(
        'invalid_client',
        await problemIn(await bank.send('/oauth/par', { ...params, ...(await assertion(bank, change())) })),
      )
      const exchanged = await bank.exchange(code, await assertion(bank, change()), await proof())
      refusedAs('invalid_client', await problemIn(exchanged))
      await tokensIn(await bank.exchange(code, await assertion(), await proof()))
    })
  }

  test(`RS256 proves no app of this profile (${kind})`, async () => {
    const rsa = await makeClientKey('RS256')
    await server.addApp('rsa', { ...fapiApp, jwks: { keys: [rsa.jwk] } })
    const problem = await problemIn(
      await new Client(server.url, 'rsa', null, CALLBACK).send('/oauth/par', await assertionOf(rsa, 'rsa', server.url)),
    )
    refusedAs('invalid_client', problem)
  })

  test(`a code is exchanged only with a proof of the right key, by its own client, once (${kind})`, async () => {
    const code = await codeOf()
    const theirs = await neighbour.exchange(code, await assertion(neighbour), await proof())
    refusedAs('invalid_grant', await problemIn(theirs))
    refusedAs('invalid_grant', await problemIn(await bank.exchange(code, await assertion())))
    const wrong = await bank.exchange(code, { ...(await assertion()), code_verifier: 'x'.repeat(43) }, await proof())
    refusedAs('invalid_grant', await problemIn(wrong))
    await tokensIn(await bank.exchange(code, await assertion(), await proof()))
    refusedAs('invalid_grant', await problemIn(await bank.exchange(code, await assertion(), await proof())))

    // Bound at PAR, by a proof or by dpop_jkt.
    const bound = await codeOf({}, { headers: await proof({}, '/oauth/par') })
    const stolen = await bank.exchange(bound, await assertion(), await proof({ key: otherProofKey }))
    assert.equal((await problemIn(stolen)).error, 'invalid_grant')
  })

  for (const [what, change] of [
    ['for another method', () => ({ claims: { htm: 'GET' } })],
    ['for another endpoint', () => ({ claims: { htu: `${server.url}/oauth/par` } })],
    ['without an id', () => ({ claims: { jti: undefined } })],
    ['without a time', () => ({ claims: { iat: undefined } })],
    ['of an hour ago', () => ({ claims: { iat: epochNow() - 3600 } })],
    ['of the type JWT', () => ({ header: { typ: 'JWT' } })],
    ['with a private key in it', async () => ({ header: { jwk: { ...proofKey.jwk, d: 'AAAA' } } })],
  ] satisfies [string, () => JwtChange | Promise<JwtChange>][]) {
    test(`a proof ${what} gets no token, neither for a code nor for a refresh, and uses neither up (${kind})`, async () => {
      const code = await codeOf()
      const answer = await problemIn(await bank.exchange(code, await assertion(), await proof(await change())))
      refusedAs('invalid_dpop_proof', answer)
      const tokens = await tokensIn(await bank.exchange(code, await assertion(), await proof()))
      const refreshed = await bank.refresh(tokens.refresh_token, await assertion(), await proof(await change()))
      refusedAs('invalid_dpop_proof', await problemIn(refreshed))
      await tokensIn(await bank.refresh(tokens.refresh_token, await assertion(), await proof()))
    })
  }

  test(`a proof and an assertion work once, and a refresh without a proof gets nothing (${kind})`, async () => {
    const tokens = await connect()
    refusedAs('invalid_grant', await problemIn(await bank.refresh(tokens.refresh_token, await assertion())))
    const used = await proof()
    const next = await tokensIn(await bank.refresh(tokens.refresh_token, await assertion(), used))
    refusedAs('invalid_dpop_proof', await problemIn(await bank.refresh(next.refresh_token, await assertion(), used)))
    const said = await assertion()
    const last = await tokensIn(await bank.refresh(next.refresh_token, said, await proof()))
    refusedAs('invalid_client', await problemIn(await bank.refresh(last.refresh_token, said, await proof())))
  })

  test(`a signed request of this profile says from when until when it holds (${kind})`, async () => {
    const now = epochNow()
    const request = async (claims: Record<string, unknown>, own = key) => {
      const params = Object.fromEntries(new URL(bank.authorizeUrl()).searchParams)
      const jwt = await signWith(own, { iss: 'bank', aud: server.url, nbf: now, exp: now + 60, ...params, ...claims })
      return bank.send('/oauth/par', { request: jwt, ...(await assertion()) })
    }
    assert.equal((await request({})).status, 201)
    for (const claims of [
      { nbf: undefined },
      { exp: undefined },
      { exp: now + 3601 },
      { nbf: now - 3601, exp: now + 60 },
      { exp: now },
    ])
      refusedAs('invalid_request_object', await problemIn(await request(claims)))
  })

  test(`openid-client, unmodified, goes the whole way with a key, PAR, a signed request and DPoP (${kind})`, async () => {
    const config = await oauth.discovery(
      new URL(server.url),
      'bank',
      {},
      oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.jwk.kid as string }),
      { execute: [oauth.allowInsecureRequests] },
    )
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair())
    const verifier = oauth.randomPKCECodeVerifier()
    const signed = await oauth.buildAuthorizationUrlWithJAR(
      config,
      {
        redirect_uri: CALLBACK,
        scope: 'openid profile',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: 'state',
      },
      { key: key.privateKey, kid: key.jwk.kid as string },
    )
    const address = await oauth.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP })
    const { url } = await browser.follow(await browser.get(address.href))
    const checks = { pkceCodeVerifier: verifier, expectedState: 'state' }
    const tokens = await oauth.authorizationCodeGrant(config, new URL(url), checks, undefined, { DPoP })
    assert.equal(tokens.token_type, 'dpop')
    const next = await oauth.refreshTokenGrant(config, tokens.refresh_token as string, undefined, { DPoP })
    const sub = tokens.claims()?.sub as string
    assert.equal((await oauth.fetchUserInfo(config, next.access_token, sub, { DPoP })).sub, sub)
  })

  for (const [id, settings] of [
    ['secret', notesApp],
    ['public', { ...photosApp, redirectUris: [CALLBACK] }],
  ] satisfies [string, AppSettings][]) {
    test(`requirements one by one hold on the fast paths, too, and for what was there before: ${id} (${kind})`, async () => {
      const client = new Client(server.url, id, await server.addApp(id, { ...settings, audience: id }), CALLBACK)
      const change = async (requirements: Partial<AppSettings>) =>
        changeApp(server.services, (await findApp(server.services, id)) as AppRow, requirements)
      const tokens = await client.connect(browser)
      const second = await client.connect(browser)
      const code = await client.code(browser)
      await change({ requireDpop: true })

      refusedAs('invalid_grant', await problemIn(await client.refresh(tokens.refresh_token)))
      refusedAs('invalid_grant', await problemIn(await client.refresh(tokens.refresh_token, { scope: 'openid' })))
      refusedAs('invalid_grant', await problemIn(await client.exchange(code)))
      const next = await tokensIn(await client.refresh(tokens.refresh_token, {}, await proof()))
      assert.equal(next.token_type, 'DPoP')
      // In the grace window, too.
      refusedAs('invalid_grant', await problemIn(await client.refresh(tokens.refresh_token)))
      assert.equal((await tokensIn(await client.exchange(code, {}, await proof()))).token_type, 'DPoP')

      await change({ requireDpop: false, requirePar: true })
      await tokensIn(await client.refresh(second.refresh_token))
      assert.equal(await errorAt(await browser.get(client.authorizeUrl())), 'invalid_request')
      assert.equal(await errorAt(await browser.get(client.authorizeUrl({ prompt: 'none' }))), 'invalid_request')
      const params = Object.fromEntries(new URL(client.authorizeUrl()).searchParams)
      const uri = (await jsonIn(await client.send('/oauth/par', params)))['request_uri'] as string
      const answer = await browser.get(`/oauth/authorize?${new URLSearchParams({ client_id: id, request_uri: uri })}`)
      await tokensIn(await client.exchange(answerIn(answer, CALLBACK)['code'] as string))
    })
  }

  // The clock of the portal is ahead from here on, and that of the protocol library is not.
  test(`a refresh token that is used again half a minute later is answered with the same successor (${kind})`, async () => {
    const tokens = await connect()
    const next = await tokensIn(await bank.refresh(tokens.refresh_token, await assertion(), await proof()))
    clock.advance(35)
    const again = await tokensIn(await bank.refresh(tokens.refresh_token, await assertion(), await proof()))
    assert.equal(again.refresh_token, next.refresh_token)
    await tokensIn(await bank.refresh(again.refresh_token, await assertion(), await proof()))
  })

  test(`a request_uri is refused after a minute (${kind})`, async () => {
    const uri = await pushed()
    clock.advance(61)
    // Redis counts by a clock of its own.
    if (kind === 'postgres') assert.equal(await errorAt(await authorizeAt(uri)), 'invalid_request_uri')
  })
}

function refusedAs(error: string, problem: Problem): void {
  assert.equal(problem.error, error, JSON.stringify(problem))
  assert.equal(problem.status, error === 'invalid_client' ? 401 : 400)
}

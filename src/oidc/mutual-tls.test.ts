import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { exportJWK, importX509 } from 'jose'
import * as oauth from 'openid-client'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { thumbprintOf } from '../domain/apps/client-certificates.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { bankCertificate, renewedCertificate, selfSigned } from '../testing/network/certificate.ts'
import { jsonIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const SUBJECT = String.raw`CN=bänk \"1\",OU=A\+B,O=Bank\, Inc.,C=DE`
const env = {
  TRUST_PROXY: '1',
  TLS_CLIENT_CERT_HEADER: 'X-SSL-Client-Cert',
  TLS_CLIENT_VERIFY_HEADER: 'X-SSL-Client-Verify',
}

const escaped = (pem: string) => ({ 'x-ssl-client-cert': encodeURIComponent(pem) })
const verified = (pem: string) => ({ ...escaped(pem), 'x-ssl-client-verify': 'SUCCESS' })
const printOf = (pem: string) => thumbprintOf(new X509Certificate(pem))
const structured = (pem: string) => `:${new X509Certificate(pem).raw.toString('base64')}:`

let server: TestServer
let browser: Browser
let bank: Client
let lone: Client
let photos: Client
let notes: Client

before(async () => {
  server = await startTestServer({ env })
  await server.addIdentity(ada)
  const bound = { ...notesApp, bindCertificate: true }
  await server.addApp('bank', { ...bound, authMethod: 'tls_client_auth', tlsSubjectDn: SUBJECT })
  const jwk = await exportJWK(await importX509(selfSigned.cert, 'ES256', { extractable: true }))
  const x5c = [new X509Certificate(selfSigned.cert).raw.toString('base64')]
  const jwks = { keys: [{ ...jwk, x5c }] }
  await server.addApp('lone', { ...bound, authMethod: 'self_signed_tls_client_auth', jwks })
  await server.addApp('photos', { ...photosApp, redirectUris: [CALLBACK], bindCertificate: true })
  bank = new Client(server.url, 'bank', null, CALLBACK)
  lone = new Client(server.url, 'lone', null, CALLBACK)
  photos = new Client(server.url, 'photos', null, CALLBACK)
  notes = new Client(
    server.url,
    'notes',
    await server.addApp('notes', { ...bound, audience: 'n', firstPartyDirect: true }),
    CALLBACK,
  )
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

const userinfo = (token: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/oauth/userinfo`, { headers: { authorization: `Bearer ${token}`, ...headers } })

test('an app with a certificate connects, refreshes and asks, and its tokens are bound to it', async () => {
  for (const [client, shown] of [
    [bank, verified(bankCertificate)],
    // The proxy has not verified a chain, and there is none.
    [lone, { ...escaped(selfSigned.cert), 'x-ssl-client-verify': 'FAILED:self signed certificate' }],
  ] as const) {
    const tokens = await tokensIn(await client.exchange(await client.code(browser), {}, shown))
    assert.equal(tokens.token_type, 'Bearer')
    const next = await tokensIn(await client.refresh(tokens.refresh_token, {}, shown))
    const told = await jsonIn(await client.send('/oauth/introspect', { token: next.access_token }, shown))
    assert.deepEqual([told['active'], told['token_type']], [true, 'Bearer'])
    assert.deepEqual(told['cnf'], claimsOf(next.access_token)['cnf'])
    assert.equal((await userinfo(next.access_token, shown)).status, 200)
    for (const headers of [{}, verified(renewedCertificate)] as Record<string, string>[])
      assert.equal((await userinfo(next.access_token, headers)).status, 401)
  }
})

test('a direct sign-in goes on with its certificate alone, and its tokens are bound to it', async () => {
  const asked = new URL(notes.authorizeUrl({ redirect_uri: null })).searchParams
  const challenge = (fields: Record<string, string>, headers: Record<string, string>) =>
    notes.send('/oauth/authorize-challenge', fields, headers)
  const own = verified(bankCertificate)
  const { auth_session: session } = await jsonIn(await challenge({ ...Object.fromEntries(asked), login: 'ada' }, own))
  const step = { auth_session: session as string, password: ada.password }
  const stolen = await problemIn(await challenge(step, verified(selfSigned.cert)))
  assert.deepEqual([stolen.status, stolen.error], [400, 'invalid_session'])
  // Without one, the app itself is refused.
  assert.equal((await challenge(step, {})).status, 400)
  const { authorization_code: code } = await jsonIn(await challenge(step, own))
  const tokens = await tokensIn(await notes.exchange(code as string, { redirect_uri: null }, own))
  assert.deepEqual(claimsOf(tokens.access_token)['cnf'], { 'x5t#S256': printOf(bankCertificate) })
})

test('every other certificate, and every other header, authenticates nothing', async () => {
  for (const [client, headers] of [
    [bank, {}],
    [bank, escaped(bankCertificate)],
    [bank, { ...escaped(bankCertificate), 'x-ssl-client-verify': 'NONE' }],
    [bank, { ...escaped(bankCertificate), 'x-ssl-client-verify': 'SUCCESS, SUCCESS' }],
    [bank, verified(selfSigned.cert)],
    [bank, { 'client-cert': structured(bankCertificate), 'x-ssl-client-verify': 'SUCCESS' }],
    [bank, { 'x-ssl-client-cert': 'CN=bank', 'x-ssl-client-verify': 'SUCCESS' }],
    [bank, { 'x-ssl-client-cert': '%', 'x-ssl-client-verify': 'SUCCESS' }],
    [bank, { 'x-ssl-client-cert': ':AAAA:', 'x-ssl-client-verify': 'SUCCESS' }],
    [bank, verified(bankCertificate + selfSigned.cert)],
    [bank, verified(bankCertificate.replace('M', 'N'))],
    [lone, {}],
    [lone, verified(bankCertificate)],
  ] as [Client, Record<string, string>][]) {
    const problem = await problemIn(await client.send('/oauth/introspect', { token: 'x' }, headers))
    assert.deepEqual([problem.status, problem.error], [401, 'invalid_client'], JSON.stringify(headers))
  }
  // A secret is no way around it.
  const guessed = await bank.send('/oauth/introspect', { token: 'x', client_secret: 'x' }, verified(bankCertificate))
  assert.equal((await problemIn(guessed)).error, 'invalid_client')
})

test('a renewed certificate of the same subject goes on', async () => {
  const tokens = await tokensIn(await bank.exchange(await bank.code(browser), {}, verified(bankCertificate)))
  const next = await tokensIn(await bank.refresh(tokens.refresh_token, {}, verified(renewedCertificate)))
  assert.deepEqual(claimsOf(next.access_token)['cnf'], { 'x5t#S256': printOf(renewedCertificate) })
})

test('an app that proves itself otherwise stays with its first certificate, on every path', async () => {
  for (const client of [photos, notes]) {
    const code = await client.code(browser)
    assert.equal((await problemIn(await client.exchange(code))).error, 'invalid_grant')
    const tokens = await tokensIn(await client.exchange(code, {}, escaped(bankCertificate)))
    assert.deepEqual(claimsOf(tokens.access_token)['cnf'], { 'x5t#S256': printOf(bankCertificate) })
    for (const headers of [{}, escaped(renewedCertificate)] as Record<string, string>[])
      for (const fields of [{}, { scope: 'openid' }] as Record<string, string>[])
        assert.equal(
          (await problemIn(await client.refresh(tokens.refresh_token, fields, headers))).error,
          'invalid_grant',
        )
    await tokensIn(await client.refresh(tokens.refresh_token, {}, escaped(bankCertificate)))
    // In the grace window, too.
    const late = await client.refresh(tokens.refresh_token, {}, escaped(renewedCertificate))
    assert.equal((await problemIn(late)).error, 'invalid_grant')
    await tokensIn(await client.refresh(tokens.refresh_token, {}, escaped(bankCertificate)))
  }
})

test('a family from before the requirement needs a certificate at its next refresh', async () => {
  const secret = await server.addApp('later', { ...notesApp, audience: 'later' })
  const later = new Client(server.url, 'later', secret, CALLBACK)
  const tokens = await later.connect(browser)
  await changeApp(server.services, (await findApp(server.services, 'later')) as AppRow, { bindCertificate: true })
  assert.equal((await problemIn(await later.refresh(tokens.refresh_token))).error, 'invalid_grant')
  const next = await tokensIn(await later.refresh(tokens.refresh_token, {}, escaped(bankCertificate)))
  assert.deepEqual(claimsOf(next.access_token)['cnf'], { 'x5t#S256': printOf(bankCertificate) })
})

test('openid-client, unmodified, authenticates with a certificate', async () => {
  const config = await oauth.discovery(new URL(server.url), 'bank', {}, oauth.TlsClientAuth(), {
    execute: [oauth.allowInsecureRequests],
    // What the proxy adds.
    [oauth.customFetch]: (url, options) =>
      fetch(url, { ...options, headers: { ...options.headers, ...verified(bankCertificate) } }),
  })
  const { token_endpoint_auth_methods_supported: methods, tls_client_certificate_bound_access_tokens: isBound } =
    config.serverMetadata()
  assert.ok(methods?.includes('tls_client_auth') && methods.includes('self_signed_tls_client_auth'))
  assert.equal(isBound, true)
  const verifier = oauth.randomPKCECodeVerifier()
  const request = oauth.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: 'openid',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: 'state',
  })
  const { url } = await browser.follow(await browser.get(request.href))
  const checks = { pkceCodeVerifier: verifier, expectedState: 'state' }
  const tokens = await oauth.authorizationCodeGrant(config, new URL(url), checks)
  await oauth.refreshTokenGrant(config, tokens.refresh_token as string)
})

test('a proxy may write the certificate as RFC 9440 does', async () => {
  const own = await startTestServer({ env: { TRUST_PROXY: 'loopback', TLS_CLIENT_CERT_HEADER: 'Client-Cert' } })
  try {
    const jwk = await exportJWK(await importX509(selfSigned.cert, 'ES256', { extractable: true }))
    const x5c = [new X509Certificate(selfSigned.cert).raw.toString('base64')]
    const settings = { ...notesApp, authMethod: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c }] } }
    await own.addApp('lone', settings)
    const client = new Client(own.url, 'lone', null, CALLBACK)
    const ask = (headers: Record<string, string>) => client.send('/oauth/introspect', { token: 'x' }, headers)
    assert.equal((await ask({ 'client-cert': structured(selfSigned.cert) })).status, 200)
    assert.equal((await ask({ 'client-cert': structured(bankCertificate) })).status, 401)
  } finally {
    await own.close()
  }
})

for (const [what, settings] of [
  ['no proxy is trusted with certificates', {}],
  ['the peer is not the trusted proxy', { ...env, TRUST_PROXY: '192.0.2.1' }],
] as [string, Record<string, string>][]) {
  test(`while ${what}, a header that a client writes counts for nothing, and no bearer token is given instead`, async () => {
    const own = await startTestServer({ env: settings })
    try {
      await own.addIdentity(ada)
      await own.addApp('bank', { ...notesApp, authMethod: 'tls_client_auth', tlsSubjectDn: SUBJECT })
      const secret = await own.addApp('notes', { ...notesApp, bindCertificate: true })
      const claimed = new Client(own.url, 'bank', null, CALLBACK)
      const problem = await problemIn(
        await claimed.send('/oauth/introspect', { token: 'x' }, verified(bankCertificate)),
      )
      assert.equal(problem.error, 'invalid_client')
      const visitor = new Browser(own.url)
      await visitor.signIn(ada)
      const bound = new Client(own.url, 'notes', secret, CALLBACK)
      const exchanged = await bound.exchange(await bound.code(visitor), {}, verified(bankCertificate))
      assert.equal((await problemIn(exchanged)).error, 'invalid_grant')
    } finally {
      await own.close()
    }
  })
}

test('discovery promises certificates only where a proxy passes them on', async () => {
  const own = await startTestServer()
  try {
    const told = await jsonIn(await fetch(`${own.url}/.well-known/openid-configuration`))
    assert.equal('tls_client_certificate_bound_access_tokens' in told, false)
    assert.doesNotMatch(JSON.stringify(told), /tls_client/)
  } finally {
    await own.close()
  }
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint, decodeJwt, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type AppRow, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { type ClientKey, assertionOf, epochNow, makeClientKey, signWith } from '../testing/browser/client-key.ts'
import { Client } from '../testing/browser/client.ts'
import { type Problem, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { contactsApi, mailApi } from '../testing/portal/apis.ts'
import { notesApp, robotService } from '../testing/portal/apps.ts'
import { createClock } from '../testing/portal/clock.ts'
import { publishedKeys } from '../testing/portal/published-keys.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const MAIL = 'https://mail.example.test/'
const CONTACTS = 'https://contacts.example.test/'
const clock = createClock()

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let robot: Client
  let keyed: Client
  let notes: Client
  let mail: Client
  let contacts: Client
  let mailBackEnd: Client
  let key: ClientKey

  before(async () => {
    server = await startTestServer({ kind, clock, env: { IN_PROCESS_WORKER: 'false' } })
    mail = await server.addApi(MAIL, mailApi)
    contacts = await server.addApi(CONTACTS, { ...contactsApi, signingAlg: 'EdDSA' })
    key = await makeClientKey()
    const apis = { request: [{ identifier: MAIL, scopes: ['mail:read', 'mail:send'] }] }
    const add = async (id: string, settings = robotService, given: Parameters<TestServer['addApp']>[2] = apis) =>
      new Client(server.url, id, await server.addApp(id, settings, given), '')
    robot = await add('robot')
    keyed = await add('keyed', { ...robotService, authMethod: 'private_key_jwt', jwks: { keys: [key.jwk] } as never })
    await add('bound', { ...robotService, requireDpop: true })
    notes = await add('notes', notesApp, {})
    mailBackEnd = await add('mail-back-end', { ...robotService, audience: MAIL }, {})
  })
  after(() => server.close())

  const grant = (fields: Record<string, string> = {}) => ({ grant_type: 'client_credentials', ...fields })
  const tokenOf = async (client: Client) => (await tokensIn(await client.send('/oauth/token', grant()))).access_token
  const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
  const proof = (change: Record<string, unknown> = {}) =>
    signWith(
      key,
      { jti: randomUUID(), htm: 'POST', htu: `${server.url}/oauth/token`, iat: epochNow(), ...change },
      { typ: 'dpop+jwt', kid: undefined, jwk: { ...key.jwk, kid: undefined, use: undefined } },
    )

  test(`the API, its back end and the service itself learn everything about a service token, and no other client (${kind})`, async () => {
    const token = await tokenOf(robot)
    const { iat, exp, jti, ...claims } = decodeJwt(token)
    assert.deepEqual(claims, {
      iss: server.url,
      sub: 'robot',
      aud: MAIL,
      client_id: 'robot',
      scope: 'mail:read mail:send',
    })
    for (const client of [mail, mailBackEnd, robot])
      assert.deepEqual(await client.introspect(token), { active: true, ...claims, iat, exp, jti, token_type: 'Bearer' })
    for (const client of [contacts, notes]) assert.deepEqual(await client.introspect(token), { active: false })
  })

  test(`a disabled service's tokens are inactive at once, and stay so when it is enabled again (${kind})`, async () => {
    const token = await tokenOf(robot)
    await disableApp(server.services, await appOf('robot'))
    assert.deepEqual(await mail.introspect(token), { active: false, reason: 'app_disabled' })
    assert.equal((await problemIn(await robot.send('/oauth/token', grant()))).error, 'invalid_client')

    clock.advance(2)
    await enableApp(server.services, await appOf('robot'))
    assert.deepEqual(await mail.introspect(token), { active: false, reason: 'app_disabled' })
    assert.equal((await mail.introspect(await tokenOf(robot)))['active'], true)
  })

  test(`a service token that is too old is expired (${kind})`, async () => {
    const token = await tokenOf(robot)
    clock.advance(299)
    assert.equal((await mail.introspect(token))['active'], true)
    clock.advance(1)
    assert.deepEqual(await mail.introspect(token), { active: false, reason: 'expired' })
  })

  test(`a service token opens no UserInfo and cannot be revoked alone (${kind})`, async () => {
    const token = await tokenOf(robot)
    assert.equal((await robot.userinfo(token)).status, 401)
    const { status, error } = await problemIn(await robot.revoke(token))
    assert.deepEqual([status, error], [400, 'unsupported_token_type'])
    // Another app learns nothing, not even that.
    assert.equal((await notes.revoke(token)).status, 200)
    assert.equal((await mail.introspect(token))['active'], true)
  })

  test(`a service with a key proves itself by assertion, and with a wrong one gets nothing (${kind})`, async () => {
    const send = async (fields: Record<string, string>) => keyed.send('/oauth/token', grant(fields))
    const assertion = await assertionOf(key, 'keyed', server.url)
    const { access_token: token } = await tokensIn(await send(assertion))
    assert.equal(decodeJwt(token).sub, 'keyed')
    const problems: Problem[] = []
    // The first was used before.
    for (const each of [assertion, await assertionOf(key, 'keyed', server.url, { key: await makeClientKey() }), {}])
      problems.push(await problemIn(await send(each)))
    assert.deepEqual(
      problems.map(({ error }) => error),
      ['invalid_client', 'invalid_client', 'invalid_client'],
    )
  })

  test(`a proof binds the token of a service to its key, and a service that must be bound gets none without (${kind})`, async () => {
    const bound = new Client(server.url, 'bound', robot.secret, '')
    const settings = await appOf('bound')
    await server.services.storage.pool.query(
      'UPDATE apps SET secret_hash = (SELECT secret_hash FROM apps WHERE client_id = $1) WHERE client_id = $2',
      ['robot', settings.clientId],
    )
    const thumbprint = await calculateJwkThumbprint(key.jwk)
    for (const client of [robot, bound]) {
      const answer = await tokensIn(await client.send('/oauth/token', grant(), { dpop: await proof() }))
      assert.equal(answer.token_type, 'DPoP')
      assert.deepEqual(decodeJwt(answer.access_token)['cnf'], { jkt: thumbprint })
      const told = await mail.introspect(answer.access_token)
      assert.deepEqual([told['active'], told['token_type'], told['cnf']], [true, 'DPoP', { jkt: thumbprint }])
    }
    assert.equal((await bound.send('/oauth/token', grant())).status, 400)
    const used = await proof()
    await tokensIn(await robot.send('/oauth/token', grant(), { dpop: used }))
    for (const dpop of [used, await proof({ htm: 'GET' }), await proof({ iat: epochNow() - 400 }), 'proof'])
      assert.equal((await robot.send('/oauth/token', grant(), { dpop })).status, 400, dpop)
  })

  test(`openid-client and oauth4webapi get service tokens (${kind})`, async () => {
    const secret = robot.secret as string
    for (const way of [openid.ClientSecretBasic(secret), openid.ClientSecretPost(secret)]) {
      const config = await openid.discovery(new URL(server.url), 'robot', {}, way, {
        execute: [openid.allowInsecureRequests],
      })
      const answer = await openid.clientCredentialsGrant(config, { resource: MAIL, scope: 'mail:read' })
      assert.deepEqual([answer.scope, answer.expires_in, answer.refresh_token], ['mail:read', 300, undefined])
      const { payload } = await jwtVerify(answer.access_token, await publishedKeys(server.services), {
        audience: MAIL,
        typ: 'at+jwt',
        currentDate: clock(),
      })
      assert.equal(payload.sub, 'robot')
    }

    const insecure = { [oauth.allowInsecureRequests]: true }
    const issuer = new URL(server.url)
    const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
    assert.ok(as.grant_types_supported?.includes('client_credentials'))
    const client = { client_id: 'keyed' }
    const proof = oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.jwk.kid as string })
    const dpop = oauth.DPoP({}, await oauth.generateKeyPair('ES256'))
    const response = await oauth.clientCredentialsGrantRequest(as, client, proof, {}, { ...insecure, DPoP: dpop })
    const answer = await oauth.processClientCredentialsResponse(as, client, response)
    assert.deepEqual([answer.token_type, answer.scope], ['dpop', 'mail:read mail:send'])
  })
}

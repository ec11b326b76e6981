import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { adminApiOf } from '../domain/apps/apis.ts'
import { type AppRow, changeApp, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { type ClientKey, makeClientKey } from '../testing/browser/client-key.ts'
import { Client } from '../testing/browser/client.ts'
import { dpopProof } from '../testing/browser/dpop-proof.ts'
import { renewedCertificate, selfSigned } from '../testing/network/certificate.ts'
import { type AdminClient, callApi, openAdminClient, serviceToken } from '../testing/portal/admin-client.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { contactsApi } from '../testing/portal/apis.ts'
import { notesApp, robotService } from '../testing/portal/apps.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CONTACTS = 'https://contacts.example.test/'
const clock = createClock()
let server: TestServer
let admin: string
let reader: AdminClient
let key: ClientKey

before(async () => {
  const env = { TRUST_PROXY: 'loopback', TLS_CLIENT_CERT_HEADER: 'x-ssl-client-cert', IN_PROCESS_WORKER: 'false' }
  server = await startTestServer({ clock, env })
  admin = adminApiOf(server.services)
  reader = await openAdminClient(server, 'reader', ['admin:read'])
  await server.addApi(CONTACTS, contactsApi)
  key = await makeClientKey()
})
after(() => server.close())

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })
const groups = async (headers: Record<string, string> = {}, path = '/groups') =>
  callApi(server.url, 'GET', path, undefined, headers)
const appOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const addService = async (id: string, settings: object, scopes = ['admin:read']) => {
  const request = [{ identifier: admin, scopes }]
  return new Client(server.url, id, await server.addApp(id, { ...robotService, ...settings }, { request }), '')
}

test('a service with one scope of the admin API reads, without naming the API', async () => {
  const { status, headers, body } = await reader.send('GET', '/groups')
  assert.deepEqual([status, body], [200, { items: [], next_cursor: null }])
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('set-cookie'), null)
})

test('a request without a token, or with anything else, is told what it needs', async () => {
  const none = await groups()
  assert.deepEqual([none.status, none.body.code], [401, 'unauthorized'])
  assert.match(none.headers.get('www-authenticate') ?? '', /^Bearer realm="[^"]+", DPoP realm=/)
  assert.equal(none.headers.get('content-type'), 'application/problem+json')
  for (const authorization of ['Bearer', 'Bearer x', `Basic ${reader.token}`, `DPoP ${reader.token}`, reader.token]) {
    const { status, headers, body } = await groups({ Authorization: authorization })
    assert.deepEqual([status, body.code], [401, 'invalid_token'], authorization)
    assert.match(headers.get('www-authenticate') ?? '', /error="invalid_token"/)
  }
  const cut = await groups(bearer(`${reader.token.slice(0, -4)}AAAA`))
  assert.equal(cut.status, 401)
})

test('the scope decides, of the whole API and of one resource', async () => {
  const ofGroups = await openAdminClient(server, 'of-groups', ['admin:groups:write'])
  const ofApps = await openAdminClient(server, 'of-apps', ['admin:apps:read', 'admin:apps:write'])
  assert.equal((await ofGroups.send('GET', '/groups')).status, 200)
  assert.equal((await ofGroups.send('POST', '/groups', { name: 'Team' })).status, 201)
  for (const [caller, method, body] of [
    [reader, 'POST', { name: 'Other' }],
    [ofApps, 'GET', undefined],
    [ofApps, 'POST', { name: 'Other' }],
  ] as const) {
    const refused = await caller.send(method, '/groups', body)
    assert.deepEqual([refused.status, refused.body.code], [403, 'insufficient_scope'])
    assert.match(refused.headers.get('www-authenticate') ?? '', /error="insufficient_scope", scope="admin:/)
  }
  assert.deepEqual(
    (await reader.send('GET', '/groups')).body.items.map(({ name }: { name: string }) => name),
    ['Team'],
  )
})

test('a token for another audience gives nothing, also where its scope is called the same', async () => {
  const own = new Client(
    server.url,
    'own-scope',
    await server.addApp('own-scope', { ...robotService, scope: 'admin:read admin:write' }),
    '',
  )
  assert.equal((await groups(bearer(await serviceToken(own)))).status, 401)
  const contacts = [{ identifier: CONTACTS, scopes: ['contacts:read'] }]
  const other = new Client(server.url, 'other', await server.addApp('other', robotService, { request: contacts }), '')
  assert.equal((await groups(bearer(await serviceToken(other)))).status, 401)
  // An audience of its own that has the name of the admin API is not granted anything there.
  const namesake = { ...robotService, audience: admin, scope: 'admin:read admin:write' }
  const thief = new Client(server.url, 'thief', await server.addApp('thief', namesake), '')
  assert.equal((await groups(bearer(await serviceToken(thief)))).status, 401)
})

test('the token of a user gives nothing, also an administrator’s with every scope', async () => {
  await server.addIdentity(ada, { roles: ['admin'] })
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const request = [{ identifier: admin, scopes: ['admin:read', 'admin:write'] }]
  const [redirectUri = ''] = notesApp.redirectUris
  const notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp, { request }), redirectUri)
  const code = await notes.code(browser, { resource: admin, scope: 'openid admin:read admin:write' })
  const { access_token: token } = await tokensIn(await notes.exchange(code, { resource: admin }))
  const refused = await groups(bearer(token))
  assert.deepEqual([refused.status, refused.body.code], [401, 'invalid_token'])
})

test('a token is good until it expires, its service is disabled, or the scope is taken away', async () => {
  const robot = await openAdminClient(server, 'robot', ['admin:read', 'admin:write'])
  await changeApp(server.services, await appOf('robot'), {}, undefined, {
    request: [{ identifier: admin, scopes: ['admin:read'] }],
  })
  assert.equal((await robot.send('GET', '/groups')).status, 200)
  assert.equal((await robot.send('POST', '/groups', { name: 'Late' })).status, 403)
  await changeApp(server.services, await appOf('robot'), {}, undefined, { request: [] })
  assert.equal((await robot.send('GET', '/groups')).status, 401)

  const disabled = await openAdminClient(server, 'disabled', ['admin:read'])
  await disableApp(server.services, await appOf('disabled'))
  assert.equal((await disabled.send('GET', '/groups')).status, 401)
  clock.advance(2)
  await enableApp(server.services, await appOf('disabled'))
  assert.equal((await disabled.send('GET', '/groups')).status, 401)
  assert.equal((await groups(bearer(await serviceToken(disabled.client)))).status, 200)

  const short = await openAdminClient(server, 'short', ['admin:read'])
  clock.advance(server.services.lifetimes.applicationToken + 1)
  assert.equal((await short.send('GET', '/groups')).status, 401)
  reader = { ...reader, token: await serviceToken(reader.client) }
})

test('a token that is bound to a DPoP key needs a new proof of it, for this request', async () => {
  const bound = await addService('bound', { requireDpop: true })
  const atToken = await dpopProof(key, ['POST', `${server.url}/oauth/token`])
  const { access_token: token } = await tokensIn(
    await bound.send('/oauth/token', { grant_type: 'client_credentials' }, atToken),
  )
  const url = `${admin}/groups`
  const proved = async (proof: Promise<Record<string, string>>, path?: string) =>
    (await groups({ Authorization: `DPoP ${token}`, ...(await proof) }, path)).status

  const good = dpopProof(key, ['GET', url], token)
  assert.equal(await proved(good, '/groups?limit=3'), 200)
  assert.equal(await proved(good), 401, 'a proof is good once')
  assert.equal((await groups({ Authorization: `Bearer ${token}`, ...(await good) })).status, 401)
  for (const bad of [
    Promise.resolve({}),
    dpopProof(await makeClientKey(), ['GET', url], token),
    dpopProof(key, ['POST', url], token),
    dpopProof(key, ['GET', `${admin}/apps`], token),
    dpopProof(key, ['GET', url], `${token}x`),
    dpopProof(key, ['GET', url]),
    Promise.resolve({ DPoP: 'x' }),
  ])
    assert.equal(await proved(bad), 401)
})

test('a token that is bound to a certificate needs that certificate', async () => {
  const certificate = (pem: string) => ({ 'x-ssl-client-cert': encodeURIComponent(pem) })
  const bound = await addService('certified', { bindCertificate: true })
  const { access_token: token } = await tokensIn(
    await bound.send('/oauth/token', { grant_type: 'client_credentials' }, certificate(selfSigned.cert)),
  )
  assert.equal((await groups({ ...bearer(token), ...certificate(selfSigned.cert) })).status, 200)
  assert.equal((await groups({ ...bearer(token), ...certificate(renewedCertificate) })).status, 401)
  assert.equal((await groups(bearer(token))).status, 401)
})

test('the audit log names the service and the IP address', async () => {
  const writer = await openAdminClient(server, 'writer', ['admin:write'])
  assert.equal((await writer.send('POST', '/groups', { name: 'Audited' })).status, 201)
  const { rows } = await server.services.storage.pool.query(
    "SELECT kind, actor, actor_id, actor_address FROM audit_events WHERE kind = 'group_created' ORDER BY id DESC LIMIT 1",
  )
  assert.deepEqual(rows, [{ kind: 'group_created', actor: 'writer', actor_id: 'writer', actor_address: '127.0.0.1' }])
})

test('a service cannot get a scope that it was not given', async () => {
  const refused = await problemIn(
    await reader.client.send('/oauth/token', { grant_type: 'client_credentials', scope: 'admin:write' }),
  )
  assert.equal(refused.error, 'invalid_scope')
  const asked = await serviceToken(reader.client, { scope: 'admin:read' })
  assert.equal((await groups(bearer(asked))).status, 200)
})

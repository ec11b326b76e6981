import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import type { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { formIdOf, readPage } from '../../testing/browser/page.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { signInOperator } from '../../testing/portal/operators.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const CALLBACK = 'https://crm.example.test/callback'
const NOTES_CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let clock: TestClock
let admin: Browser
let support: Browser

before(async () => {
  // An unmodified library compares the times of tokens with its own clock.
  clock = createClock(new Date(Date.now() - 150_000))
  server = await startTestServer({ clock, env: { ALLOWED_NETWORKS: '127.0.0.0/8' } })
  support = await signInOperator(server, clock, 'support')
  admin = await signInOperator(server, clock, 'admin')
})
after(() => server.close())

test('an app is registered without a script: the kind, its form, and once the secret that signs its users in', async () => {
  const kinds = await readPage(await admin.get('/admin/apps/new'))
  assert.match(kinds.html, /href="\/admin\/apps\/new\?type=confidential"/)
  const form = await readPage(await admin.get('/admin/apps/new?type=confidential'))
  const sent = {
    type: 'confidential',
    form_id: formIdOf(form),
    client_id: 'crm.example~1',
    name: 'Customers',
    redirect_uris: `${CALLBACK}\r\n\r\n https://staging.example.test/callback \r\n`,
    post_logout_redirect_uris: '',
    home_uri: '',
    description: '',
    access: 'everyone',
  }
  const [response, twice] = await Promise.all([admin.post('/admin/apps', sent), admin.post('/admin/apps', sent)])
  assert.equal(response.status, 200)
  assert.match(response.headers.get('cache-control') ?? '', /no-store/)
  assert.equal(response.headers.get('set-cookie')?.includes('notice='), undefined)
  const made = await readPage(response)
  const secret = /<code id="client-secret">([\w-]{43})<\/code>/.exec(made.html)?.[1] ?? assert.fail(made.text)
  for (const word of ['openid-client', 'next-auth', 'spring:', 'omniauth_openid_connect', 'authlib', server.url])
    assert.ok(made.html.includes(word), word)

  // A double click shows the same secret, and nothing ever shows it again.
  assert.ok((await twice.text()).includes(secret))
  const late = await admin.post('/admin/apps', sent)
  assert.equal(late.status, 422)
  assert.ok(!(await late.text()).includes(secret))
  const shown = await readPage(await admin.get('/admin/apps/crm.example~1'))
  assert.equal(shown.status, 200)
  assert.ok(!shown.html.includes(secret))
  assert.match(shown.text, /https:\/\/staging\.example\.test\/callback/)
  const crm = new Client(server.url, 'crm.example~1', secret, CALLBACK)
  assert.equal((await crm.connect(admin)).token_type, 'Bearer')
  assert.match((await readPage(await admin.get('/admin/apps/crm.example~1'))).text, /1 user is signed in/)
  assert.deepEqual(await auditOf('crm.example~1'), ['app_created admin-2 127.0.0.1'])
})

test('a form that is refused says why at its fields, and keeps what was entered', async () => {
  const sent = {
    type: 'confidential',
    client_id: 'wrong',
    name: 'Wrong <b>name</b>',
    redirect_uris: 'http://crm.example.test/',
    access: 'everyone',
  }
  const response = await admin.post('/admin/apps', sent)
  assert.equal(response.status, 422)
  const page = await readPage(response)
  assert.match(page.html, /id="redirect_uris-problem">[^<]*http is only allowed on loopback/)
  assert.match(page.html, /value="Wrong &lt;b&gt;name&lt;\/b&gt;"/)
  assert.match(page.html, /<textarea id="redirect_uris"[^>]*>http:\/\/crm\.example\.test\/<\/textarea>/)
  for (const wrong of [{ client_id: 'a b' }, { client_id: '' }, { name: '' }, { access: 'nobody' }, { name: 'x\0' }]) {
    const refused = await admin.post('/admin/apps', { ...sent, redirect_uris: CALLBACK, ...wrong })
    assert.equal(refused.status, 422, JSON.stringify(wrong))
    assert.match(await refused.text(), /-problem">/, JSON.stringify(wrong))
  }
  assert.equal((await admin.get('/admin/apps/wrong')).status, 404)
})

test('every section of an app can be sent as it is, and changes nothing', async () => {
  await server.addApp('whole', { ...notesApp, backchannelLogoutUri: 'https://whole.example.test/logout' })
  const before = await rowOf('whole')
  for (const section of ['look', 'addresses', 'access', 'apis', 'lifetimes', 'claims', 'security']) {
    const path = `/admin/apps/whole/settings/${section}`
    const page = await readPage(await admin.get(path))
    assert.equal(page.status, 200, section)
    const response = await admin.post(path, fieldsOn(page.html))
    assert.equal(response.status, 303, `${section}: ${(await readPage(response)).text}`)
  }
  assert.deepEqual(await rowOf('whole'), before)

  const path = '/admin/apps/whole/settings/lifetimes'
  const sent = { ...fieldsOn((await readPage(await admin.get(path))).html), family_idle: '3600', offline: 'on' }
  assert.equal((await admin.post(path, sent)).status, 303)
  const after = await rowOf('whole')
  assert.deepEqual([after['family_idle'], after['allow_offline']], [3600, true])
  for (const family_idle of ['a week', '1', '-5', '1e3', '9'.repeat(30)]) {
    const refused = await admin.post(path, { ...sent, family_idle })
    assert.equal(refused.status, 422, family_idle)
    assert.match(await refused.text(), /id="family_idle-problem"/)
  }
  assert.equal((await admin.get('/admin/apps/whole/settings/nothing')).status, 404)
  assert.equal((await admin.get('/admin/apps/unknown/settings/look')).status, 404)
})

test('a secret is rotated without an outage, and the earlier one is ended on request', async () => {
  const old = new Client(server.url, 'turned', await server.addApp('turned', notesApp), NOTES_CALLBACK)
  const tokens = await old.connect(admin)
  const question = await readPage(await admin.get('/admin/apps/turned/secret'))
  const response = await admin.post('/admin/apps/turned/secret', { form_id: formIdOf(question) })
  const made = await readPage(response)
  const secret = /<code id="client-secret">([\w-]{43})<\/code>/.exec(made.html)?.[1] ?? assert.fail(made.text)
  assert.match(made.text, /valid, too, until/)
  const fresh = new Client(server.url, 'turned', secret, NOTES_CALLBACK)
  const next = (await (await old.refresh(tokens.refresh_token)).json()) as { refresh_token: string }
  const last = (await (await fresh.refresh(next.refresh_token)).json()) as { refresh_token: string }
  assert.ok(last.refresh_token)

  const ending = await admin.post('/admin/apps/turned/previous-secret', {})
  assert.equal(ending.status, 303)
  assert.equal((await old.refresh(last.refresh_token)).status, 401)
  assert.equal((await fresh.refresh(last.refresh_token)).status, 200)
  assert.deepEqual(await auditOf('turned'), [
    'app_created  ',
    'app_secret_rotated admin-2 127.0.0.1',
    'app_previous_secret_ended admin-2 127.0.0.1',
  ])
})

test('a key of HS256 is shown once, with a warning, and another after a question', async () => {
  await server.addApp('keyed', { ...notesApp, audience: 'keyed' })
  const path = '/admin/apps/keyed/settings/claims'
  const sent = { ...fieldsOn((await readPage(await admin.get(path))).html), application_token_alg: 'HS256' }
  const keyOn = ({ html, text }: Awaited<ReturnType<typeof readPage>>) =>
    /<code id="token-key">([\w-]{43})<\/code>/.exec(html)?.[1] ?? assert.fail(text)
  const first = await readPage(await admin.post(path, sent))
  assert.match(first.text, /can also forge one/)
  const shown = await readPage(await admin.get('/admin/apps/keyed'))
  assert.match(shown.text, /can also forge one/)
  assert.equal(shown.html.includes(keyOn(first)), false)
  assert.equal((await admin.post(path, sent)).status, 303)

  const question = await readPage(await admin.get('/admin/apps/keyed/token-key'))
  const second = await readPage(await admin.post('/admin/apps/keyed/token-key', { form_id: formIdOf(question) }))
  assert.notEqual(keyOn(second), keyOn(first))
})

test('openid-client works with the printed settings, and through a rotation with the old secret and the new one', async () => {
  const form = {
    type: 'confidential',
    client_id: 'printed',
    name: 'Printed',
    redirect_uris: CALLBACK,
    access: 'everyone',
  }
  const made = await readPage(await admin.post('/admin/apps', form))
  const printed = /<code id="snippet-0-0">([\s\S]*?)<\/code>/.exec(made.html)?.[1] ?? assert.fail(made.text)
  const settings = Object.fromEntries(printed.split('\n').map((line) => line.split(/=(.*)/))) as Record<string, string>
  const connect = async (secret = '') =>
    oidc.discovery(new URL(settings['ISSUER'] ?? ''), settings['CLIENT_ID'] ?? '', secret, undefined, {
      execute: [oidc.allowInsecureRequests],
    })
  const old = await connect(settings['CLIENT_SECRET'])
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const url = oidc.buildAuthorizationUrl(old, {
    redirect_uri: settings['REDIRECT_URI'] ?? '',
    scope: 'openid profile',
    state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const reached = await admin.follow(await admin.get(url.href))
  const checks = { pkceCodeVerifier, expectedState, idTokenExpected: true }
  const tokens = await oidc.authorizationCodeGrant(old, new URL(reached.url), checks)

  const rotated = await readPage(await admin.post('/admin/apps/printed/secret', {}))
  const fresh = await connect(/<code id="client-secret">([\w-]{43})<\/code>/.exec(rotated.html)?.[1])
  const next = await oidc.refreshTokenGrant(old, tokens.refresh_token ?? '')
  const last = await oidc.refreshTokenGrant(fresh, next.refresh_token ?? '')
  assert.ok(last.access_token)
})

test('an app is disabled, enabled and deleted, and each question says who is signed in', async () => {
  const client = new Client(server.url, 'ended', await server.addApp('ended', notesApp), NOTES_CALLBACK)
  await client.connect(admin)
  assert.match((await readPage(await admin.get('/admin/apps/ended/deletion'))).text, /1 user is signed in/)
  for (const act of ['disabling', 'enabling', 'deletion'])
    assert.equal((await admin.post(`/admin/apps/ended/${act}`, {})).status, 303)
  assert.match((await readPage(await admin.get('/admin/apps'))).notice ?? '', /is deleted/)
  assert.equal((await admin.get('/admin/apps/ended')).status, 404)
  assert.equal((await admin.post('/admin/apps/ended/enabling', {})).status, 404)
})

test('roles are added and removed, and a test is answered', async () => {
  const uri = `${server.url}/oauth/token`
  await server.addApp('roles', { ...notesApp, backchannelLogoutUri: uri })
  assert.equal((await admin.post('/admin/apps/roles/roles', { role: 'area:editor' })).status, 303)
  assert.match((await readPage(await admin.get('/admin/apps/roles'))).html, /roles\/area%3Aeditor\/removal/)
  assert.equal((await admin.get('/admin/apps/roles/roles/area%3Aeditor/removal')).status, 200)
  assert.equal((await admin.post('/admin/apps/roles/roles/area%3Aeditor/removal', {})).status, 303)
  assert.ok([400, 422].includes((await admin.post('/admin/apps/roles/roles', { role: 'admin' })).status))
  const answer = await readPage(await admin.post('/admin/apps/roles/test', { kind: 'logout' }))
  assert.match(answer.text, /The app refused the test/)
  assert.match(answer.text, /HTTP status ?400/)
  for (const kind of ['event', 'x', '']) assert.ok((await admin.post('/admin/apps/roles/test', { kind })).status < 500)
})

test('an API is registered, changed, rotated and deleted', async () => {
  const sent = { identifier: 'https://contacts.example.test', name: 'Contacts', scopes: 'read\nwrite', token_ttl: '' }
  const made = await readPage(await admin.post('/admin/apis', sent))
  const id = /<code id="client-id">(api\.[0-9a-f]{20})<\/code>/.exec(made.html)?.[1] ?? assert.fail(made.text)
  assert.match(made.html, /<code id="client-secret">[\w-]{43}<\/code>/)
  assert.equal((await admin.post('/admin/apis', { ...sent, scopes: '' })).status, 422)
  assert.match(
    (await readPage(await admin.get('/admin/apis?search=Cont'))).html,
    new RegExp(`href="/admin/apis/${id}"`),
  )
  const path = `/admin/apis/${id}`
  const form = fieldsOn((await readPage(await admin.get(`${path}/settings`))).html)
  assert.equal((await admin.post(`${path}/settings`, { ...form, token_ttl: '60' })).status, 303)
  assert.equal((await admin.post(`${path}/settings`, { ...form, signing_alg: 'none' })).status, 422)
  assert.match((await readPage(await admin.post(`${path}/secret`, {}))).html, /<code id="client-secret">/)
  assert.equal((await admin.post(`${path}/previous-secret`, {})).status, 303)
  assert.equal((await admin.post(`${path}/deletion`, {})).status, 303)
  assert.equal((await admin.get(path)).status, 404)
})

test('support reads the pages, without a button that changes anything, and may change nothing', async () => {
  await server.addApp('seen', notesApp)
  const shown = await readPage(await support.get('/admin/apps/seen'))
  assert.equal(shown.status, 200)
  assert.doesNotMatch(shown.html, /\/admin\/apps\/seen\//)
  assert.equal((await support.get('/admin/apps')).status, 200)
  assert.equal((await support.get('/admin/apis')).status, 200)
  const before = await rowOf('seen')
  for (const page of ['secret', 'previous-secret', 'token-key', 'deletion', 'disabling', 'settings/look', 'test'])
    for (const response of [
      await support.get(`/admin/apps/seen/${page}`),
      await support.post(`/admin/apps/seen/${page}`, {}),
    ])
      assert.equal(response.status, 403, page)
  assert.equal((await support.post('/admin/apps', { type: 'service', client_id: 'x', name: 'X' })).status, 403)
  assert.deepEqual(await rowOf('seen'), before)
})

test('an app that is called new has a page, too', async () => {
  await server.addApp('new', notesApp)
  assert.match((await readPage(await admin.get('/admin/apps?search=new'))).html, /href="\/admin\/apps\/%6Eew"/)
  assert.match((await readPage(await admin.get('/admin/apps/%6Eew'))).html, /<code>new<\/code>/)
})

async function rowOf(clientId: string): Promise<Record<string, unknown>> {
  const { rows } = await server.services.storage.pool.query<Record<string, unknown>>(
    'SELECT * FROM apps WHERE client_id = $1',
    [clientId],
  )
  const { updated_at: _, ...row } = rows[0] ?? assert.fail(`no app ${clientId}`)
  return row
}

async function auditOf(clientId: string): Promise<string[]> {
  const { rows } = await server.services.storage.pool.query<Record<string, unknown>>(
    "SELECT kind, actor, actor_address FROM audit_events WHERE client_id = $1 AND kind LIKE 'app%' ORDER BY id",
    [clientId],
  )
  return rows.map((row) => Object.values(row).join(' '))
}

/** What a browser would send of the form on a page. */
function fieldsOn(html: string): Record<string, string> {
  const main = /<form class="card form[\s\S]*?<\/form>/.exec(html)?.[0] ?? assert.fail('no form')
  const decode = (text: string) =>
    text
      .replaceAll('&#34;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&')
  const inputs = [...main.matchAll(/<input([^>]*)>/g)]
    .map(([, tag = '']) => tag)
    .filter((tag) => !/type="(radio|checkbox)"/.test(tag) || / checked/.test(tag))
    .map((tag) => [/ name="([^"]*)"/.exec(tag)?.[1] ?? '', decode(/ value="([^"]*)"/.exec(tag)?.[1] ?? '')])
  const areas = [...main.matchAll(/<textarea[^>]* name="([^"]*)"[^>]*>([\s\S]*?)<\/textarea>/g)].map(
    ([, name = '', text = '']) => [name, decode(text)],
  )
  return Object.fromEntries([...inputs, ...areas]) as Record<string, string>
}

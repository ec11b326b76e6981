import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { portOf, send } from '../../testing/network/wire.ts'

let server: TestServer
let notes: Client
let identityId: string

before(async () => {
  server = await startTestServer({ env: { LOG_LEVEL: 'trace' } })
  identityId = await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addApp('photos', photosApp)
})
after(() => server.close())

/** The log, once everything that was answered so far has its line. */
async function lines(): Promise<Record<string, unknown>[]> {
  const { headers } = await fetch(`${server.url}/healthz`)
  const last = headers.get('x-request-id') as string
  while (!server.log().includes(last)) await new Promise(setImmediate)
  return server
    .log()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('whatever people and apps do, no secret of theirs is written down', async () => {
  const secrets = new Map<string, string>()
  const browser = new Browser(server.url)
  const remember = async (when: string) => {
    for (const { key, value } of await browser.jar.getCookies(server.url)) {
      const [id = '', signature = ''] = decodeURIComponent(value).replace(/^s:/, '').split('.')
      if (id.length >= 16) secrets.set(`cookie ${key} ${when}`, id)
      if (signature.length >= 16) secrets.set(`signature of ${key} ${when}`, signature)
    }
  }
  secrets.set('password', ada.password)
  secrets.set('client secret', notes.secret as string)
  secrets.set('verifier', notes.verifier)

  const stranger = await browser.follow(await browser.get(notes.authorizeUrl()))
  await remember('before signing in')
  secrets.set('interaction', new URL(stranger.url).pathname.split('/')[2] as string)
  await browser.post('/login', { login: 'CANARY-login', password: 'CANARY-wrong-password' })
  await browser.post('/register', {
    username: 'a',
    email: 'CANARY@example.test',
    password: 'CANARY',
    password_confirmation: 'CANARY',
  })
  await browser.post('/login', { login: 'ada', password: ada.password, return_to: new URL(stranger.url).pathname })
  await browser.get(stranger.url)
  await remember('after')
  const code = await notes.code(browser, { state: 'CANARY-state', nonce: 'CANARY-nonce' })
  secrets.set('code', code)
  const first = (await (await notes.exchange(code)).json()) as Tokens
  secrets.set('application token', first.access_token)
  secrets.set('refresh token', first.refresh_token)
  secrets.set('ID token', first.id_token)
  const second = (await (await notes.refresh(first.refresh_token, { scope: 'openid' })).json()) as Tokens
  secrets.set('next refresh token', second.refresh_token)
  await notes.introspect(second.access_token)
  await notes.userinfo(second.access_token)
  await notes.userinfo('CANARY-bearer')
  await notes.refresh('CANARY-refresh-token')
  await notes.exchange('CANARY-code')
  await notes.exchange(code)
  await new Client(server.url, 'notes', 'CANARY-client-secret', notes.redirectUri).refresh(second.refresh_token)
  await notes.send('/oauth/token?access_token=CANARY-query&code=CANARY-query', { grant_type: 'CANARY' })
  await browser.get('/dashboard?password=CANARY-query', { authorization: 'Basic CANARY', 'x-api-key': 'CANARY-header' })
  await browser.get('/oauth/authorize?client_id=nobody&state=CANARY-state')
  await browser.get(`/oauth/logout?id_token_hint=${second.id_token ?? first.id_token}`)
  await browser.post('/login', { login: 'ada', password: ada.password })
  await remember('after signing in again')
  await notes.revoke(second.refresh_token)
  await browser.post('/logout', {})

  const log = JSON.stringify(await lines())
  assert.ok(secrets.size >= 14)
  for (const [name, secret] of secrets) assert.equal(log.includes(secret), false, `${name} is in the log`)
  // Signatures of tokens alone would do as well.
  for (const token of [first.access_token, first.id_token]) {
    assert.equal(log.includes(token.split('.')[2] as string), false)
  }
  assert.doesNotMatch(log, /CANARY/)
})

test('an event has a line with the user, the IP address, the outcome and the id of the request', async () => {
  const browser = new Browser(server.url)
  const refused = await browser.post('/login', { login: 'ada', password: 'wrong' })
  const signedIn = await browser.post('/login', { login: 'ada', password: ada.password })
  const { access_token: token } = await notes.connect(browser)
  const ended = await browser.post(`/families/${claimsOf(token)['fam'] as string}/revocation`, {})
  await notes.connect(browser)
  const disconnected = await browser.post('/apps/notes/disconnection', {})
  const others = new Browser(server.url)
  await others.signIn(ada)
  const elsewhere = await browser.post('/sessions/revocation', {})
  const signedOut = await browser.post('/logout', {})

  const all = await lines()
  for (const [response, event, status, cause] of [
    [refused, 'sign_in_refused', 401],
    [signedIn, 'signed_in', 303],
    [ended, 'family_ended', 303, 'ended_by_person'],
    [disconnected, 'family_ended', 303, 'disconnected'],
    [elsewhere, 'session_ended', 303, 'other_sign_ins_ended'],
    [signedOut, 'signed_out', 303, 'signed_out'],
  ] as const) {
    const requestId = response.headers.get('x-request-id')
    const own = all.filter((line) => line['requestId'] === requestId)
    const request = own.find((line) => line['msg'] === 'request')
    const [happened, ...more] = own.filter((line) => line !== request)
    assert.equal(request?.['status'], status)
    assert.match(String(request?.['time']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    assert.equal(happened?.['event'], event)
    assert.equal(happened['cause'], cause)
    assert.deepEqual(more, [], 'one act is one line')
    assert.equal(happened['address'], request?.['address'])
    if (event !== 'sign_in_refused') assert.equal(happened['identityId'], identityId)
  }
})

test('nothing a browser sends can write a line of its own', async () => {
  const before = (await lines()).length
  const trick = 'x\\n{"level":"info","msg":"forged"}'
  const { host } = new URL(server.url)
  const path = `/${encodeURIComponent('x\n{"level":"info","msg":"forged"}\u001b[2J')}?x=\u007f`
  await send(portOf(server.url), {
    path: encodeURI(decodeURI(path)),
    headers: { host, 'user-agent': `${trick}\t\u009b[2J` },
  })
  const browser = new Browser(server.url)
  await browser.post(
    '/login',
    { login: 'ada', password: ada.password },
    { 'user-agent': trick, 'x-request-id': trick, 'x-forwarded-for': trick },
  )
  const all = await lines()
  // Two requests, one event, and the request that asked for the log before.
  assert.ok(all.length - before <= 5)
  assert.equal(
    all.some((line) => line['msg'] === 'forged'),
    false,
  )
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  assert.doesNotMatch(server.log().replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f]/)
})

test('paths are cut and never carry a query', async () => {
  const { host } = new URL(server.url)
  await send(portOf(server.url), { path: `/${'a'.repeat(5000)}?secret=CANARY`, headers: { host } })
  const paths = (await lines()).map((line) => line['path']).filter((path) => typeof path === 'string')
  assert.ok(paths.every((path) => path.length <= 200 && !path.includes('?')))
})

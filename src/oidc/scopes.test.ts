import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AppRow, changeApp, findApp } from '../domain/apps/apps.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { jsonIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const OFFLINE = 'openid offline_access'

let server: TestServer
let browser: Browser
let notes: Client
let backup: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada, { roles: ['editor', 'reader'] })
  const settings = { ...notesApp, name: 'Backup', allowOffline: true }
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  backup = new Client(server.url, 'backup', await server.addApp('backup', settings), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** The scopes that the log says were refused, of the newest request that had some. */
function refused(): string[] {
  const line =
    server
      .log()
      .split('\n')
      .findLast((each) => each.includes('scopes refused')) ?? '{}'
  return (JSON.parse(line) as { refused: string[] }).refused
}

test('an app that may go on offline is granted that without a question, and is told so', async () => {
  const tokens = await backup.connect(browser, { scope: OFFLINE })
  assert.equal(tokens.scope, OFFLINE)
  assert.equal(claimsOf(tokens.access_token)['scope'], OFFLINE)
  // What it asked for outlasts the sign-in, and what it did not ask for does not.
  const plain = await backup.connect(browser)
  await browser.post('/logout', {})
  await tokensIn(await backup.refresh(tokens.refresh_token))
  assert.equal((await backup.refresh(plain.refresh_token)).status, 400)
  await browser.signIn(ada)
})

test('it is granted to a pushed request too, and after a sign-in on the way', async () => {
  const params = Object.fromEntries(new URL(backup.authorizeUrl({ scope: OFFLINE })).searchParams)
  const { request_uri: uri } = await jsonIn(await backup.send('/oauth/par', params))
  const query = new URLSearchParams({ client_id: 'backup', request_uri: uri as string })
  const { url } = await browser.follow(await browser.get(`/oauth/authorize?${query}`))
  const code = new URL(url).searchParams.get('code') ?? ''
  assert.equal((await tokensIn(await backup.exchange(code))).scope, OFFLINE)

  const stranger = new Browser(server.url)
  const asked = backup.authorizeUrl({ scope: OFFLINE })
  const { url: page } = await stranger.follow(await stranger.get(asked))
  const fields = { login: ada.username, password: ada.password, return_to: page.slice(server.url.length) }
  const back = await stranger.follow(await stranger.post('/login', fields))
  const other = new URL(back.url).searchParams.get('code') ?? ''
  assert.equal((await tokensIn(await backup.exchange(other))).scope, OFFLINE)
})

test('an app that may not is told what it got, and the log names what it did not get', async () => {
  const tokens = await notes.connect(browser, { scope: `${OFFLINE} notes:write email` })
  assert.equal(tokens.scope, 'openid email')
  assert.deepEqual(refused(), ['offline_access', 'notes:write'])
})

test('an app gets and loses the right with a setting', async () => {
  const app = async () => (await findApp(server.services, 'backup')) as AppRow
  await changeApp(server.services, await app(), { allowOffline: false })
  assert.equal((await backup.connect(browser, { scope: OFFLINE })).scope, 'openid')
  await changeApp(server.services, await app(), { allowOffline: true })
  assert.equal((await backup.connect(browser, { scope: OFFLINE })).scope, OFFLINE)
  await assert.rejects(changeApp(server.services, await app(), { scope: 'openid' }), /--offline needs offline_access/)
})

test('an app that asks for no scope learns who signed in', async () => {
  for (const scope of [null, '']) {
    const tokens = await notes.connect(browser, { scope, nonce: null })
    assert.equal(tokens.scope, 'openid')
    assert.equal(claimsOf(tokens.id_token)['email'], undefined)
  }
  const params = new URL(notes.authorizeUrl({ scope: null, nonce: null })).searchParams
  const { request_uri: uri } = await jsonIn(await notes.send('/oauth/par', Object.fromEntries(params)))
  const query = new URLSearchParams({ client_id: 'notes', request_uri: uri as string })
  const { url } = await browser.follow(await browser.get(`/oauth/authorize?${query}`))
  assert.ok(new URL(url).searchParams.get('code'), url)
  // With what only openid has, the library says so before.
  const withNonce = await browser.follow(await browser.get(notes.authorizeUrl({ scope: null })))
  assert.match(new URL(withNonce.url).searchParams.get('error_description') ?? '', /openid scope must be requested/)
})

test('the roles scope puts the roles of the person into the ID token and userinfo, and nothing else does', async () => {
  const claims = JSON.stringify({ id_token: { roles: null }, userinfo: { roles: { essential: true } } })
  // The first is answered without the library, the others by it.
  for (const [change, isTold] of [
    [{ scope: 'openid roles' }, true],
    [{ scope: 'openid roles', max_age: '1000' }, true],
    [{ scope: 'openid', claims }, true],
    [{ scope: 'openid profile' }, false],
  ] as const) {
    const tokens = await notes.connect(browser, change)
    const expected = isTold ? ['editor', 'reader'] : undefined
    assert.deepEqual(claimsOf(tokens.id_token)['roles'], expected, JSON.stringify(change))
    assert.deepEqual(claimsOf(tokens.access_token)['roles'], ['editor', 'reader'])
    for (const headers of [undefined, { authorization: `bearer ${tokens.access_token}` }]) {
      assert.deepEqual(
        (await jsonIn(await notes.userinfo(tokens.access_token, headers)))['roles'],
        expected,
        `${JSON.stringify(change)} ${JSON.stringify(headers)}`,
      )
    }
  }
  const told = await jsonIn(await fetch(`${server.url}/.well-known/openid-configuration`))
  assert.ok((told['scopes_supported'] as string[]).includes('roles'))
  assert.ok((told['claims_supported'] as string[]).includes('roles'))
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada, { emailVerified: true })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

for (const [scope, claims] of Object.entries({
  openid: ['sub'],
  'openid profile': ['name', 'preferred_username', 'sub', 'updated_at'],
  'openid email': ['email', 'email_verified', 'sub'],
  'openid profile email address phone offline_access': [
    'email',
    'email_verified',
    'name',
    'preferred_username',
    'sub',
    'updated_at',
  ],
})) {
  test(`an app with ${scope} reads ${claims.join(', ')}`, async () => {
    const { access_token: token } = await notes.connect(browser, { scope })
    const response = await notes.userinfo(token)
    const told = (await response.json()) as Record<string, unknown>
    assert.deepEqual(Object.keys(told).toSorted(), claims)
    assert.equal(told['sub'], adasId)
    if ('email' in told) assert.deepEqual([told['email'], told['email_verified']], [ada.email, true])
    assert.match(response.headers.get('cache-control') ?? '', /no-store/)
  })
}

test('an app that asks for what no account has gets the rest', async () => {
  const claims = JSON.stringify({ userinfo: { address: null, phone_number: { essential: true }, email: null } })
  const changes: Record<string, string>[] = [
    { scope: 'openid email address phone' },
    { scope: 'openid address phone', claims },
    { scope: 'openid email phone', max_age: '1000' },
  ]
  for (const change of changes) {
    const tokens = await notes.connect(browser, change)
    const told = (await (await notes.userinfo(tokens.access_token)).json()) as object
    assert.deepEqual(
      Object.keys(told)
        .filter((name) => name !== 'email_verified')
        .toSorted(),
      ['email', 'sub'],
    )
  }
})

test('an application token of a refresh that asked for less reads less', async () => {
  const { refresh_token: token } = await notes.connect(browser)
  const less = await tokensIn(await notes.refresh(token, { scope: 'openid email' }))
  const told = (await (await notes.userinfo(less.access_token)).json()) as object
  assert.deepEqual(Object.keys(told).toSorted(), ['email', 'email_verified', 'sub'])
})

test('an application token without openid reads nothing', async () => {
  const { refresh_token: token } = await notes.connect(browser)
  const less = await tokensIn(await notes.refresh(token, { scope: 'profile' }))
  const response = await notes.userinfo(less.access_token)
  assert.equal(response.status, 403)
  assert.match(response.headers.get('www-authenticate') ?? '', /insufficient_scope/)
})

test('an application token opens nothing at the moment its family has ended', async () => {
  const { access_token: token, refresh_token: refreshToken } = await notes.connect(browser)
  assert.equal((await notes.userinfo(token)).status, 200)
  await notes.revoke(refreshToken)
  const response = await notes.userinfo(token)
  assert.equal(response.status, 401)
  assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/)
})

test('no token, and a token that is none, are refused in the words of the standard', async () => {
  const none = await fetch(`${server.url}/oauth/userinfo`)
  assert.ok([400, 401].includes(none.status))
  const bad = await notes.userinfo('nonsense')
  assert.equal(bad.status, 401)
  assert.match(bad.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/)
  assert.equal((await bad.text()).includes('nonsense'), false)
})

test('a token in the address is refused, and never echoed', async () => {
  const { access_token: token } = await notes.connect(browser)
  const response = await fetch(`${server.url}/oauth/userinfo?access_token=${token}`)
  assert.equal(response.status, 400)
  assert.equal((await response.text()).includes(token), false)
  assert.equal(server.log().includes(token), false)
})

test('a token may come in a form, but not twice', async () => {
  const { access_token: token } = await notes.connect(browser)
  const post = (headers: Record<string, string>) =>
    fetch(`${server.url}/oauth/userinfo`, {
      method: 'POST',
      body: new URLSearchParams({ access_token: token }),
      headers,
    })
  assert.equal((await post({})).status, 200)
  assert.equal((await post({ authorization: `Bearer ${token}` })).status, 400)
})

for (const authorization of [
  'Basic bm90ZXM6eA==',
  'Bearer',
  'Bearer ',
  'Bearer a b',
  'bearer',
  'Token x',
  'DPoP x',
  '\u00ff',
]) {
  test(`an Authorization header like ${JSON.stringify(authorization)} opens nothing`, async () => {
    const response = await fetch(`${server.url}/oauth/userinfo`, { headers: { authorization } })
    assert.ok(response.status === 400 || response.status === 401, String(response.status))
  })
}

test('the identity cookie opens nothing here', async () => {
  const response = await browser.get('/oauth/userinfo')
  assert.ok([400, 401].includes(response.status))
})

test('a script of any site may read it with a token, and without cookies', async () => {
  const { access_token: token } = await photos.connect(browser)
  const response = await photos.userinfo(token, { origin: 'https://photos.example.test' })
  assert.ok(['*', 'https://photos.example.test'].includes(response.headers.get('access-control-allow-origin') ?? ''))
  assert.equal(response.headers.get('access-control-allow-credentials'), null)
})

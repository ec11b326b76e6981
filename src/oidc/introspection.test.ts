import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { changeRoles, disableIdentity } from '../domain/identities/identities.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const INACTIVE = { active: false }
const clock = createClock()

let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let notesApi: Client
let photos: Client
let papers: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada)
  const add = async (id: string, settings: typeof notesApp) =>
    new Client(server.url, id, await server.addApp(id, settings), settings.redirectUris[0] as string)
  notes = await add('notes', notesApp)
  notesApi = await add('notes-api', { ...notesApp, name: 'Notes API' })
  photos = await add('photos', photosApp)
  papers = await add('papers', { ...notesApp, name: 'Papers', audience: 'papers' })
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

test('an app learns everything about its own application token', async () => {
  const { access_token: token } = await notes.connect(browser)
  const told: Record<string, unknown> = await notes.introspect(token)
  assert.equal(told['sub'], adasId)
  assert.deepEqual(told, { active: true, ...claimsOf(token), token_type: 'Bearer' })
})

test('a token whose roles have changed is inactive until the next refresh', async () => {
  const tokens = await notes.connect(browser)
  assert.equal((await notes.introspect(tokens.access_token))['active'], true)
  await changeRoles(server.services, adasId, ['editor'])
  assert.deepEqual(await notes.introspect(tokens.access_token), { ...INACTIVE, reason: 'claims_changed' })
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)

  const renewed = await tokensIn(await notes.refresh(tokens.refresh_token))
  const { active, roles } = await notes.introspect(renewed.access_token)
  assert.deepEqual({ active, roles }, { active: true, roles: ['editor'] })
  assert.equal((await notes.userinfo(renewed.access_token)).status, 200)
  assert.deepEqual(claimsOf((await notes.connect(browser)).access_token)['roles'], ['editor'])
})

test('an API learns everything about an application token made for its audience', async () => {
  const { access_token: token } = await notes.connect(browser)
  assert.equal((await notesApi.introspect(token))['client_id'], 'notes')
})

test('an app learns of its refresh token that it is active, and until when', async () => {
  const { refresh_token: token } = await notes.connect(browser)
  const told = await notes.introspect(token)
  assert.equal(told['active'], true)
  assert.equal(told['client_id'], 'notes')
  assert.equal(told['sub'], adasId)
  assert.equal(told['scope'], 'openid profile email')
  assert.ok((told['exp'] as number) > clock().getTime() / 1000)
  assert.equal(JSON.stringify(told).includes(token), false)
})

test('looking at a refresh token does not use it', async () => {
  const { refresh_token: token } = await notes.connect(browser)
  for (let round = 0; round < 3; round++) assert.equal((await notes.introspect(token))['active'], true)
  await tokensIn(await notes.refresh(token))
})

test('of a token of a stranger an app learns nothing, not even that it exists', async () => {
  const tokens = await notes.connect(browser)
  const theirs = await photos.connect(browser)
  assert.deepEqual(await papers.introspect(tokens.access_token), INACTIVE)
  assert.deepEqual(await papers.introspect(tokens.refresh_token), INACTIVE)
  assert.deepEqual(await notesApi.introspect(tokens.refresh_token), INACTIVE)
  assert.deepEqual(await notes.introspect(theirs.access_token), INACTIVE)
  assert.deepEqual(await photos.introspect(tokens.access_token), INACTIVE)
})

test('a hint about the type changes nothing', async () => {
  const tokens = await notes.connect(browser)
  for (const hint of ['access_token', 'refresh_token', 'nonsense', '__proto__']) {
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      const response = await notes.send('/oauth/introspect', { token, token_type_hint: hint })
      assert.equal(((await response.json()) as { active: boolean }).active, true, hint)
    }
  }
})

for (const [what, token] of Object.entries({
  garbage: 'garbage',
  'something like a JWT': 'a.b.c',
  'five thousand characters': 'x'.repeat(5000),
  NUL: '\0',
  'a word of the language': '__proto__',
  'two dots': '..',
})) {
  test(`${what} is not an active token`, async () => {
    assert.deepEqual(await notes.introspect(token), INACTIVE)
  })
}

test('tokens of a family that has ended are inactive at once, however it ended', async () => {
  const hers = new Browser(server.url)
  const gracesId = await server.addIdentity(grace)
  await hers.signIn(grace)
  const endings: Record<string, [reason: string, end: (tokens: Tokens) => Promise<unknown>]> = {
    'the app revoked it': ['family_ended', (tokens) => notes.revoke(tokens.refresh_token)],
    'the person disconnected the app': ['family_ended', () => hers.post('/apps/notes/disconnection', {})],
    'the person signed out': [
      'family_ended',
      async () => {
        await hers.post('/logout', {})
        await hers.signIn(grace)
      },
    ],
    'its identity was disabled': ['identity_disabled', () => disableIdentity(server.services, gracesId)],
  }
  for (const [what, [reason, end]] of Object.entries(endings)) {
    const first = await notes.connect(hers)
    const tokens = { ...first, ...(await tokensIn(await notes.refresh(first.refresh_token))) }
    assert.equal((await notes.introspect(tokens.access_token))['active'], true, what)
    await end(tokens)
    for (const token of [first.access_token, tokens.access_token]) {
      assert.deepEqual(await notes.introspect(token), { ...INACTIVE, reason }, what)
    }
    assert.deepEqual(await notes.introspect(tokens.refresh_token), INACTIVE, what)
    assert.deepEqual(await notesApi.introspect(tokens.access_token), { ...INACTIVE, reason }, what)
    assert.deepEqual(await papers.introspect(tokens.access_token), INACTIVE, what)
  }
})

test('an application token is inactive once it has expired, and a refresh token once it has been replaced for good', async () => {
  const first = await notes.connect(browser)
  const second = await tokensIn(await notes.refresh(first.refresh_token))
  await notes.refresh(second.refresh_token)
  clock.advance(31)
  assert.deepEqual(await notes.introspect(first.refresh_token), INACTIVE)
  assert.equal((await notes.introspect(first.access_token))['active'], true)
  clock.advance(270)
  assert.deepEqual(await notes.introspect(first.access_token), { ...INACTIVE, reason: 'expired' })
})

test('an unauthenticated client learns nothing', async () => {
  const { access_token: token } = await notes.connect(browser)
  for (const [client, statuses] of [
    [new Client(server.url, 'notes', 'wrong', CALLBACK), [401]],
    [new Client(server.url, 'notes', null, CALLBACK), [400, 401]],
    [new Client(server.url, 'nope', null, CALLBACK), [400, 401]],
  ] as const) {
    const problem = await problemIn(await client.send('/oauth/introspect', { token }))
    assert.ok((statuses as readonly number[]).includes(problem.status))
    assert.equal(problem.error, 'invalid_client')
  }
})

test('introspection responses are not cached', async () => {
  const { access_token: token } = await notes.connect(browser)
  const response = await notes.send('/oauth/introspect', { token })
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
})

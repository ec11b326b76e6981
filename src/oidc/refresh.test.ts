import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AppRow, type AppSettings, changeApp, disableApp, enableApp, findApp } from '../domain/apps/apps.ts'
import { disableIdentity, enableIdentity, revokeEverything } from '../domain/identities/identities.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createClock()

let server: TestServer
let notes: Client
let photos: Client
let browser: Browser

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada, { roles: ['editor'] })
  notes = await addNotes('notes')
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** An app like Notes, with settings of its own. */
async function addNotes(id: string, settings: Partial<AppSettings> = {}): Promise<Client> {
  return new Client(server.url, id, await server.addApp(id, { ...notesApp, ...settings }), CALLBACK)
}

async function refreshed(client: Client, token: string): Promise<Tokens> {
  return tokensIn(await client.refresh(token))
}

/** Why a refresh was refused; whatever the reason, it is one answer with words and a word for programs. */
async function reasonOf(client: Client, token: string): Promise<string | undefined> {
  const response = await client.refresh(token)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const problem = await problemIn(response)
  assert.deepEqual([problem.status, problem.error], [400, 'invalid_grant'])
  assert.ok((problem.error_description ?? '').length > 10)
  return problem.reason
}

async function assertLiving(client: Client, tokens: Tokens): Promise<void> {
  assert.equal((await client.userinfo(tokens.access_token)).status, 200)
  await refreshed(client, tokens.refresh_token)
}

test('a refresh gives a new application token and the next refresh token of the same family', async () => {
  const first = await notes.connect(browser)
  const response = await notes.refresh(first.refresh_token)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const second = await tokensIn(response)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal(second.token_type, 'Bearer')
  assert.equal(second.expires_in, 300)
  assert.equal(second.scope, first.scope)
  const [before, now] = [claimsOf(first.access_token), claimsOf(second.access_token)]
  assert.equal(now['fam'], before['fam'])
  assert.equal(now['sub'], before['sub'])
  assert.deepEqual(now['roles'], ['editor'])
  assert.notEqual(now['jti'], before['jti'])
})

test('an application token from a refresh says what one from a code says', async () => {
  const first = await notes.connect(browser)
  const second = await refreshed(notes, first.refresh_token)
  assert.deepEqual(Object.keys(claimsOf(second.access_token)), Object.keys(claimsOf(first.access_token)))
  assert.equal(second.access_token.split('.')[0], first.access_token.split('.')[0])
})

test('of twenty callers with one refresh token all get the same successor, and the family moves by one', async () => {
  const { refresh_token: token, access_token: applicationToken } = await notes.connect(browser)
  const answers = await Promise.all(Array.from({ length: 20 }, () => notes.refresh(token)))
  const bodies = await Promise.all(answers.map((answer) => tokensIn(answer)))
  assert.equal(new Set(bodies.map((body) => body.refresh_token)).size, 1)
  await refreshed(notes, bodies[0]?.refresh_token as string)
  assert.equal((await notes.introspect(applicationToken))['active'], true)
})

test('ten callers at once and another three seconds later leave a family whose newest token works', async () => {
  for (const client of [notes, photos]) {
    const { refresh_token: token } = await client.connect(browser)
    await Promise.all(Array.from({ length: 10 }, () => client.refresh(token)))
    clock.advance(3)
    await assertLiving(client, await refreshed(client, token))
  }
})

test('an app whose answer was lost asks again and gets the same successor, as often as it takes', async () => {
  let { refresh_token: token } = await notes.connect(browser)
  for (let round = 0; round < 20; round++) {
    const lost = await refreshed(notes, token)
    clock.advance(10)
    const { refresh_token: again } = await refreshed(notes, token)
    assert.equal(again, lost.refresh_token)
    token = again
  }
})

test('a refresh token is replaced on each use, of confidential and of public apps', async () => {
  for (const client of [notes, photos]) {
    const seen = new Set<string>()
    let tokens = await client.connect(browser)
    for (let round = 0; round < 5; round++) {
      seen.add(tokens.refresh_token)
      tokens = await refreshed(client, tokens.refresh_token)
    }
    assert.equal(seen.size, 5)
    assert.equal(seen.has(tokens.refresh_token), false)
  }
})

test('a refresh token used after its grace ends the family, and no other of the same person', async () => {
  const other = await photos.connect(browser)
  const first = await photos.connect(browser)
  const second = await refreshed(photos, first.refresh_token)
  clock.advance(31)
  assert.equal(await reasonOf(photos, first.refresh_token), 'reused')
  assert.equal(await reasonOf(photos, second.refresh_token), 'reused')
  assert.equal((await photos.userinfo(second.access_token)).status, 401)
  await assertLiving(photos, other)
})

test('an app that proves itself gets a lost answer again after a week, unless it has used what came of it', async () => {
  const lost = await notes.connect(browser)
  await refreshed(notes, lost.refresh_token)
  clock.advance(7 * 86_400 - 1)
  const second = await refreshed(notes, lost.refresh_token)
  assert.equal((await notes.introspect(lost.refresh_token))['active'], true)
  const third = await refreshed(notes, second.refresh_token)
  clock.advance(31)
  assert.equal((await notes.introspect(lost.refresh_token))['active'], false)
  assert.equal(await reasonOf(notes, lost.refresh_token), 'reused')
  assert.equal(await reasonOf(notes, third.refresh_token), 'reused')
})

test('a refresh token two generations old gets the current one inside the grace window', async () => {
  for (const client of [notes, photos]) {
    const first = await client.connect(browser)
    const second = await refreshed(client, first.refresh_token)
    const third = await refreshed(client, second.refresh_token)
    assert.equal((await client.introspect(first.refresh_token))['active'], true)
    assert.equal((await refreshed(client, first.refresh_token)).refresh_token, third.refresh_token)
    await assertLiving(client, third)
  }
})

test('the person reads that a refresh token was used twice', async () => {
  const first = await photos.connect(browser)
  await refreshed(photos, first.refresh_token)
  clock.advance(31)
  await photos.refresh(first.refresh_token)
  const response = await browser.get('/activity')
  assert.match(await response.text(), /Signed out of Photos: a key that had been replaced was used again/)
})

test('the grace window is open for as long as it is, to the second', async () => {
  const first = await photos.connect(browser)
  await refreshed(photos, first.refresh_token)
  clock.advance(29)
  await refreshed(photos, first.refresh_token)
  clock.advance(2)
  assert.equal(await reasonOf(photos, first.refresh_token), 'reused')
})

test('an app with a grace window of its own keeps to it', async () => {
  const patient = await addNotes('patient', { rotationGrace: 300, rotationGraceProven: 0 })
  const first = await patient.connect(browser)
  await refreshed(patient, first.refresh_token)
  clock.advance(299)
  await refreshed(patient, first.refresh_token)
  clock.advance(2)
  assert.equal(await reasonOf(patient, first.refresh_token), 'reused')
})

test('without a grace window a double click is refused but ends nothing, and anything later ends the family', async () => {
  const strict = await addNotes('strict', { rotationGrace: 0 })
  const first = await strict.connect(browser)
  const second = await refreshed(strict, first.refresh_token)
  assert.equal(await reasonOf(strict, first.refresh_token), 'reused')
  const third = await refreshed(strict, second.refresh_token)
  clock.advance(3)
  assert.equal(await reasonOf(strict, second.refresh_token), 'reused')
  assert.equal(await reasonOf(strict, third.refresh_token), 'reused')
})

test('a family that is refreshed all the time ends when it is as old as it may be', async () => {
  const brief = await addNotes('brief', { familyIdle: 20, familyMax: 60, rotationGrace: 0 })
  let { refresh_token: token } = await brief.connect(browser)
  for (let age = 5; age < 60; age += 5) {
    clock.advance(5)
    ;({ refresh_token: token } = await refreshed(brief, token))
  }
  clock.advance(5)
  assert.equal(await reasonOf(brief, token), 'expired')
})

test('an unused family ends when its idle time is over', async () => {
  const idle = await addNotes('idle', { familyIdle: 20, familyMax: 60 })
  const { refresh_token: token, access_token: applicationToken } = await idle.connect(browser)
  clock.advance(25)
  assert.equal(await reasonOf(idle, token), 'expired')
  assert.equal((await idle.userinfo(applicationToken)).status, 401)
})

test('an app with a life of its own for application tokens gets it, from a code and from a refresh', async () => {
  const swift = await addNotes('swift', { applicationTokenTtl: 60 })
  const first = await swift.connect(browser)
  const second = await refreshed(swift, first.refresh_token)
  for (const tokens of [first, second]) {
    const { iat, exp } = claimsOf(tokens.access_token) as { iat: number; exp: number }
    assert.deepEqual([exp - iat, tokens.expires_in], [60, 60])
  }
})

for (const [what, spoil] of Object.entries<(token: string) => string>({
  'nothing like one': () => 'garbage',
  'a changed character': (token) => token.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A')),
  'a changed tag': (token) => token.replace(/.$/, (letter) => (letter === 'A' ? 'E' : 'A')),
  'a character more': (token) => `${token}A`,
  'a character less': (token) => token.slice(0, -1),
  'a padding': (token) => `${token}=`,
  'a blank': (token) => `${token} `,
  'the same bytes in other letters': (token) => token.replaceAll('-', '+').replaceAll('_', '/'),
  'an ID token': () => 'eyJhbGciOiJFUzI1NiJ9.e30.AAAA',
  'five thousand characters': () => 'A'.repeat(5000),
})) {
  test(`a refresh token with ${what} is unknown, and ends no family`, async () => {
    const tokens = await notes.connect(browser)
    const spoiled = spoil(tokens.refresh_token)
    if (spoiled !== tokens.refresh_token) assert.equal(await reasonOf(notes, spoiled), 'unknown')
    await assertLiving(notes, tokens)
  })
}

test('a refresh token of another app is unknown, and still works for its own', async () => {
  const papers = await addNotes('papers')
  const tokens = await notes.connect(browser)
  const old = tokens.refresh_token
  const next = await refreshed(notes, old)
  clock.advance(31)
  for (const thief of [papers, photos]) {
    for (const token of [old, next.refresh_token]) assert.equal(await reasonOf(thief, token), 'unknown')
  }
  await assertLiving(notes, await refreshed(notes, next.refresh_token))
})

test('an unauthenticated app refreshes nothing and burns nothing', async () => {
  const tokens = await notes.connect(browser)
  for (const thief of [
    new Client(server.url, 'notes', 'wrong', CALLBACK),
    new Client(server.url, 'notes', null, CALLBACK),
    new Client(server.url, 'nope', 'wrong', CALLBACK),
  ]) {
    const problem = await problemIn(await thief.refresh(tokens.refresh_token))
    assert.ok([400, 401].includes(problem.status))
    assert.equal(problem.reason, undefined)
  }
  await assertLiving(notes, tokens)
})

for (const [what, change, error] of [
  ['a scope more', { scope: 'openid profile phone' }, 'invalid_scope'],
  ['an unknown scope', { scope: 'openid admin:all' }, 'invalid_scope'],
  ['a malformed scope', { scope: 'openid  profile' }, 'invalid_scope'],
  ['an empty scope', { scope: ' ' }, 'invalid_scope'],
  ['a scope with NUL', { scope: 'open\0id' }, 'invalid_scope'],
  ['another resource', { resource: 'https://photos.example.test/api' }, 'invalid_target'],
  ['a resource with NUL', { resource: '\0' }, 'invalid_target'],
] as const) {
  test(`a refresh that asks for ${what} is refused and does not burn the token`, async () => {
    const tokens = await notes.connect(browser)
    const problem = await problemIn(await notes.refresh(tokens.refresh_token, change))
    assert.deepEqual([problem.status, problem.error], [400, error])
    assert.equal(claimsOf((await refreshed(notes, tokens.refresh_token)).access_token)['scope'], 'openid profile email')
    assert.equal((await problemIn(await notes.refresh(tokens.refresh_token, change))).error, error)
    await assertLiving(notes, tokens)
  })
}

test('a refresh may ask for less, and for everything again the next time', async () => {
  const first = await notes.connect(browser)
  const response = await notes.refresh(first.refresh_token, {
    scope: 'profile',
    resource: 'urn:gatehouse:audience:notes',
  })
  const less = await tokensIn(response)
  assert.equal(less.scope, 'profile')
  assert.equal(claimsOf(less.access_token)['scope'], 'profile')
  assert.equal((await refreshed(notes, less.refresh_token)).scope, 'openid profile email')
})

test('a refresh gives an ID token only to an app that names openid, and it speaks of the same sign-in', async () => {
  const first = await notes.connect(browser)
  const plain = await refreshed(notes, first.refresh_token)
  assert.equal(plain.id_token, undefined)
  const { id_token: idToken } = await tokensIn(await notes.refresh(plain.refresh_token, { scope: 'openid email' }))
  const [then, now] = [claimsOf(first.id_token), claimsOf(idToken)]
  for (const claim of ['iss', 'sub', 'aud', 'auth_time', 'acr', 'sid']) assert.deepEqual(now[claim], then[claim], claim)
  assert.equal(now['nonce'], undefined)
})

test('an app that is registered for it gets an ID token with every refresh, of the same sign-in and without its nonce', async () => {
  const change = async (refreshIdToken: boolean) =>
    changeApp(server.services, (await findApp(server.services, 'notes')) as AppRow, { refreshIdToken })
  const claims = JSON.stringify({ id_token: { email: null } })
  await change(true)
  // The first is answered without the library; the others by it, because of what they ask for.
  for (const [asked, more] of [
    [{}, {}],
    [{}, { resource: 'urn:gatehouse:audience:notes' }],
    [{ claims }, {}],
  ] as const) {
    const first = await notes.connect(browser, asked)
    const before = claimsOf(first.id_token)
    clock.advance(20)
    const next = await tokensIn(await notes.refresh(first.refresh_token, more))
    const { nonce: _n, at_hash: _h, iat, exp, ...rest } = before
    const { at_hash: _i, iat: later, exp: until, ...said } = claimsOf(next.id_token)
    assert.deepEqual(said, rest)
    assert.equal(Number(until) - Number(later), Number(exp) - Number(iat))
    assert.ok(Number(later) >= Number(iat))
    // The grace window gives the same.
    assert.equal(
      claimsOf((await tokensIn(await notes.refresh(first.refresh_token, more))).id_token)['sub'],
      rest['sub'],
    )
    const less = await tokensIn(await notes.refresh(next.refresh_token, { scope: 'email' }))
    assert.equal(less.id_token, undefined)
  }
  const bare = await notes.connect(browser, { scope: 'email', nonce: null })
  assert.equal((await tokensIn(await notes.refresh(bare.refresh_token))).id_token, undefined)
  await change(false)
  const { refresh_token: token } = await notes.connect(browser)
  assert.equal((await tokensIn(await notes.refresh(token))).id_token, undefined)
})

test('a disabled identity refreshes nothing, from the very next request, and not after it is enabled again', async () => {
  const id = await server.addIdentity(grace)
  const hers = new Browser(server.url)
  await hers.signIn(grace)
  const tokens = await notes.connect(hers)
  await disableIdentity(server.services, id)
  assert.equal(await reasonOf(notes, tokens.refresh_token), 'identity_disabled')
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  await enableIdentity(server.services, id)
  assert.equal(await reasonOf(notes, tokens.refresh_token), 'identity_disabled')

  await hers.signIn(grace)
  const anew = await notes.connect(hers)
  await revokeEverything(server.services, id)
  assert.equal(await reasonOf(notes, anew.refresh_token), 'revoked')
  assert.equal((await notes.userinfo(anew.access_token)).status, 401)
})

test('a disabled app is told so when it refreshes, and not after it is enabled again', async () => {
  const shelved = await addNotes('shelved')
  const tokens = await shelved.connect(browser)
  const app = await findApp(server.services, 'shelved')
  assert.ok(app)
  await disableApp(server.services, app)
  assert.equal(await reasonOf(shelved, tokens.refresh_token), 'app_disabled')
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  assert.equal((await problemIn(await shelved.send('/oauth/introspect', { token: 'x' }))).error, 'invalid_client')
  await enableApp(server.services, app)
  assert.equal(await reasonOf(shelved, tokens.refresh_token), 'app_disabled')
  await assertLiving(shelved, await shelved.connect(browser))
})

test('what the person disconnects is revoked', async () => {
  const tokens = await notes.connect(browser)
  const other = await notes.connect(browser)
  const { fam } = claimsOf(tokens.access_token) as { fam: string }
  assert.equal((await browser.post(`/families/${fam}/revocation`, {})).status, 303)
  assert.equal(await reasonOf(notes, tokens.refresh_token), 'revoked')
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  await assertLiving(notes, other)
})

test('a refresh that was refused stays refused: the reason does not change when it is asked again', async () => {
  const tokens = await notes.connect(browser)
  await notes.revoke(tokens.refresh_token)
  for (let round = 0; round < 3; round++) assert.equal(await reasonOf(notes, tokens.refresh_token), 'revoked')
})

test('no refresh token, code or secret is ever written to the log', async () => {
  const tokens = await notes.connect(browser)
  const next = await refreshed(notes, tokens.refresh_token)
  await notes.refresh(`${tokens.refresh_token}x`)
  for (const secret of [tokens.refresh_token, next.refresh_token, next.access_token, tokens.id_token, notes.secret]) {
    assert.equal(server.log().includes(secret as string), false)
  }
  assert.equal(server.log().includes(notes.verifier), false)
})

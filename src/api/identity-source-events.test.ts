import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findSourceUser } from '../domain/identities/source-users.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { type StorageKind } from '../testing/portal/databases.ts'
import { createRunningClock } from '../testing/portal/clock.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { type KeptUser, SOURCE_SECRET, startUserSource, type UserSource } from '../testing/portal/user-source.ts'

const PASSWORD = 'an analytical engine in brass'
const clock = createRunningClock()
let source: UserSource
let server: TestServer
let notes: Client
let count = 0

async function start(kind: StorageKind): Promise<TestServer> {
  const env = { IDENTITY_SOURCE_URL: source.url, IDENTITY_SOURCE_SECRET: SOURCE_SECRET }
  return startTestServer({ kind, clock, env })
}

before(async () => {
  source = await startUserSource(clock)
  server = await start('postgres')
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(async () => {
  await server.close()
  await source.close()
})

async function signedIn(): Promise<{ user: KeptUser; browser: Browser }> {
  const user = source.add({ username: `person${++count}`, password: PASSWORD, roles: ['editor'] })
  const browser = new Browser(server.url)
  await browser.signIn(user)
  return { user, browser }
}

test('a user who the source says is disabled is signed out of everything at once', async () => {
  for (const type of ['disabled', 'deleted']) {
    const { user, browser } = await signedIn()
    const tokens = await notes.connect(browser)
    assert.equal((await source.tell(server.url, [{ id: user.id, type }])).status, 200)
    assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).reason, 'identity_disabled')
    assert.equal((await browser.get('/dashboard')).status, 303)
  }
})

test('an event says only that something has changed; what is so, the source is asked', async () => {
  const { user } = await signedIn()
  user.roles = ['reader']
  const event = { id: user.id, type: 'changed', roles: ['owner'], status: 'disabled' }
  assert.equal((await source.tell(server.url, [event])).status, 200)
  assert.deepEqual((await findSourceUser(server.services, user.id))?.roles, ['reader'])

  await source.tell(server.url, [{ id: user.id, type: 'disabled' }])
  await source.tell(server.url, [{ id: user.id, type: 'enabled' }])
  assert.equal((await findSourceUser(server.services, user.id))?.disabledAt, null)
  user.status = 'disabled'
  await source.tell(server.url, [{ id: user.id, type: 'enabled' }])
  assert.notEqual((await findSourceUser(server.services, user.id))?.disabledAt, null)
})

test('a new password there ends what the old one had opened', async () => {
  const { user, browser } = await signedIn()
  const tokens = await notes.connect(browser)
  await source.tell(server.url, [{ id: user.id, type: 'password_changed' }])
  assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).reason, 'revoked')
  assert.equal((await browser.get('/dashboard')).status, 303)
  await browser.signIn(user)
})

test('only the source is believed, and each request of it once', async () => {
  const { user, browser } = await signedIn()
  const events = [{ id: user.id, type: 'disabled' }]
  const late = new Date(clock().getTime() - 200_000)
  const refused = [
    await source.tell(server.url, events, { secret: 'another secret of some length, wrong' }),
    await source.tell(server.url, events, { now: late }),
    await fetch(`${server.url}/api/identity-source/events`, { method: 'POST', body: JSON.stringify({ events }) }),
    await fetch(`${server.url}/api/identity-source/events`, { method: 'POST' }),
  ]
  for (const response of refused) {
    assert.equal(response.status, 401)
    assert.match(response.headers.get('content-type') ?? '', /json/)
    assert.equal(((await response.json()) as { code: string }).code, 'invalid_signature')
  }
  assert.equal((await browser.get('/dashboard')).status, 200)
  const nonce = 'a-nonce-of-some-length'
  const [first, second] = await Promise.all(
    [0, 1].map(async () => source.tell(server.url, [{ id: 'x', type: 'changed' }], { nonce })),
  )
  assert.deepEqual([first?.status, second?.status].toSorted(), [200, 401])
})

test('a body that says something else is refused', async () => {
  const many = Array.from({ length: 101 }, () => ({ id: 'x', type: 'changed' }))
  const bodies = ['', '[]', 'null', '{"events":{}}', '{', '{"events":[]}', JSON.stringify({ events: many }), '\u0000']
  const wrong = [[{ id: 1, type: 'changed' }], [{ id: 'x', type: 'erased' }], [{ id: '', type: 'changed' }], [null]]
  const unstorable = ['a\0b', '\n', '\ud800'].map((id) => [{ id, type: 'changed' }])
  for (const sent of [...bodies, ...wrong, ...unstorable]) {
    const response = await source.tell(server.url, sent)
    assert.equal(response.status, 400, JSON.stringify(sent))
    assert.equal(((await response.json()) as { code: string }).code, 'malformed')
  }
  const long = await source.tell(server.url, `{"events":"${'x'.repeat(1_100_000)}"}`)
  assert.equal(long.status, 413)
  const read = await fetch(`${server.url}/api/identity-source/events`)
  assert.deepEqual([read.status, read.headers.get('allow')], [405, 'POST, OPTIONS'])
})

test('an event about a user who has never signed in here does nothing', async () => {
  const user = source.add({ username: `person${++count}`, password: PASSWORD })
  source.asked = []
  assert.equal((await source.tell(server.url, [{ id: user.id, type: 'changed' }])).status, 200)
  assert.equal(await findSourceUser(server.services, user.id), null)
})

test('with Redis, a request of the source counts once, too', async () => {
  const other = await start('postgres+redis')
  try {
    const nonce = 'another-nonce-of-some-length'
    const events = [{ id: 'x', type: 'changed' }]
    const statuses = [0, 1].map(async () => (await source.tell(other.url, events, { nonce })).status)
    assert.deepEqual((await Promise.all(statuses)).toSorted(), [200, 401])
  } finally {
    await other.close()
  }
})

test('without a source there is no such endpoint', async () => {
  const plain = await startTestServer({ database: server.database })
  try {
    assert.equal((await source.tell(plain.url, [{ id: 'x', type: 'changed' }])).status, 404)
  } finally {
    await plain.close()
  }
})

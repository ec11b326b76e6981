import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createClock()

let server: TestServer
let browser: Browser
let notes: Client
let papers: Client
let photos: Client

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  papers = new Client(server.url, 'papers', await server.addApp('papers', { ...notesApp, name: 'Papers' }), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

async function assertEnded(client: Client, tokens: Tokens): Promise<void> {
  assert.equal((await client.userinfo(tokens.access_token)).status, 401)
  assert.equal((await problemIn(await client.refresh(tokens.refresh_token))).reason, 'revoked')
}

async function assertLiving(client: Client, tokens: Tokens): Promise<void> {
  assert.equal((await client.userinfo(tokens.access_token)).status, 200)
  await tokensIn(await client.refresh(tokens.refresh_token))
}

test('an app that revokes its refresh token ends the family, and no other of the same person', async () => {
  for (const client of [notes, photos]) {
    const [tokens, other] = [await client.connect(browser), await client.connect(browser)]
    const response = await client.revoke(tokens.refresh_token)
    assert.equal(response.status, 200)
    assert.equal(await response.text(), '')
    await assertEnded(client, tokens)
    await assertLiving(client, other)
  }
})

test('revoking twice is answered like revoking once', async () => {
  const tokens = await notes.connect(browser)
  for (let round = 0; round < 3; round++) assert.equal((await notes.revoke(tokens.refresh_token)).status, 200)
  await assertEnded(notes, tokens)
})

test('ten revocations at once end the family once', async () => {
  const tokens = await notes.connect(browser)
  const answers = await Promise.all(Array.from({ length: 10 }, () => notes.revoke(tokens.refresh_token)))
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200])
  await assertEnded(notes, tokens)
})

test('an app may revoke a family with a replaced refresh token', async () => {
  const first = await notes.connect(browser)
  const second = await tokensIn(await notes.refresh(first.refresh_token))
  clock.advance(100)
  assert.equal((await notes.revoke(first.refresh_token)).status, 200)
  await assertEnded(notes, second)
})

test('another app cannot revoke a refresh token', async () => {
  const tokens = await notes.connect(browser)
  const problem = await problemIn(await papers.revoke(tokens.refresh_token))
  assert.deepEqual([problem.status, problem.error], [400, 'invalid_request'])
  assert.match(problem.error_description ?? '', /not authorized/)
  assert.equal((await photos.revoke(tokens.refresh_token)).status, 200)
  await assertLiving(notes, tokens)
})

test('an unauthenticated client revokes nothing', async () => {
  const tokens = await notes.connect(browser)
  for (const stranger of [
    new Client(server.url, 'notes', 'wrong', CALLBACK),
    new Client(server.url, 'notes', null, CALLBACK),
    new Client(server.url, 'nope', null, CALLBACK),
  ]) {
    assert.ok([400, 401].includes((await stranger.revoke(tokens.refresh_token)).status))
  }
  await assertLiving(notes, tokens)
})

test('an app that revokes an application token ends its family, and no other of the same person', async () => {
  for (const client of [notes, photos]) {
    const [tokens, other] = [await client.connect(browser), await client.connect(browser)]
    for (const hint of ['access_token', 'refresh_token', 'nonsense', null]) {
      const response = await client.send('/oauth/revoke', { token: tokens.access_token, token_type_hint: hint })
      assert.deepEqual([response.status, await response.text()], [200, ''])
    }
    await assertEnded(client, tokens)
    await assertLiving(client, other)
  }
  assert.doesNotMatch(server.log(), /unsupported_token_type/)
})

test('what a success has no content of has no type either', async () => {
  const tokens = await notes.connect(browser)
  for (const token of ['garbage', tokens.access_token, tokens.refresh_token]) {
    const { status, headers } = await notes.revoke(token)
    assert.deepEqual([status, headers.get('content-type'), headers.get('content-length')], [200, null, '0'])
  }
})

test('an application token of another app, of another kind or of the past is answered like garbage, and ends nothing', async () => {
  const tokens = await notes.connect(browser)
  const [header, payload, signature] = tokens.access_token.split('.')
  for (const client of [papers, photos]) assert.equal((await client.revoke(tokens.access_token)).status, 200)
  for (const token of [tokens.id_token, `${header}.${payload}.${signature?.slice(0, -4)}AAAA`, `${header}.${payload}.`])
    assert.equal((await notes.revoke(token)).status, 200)
  const { access_token: old } = tokens
  clock.advance(301)
  assert.equal((await notes.revoke(old)).status, 200)
  await tokensIn(await notes.refresh(tokens.refresh_token))
})

for (const token of ['garbage', 'x'.repeat(5000), '\0', '__proto__', 'A'.repeat(91)]) {
  test(`revoking ${JSON.stringify(token.slice(0, 12))} (${token.length}) is answered as if it had been one`, async () => {
    assert.equal((await notes.revoke(token)).status, 200)
  })
}

test('a code cannot be revoked as if it were a token', async () => {
  const code = await notes.code(browser)
  assert.equal((await notes.revoke(code)).status, 200)
  await assertLiving(notes, await tokensIn(await notes.exchange(code)))
})

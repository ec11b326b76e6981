import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../testing/apps.ts'
import { Browser } from '../testing/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/client.ts'
import { ada } from '../testing/people.ts'
import { startTestServer, type TestServer } from '../testing/server.ts'

let server: TestServer
let notes: Client
let browser: Browser

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada, { roles: ['editor'] })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

test('a refresh gives a new application token and the next refresh token of the same family', async () => {
  const first = await notes.connect(browser)
  const response = await notes.refresh(first.refresh_token)
  assert.equal(response.status, 200)
  const second = (await response.json()) as Tokens
  assert.notEqual(second.refresh_token, first.refresh_token)
  const [before, now] = [claimsOf(first.access_token), claimsOf(second.access_token)]
  assert.equal(now['fam'], before['fam'])
  assert.deepEqual(now['roles'], ['editor'])
  assert.notEqual(now['jti'], before['jti'])
})

test('of twenty callers with one refresh token all get the same successor, and the family moves by one', async () => {
  const { refresh_token: token, access_token: applicationToken } = await notes.connect(browser)
  const answers = await Promise.all(Array.from({ length: 20 }, () => notes.refresh(token)))
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200])
  const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as Tokens[]
  assert.equal(new Set(bodies.map((body) => body.refresh_token)).size, 1)
  assert.equal((await notes.refresh(bodies[0]?.refresh_token as string)).status, 200)
  assert.equal((await notes.introspect(applicationToken))['active'], true)
})

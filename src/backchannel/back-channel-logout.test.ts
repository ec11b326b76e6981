import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { type AppRow, findApp } from '../domain/apps/apps.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import type { NotificationRow } from '../domain/endings/notifications.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { home } from '../testing/portal/connections.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { type Receiver, startReceiver } from '../testing/network/receiver.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { type BackChannelClient, createBackChannelClient } from './http-client.ts'
import { requestOf } from './requests.ts'

const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let adaId: string
let channel: BackChannelClient
let listener: Receiver
let browser: Browser
let notes: Client
let deaf: Client

before(async () => {
  // What is queued stays there until a test looks at it.
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  adaId = await server.addIdentity(ada)
  channel = createBackChannelClient({ allowedNetworks: ['127.0.0.0/8'] })
  listener = await startReceiver({ issuer: server.url, clientId: 'notes' })
  const told = { ...notesApp, backchannelLogoutUri: listener.uri }
  notes = new Client(server.url, 'notes', await server.addApp('notes', told), CALLBACK)
  deaf = new Client(server.url, 'deaf', await server.addApp('deaf', notesApp), CALLBACK)
})
after(async () => {
  channel.close()
  await listener.close()
  await server.close()
})
beforeEach(async () => {
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
afterEach(() => {
  listener.answer = 'right'
  for (const list of [listener.attempts, listener.logouts]) list.length = 0
})

/** What is queued about the family of these tokens. */
async function noticesOf(tokens: Tokens): Promise<NotificationRow[]> {
  const { rows } = await server.services.storage.pool.query<NotificationRow>(
    `SELECT id, kind, client_id AS "clientId", family_id AS "familyId", identity_id AS "identityId", sid, cause,
       happened_at AS "happenedAt" FROM notices WHERE family_id = $1`,
    [claimsOf(tokens.access_token)['fam']],
  )
  return rows
}

async function deliver(notice: NotificationRow): Promise<void> {
  const app = (await findApp(server.services, notice.clientId)) as AppRow
  const request = await requestOf(server.services, notice, app)
  assert.ok(request)
  assert.deepEqual(await channel.post(request.uri, request, request.accepted), { kind: 'accepted', status: 200 })
}

test('an app that is told of endings knows its session by the id that it will be told', async () => {
  // One through the library, and one without it.
  for (const maxAge of [null, '3600']) {
    const tokens = await notes.connect(browser, { nonce: 'a nonce of mine', max_age: maxAge })
    const { sid, sub, nonce } = claimsOf(tokens.id_token)
    assert.deepEqual([sub, nonce], [adaId, 'a nonce of mine'])
    assert.match(sid as string, /^[\w-]{36}$/)

    await endFamilies(server.services, { id: claimsOf(tokens.access_token)['fam'] as string }, 'ended_by_person', home)
    const [notice, ...others] = await noticesOf(tokens)
    assert.deepEqual(others, [])
    await deliver(notice as NotificationRow)
    const [logout] = await listener.waitForLogouts(1)
    assert.deepEqual([logout?.sub, logout?.sid, logout?.jti], [adaId, sid, notice?.id])
    assert.equal('nonce' in (logout ?? {}), false)
    listener.logouts.length = 0
  }
})

test('an app that is told of nothing has no session id, unless it asks for one', async () => {
  assert.equal('sid' in claimsOf((await deaf.connect(browser)).id_token), false)
  const tokens = await deaf.connect(browser, { claims: '{"id_token":{"sid":null}}' })
  assert.equal(claimsOf(tokens.id_token)['sid'], claimsOf(tokens.access_token)['fam'])
})

test('a refreshed ID token speaks of the same session, and a second connection of another', async () => {
  const [first, second] = [await notes.connect(browser), await notes.connect(browser)]
  const refreshed = await notes.refresh(first.refresh_token, { scope: 'openid' })
  const { id_token: again } = (await refreshed.json()) as Tokens
  const sids = [first.id_token, again, second.id_token].map((token) => claimsOf(token)['sid'])
  assert.equal(sids[0], sids[1])
  assert.notEqual(sids[0], sids[2])
})

test('no sign-out waits for an app, and every notification comes from the queue', async () => {
  listener.answer = 'never'
  const tokens = await notes.connect(browser)
  const params = new URLSearchParams({ id_token_hint: tokens.id_token })
  const page = await readPage(await browser.get(`/oauth/logout?${params}`))
  const [form] = page.forms
  assert.ok(form)
  assert.equal((await browser.post(form.action, { ...form.fields, logout: 'yes' })).status, 303)

  const [notice, ...others] = await noticesOf(tokens)
  assert.deepEqual([notice?.kind, others], ['logout', []])
  listener.answer = 'right'
  await deliver(notice as NotificationRow)
  assert.deepEqual([...new Set(listener.attempts.map(({ claims }) => claims.jti))], [notice?.id])
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { blockIp } from '../domain/limits/ip-blocks.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const FREE = 2
const CALLBACK = 'https://notes.example.test/callback'
const WRONG = 'a-secret-it-does-not-have'

let server: TestServer
let secret: string

before(async () => {
  const env = {
    LOGIN_ATTEMPTS_BEFORE_DELAY: String(FREE),
    IP_BLOCK_AFTER: '30',
    LOGIN_DELAY_MAX: '2',
    TRUST_PROXY: '1',
  }
  server = await startTestServer({ env })
  secret = (await server.addApp('notes', notesApp)) as string
  await server.addApp('photos', photosApp)
  await server.addIdentity(ada)
})
after(() => server.close())

type Way = (from: string, secret: string) => Promise<Response>

function send(path: string, fields: Record<string, string>): Way {
  return (from, given) =>
    new Client(server.url, 'notes', given, CALLBACK).send(path, fields, { 'x-forwarded-for': from })
}

/** The secret in the form, where only the library reads it. */
const inTheForm: Way = (from, given) =>
  fetch(`${server.url}/oauth/introspect`, {
    method: 'POST',
    body: new URLSearchParams({ token: 'x', client_id: 'notes', client_secret: given }),
    headers: { 'x-forwarded-for': from },
  })

const WAYS: [string, Way][] = [
  ['redeeming a code', send('/oauth/token', { grant_type: 'authorization_code', code: 'x', redirect_uri: CALLBACK })],
  ['refreshing', send('/oauth/token', { grant_type: 'refresh_token', refresh_token: 'x' })],
  ['introspecting', send('/oauth/introspect', { token: 'x' })],
  ['revoking', send('/oauth/revoke', { token: 'x' })],
  ['pushing a request', send('/oauth/par', { response_type: 'code' })],
  ['with the secret in the form', inTheForm],
]

for (const [index, [what, way]] of WAYS.entries()) {
  test(`a client that guesses secrets ${what} has to wait, with the right one, too`, async () => {
    const from = `192.0.2.${index + 1}`
    for (let turn = 0; turn <= FREE; turn++) {
      assert.deepEqual([(await way(from, WRONG)).status, turn], [401, turn])
    }
    for (const given of [WRONG, secret]) {
      const response = await way(from, given)
      assert.equal(response.headers.get('retry-after'), '1')
      assert.equal(response.headers.get('cache-control'), 'no-store')
      assert.equal(response.headers.get('www-authenticate'), null)
      const { status, error, error_description: description } = await problemIn(response)
      assert.deepEqual([status, error], [429, 'temporarily_unavailable'])
      assert.match(description ?? '', /too many wrong secrets/)
    }
    assert.match(server.log(), new RegExp(`"event":"too_many_guesses","clientId":"notes","address":"${from}"`))

    // The app itself, elsewhere, is not held back by it.
    assert.notEqual((await way(`198.51.100.${index}`, secret)).status, 429)
  })
}

test('all ways are counted together, and after the wait the right secret forgets what was counted', async () => {
  const from = '192.0.2.50'
  const [code, , introspect, revoke] = WAYS.map(([, way]) => way) as [Way, Way, Way, Way]
  for (const way of [code, introspect, revoke]) assert.equal((await way(from, WRONG)).status, 401)
  assert.equal((await introspect(from, secret)).status, 429)
  while ((await introspect(from, secret)).status !== 200) await sleep(50)
  for (let turn = 0; turn <= FREE; turn++) assert.equal((await introspect(from, WRONG)).status, 401)
  assert.equal((await introspect(from, secret)).status, 429)
})

test('an app that is right is never held back, and no store is asked about it', async () => {
  const introspect = WAYS[2]?.[1] as Way
  for (let turn = 0; turn < 30; turn++) assert.equal((await introspect('192.0.2.60', secret)).status, 200)
  const { rows } = await server.services.storage.pool.query('SELECT key FROM counters')
  await introspect('192.0.2.60', secret)
  assert.deepEqual((await server.services.storage.pool.query('SELECT key FROM counters')).rows, rows)
})

test('ids that no app has are counted, too, and together', async () => {
  const ask = (id: string) =>
    new Client(server.url, id, WRONG, CALLBACK).send(
      '/oauth/introspect',
      { token: 'x' },
      { 'x-forwarded-for': '192.0.2.61' },
    )
  const found: number[] = []
  for (let turn = 0; turn < 5; turn++) found.push((await ask(`nobody-${turn}`)).status)
  assert.deepEqual(found, [401, 401, 401, 429, 429])
})

test('guesses from a suspended address are not looked at, and apps without a secret work from there', async () => {
  const from = '192.0.2.70'
  await blockIp(server.services, from, 100)
  const introspect = WAYS[2]?.[1] as Way
  for (const given of [WRONG, secret]) {
    const response = await introspect(from, given)
    assert.ok(Number(response.headers.get('retry-after')) > 890)
    const { status, error_description: description } = await problemIn(response)
    assert.equal(status, 429)
    assert.match(description ?? '', /from this address/)
  }

  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const photos = new Client(server.url, 'photos', null, 'https://photos.example.test/')
  const exchanged = await photos.exchange(
    await photos.code(browser),
    { client_id: 'photos' },
    { 'x-forwarded-for': from },
  )
  assert.equal(exchanged.status, 200)
})

test('an address that guesses at the secrets of many apps is suspended', async () => {
  const from = '192.0.2.80'
  const ask = (id: string) =>
    new Client(server.url, id, WRONG, CALLBACK).send('/oauth/introspect', { token: 'x' }, { 'x-forwarded-for': from })
  for (let turn = 0; turn < 10; turn++) {
    await server.addApp(`app-${turn}`, notesApp)
    for (let guess = 0; guess <= FREE; guess++) assert.equal((await ask(`app-${turn}`)).status, 401)
  }
  assert.equal((await ask('notes')).status, 429)
  assert.match(server.log(), /"event":"address_suspended","clientId":"app-9","address":"192\.0\.2\.80"/)
  const login = await new Browser(server.url).post(
    '/login',
    { login: 'ada', password: 'x' },
    { 'x-forwarded-for': from },
  )
  assert.equal(login.status, 429)
})

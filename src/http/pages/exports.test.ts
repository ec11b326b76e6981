import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { revokeEverything } from '../../domain/identities/identities.ts'
import { makeMailLink } from '../../domain/identities/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { readPage } from '../../testing/browser/page.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { portOf, sendBytes } from '../../testing/network/wire.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const zoe = { username: 'Zoë', email: 'zoe@example.test', password: 'a café beside a naïve 🚲 shop' }

interface Export {
  about: { issuer: string }
  profile: Record<string, unknown>
  sessions: Record<string, unknown>[]
  families: Record<string, unknown>[]
  known_browsers: Record<string, unknown>[]
  second_factors: Record<string, Record<string, unknown>[]>
  pending_links: Record<string, unknown>[]
  activity: Record<string, unknown>[]
}

const clock = createClock()
let server: TestServer
let notes: Client
let adaId: string
let graceId: string
let browser: Browser
let tokens: Tokens

before(async () => {
  server = await startTestServer({ clock })
  adaId = await server.addIdentity(ada, { roles: ['editor'] })
  graceId = await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  for (const person of [grace, ada]) {
    const other = new Browser(server.url)
    await other.post('/login', { login: person.username, password: 'CANARY-wrong' })
    await other.post(
      '/login',
      { login: person.username, password: person.password },
      { 'user-agent': `curl of ${person.username}` },
    )
    await notes.connect(other)
    await other.post('/logout', {})
  }
  browser = new Browser(server.url)
  await browser.signIn(ada)
  tokens = await notes.connect(browser)
  for (const id of [adaId, graceId]) await addSecondFactors(id)
  // She has used one of them, too.
  await server.services.storage.pool.query(
    `UPDATE identity_sessions SET amr = '{pwd,otp,mfa}' WHERE identity_id = $1`,
    [adaId],
  )
  // Its link is written when it is sent.
  await waitForMail(server.mailFolder, ada.email, 'New sign-in')
})
after(() => server.close())

/** As rows, with a secret in every column that holds one. */
async function addSecondFactors(identityId: string): Promise<void> {
  const { pool } = server.services.storage
  const whose = identityId === adaId ? 'of ada' : 'of grace'
  await pool.query(
    `INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at) VALUES ($1, $2, $3, 'CANARY-totp', 1, $4)`,
    [randomUUID(), identityId, `Telephone ${whose}`, clock()],
  )
  await pool.query(
    `INSERT INTO passkeys (id, identity_id, credential_id, public_key, counter, transports, backed_up, name, created_at)
     VALUES ($1, $2, $3, $4, 0, '{usb}', false, $5, $6)`,
    [randomUUID(), identityId, `CANARY-credential ${whose}`, Buffer.from('CANARY-key'), `Stick ${whose}`, clock()],
  )
  await pool.query('INSERT INTO recovery_codes (identity_id, hash, created_at) VALUES ($1, $2, $3)', [
    identityId,
    Buffer.from('CANARY-code'),
    clock(),
  ])
}

async function download(from = browser): Promise<{ response: Response; text: string; file: Export }> {
  const response = await from.post('/settings/export', {})
  assert.equal(response.status, 200)
  const text = await response.text()
  return { response, text, file: JSON.parse(text) as Export }
}

test('a person downloads what is held about them, as a JSON file that is not cached', async () => {
  const page = await readPage(await browser.get('/settings/export'))
  assert.deepEqual(page.forms.at(-1)?.buttons, ['Download your data'])
  const { response } = await download()
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  assert.equal(response.headers.get('content-disposition'), 'attachment; filename=gatehouse-ada.json')
  assert.equal(response.headers.get('cache-control'), 'no-store')
})

test('everything is in it: who, browsers, apps, second factors, links, and what happened', async () => {
  const holder = { identityId: adaId, email: 'new@example.test' }
  await transaction(server.services.storage.pool, (db) => makeMailLink(server.services, db, 'change-address', holder))
  const { file } = await download()
  assert.equal(file.about.issuer, server.url)
  assert.deepEqual(
    [file.profile['id'], file.profile['username'], file.profile['email'], file.profile['roles']],
    [adaId, 'ada', ada.email, ['editor']],
  )
  for (const name of [
    'name',
    'given_name',
    'picture',
    'phone_number',
    'address',
    'zoneinfo',
    'attributes',
    'app_roles',
  ])
    assert.ok(Object.hasOwn(file.profile, name), name)
  assert.deepEqual(file.sessions.map((session) => session['end_reason']).toSorted(), ['you signed out', undefined])
  assert.equal(file.families.length, 2)
  assert.deepEqual(new Set(file.families.map((family) => family['app_name'])), new Set(['Notes']))
  assert.equal(file.known_browsers.length, 2)
  assert.deepEqual(
    Object.entries(file.second_factors).map(([kind, factors]) => [kind, factors.map((factor) => factor['name'])]),
    [
      ['authenticator_apps', ['Telephone of ada']],
      ['passkeys', ['Stick of ada']],
      ['recovery_codes', [undefined]],
    ],
  )
  assert.deepEqual(file.pending_links.map(({ purpose, email }) => [purpose, email]).toSorted(), [
    ['change-address', 'new@example.test'],
    ['disown-sign-in', ada.email],
  ])
  const sentences = file.activity.map(({ sentence }) => sentence)
  assert.ok(sentences.includes('You downloaded your data.'))
  assert.equal(sentences.at(-1), 'Your account was created.')
})

test('what happened to a family is in it, with its end in words', async () => {
  const other = await notes.connect(browser)
  await notes.refresh(other.refresh_token)
  await notes.refresh(other.refresh_token)
  const fam = claimsOf(other.access_token)['fam'] as string
  await browser.post(`/families/${fam}/revocation`, {})
  const { file } = await download()
  const family = file.families.find(({ id }) => id === fam)
  assert.ok(family)
  const [entry, ...more] = family['ledger'] as Record<string, unknown>[]
  assert.deepEqual([entry?.['kind'], entry?.['count'], more], ['grace_hit', 1, []])
  assert.deepEqual(family['refreshed_by'], ['127.0.0.1 node'])
  assert.equal(family['end_reason'], 'you ended it, from Firefox on Linux, 127.0.0.1')
})

test('it holds nothing of other users', async () => {
  const { text } = await download()
  assert.doesNotMatch(text, /grace(?!_hit)/i)
  assert.equal(text.includes(graceId), false)
})

test('no secret is in it, and no hash of one', async () => {
  const { text, file } = await download()
  assert.doesNotMatch(text, /CANARY|argon2|hash|secret/i)
  const { pool } = server.services.storage
  const { rows } = await pool.query(
    `SELECT current_hash AS a, password_hash AS b, hash AS c FROM identities i
     JOIN families f ON f.identity_id = i.id JOIN devices d ON d.identity_id = i.id WHERE i.id = $1`,
    [adaId],
  )
  assert.ok(rows.length > 0)
  const kept = rows.flatMap((row) => Object.values(row as Record<string, Buffer | string>))
  const secrets = kept.flatMap((value) =>
    typeof value === 'string'
      ? [value]
      : [value.toString('hex'), value.toString('base64url'), value.toString('base64')],
  )
  for (const token of Object.values(tokens)) secrets.push(String(token))
  for (const { value } of await browser.jar.getCookies(server.url))
    secrets.push(value, createHash('sha256').update(value).digest('hex'))
  for (const secret of secrets.filter((each) => each.length > 12 && each !== tokens.scope)) {
    assert.equal(text.includes(secret), false, secret)
  }
  assert.equal(
    Object.keys(file.profile).some((name) => /password/.test(name)),
    false,
  )
})

test('a long history comes whole and in order, in pieces', async () => {
  const { pool } = server.services.storage
  const many = new Browser(server.url)
  const linus = { username: 'linus', email: 'linus@example.test', password: 'a kernel under a blanket' }
  const id = await server.addIdentity(linus)
  await many.signIn(linus)
  await notes.connect(many)
  await pool.query(
    `INSERT INTO audit_events (at, kind, identity_id) SELECT $1, 'signed_out', $2 FROM generate_series(1, 2500)`,
    [clock(), id],
  )
  // Many of one moment, as a script makes them.
  await pool.query(
    `INSERT INTO families (id, client_id, identity_id, current_hash, scope, amr, auth_time, created_at, last_used_at, idle_expires_at,
       expires_at, review_at, lifetime, browser, address)
     SELECT gen_random_uuid(), client_id, identity_id, current_hash, scope, amr, auth_time, created_at - interval '1 hour' * (n / 900),
       last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address FROM families, generate_series(1, 2300) n WHERE identity_id = $1`,
    [id],
  )
  const { file } = await download(many)
  assert.equal(file.activity.length, 2500 + 4)
  assert.equal(new Set(file.families.map((family) => family['id'])).size, 2301)
  const times = file.families.map((family) => String(family['opened_at']))
  assert.deepEqual(times, times.toSorted().toReversed())
})

test('a download that is broken off is no fault, and the next one is whole', async () => {
  const stopping = new AbortController()
  const cookie = await browser.jar.getCookieString(server.url)
  const response = await fetch(`${server.url}/settings/export`, {
    method: 'POST',
    headers: { cookie, origin: server.url },
    signal: stopping.signal,
  })
  assert.equal(response.status, 200)
  stopping.abort()
  await download()
  assert.doesNotMatch(server.log(), /request failed/)
})

for (const isStalled of [false, true]) {
  test(`a download is cut when its sign-in ends${isStalled ? ', also when the client has stopped reading' : ''}`, async () => {
    const person = { ...ada, username: `ada-${isStalled}`, email: `ada-${isStalled}@example.test` }
    const id = await server.addIdentity(person)
    await server.services.storage.pool.query(
      `INSERT INTO audit_events (at, kind, identity_id, browser, address)
       SELECT now(), 'signed_in', $1, repeat('Firefox ', 40), '192.0.2.1' FROM generate_series(1, 40000)`,
      [id],
    )
    const downloading = new Browser(server.url)
    await downloading.signIn(person)
    const response = await downloading.post('/settings/export', { nothing: '' })
    assert.equal(response.status, 200)
    await revokeEverything(server.services, id)
    while (isStalled && !server.log().includes(`"event":"download_cut","identityId":"${id}"`)) await wait(50)
    await assert.rejects(response.text())
  })
}

test('the name of the file holds what a header can, and all of it for browsers that read more', async () => {
  await server.addIdentity(zoe)
  const other = new Browser(server.url)
  await other.signIn(zoe)
  const { response } = await download(other)
  assert.match(response.headers.get('content-disposition') ?? '', /; filename\*=UTF-8''gatehouse-Zo%C3%AB\.json$/)
})

test('strangers get nothing, and a sign-in that is not fresh is asked for again', async () => {
  const anonymous = new Browser(server.url)
  assert.equal((await anonymous.post('/settings/export', {})).headers.get('location'), '/login')
  const other = new Browser(server.url)
  await other.signIn(zoe)
  clock.advance(601)
  for (const response of [await other.get('/settings/export'), await other.post('/settings/export', {})]) {
    assert.equal(response.headers.get('location'), '/reauthentication?return_to=%2Fsettings%2Fexport')
  }
  const again = await other.post('/reauthentication', { password: zoe.password, return_to: '/settings/export' })
  assert.equal(again.headers.get('location'), '/settings/export')
  await download(other)
})

test('a download with something that is no HTTP behind it on the same connection prints no warning', async () => {
  const { host } = new URL(server.url)
  const person = { ...zoe, username: 'reader', email: 'reader@example.test' }
  await server.addIdentity(person)
  const reader = new Browser(server.url)
  await reader.signIn(person)
  const body = new URLSearchParams({
    form_id: randomUUID(),
  }).toString()
  const request = [
    'POST /settings/export HTTP/1.1',
    `Host: ${host}`,
    `Cookie: ${await reader.jar.getCookieString(server.url)}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
  ].join('\r\n')
  const warnings: Error[] = []
  const keep = (warning: Error) => void warnings.push(warning)
  process.on('warning', keep)
  try {
    const answer = await sendBytes(portOf(server.url), `${request}\r\n\r\n${body}\x00no HTTP\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 200 OK/)
    assert.deepEqual(warnings, [])
  } finally {
    process.off('warning', keep)
  }
})

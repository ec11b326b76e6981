import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { problemIn, tokensIn } from '../../testing/portal/answers.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let server: TestServer
let notes: Client
let photos: Client
let browser: Browser
let stranger: Browser

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await server.addApp('photos', photosApp)
  photos = new Client(server.url, 'photos', null, 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
  stranger = new Browser(server.url)
  await stranger.signIn(grace)
})
after(() => server.close())

async function signedUp(): Promise<typeof ada> {
  const username = `person-${randomUUID().slice(0, 8)}`
  const person = { ...ada, username, email: `${username}@example.test` }
  await server.addIdentity(person)
  return person
}

async function isActive(app: Client, tokens: Tokens): Promise<boolean> {
  return (await app.introspect(tokens.access_token))['active'] === true
}

async function reasonOf(app: Client, tokens: Tokens): Promise<unknown> {
  const response = await app.refresh(tokens.refresh_token)
  return response.status === 200 ? null : ((await response.json()) as Record<string, unknown>)['reason']
}

function familyOf(tokens: Tokens): string {
  return claimsOf(tokens.access_token)['fam'] as string
}

test('the owner of a family reads what happened to it, and ends it from there', async () => {
  const tokens = await notes.connect(browser)
  const [fam, path] = [familyOf(tokens), `/families/${familyOf(tokens)}`]
  const dashboard = await browser.get('/dashboard')
  assert.ok((await dashboard.text()).includes(`href="${path}"`))
  for (let count = 0; count < 3; count++) assert.equal((await notes.refresh(tokens.refresh_token)).status, 200)

  const living = await readPage(await browser.get(path))
  assert.equal(living.heading, 'Sign-in to Notes this browser')
  assert.match(living.text, /You are signed in to Notes\. If it is not used, this sign-in ends on .* UTC\./)
  assert.match(living.text, /What happened You signed in to Notes\. .* Firefox on Linux, 127\.0\.0\.1/)
  assert.match(living.text, /Notes renewed its access once\. .* node, 127\.0\.0\.1/)
  assert.match(
    living.text,
    /asked again, because an answer was lost or two tabs asked at once \(2 times\)\. .* node, 127\.0\.0\.1/,
  )
  assert.ok(living.text.includes(`this reference: ${fam}`))

  await browser.post(actionOf(living, 'Sign out of Notes in this browser'), {})
  const ended = await readPage(await browser.get(path))
  assert.match(ended.text, /It ended on .* UTC: you ended it, from Firefox on Linux, 127\.0\.0\.1\./)
  assert.equal(
    ended.forms.some(({ action }) => action.startsWith('/families/')),
    false,
  )
  const over = await readPage(await browser.get('/dashboard'))
  assert.match(
    over.text,
    /Ended: you ended it, from Firefox on Linux, 127\.0\.0\.1\. Notes loses access by .* just now · Details/,
  )
  assert.ok(over.html.includes(`href="${path}"`))
})

test('the same id is in the token, the log, the refusal and on the page, and nothing secret is with it', async () => {
  const first = await notes.connect(browser)
  const second = await tokensIn(await notes.refresh(first.refresh_token))
  const fam = familyOf(first)
  await browser.post(`/families/${fam}/revocation`, {})
  const refusal = await problemIn(await notes.refresh(second.refresh_token))
  assert.deepEqual([refusal.error, refusal.reason, refusal.fam], ['invalid_grant', 'revoked', fam])
  const page = await readPage(await browser.get(`/families/${fam}`))
  assert.ok(page.text.includes(`this reference: ${fam}`))

  const log = server.log()
  const lines = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const own = lines.filter(({ familyId }) => familyId === fam)
  const ending = own.filter(({ event }) => String(event).includes('ended'))
  assert.deepEqual(
    ending.map(({ event, cause, clientId, address }) => [event, cause, clientId, address]),
    [['family_ended', 'ended_by_person', 'notes', '127.0.0.1']],
  )
  const [opened, refreshed, refused] = ['authorization_code', 'refresh_token', 'grant.error'].map((event) =>
    own.filter((line) => line['event'] === event),
  )
  assert.deepEqual([opened?.length, refreshed?.length, refused?.length], [1, 1, 1])
  assert.deepEqual([refused?.[0]?.['reason'], refused?.[0]?.['clientId']], ['revoked', 'notes'])

  const { rows } = await server.services.storage.pool.query<{ current_hash: Buffer; previous_hash: Buffer }>(
    'SELECT current_hash, previous_hash FROM families WHERE id = $1',
    [fam],
  )
  const hashes = rows.flatMap(({ current_hash: a, previous_hash: b }) => [a, b])
  const tokens = [first, second].flatMap((each) => [each.access_token, each.refresh_token])
  const secrets = [...tokens, ...hashes.flatMap((hash) => [hash.toString('hex'), hash.toString('base64url')])]
  assert.equal(secrets.length, 8)
  for (const secret of secrets) assert.equal((log + page.html).includes(secret), false)
})

test('an app that shows a token of another app hears nothing of its family, and the owner does', async () => {
  const tokens = await notes.connect(browser)
  const refusal = await problemIn(await photos.refresh(tokens.refresh_token))
  assert.deepEqual([refusal.reason, 'fam' in refusal], ['unknown', false])
  const page = await readPage(await browser.get(`/families/${familyOf(tokens)}`))
  assert.match(page.text, /Warning: Another app tried to use this sign-in, and was refused\./)
})

test('ending one family leaves the others, and its app is notified at once', async () => {
  const [first, second] = [await notes.connect(browser), await notes.connect(browser)]
  const response = await browser.post(`/families/${familyOf(first)}/revocation`, {})
  const page = await readPage((await browser.follow(response)).response)
  assert.equal(page.notice, 'You are signed out of the app in that browser.')
  assert.equal(await isActive(notes, first), false)
  assert.equal(await reasonOf(notes, first), 'revoked')
  assert.equal(await isActive(notes, second), true)
})

test('ending a family twice, or twice at once, works like once', async () => {
  const tokens = await notes.connect(browser)
  const path = `/families/${familyOf(tokens)}/revocation`
  const answers = await Promise.all([browser.post(path, {}), browser.post(path, {})])
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [303, 303],
  )
  assert.equal((await browser.post(path, {})).status, 303)
  const { rowCount } = await server.services.storage.pool.query(
    "SELECT 1 FROM audit_events WHERE family_id = $1 AND kind = 'family_ended'",
    [familyOf(tokens)],
  )
  assert.equal(rowCount, 1)
})

test('disconnecting an app ends every family it has of this person, in every browser, and nothing else', async () => {
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(ada)
  const ended = [await notes.connect(browser), await notes.connect(elsewhere)]
  const kept = await photos.connect(browser)
  const others = await notes.connect(stranger)
  assert.match(await (await browser.get('/dashboard')).text(), /href="\/apps\/notes\/disconnection"/)
  const page = await readPage(await browser.get('/apps/notes/disconnection'))
  const response = await browser.post(actionOf(page, 'Remove Notes'), {})

  const after = await readPage((await browser.follow(response)).response)
  assert.equal(after.notice, 'The app was removed.')
  assert.doesNotMatch(after.text, /Sign out of Notes/)
  for (const tokens of ended) assert.equal(await reasonOf(notes, tokens), 'revoked')
  assert.equal(await reasonOf(photos, kept), null)
  assert.equal(await isActive(notes, others), true)
})

test('removing an app is asked about first, with what stops and where', async () => {
  const person = await signedUp()
  const [laptop, phone] = [new Browser(server.url), new Browser(server.url)]
  for (const each of [laptop, phone]) await each.signIn(person)
  await photos.connect(phone)
  await photos.connect(phone)
  const tokens = await photos.connect(laptop)

  const page = await readPage(await laptop.get('/apps/photos/disconnection'))
  assert.equal(page.heading, 'Remove Photos?')
  assert.match(page.text, /You will be signed out of Photos in 2 browsers, with 3 sign-ins:/)
  assert.match(
    page.text,
    /: Firefox on Linux this browser Firefox on Linux \(2 sign-ins\) Photos loses its access .* within 5 minutes/,
  )
  assert.equal(await isActive(photos, tokens), true)

  await laptop.post(actionOf(page, 'Remove Photos'), {})
  assert.equal(await isActive(photos, tokens), false)
  const after = await readPage(await laptop.get('/apps/photos/disconnection'))
  assert.match(after.text, /You are not signed in to Photos in any browser\./)
  assert.deepEqual(
    after.forms.map(({ action }) => action).filter((action) => action.startsWith('/apps/')),
    [],
  )
})

test('an app that was never opened, or is none, has nothing to remove', async () => {
  const pages = await Promise.all(
    ['photos', 'nothing', '%00', 'x'.repeat(300)].map(async (id) => {
      const person = new Browser(server.url)
      await person.signIn(await signedUp())
      return (await person.get(`/apps/${id}/disconnection`)).status
    }),
  )
  assert.deepEqual(pages, [404, 404, 404, 404])
  assert.equal((await new Browser(server.url).get('/apps/notes/disconnection')).status, 303)
})

test('a disconnected app connects again without a question, because the person is still signed in', async () => {
  await notes.connect(browser)
  await browser.post('/apps/notes/disconnection', {})
  assert.ok(await notes.code(browser, { prompt: 'none' }))
})

test("another user's family answers like one that does not exist, and lives on", async () => {
  const tokens = await notes.connect(browser)
  const ids = [familyOf(tokens), randomUUID(), 'x', '%00', "'", '..%2f..', familyOf(tokens).toUpperCase()]
  const pages = await Promise.all(
    ids.map(async (id) => {
      const answers = [
        await stranger.post(`/families/${id}/revocation`, {}),
        await stranger.get(`/families/${id}`),
      ] as const
      const [posted, shown] = await Promise.all(answers.map(readPage))
      return [posted, shown].map((page) => ({
        status: page?.status,
        html: page?.html.replace(/<code>\w+<\/code>/, ''),
      }))
    }),
  )
  assert.deepEqual(
    pages[0]?.map(({ status }) => status),
    [404, 404],
  )
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.equal(await isActive(notes, tokens), true)
  const anonymous = await new Browser(server.url).get(`/families/${familyOf(tokens)}`)
  assert.match(anonymous.headers.get('location') ?? '', /^\/login\?return_to=/)
})

test('an app one never connected answers like one that does not exist', async () => {
  await photos.connect(browser)
  const pages = await Promise.all(
    ['photos', 'nobody', '__proto__', '%00', "'"].map(async (id) => {
      const page = await readPage(await stranger.post(`/apps/${id}/disconnection`, {}))
      return { status: page.status, html: page.html.replace(/<code>\w+<\/code>/, '') }
    }),
  )
  assert.equal(pages[0]?.status, 404)
  for (const page of pages) assert.deepEqual(page, pages[0])
  assert.equal((await photos.connect(browser)).token_type, 'Bearer')
})

test('a stranger who posts to any of these is asked to sign in, and nothing ends', async () => {
  const tokens = await notes.connect(browser)
  const stranger = new Browser(server.url)
  for (const path of [
    `/families/${familyOf(tokens)}/revocation`,
    '/apps/notes/disconnection',
    '/sessions/revocation',
  ]) {
    const response = await stranger.post(path, {})
    assert.equal(response.status, 303)
    assert.equal(response.headers.get('location'), '/login')
  }
  assert.equal(await isActive(notes, tokens), true)
})

test('an application token opens no page of the portal', async () => {
  const { access_token: token } = await notes.connect(browser)
  for (const path of ['/dashboard', '/sessions', '/activity']) {
    const headers = { authorization: `Bearer ${token}`, cookie: `identity=${token}` }
    assert.equal((await fetch(server.url + path, { headers, redirect: 'manual' })).status, 303)
  }
})

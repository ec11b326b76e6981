import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { lookAtMailLink, makeMailLink } from '../../domain/identities/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { letterhead } from '../../testing/mail/letterhead.ts'
import { compose } from '../../mail/composition.ts'
import { unfamiliarSignIn } from '../../mail/messages.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const CURL = 'curl/8.14.1'

const clock = createClock()
let server: TestServer
let notes: Client
let adaId: string
let home: Browser
let thief: Browser
let token: string
let kept: Tokens

before(async () => {
  server = await startTestServer({ clock })
  adaId = await server.addIdentity(ada)
  await server.addIdentity(grace)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

/** Ada at home with an app, and an attacker with her password elsewhere. */
beforeEach(async () => {
  home = new Browser(server.url)
  await home.signIn(ada)
  kept = await notes.connect(home)
  thief = new Browser(server.url)
  await thief.post('/login', { login: 'ada', password: ada.password }, { 'user-agent': CURL })
  token = await linkTo(await newestSessionId())
})

async function newestSessionId(): Promise<string> {
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    'SELECT id FROM identity_sessions WHERE browser = $1 ORDER BY created_at DESC, id LIMIT 1',
    [CURL],
  )
  return rows[0]?.id as string
}

async function linkTo(identitySessionId: string): Promise<string> {
  const holder = { identityId: adaId, email: ada.email, identitySessionId }
  return transaction(server.services.storage.pool, (db) => makeMailLink(server.services, db, 'disown-sign-in', holder))
}

async function isSignedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/dashboard')).status === 200
}

test('a sign-in from a browser that was not known queues a mail about that sign-in', async () => {
  const mails = await queuedMails(server.services, 'unfamiliar-sign-in')
  const last = mails.at(-1)
  assert.equal(last?.identityId, adaId)
  assert.deepEqual(last?.clientInfo, { browser: CURL, address: '127.0.0.1', locale: 'en' })
})

test('the mail and its page say the same about what happens, and the link has the words of the page', async () => {
  const url = `${server.url}/not-me/${token}`
  const page = await readPage(await new Browser(server.url).get(url))
  const facts = { username: 'ada', when: 'now', client: { browser: 'Unknown browser', address: '127.0.0.1' }, url }
  const { text, html } = await compose(unfamiliarSignIn(letterhead, facts))
  for (const words of [page.text, text.replace(/\s+/g, ' '), html]) {
    assert.match(words, /signs out every browser and every app, this one too, and lets you choose a new password/)
    assert.match(words, /This was not me/)
  }
  assert.ok(text.includes(`This was not me:\n${url}\n`))
})

test('the page says which sign-in it is about, to any browser with the link, and changes nothing', async () => {
  for (const browser of [new Browser(server.url), home]) {
    const response = await browser.get(`/not-me/${token}`)
    const page = await readPage(response)
    assert.equal(page.heading, 'This was not me')
    assert.match(page.text, /The sign-in Unknown browser 127\.0\.0\.1 \d+ \w+ \d{4}, [\d:]+ UTC, just now/)
    assert.deepEqual(page.forms.at(-1)?.buttons, ['Sign out everywhere'])
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
    assert.equal(response.headers.get('cache-control'), 'no-store')
  }
  const head = await fetch(`${server.url}/not-me/${token}`, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.ok((await isSignedIn(home)) && (await isSignedIn(thief)))
  assert.equal((await notes.introspect(kept.access_token))['active'], true)
  assert.equal((await new Browser(server.url).post(`/not-me/${token}`, {})).status, 303)
})

test('one press ends every browser and every app, forgets browsers, and leads to a new password', async () => {
  const phone = new Browser(server.url)
  await phone.signIn(ada)
  const stranger = new Browser(server.url)
  await stranger.signIn(grace)
  const response = await new Browser(server.url).post(`/not-me/${token}`, {})
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
  const [, reset] = /^\/reset-password\/([\w-]{48})$/.exec(response.headers.get('location') ?? '') ?? []
  assert.equal((await lookAtMailLink(server.services, 'reset-password', reset ?? ''))?.identityId, adaId)

  for (const browser of [home, thief, phone]) assert.equal(await isSignedIn(browser), false)
  assert.ok(await isSignedIn(stranger))
  const refusal = (await (await notes.refresh(kept.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'revoked')
  assert.equal((await notes.introspect(kept.access_token))['active'], false)
  const { rows } = await server.services.storage.pool.query('SELECT 1 FROM devices WHERE identity_id = $1', [adaId])
  assert.equal(rows.length, 0)

  await home.signIn(ada)
  const { html } = await readPage(await home.get('/activity'))
  assert.match(html, /<li class="tone-warning">[\s\S]*?You said that a sign-in was not you\./)
  assert.match(html, /Signed out of Notes[^:]*: you said that a sign-in was not you\./)
})

test('what the thief had asked for by mail is worth nothing either', async () => {
  const { pool } = server.services.storage
  const holder = { identityId: adaId, email: 'thief@example.test' }
  const change = await transaction(pool, (db) => makeMailLink(server.services, db, 'change-address', holder))
  const older = await linkTo(await newestSessionId())
  await new Browser(server.url).post(`/not-me/${token}`, {})
  assert.equal(await lookAtMailLink(server.services, 'change-address', change), null)
  assert.equal((await new Browser(server.url).post(`/not-me/${older}`, {})).status, 404)
})

test('of ten who press at once one has pressed', async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => new Browser(server.url).post(`/not-me/${token}`, {})),
  )
  const statuses = answers.map(({ status }) => status).toSorted()
  assert.deepEqual(statuses, [303, ...Array.from({ length: 9 }, () => 404)])
})

test('a link that is used, expired, cut off, changed or for something else is one page, and changes nothing', async () => {
  const reset = await transaction(server.services.storage.pool, (db) =>
    makeMailLink(server.services, db, 'reset-password', { identityId: adaId, email: ada.email }),
  )
  const changed = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`
  const worthless = [
    token.slice(0, -1),
    `${token}A`,
    changed,
    reset,
    'x',
    '%00',
    '%ff',
    "'",
    '..%2f..',
    'a'.repeat(4000),
  ]
  const used = await linkTo(await newestSessionId())
  const spare = await linkTo(await newestSessionId())
  const check = async (each: string) => {
    for (const response of [
      await new Browser(server.url).get(`/not-me/${each}`),
      await new Browser(server.url).post(`/not-me/${each}`, {}),
    ]) {
      const page = await readPage(response)
      // Express refuses what cannot be decoded before a handler reads it.
      if (each === '%ff') assert.equal(page.status, 400)
      else assert.deepEqual([page.status, page.heading], [404, 'This link does not work any more'], each)
    }
  }
  for (const each of worthless) await check(each)
  assert.ok((await isSignedIn(home)) && (await isSignedIn(thief)))

  await new Browser(server.url).post(`/not-me/${used}`, {})
  await check(used)
  await check(spare)
  await home.signIn(ada)
  await thief.signIn(ada)
  const last = await linkTo(await newestSessionId())
  clock.advance(7 * 86_400)
  await check(last)
})

test('the log never learns a link, in whatever letters it is asked for', async () => {
  for (const path of ['/not-me', '/NOT-ME']) {
    await new Browser(server.url).get(`${path}/${token}?x=1`)
    await new Browser(server.url).get(`${path}/${token}/more`)
  }
  const response = await new Browser(server.url).post(`/not-me/${token}`, {})
  await new Browser(server.url).get(response.headers.get('location') as string)
  const { headers } = await fetch(`${server.url}/healthz`)
  while (!server.log().includes(headers.get('x-request-id') as string)) await new Promise(setImmediate)
  assert.equal(server.log().includes(token), false)
  assert.equal(server.log().includes((response.headers.get('location') as string).split('/')[2] as string), false)
  assert.match(server.log(), /"path":"\/not-me\/:token"/)
})

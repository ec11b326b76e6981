import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AppRow, changeApp, findApp } from '../../domain/apps/apps.ts'
import { PROFILE_FIELDS } from '../../domain/identities/profiles.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { jsonIn } from '../../testing/portal/answers.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const PROFILE = {
  name: 'Ada  Lovelace ',
  given_name: 'Ada',
  family_name: 'Lovelace',
  nickname: 'أدا',
  picture: 'https://pictures.example.test/ada lovelace.png',
  phone_number: '0044 (20) 7946-0000',
  street_address: '12 St James’s Square\r\n\r\n  Second floor',
  locality: 'London',
  region: '',
  postal_code: 'SW1Y 4JH',
  country: 'United Kingdom',
}

const clock = createClock()
let server: TestServer
let browser: Browser
let adasId: string
let notes: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada)
  const scope = 'openid profile email address phone'
  notes = new Client(server.url, 'notes', await server.addApp('notes', { ...notesApp, scope }), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

const save = async (fields: Record<string, string>) => browser.post('/settings/profile', fields)
const typed = async () => (await readPage(await browser.get('/settings/profile'))).forms.at(-1)?.fields
const events = async () => {
  const { rows } = await server.services.storage.pool.query<{ detail: string }>(
    `SELECT detail FROM audit_events WHERE kind = 'profile_changed' AND identity_id = $1 ORDER BY id`,
    [adasId],
  )
  return rows.map(({ detail }) => detail)
}

test('a user fills in a profile, apps see it, and emptying it takes it back', async () => {
  const settings = await readPage(await browser.get('/settings'))
  assert.match(settings.html, /href="\/settings\/profile"/)
  clock.advance(5)
  const saved = await save(PROFILE)
  assert.deepEqual([saved.status, saved.headers.get('location')], [303, '/settings'])
  assert.equal((await readPage(await browser.get('/settings'))).notice, 'Your profile was saved.')

  const tokens = await notes.connect(browser, { scope: 'openid profile address phone' })
  const told = await jsonIn(await notes.userinfo(tokens.access_token))
  const street = '12 St James’s Square\nSecond floor'
  assert.deepEqual(told, {
    sub: adasId,
    name: 'Ada Lovelace',
    given_name: 'Ada',
    family_name: 'Lovelace',
    nickname: 'أدا',
    preferred_username: 'ada',
    picture: 'https://pictures.example.test/ada%20lovelace.png',
    phone_number: '+442079460000',
    phone_number_verified: false,
    address: {
      formatted: `${street}\nSW1Y 4JH London\nUnited Kingdom`,
      street_address: street,
      locality: 'London',
      postal_code: 'SW1Y 4JH',
      country: 'United Kingdom',
    },
    updated_at: Math.floor(clock().getTime() / 1000),
  })
  const page = await readPage(await browser.get('/settings/profile'))
  assert.match(page.html, /<textarea[^>]*>12 St James’s Square\nSecond floor<\/textarea>/)
  assert.equal(page.forms.at(-1)?.fields['phone_number'], '+442079460000')

  const { rows } = await server.services.storage.pool.query(
    'SELECT 1 FROM identities WHERE id = $1 AND phone_number IS NOT NULL',
    [adasId],
  )
  assert.equal(rows.length, 1)
  await save(Object.fromEntries(PROFILE_FIELDS.map((name) => [name, ''])))
  const later = await jsonIn(await notes.userinfo(tokens.access_token))
  assert.deepEqual(Object.keys(later).toSorted(), ['name', 'preferred_username', 'sub', 'updated_at'])
  assert.equal(later['name'], 'ada')
})

test('a field that is not sent stays, and a form that changes nothing is no event', async () => {
  await save({ nickname: 'Countess', locality: 'London' })
  const count = (await events()).length
  await save({ nickname: 'Countess' })
  assert.equal((await events()).length, count)
  await save({ given_name: 'Ada' })
  assert.equal((await events()).at(-1), 'given_name')
  const fields = await typed()
  assert.deepEqual([fields?.['nickname'], fields?.['locality'], fields?.['given_name']], ['Countess', 'London', 'Ada'])
  const { text } = await readPage(await browser.get('/activity'))
  assert.match(text, /You changed your profile\./)
})

for (const [field, value, problem] of [
  ['picture', 'http://pictures.example.test/ada.png', /begins with https/],
  ['picture', 'javascript:alert(1)', /begins with https/],
  ['picture', 'https://ada:secret@pictures.example.test/', /begins with https/],
  ['picture', 'ada.png', /begins with https/],
  ['picture', `https://pictures.example.test/${'a'.repeat(500)}`, /at most 500 characters/],
  ['phone_number', '020 7946 0000', /country code/],
  ['phone_number', '+44 20 7946 0000 0000 0000', /country code/],
  ['phone_number', '+', /country code/],
  ['name', 'a'.repeat(101), /at most 100 characters/],
  ['name', 'Ada\u202eecalevoL', /visible characters/],
  ['given_name', '\u200b', /visible characters/],
  ['country', '\u2066UK\u2069', /visible characters/],
  ['street_address', 'a\nb\nc\nd', /at most 3 lines/],
] as const)
  test(`${field} ${JSON.stringify(value).slice(0, 50)} is refused, and the form keeps it`, async () => {
    const before = await events()
    const response = await save({ nickname: 'Byron', [field]: value })
    assert.equal(response.status, 422)
    const page = await readPage(response)
    assert.match(page.problems.join(' '), problem)
    assert.match(page.html, new RegExp(`<(input|textarea) id="${field}"[^>]*aria-invalid="true"`))
    assert.equal(page.forms.at(-1)?.fields['nickname'], 'Byron')
    assert.deepEqual(await events(), before)
  })

for (const fields of [{ name: 'Ada\0' }, { name: 'Ada\tLovelace\n' }, { name: 'a'.repeat(10_000) }])
  test(`what no browser sends is refused with 400: ${JSON.stringify(fields).slice(0, 40)}`, async () => {
    assert.equal((await save(fields)).status, 400)
  })

test('a repeated field is refused with 400', async () => {
  const body = new URLSearchParams([
    ['name', 'Ada'],
    ['name', 'Grace'],
  ])
  const cookie = await browser.jar.getCookieString(server.url)
  const headers = { cookie, origin: server.url }
  assert.equal((await fetch(`${server.url}/settings/profile`, { method: 'POST', body, headers })).status, 400)
})

test('an application token that contains a part of the profile is stale when that part changes', async () => {
  const app = (await findApp(server.services, 'notes')) as AppRow
  await changeApp(server.services, app, { applicationTokenClaims: ['given_name'] })
  const { access_token: token } = await notes.connect(browser)
  clock.advance(2)
  await save({ country: 'France' })
  assert.equal((await notes.introspect(token))['active'], true)
  await save({ given_name: 'Augusta' })
  const { active, reason } = await notes.introspect(token)
  assert.deepEqual([active, reason], [false, 'claims_changed'])
})

test('a user who is not signed in is asked to sign in, and what was typed is kept', async () => {
  const stranger = new Browser(server.url)
  const sent = await stranger.post('/settings/profile', { name: 'Ada', nickname: 'Countess' })
  assert.match(sent.headers.get('location') ?? '', /^\/login/)
  await stranger.signIn(ada)
  const page = await readPage(await stranger.get('/settings/profile'))
  assert.equal(page.forms.at(-1)?.fields['name'], 'Ada')
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeMailLink } from '../domain/identities/mail-links.ts'
import { findIdentityByLogin } from '../domain/identities/identities.ts'
import { transaction } from '../storage/postgres.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { flood } from '../testing/network/flood.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const REGISTRATIONS = 25
const LOGIN_ATTEMPTS_BEFORE_DELAY = 2
/** Slow to estimate, in the way that passwords are made to be. */
const HOSTILE = 'a4@b8c({<d6e3f9g'.repeat(12)

const clock = createClock()
let server: TestServer
let notes: Client

before(async () => {
  server = await startTestServer({
    hasUsualPasswordCost: true,
    clock,
    env: {
      TRUST_PROXY: '1',
      REGISTRATIONS_PER_HOUR: String(REGISTRATIONS),
      LOGIN_ATTEMPTS_BEFORE_DELAY: String(LOGIN_ATTEMPTS_BEFORE_DELAY),
      LOGIN_DELAY_MIN: '300',
      IP_BLOCK_AFTER: '0',
    },
  })
  await server.addIdentity(ada)
  await server.addIdentity(grace, { emailVerified: true })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

function post(path: string, fields: Record<string, string>, from: string): Promise<Response> {
  return new Browser(server.url).post(path, fields, { 'x-forwarded-for': from })
}

function register(username: string, from: string, change: Record<string, string> = {}): Promise<Response> {
  const password = 'seven wet umbrellas in a row'
  const fields = { username, email: `${username}@example.test`, password, password_confirmation: password, ...change }
  return post('/register', fields, from)
}

test('a network that floods the registration form is told to wait, and other users register', async () => {
  const attack = flood(30, 3, (connection, turn) =>
    register(`flood${connection}`, `2001:db8:1:1::${connection + 1}`, {
      password: `${connection} ${turn} ${HOSTILE}`,
      password_confirmation: 'not the same',
    }),
  )
  const honest: number[] = []
  for (let person = 0; person < 5; person++)
    honest.push((await register(`person${person}`, `2001:db8:1:2${person}::1`)).status)
  assert.deepEqual(honest, [303, 303, 303, 303, 303])

  assert.deepEqual(await attack, { 422: REGISTRATIONS, 429: 90 - REGISTRATIONS })
})

test('a network that floods the sign-in form is refused, and other users sign in', async () => {
  const attack = flood(30, 2, (connection, turn) =>
    post('/login', { login: `nobody${connection}-${turn}`, password: 'wrong' }, '192.0.2.7'),
  )
  const honest = []
  for (const person of [ada, grace])
    honest.push((await post('/login', { login: person.username, password: person.password }, '198.51.100.7')).status)
  assert.deepEqual(honest, [303, 303])
  const { 401: wrong = 0, 429: held = 0, 503: busy = 0, ...others } = await attack
  assert.deepEqual(others, {})
  assert.equal(wrong + held + busy, 60)
})

test('a crowd that signs in at once is served, or asked on the same form to come back', async () => {
  const authorize = new URL(notes.authorizeUrl())
  const returnTo = authorize.pathname + authorize.search
  const signIn = (person: number) =>
    post('/login', { login: `p${person}`, password: 'wrong', return_to: returnTo }, `198.51.100.${person}`)
  const crowd = Array.from({ length: 30 }, (_, person) => signIn(person))
  // Whatever waits when the first is answered has waited for three seconds then.
  await Promise.race(crowd)
  clock.advance(3)

  const answers = await Promise.all(crowd)
  const refused = [...answers.keys()].filter((person) => answers[person]?.status !== 401)
  assert.notEqual(refused.length, 0)
  for (const person of refused) {
    const response = answers[person] as Response
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '5'])
    const { heading, text, problems, forms } = await readPage(response)
    assert.deepEqual([heading, problems], ['Sign in', []])
    assert.match(text, /^Sign in to continue to Notes ?Please try again in a moment ?The portal is very busy/)
    assert.deepEqual(forms[0]?.fields, {
      login: `p${person}`,
      password: '',
      return_to: returnTo,
      device_has_passkeys: '',
    })
  }
  // It was no guess, so all the free ones are left.
  const [person] = refused as [number]
  const statuses = []
  for (let turn = 0; turn < LOGIN_ATTEMPTS_BEFORE_DELAY + 2; turn++) statuses.push((await signIn(person)).status)
  assert.deepEqual(statuses, [401, 401, 401, 429])
})

test('a user with a password reset link has so many tries, and keeps the form', async () => {
  const { services } = server
  const identityId = (await findIdentityByLogin(services, 'grace'))?.id as string
  const link = await transaction(services.storage.pool, (db) =>
    makeMailLink(services, db, 'reset-password', { identityId, email: grace.email }),
  )
  const reset = (password: string, turn: number) =>
    post(`/reset-password/${link}`, { password, password_confirmation: password }, `203.0.113.${turn + 1}`)
  assert.deepEqual(await flood(8, 5, (connection) => reset('password1234567', connection)), { 422: 30, 429: 10 })

  const held = await reset('a password that would do', 100)
  assert.ok(Number(held.headers.get('retry-after')) > 3000)
  const page = await readPage(held)
  assert.deepEqual([page.status, page.heading], [429, 'Choose a new password'])
  clock.advance(3600)
})

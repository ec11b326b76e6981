import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { tokensIn } from '../../testing/portal/answers.ts'
import { deskApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const PATH = '/oauth/authorize-challenge'
const NEW = 'seven wet umbrellas in a row'
const TERMS = { TERMS_URL: 'https://example.test/terms', TERMS_VERSION: '2026-11' }

const HOME = { 'x-forwarded-for': '198.51.100.7' }
const EMPTY = { username: '', email: '', password: '', password_confirmation: '' }

interface Answer {
  status: number
  body: Record<string, unknown>
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`registering inside an app (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let desk: Client
    let people = 0

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      const env = { ...TERMS, TRUST_PROXY: 'true', REGISTRATIONS_PER_HOUR: '20', LOGIN_ATTEMPTS_BEFORE_DELAY: '3' }
      server = await startTestServer({ database, clock, env })
      await server.addApp('desk', { ...deskApp, firstPartyDirect: true })
      desk = new Client(server.url, 'desk', null, '')
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(() => {
      people++
      clock.advance(7200)
    })

    /** A registration, but for what `change` names; null leaves a parameter out. */
    async function register(change: Record<string, string | null> = {}, from = HOME): Promise<Answer> {
      const { searchParams } = new URL(desk.authorizeUrl({ redirect_uri: null }))
      const password = change['password'] ?? NEW
      return ask(
        {
          ...Object.fromEntries(searchParams),
          register: 'true',
          username: `mary-${people}`,
          email: `mary-${people}@example.test`,
          password,
          password_confirmation: password,
          terms_version: '2026-11',
          ...change,
        },
        from,
      )
    }

    async function ask(fields: Record<string, string | null>, from = HOME): Promise<Answer> {
      const response = await desk.send(PATH, fields, from)
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    }

    async function redeem({ status, body }: Answer): Promise<Tokens> {
      assert.deepEqual([status, Object.keys(body)], [200, ['authorization_code']], JSON.stringify(body))
      return tokensIn(await desk.exchange(body['authorization_code'] as string, { redirect_uri: null }))
    }

    function session({ body }: Answer): { auth_session: string } {
      return { auth_session: body['auth_session'] as string }
    }

    test('a user registers, accepts the terms of use, and gets tokens; of 20 racing steps one gets a code', async () => {
      const first = await register({ terms_version: null })
      const { error, next, terms_version: version, terms_uri: uri } = first.body
      assert.deepEqual(
        [first.status, error, next, version, uri],
        [403, 'insufficient_authorization', ['terms'], '2026-11', TERMS.TERMS_URL],
      )
      const outdated = await ask({ ...session(first), terms_version: '2020-01' })
      assert.deepEqual([outdated.body['reason'], outdated.body['next']], ['terms_outdated', ['terms']])
      const step = { ...session(outdated), terms_version: '2026-11' }
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(step)))
      const codes = answers.filter(({ status }) => status === 200)
      assert.equal(codes.length, 1)
      const tokens = await redeem(codes[0] as Answer)
      const identity = await findIdentityByLogin(server.services, `mary-${people}@example.test`)
      assert.deepEqual([claimsOf(tokens.id_token).sub, identity?.termsVersion], [identity?.id, '2026-11'])
      await tokensIn(await desk.refresh(tokens.refresh_token))
    })

    test('what is wrong with a registration is said of each parameter, in the language of the user', async () => {
      const wrong = await register({
        username: 'a b',
        email: 'nowhere',
        password: 'short',
        password_confirmation: null,
      })
      assert.deepEqual(
        [
          wrong.status,
          wrong.body['reason'],
          wrong.body['next'],
          Object.keys(wrong.body['problems'] as object).toSorted(),
        ],
        [403, 'registration_invalid', ['registration'], ['email', 'password', 'password_confirmation', 'username']],
      )
      const english = (wrong.body['problems'] as Record<string, string>)['password']
      assert.equal(english, 'Use at least 15 characters.')
      // The same sign-in goes on with a better one.
      const good = { username: `mary-${people}`, email: `mary-${people}@example.test`, password: NEW }
      const next = {
        ...session(wrong),
        ...good,
        register: 'true',
        password_confirmation: NEW,
        terms_version: '2026-11',
      }
      await redeem(await ask(next))
    })

    test('the address and the password of an account sign in to it, after its second factor, and a mail says so', async () => {
      const person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
      const id = await server.addIdentity(person, { emailVerified: true })
      const home = new Browser(server.url)
      await home.signIn(person)
      await home.post('/terms', { version: '2026-11' })
      const { key } = await addTotp(home, clock())
      clock.advance(60)
      const first = await register({ email: person.email, password: person.password })
      assert.deepEqual(first.body['next'], ['totp', 'recovery_code'])
      const told = async () =>
        (await queuedMails(server.services, 'registered-again')).filter((mail) => mail.identityId === id).length
      assert.equal(await told(), 0)
      const tokens = await redeem(await ask({ ...session(first), totp: codeOf(key, clock()) }))
      assert.equal(claimsOf(tokens.id_token).sub, id)
      assert.equal(await told(), 1)
    })

    test('a wrong password is answered like a free address, and counts with the guesses at the sign-in', async () => {
      const person = { ...ada, username: `ada-${people}`, email: `ada-${people}@example.test` }
      const id = await server.addIdentity(person, { emailVerified: true })
      for (const turn of [1, 2, 3]) {
        const tokens = await redeem(await register({ email: person.email, username: `guess-${turn}-${people}` }))
        assert.notEqual(claimsOf(tokens.id_token).sub, id)
      }
      const guess = { register: null, username: null, email: null, login: person.email, password: 'not it' }
      assert.equal((await register(guess)).body['reason'], 'credentials_invalid')
      const held = await register({ ...guess, password: person.password })
      assert.deepEqual([held.status, held.body['reason']], [429, 'throttled'])
    })

    test('registrations are limited by IP address, on both ways together', async () => {
      const from = { 'x-forwarded-for': '203.0.113.9' }
      for (let turn = 0; turn < 20; turn++) {
        const sent = await new Browser(server.url).post('/register', { ...EMPTY, username: `${turn}` }, from)
        assert.equal(sent.status, 422)
      }
      const held = await register({}, from)
      assert.deepEqual([held.status, held.body['reason']], [429, 'throttled'])
    })

    test('where strangers cannot register on pages, they cannot here', async () => {
      for (const mode of ['invited', 'closed']) {
        const other = await startTestServer({ clock, env: { REGISTRATION: mode } })
        try {
          await other.addApp('desk', { ...deskApp, firstPartyDirect: true })
          const client = new Client(other.url, 'desk', null, '')
          const { searchParams } = new URL(client.authorizeUrl({ redirect_uri: null }))
          const fields = { ...Object.fromEntries(searchParams), register: 'true', username: 'mary', password: NEW }
          const response = await client.send(PATH, { ...fields, email: ada.email, password_confirmation: NEW })
          const { reason, next } = (await response.json()) as Answer['body']
          assert.deepEqual([response.status, reason, next], [403, 'registration_closed', ['password']])
          assert.equal(await findIdentityByLogin(other.services, 'mary'), null)
        } finally {
          await other.close()
        }
      }
    })
  })

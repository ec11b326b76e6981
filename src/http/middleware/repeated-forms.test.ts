import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { deskApp } from '../../testing/portal/apps.ts'
import { Browser, FIREFOX } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addTotp, keyOn } from '../../testing/portal/factors.ts'
import { linkInLast } from '../../testing/mail/mails.ts'
import { actionOf, formIdOf, readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const NEW_PASSWORD = 'eleven brass kettles whistling'

interface Person {
  username: string
  email: string
  password: string
}

interface Form {
  path: string
  fields: Record<string, string>
}

interface Scene {
  server: TestServer
  desk: Client
  browser: Browser
  person: Person
}

/** What a user does before the form, and the form. */
const FORMS: [what: string, prepare: (scene: Scene) => Promise<Form>][] = [
  [
    'sign-in',
    async ({ browser, person }) => {
      const form_id = formIdOf(await readPage(await browser.get('/login')))
      return { path: '/login', fields: { login: person.username, password: person.password, form_id } }
    },
  ],
  [
    'registration',
    async ({ person }) => {
      const username = `new-${person.username}`
      const fields = { username, email: `${username}@example.test`, password: NEW_PASSWORD }
      return { path: '/register', fields: { ...fields, password_confirmation: NEW_PASSWORD } }
    },
  ],
  [
    're-authentication',
    async ({ browser, person }) => {
      await browser.signIn(person)
      return { path: '/reauthentication', fields: { password: person.password } }
    },
  ],
  [
    'second step',
    async ({ browser, server, person }) => {
      const first = new Browser(server.url)
      await first.signIn(person)
      const { codes } = await addTotp(first, new Date())
      await browser.signIn(person)
      return { path: '/login/second-factor', fields: { code: codes[0] as string } }
    },
  ],
  [
    'password change',
    async ({ browser, person }) => {
      await browser.signIn(person)
      const fields = { password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD }
      return { path: '/settings/password', fields: { current_password: person.password, ...fields } }
    },
  ],
  [
    'password reset',
    async ({ browser, server, person }) => {
      await browser.post('/forgot-password', { email: person.email })
      const path = await linkInLast(server, 'reset-password')
      const form_id = formIdOf(await readPage(await browser.get(path)))
      return { path, fields: { form_id, password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD } }
    },
  ],
  [
    'confirmation of an app',
    async ({ browser, person, desk }) => {
      await browser.signIn(person)
      const { response } = await browser.follow(await browser.get(desk.authorizeUrl()))
      return { path: actionOf(await readPage(response), 'Continue to Desk'), fields: {} }
    },
  ],
  [
    'account deletion',
    async ({ browser, person }) => {
      await browser.signIn(person)
      return { path: '/settings/deletion', fields: { username: person.username } }
    },
  ],
  [
    'authenticator app',
    async ({ browser, person }) => {
      await browser.signIn(person)
      const key = keyOn(await readPage(await browser.get('/settings/second-factors/totp/new')))
      return { path: '/settings/second-factors/totp', fields: { name: 'Phone', code: codeOf(key, new Date()) } }
    },
  ],
  [
    'mail to confirm an address',
    async ({ browser, person }) => {
      await browser.signIn(person)
      const form_id = formIdOf(await readPage(await browser.get('/verify-email')))
      return { path: '/verify-email', fields: { form_id } }
    },
  ],
  [
    'sign-out',
    async ({ browser, person }) => {
      await browser.signIn(person)
      return { path: '/logout', fields: {} }
    },
  ],
]

/** Acts that are answered with a page. */
const PAGES = new Set(['account deletion', 'authenticator app'])

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`a form that is posted twice (${kind})`, () => {
    let database: TestDatabase
    let server: TestServer
    let desk: Client
    let people = 0

    before(async () => {
      database = await createDatabase(kind)
      const env = { REGISTRATIONS_PER_HOUR: '1000' }
      server = await startTestServer({ database, env })
      desk = new Client(server.url, 'desk', await server.addApp('desk', deskApp), 'http://127.0.0.1:51234/callback')
    })
    after(async () => {
      await server.close()
      await database.drop()
    })

    async function arrange(): Promise<Scene> {
      const username = `person${++people}`
      const person = { ...ada, username, email: `${username}@example.test` }
      await server.addIdentity(person, { emailVerified: false })
      return { server, desk, person, browser: new Browser(server.url) }
    }

    /** Posts as a browser does that has not got an answer yet. */
    async function send(browser: Browser, { path, fields }: Form): Promise<Response> {
      const url = new URL(path, server.url)
      const cookie = await browser.jar.getCookieString(url.href)
      const headers = { origin: server.url, 'user-agent': FIREFOX, ...(cookie === '' ? {} : { cookie }) }
      return fetch(url, { method: 'POST', redirect: 'manual', headers, body: new URLSearchParams(fields) })
    }

    /** How many rows of each table the act leaves, but for what counts guesses and for protocol records. */
    async function rowsLeftBy(act: () => Promise<unknown>): Promise<Record<string, number>> {
      const earlier = await countRows()
      await act()
      const later = await countRows()
      return Object.fromEntries(Object.entries(later).map(([table, rows]) => [table, rows - (earlier[table] ?? 0)]))
    }

    async function countRows(): Promise<Record<string, number>> {
      const { pool } = server.services.storage
      const { rows } = await pool.query<{ name: string; living: string }>(
        `SELECT 'identities' AS name, count(*) AS living FROM identities
         UNION ALL SELECT 'identity_sessions', count(*) FROM identity_sessions
         UNION ALL SELECT 'living identity_sessions', count(*) FROM identity_sessions WHERE ended_at IS NULL
         UNION ALL SELECT 'browser_sessions', count(*) FROM browser_sessions
         UNION ALL SELECT 'devices', count(*) FROM devices
         UNION ALL SELECT 'totp_keys', count(*) FROM totp_keys
         UNION ALL SELECT 'recovery_codes', count(*) FROM recovery_codes
         UNION ALL SELECT 'audit_events', count(*) FROM audit_events
         UNION ALL SELECT 'mails', count(*) FROM queue.job`,
      )
      return Object.fromEntries(rows.map(({ name, living }) => [name, Number(living)]))
    }

    async function contentOf(answer: Response): Promise<unknown[]> {
      const cookies = answer.headers.getSetCookie()
      return [answer.status, answer.headers.get('location'), cookies, await answer.text()]
    }

    for (const [what, prepare] of FORMS) {
      test(`${what}, at once or one after the other, acts once`, async () => {
        const alone = await arrange()
        const single = await prepare(alone)
        const expected = await rowsLeftBy(() => send(alone.browser, single))
        // A page is kept in no store, so one that comes later is not shown it.
        for (const isAtOnce of PAGES.has(what) ? [true] : [true, false]) {
          const scene = await arrange()
          const form = await prepare(scene)
          let answers: Response[] = []
          const left = await rowsLeftBy(async () => {
            const first = send(scene.browser, form)
            if (!isAtOnce) await first
            answers = await Promise.all([first, send(scene.browser, form)])
          })
          const [one, other] = await Promise.all(answers.map(contentOf))
          assert.ok([200, 303].includes(one?.[0] as number), String(one?.[0]))
          assert.deepEqual(other, one)
          assert.deepEqual(left, expected)
        }
        assert.match(server.log(), /"method":"POST"[^\n]*"repeated":true/)
      })
    }

    test('a sign-in without the id of a form, at once, from a browser that is known: both answers lead to one session', async () => {
      const { person, browser } = await arrange()
      await browser.signIn(person)
      await browser.post('/logout', {})
      const form = { path: '/login', fields: { login: person.username, password: person.password } }
      const answers = await Promise.all([send(browser, form), send(browser, form)])
      const [cookie, other] = answers.map((answer) => answer.headers.getSetCookie().join())
      assert.equal(cookie, other)
      for (const answer of answers) {
        for (const each of answer.headers.getSetCookie()) await browser.jar.setCookie(each, server.url)
        assert.equal((await browser.get('/dashboard')).status, 200)
      }
    })

    test('two browsers that sign the same person in, one after the other, have a session each', async () => {
      const { person, browser } = await arrange()
      const other = new Browser(server.url)
      await browser.signIn(person)
      await other.signIn(person)
      await browser.post('/logout', {})
      assert.equal((await other.get('/dashboard')).status, 200)
      // Nor is it a repeated form to sign in once more.
      await browser.signIn(person)
      assert.equal((await browser.get('/dashboard')).status, 200)
    })

    test('a double click whose second half has the cookies of the first answer is led to the same place', async () => {
      const { person, browser } = await arrange()
      await browser.signIn(person)
      const form_id = formIdOf(await readPage(await browser.get('/settings/password')))
      const fields = { password: NEW_PASSWORD, password_confirmation: NEW_PASSWORD }
      const sent = { current_password: person.password, ...fields, form_id }
      for (let time = 0; time < 2; time++) {
        const answer = await browser.post('/settings/password', sent)
        assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/settings'])
        assert.equal((await browser.get('/settings')).status, 200)
      }
    })

    test('an ending in between wins: the repeated form leads to the sign-in page, without the cookie', async () => {
      const { person, browser } = await arrange()
      const form_id = formIdOf(await readPage(await browser.get('/login')))
      const fields = { login: person.username, password: person.password, form_id }
      const signedIn = await browser.copy()
      assert.equal((await signedIn.post('/login', fields)).status, 303)
      await signedIn.post('/logout', {})
      const late = await browser.post('/login', fields)
      assert.deepEqual([late.status, late.headers.get('location')], [303, '/login'])
      const given = late.headers.getSetCookie().map((line) => line.split('=')[0])
      assert.deepEqual(given, ['notice'])
    })

    test('each wrong password is a guess, though it is the same', async () => {
      const { person, browser } = await arrange()
      const form_id = formIdOf(await readPage(await browser.get('/login')))
      const form = { path: '/login', fields: { login: person.username, password: 'not this one', form_id } }
      const before = server.log().length
      await Promise.all(Array.from({ length: 2 }, () => send(browser, form)))
      await send(browser, form)
      assert.equal(
        server
          .log()
          .slice(before)
          .match(/"event":"sign_in_refused"/g)?.length,
        3,
      )
    })

    test('the same form from another address or another kind of browser acts for itself', async () => {
      const { person, browser } = await arrange()
      const form_id = formIdOf(await readPage(await browser.get('/login')))
      const fields = { login: person.username, password: person.password, form_id }
      const cookies = await Promise.all(
        [FIREFOX, 'curl/8.0'].map(async (agent) => {
          const answer = await new Browser(server.url).post('/login', fields, { 'user-agent': agent })
          return answer.headers.getSetCookie().find((each) => each.startsWith('identity='))
        }),
      )
      assert.notEqual(cookies[0], cookies[1])
    })
  })

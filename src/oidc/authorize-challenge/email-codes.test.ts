import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { mailsTo, waitForMail } from '../../testing/mail/outbox.ts'
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
const ENV = {
  EMAIL_VERIFICATION: 'required',
  MAIL_SIGN_IN: 'true',
  TERMS_URL: 'https://example.test/terms',
  TERMS_VERSION: '2026-11',
  LOGIN_ATTEMPTS_BEFORE_DELAY: '30',
}
const CODE = 'Your code for Gatehouse'

interface Answer {
  status: number
  body: Record<string, unknown>
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`codes from mails inside an app (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let desk: Client
    let email: string
    let people = 0

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      server = await startTestServer({ database, clock, env: ENV })
      await server.addApp('desk', { ...deskApp, firstPartyDirect: true })
      desk = new Client(server.url, 'desk', null, '')
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(() => {
      email = `mary-${++people}@example.test`
      clock.advance(7200)
    })

    async function begin(fields: Record<string, string | null>): Promise<Answer> {
      const { searchParams } = new URL(desk.authorizeUrl({ redirect_uri: null }))
      return ask({ ...Object.fromEntries(searchParams), ...fields })
    }

    function register(change: Record<string, string> = {}): Promise<Answer> {
      const passwords = { password: NEW, password_confirmation: NEW }
      return begin({ register: 'true', username: `mary-${people}`, email, ...passwords, ...change })
    }

    async function ask(fields: Record<string, string | null>): Promise<Answer> {
      const response = await desk.send(PATH, fields)
      return { status: response.status, body: (await response.json()) as Answer['body'] }
    }

    function goOn({ body }: Answer, fields: Record<string, string>): Promise<Answer> {
      return ask({ auth_session: body['auth_session'] as string, ...fields })
    }

    async function redeem({ status, body }: Answer): Promise<Tokens> {
      assert.deepEqual([status, Object.keys(body)], [200, ['authorization_code']], JSON.stringify(body))
      return tokensIn(await desk.exchange(body['authorization_code'] as string, { redirect_uri: null }))
    }

    async function mailedCode(): Promise<string> {
      return codeIn((await waitForMail(server.mailFolder, email, CODE)).text)
    }

    function codeIn(text: string): string {
      return /\b\d{4} \d{4}\b/.exec(text)?.[0] ?? assert.fail(text)
    }

    /** Another code of eight digits. */
    function wrong(code: string): string {
      return code.replace(/^\d/, (digit) => String((Number(digit) + 1) % 10))
    }

    test('register, e-mail code, terms of use, tokens: of 20 racing steps with the right code one goes on', async () => {
      const first = await register()
      assert.deepEqual([first.status, first.body['next']], [403, ['email_code']])
      const code = await mailedCode()
      const refused = await goOn(first, { email_code: wrong(code) })
      assert.deepEqual([refused.body['reason'], refused.body['next']], ['code_invalid', ['email_code']])
      const answers = await Promise.all(Array.from({ length: 20 }, () => goOn(refused, { email_code: code })))
      const passed = answers.filter(({ body }) => body['error'] === 'insufficient_authorization')
      assert.deepEqual(
        passed.map(({ body }) => body['next']),
        [['terms']],
      )
      const tokens = await redeem(await goOn(passed[0] as Answer, { terms_version: '2026-11' }))
      const { sub } = claimsOf(tokens.id_token)
      const identity = await findIdentityByLogin(server.services, email)
      assert.deepEqual([identity?.id, identity?.emailVerified], [sub, true])
      assert.equal((await mailsTo(server.mailFolder, email)).length, 1)
      await tokensIn(await desk.refresh(tokens.refresh_token))
    })

    test('after five wrong codes a new one must be sent, and only that one works', async () => {
      let last = await register()
      const code = await mailedCode()
      for (let turn = 0; turn < 5; turn++) last = await goOn(last, { email_code: wrong(code) })
      last = await goOn(last, { email_code: code })
      assert.equal(last.body['reason'], 'code_invalid')
      last = await goOn(last, { send_email_code: 'true' })
      await waitForMail(server.mailFolder, email, CODE, 2)
      const codes = (await mailsTo(server.mailFolder, email)).map(({ text }) => codeIn(text))
      const next = codes.find((each) => each !== code) ?? assert.fail()
      last = await goOn(last, { email_code: code })
      assert.equal(last.body['reason'], 'code_invalid')
      last = await goOn(last, { email_code: next.replace(' ', '-') })
      assert.deepEqual(last.body['next'], ['terms'])
      const other = await register({ username: `other-${people}`, email: `other-${email}` })
      assert.deepEqual(other.body['next'], ['email_code'])
      assert.equal((await goOn(other, { email_code: next })).body['reason'], 'code_invalid')
    })

    test('the address of another account is answered like a free one, and its owner is told', async () => {
      await server.addIdentity({ ...ada, username: `owner-${people}`, email }, { emailVerified: true })
      const known = await register()
      const free = await register({ username: `free-${people}`, email: `free-${email}` })
      const shape = ({ status, body }: Answer) => [status, body['error'], body['next'], Object.keys(body)]
      assert.deepEqual(shape(known), shape(free))
      await waitForMail(server.mailFolder, email, 'You already have')
      assert.equal((await mailsTo(server.mailFolder, email)).length, 1)
    })

    test('a code signs in in place of the password, before the second factor; an unknown login is answered alike', async () => {
      const person = { ...ada, username: `ada-${people}`, email }
      const id = await server.addIdentity(person, { emailVerified: true })
      const home = new Browser(server.url)
      await home.signIn(person)
      await home.post('/terms', { version: '2026-11' })
      const { key } = await addTotp(home, clock())
      clock.advance(60)
      const asked = await begin({ login: person.username, send_email_code: 'true' })
      const unknown = await begin({ login: `nobody-${people}`, send_email_code: 'true' })
      const shape = ({ status, body }: Answer) => [status, body['error'], body['next'], Object.keys(body)]
      assert.deepEqual(shape(asked), shape(unknown))
      assert.deepEqual(asked.body['next'], ['email_code'])
      const code = await mailedCode()
      assert.equal((await goOn(unknown, { email_code: code })).body['reason'], 'code_invalid')
      const second = await goOn(asked, { email_code: code })
      assert.deepEqual(second.body['next'], ['totp', 'recovery_code'])
      const tokens = await redeem(await goOn(second, { totp: codeOf(key, clock()) }))
      const { sub, amr } = claimsOf(tokens.id_token)
      assert.deepEqual([sub, amr], [id, ['email', 'otp', 'mfa']])
    })

    test('an address that nobody has proved gets a link to choose a password in place of a code', async () => {
      await server.addIdentity({ ...ada, username: `claim-${people}`, email })
      assert.deepEqual((await begin({ login: email, send_email_code: 'true' })).body['next'], ['email_code'])
      await waitForMail(server.mailFolder, email, 'Choose a new')
      assert.equal((await mailsTo(server.mailFolder, email)).length, 1)
    })
  })

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { listIdentitySessions } from '../../domain/sign-in/identity-sessions.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../../testing/browser/client.ts'
import { tokensIn } from '../../testing/portal/answers.ts'
import { deskApp, notesApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const PATH = '/oauth/authorize-challenge'
const PHONE = { 'user-agent': 'Desk/3.1 (Android 15)', 'x-forwarded-for': '198.51.100.7' }

interface Answer {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`direct sign-ins (${kind})`, () => {
    let database: TestDatabase
    let clock: TestClock
    let server: TestServer
    let desk: Client
    let notes: Client
    let person: typeof ada
    let identityId: string
    let people = 0

    before(async () => {
      clock = createClock()
      database = await createDatabase(kind)
      server = await startTestServer({ database, clock, env: { TRUST_PROXY: 'true' } })
      await server.addApp('desk', { ...deskApp, firstPartyDirect: true })
      const secret = await server.addApp('notes', { ...notesApp, firstPartyDirect: true })
      await server.addApp('closed', deskApp)
      desk = new Client(server.url, 'desk', null, '')
      notes = new Client(server.url, 'notes', secret, '')
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(async () => {
      clock.advance(3600)
      person = { ...ada, username: `ada-${++people}`, email: `ada-${people}@example.test` }
      identityId = await server.addIdentity(person)
    })

    /** A first request, but for what `change` names; null leaves a parameter out. */
    async function begin(change: Record<string, string | null> = {}, client = desk, headers = {}): Promise<Answer> {
      const { searchParams } = new URL(client.authorizeUrl({ redirect_uri: null }))
      const asked = {
        ...Object.fromEntries(searchParams),
        login: person.username,
        password: person.password,
        ...change,
      }
      return ask(asked, client, headers)
    }

    async function ask(fields: Record<string, string | null>, client = desk, headers = {}): Promise<Answer> {
      const response = await client.send(PATH, fields, { ...PHONE, ...headers })
      assert.deepEqual(response.headers.getSetCookie(), [])
      assert.equal(response.headers.get('cache-control'), 'no-store')
      return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
    }

    async function redeem({ status, body }: Answer, client = desk): Promise<Tokens> {
      assert.deepEqual([status, Object.keys(body)], [200, ['authorization_code']], JSON.stringify(body))
      return tokensIn(await client.exchange(body['authorization_code'] as string, { redirect_uri: null }))
    }

    async function withTotp(): Promise<{ key: string; codes: string[] }> {
      const browser = new Browser(server.url)
      await browser.signIn(person)
      const added = await addTotp(browser, clock())
      clock.advance(60)
      return added
    }

    test('discovery names the endpoint', async () => {
      const discovery = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as object
      assert.equal(
        Object.entries(discovery).find(([name]) => name === 'authorization_challenge_endpoint')?.[1],
        server.url + PATH,
      )
    })

    test('an app signs its user in with the password, and gets tokens of a family like any other', async () => {
      for (const client of [desk, notes]) {
        const tokens = await redeem(await begin({}, client), client)
        const { sub, amr, acr, nonce } = claimsOf(tokens.id_token)
        assert.deepEqual([sub, amr, acr, nonce], [identityId, ['pwd'], 'aal1', 'nonce'])
        const next = await tokensIn(await client.refresh(tokens.refresh_token))
        assert.notEqual(next.refresh_token, tokens.refresh_token)
      }
    })

    test('the user finds the app on the dashboard, the sign-in on the activity page, and can end it', async () => {
      const tokens = await redeem(await begin())
      const browser = new Browser(server.url)
      await browser.signIn(person)
      assert.match((await readPage(await browser.get('/dashboard'))).text, /Desk/)
      assert.match((await readPage(await browser.get('/activity'))).text, /Desk on Android/)
      const signIns = async () => (await listIdentitySessions(server.services, identityId)).map((each) => each.browser)
      assert.ok((await signIns()).includes('Desk ▸ Desk/3.1 (Android 15)'))
      await desk.revoke(tokens.refresh_token)
      assert.equal((await desk.refresh(tokens.refresh_token)).status, 400)
      assert.equal((await signIns()).length, 1)
    })

    test('a second factor is asked for, and 20 racing steps with the right code give one authorization code', async () => {
      const { key } = await withTotp()
      const first = await begin()
      assert.deepEqual([first.status, first.body['error']], [403, 'insufficient_authorization'])
      assert.deepEqual(first.body['next'], ['totp', 'recovery_code'])
      const step = { auth_session: first.body['auth_session'] as string, totp: codeOf(key, clock()) }
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(step)))
      const codes = answers.filter(({ status }) => status === 200)
      assert.equal(codes.length, 1)
      assert.deepEqual(
        new Set(answers.filter(({ status }) => status !== 200).map(({ body }) => body['error'])),
        new Set(['invalid_session']),
      )
      assert.deepEqual(claimsOf((await redeem(codes[0] as Answer)).id_token)['amr'], ['pwd', 'otp', 'mfa'])
    })
  })

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { jsonIn } from '../../testing/portal/answers.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { dump } from '../../testing/portal/dump.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../../testing/portal/statements.ts'

const CALLBACK = 'https://notes.example.test/callback'

for (const mode of ['invited', 'closed'] as const) {
  describe(`REGISTRATION=${mode}`, () => {
    let server: TestServer
    let notes: Client

    before(async () => {
      server = await startTestServer({ env: { REGISTRATION: mode, IN_PROCESS_WORKER: 'false' } })
      notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
      await server.addIdentity(ada, { emailVerified: true })
      await server.addIdentity(grace)
    })
    after(() => server.close())

    const sent = (email: string) => ({
      username: 'mary',
      email,
      password: 'seven wet umbrellas in a row',
      password_confirmation: 'seven wet umbrellas in a row',
    })

    test('there is no form to register, and none is accepted', async () => {
      const before = await dump(server.services.storage.pool)
      for (const path of ['/register', '/register/', '/REGISTER', '/register?return_to=%2Fdashboard']) {
        for (const answer of [
          await new Browser(server.url).get(path),
          await new Browser(server.url).post(path, sent('mary@example.test')),
        ]) {
          const page = await readPage(answer)
          assert.equal(page.status, mode === 'invited' ? 403 : 404, path)
          assert.deepEqual(page.forms, [])
          assert.equal(page.heading, mode === 'invited' ? 'By invitation only' : 'Page not found')
        }
      }
      assert.deepEqual(await dump(server.services.storage.pool), before)
    })

    test('no page and no metadata tells of registering', async () => {
      const told = await jsonIn(await fetch(`${server.url}/.well-known/openid-configuration`))
      assert.deepEqual(told['prompt_values_supported'], ['none', 'login', 'consent', 'select_account'])
      assert.doesNotMatch(JSON.stringify(told), /regist(?!ration_endpoint_auth)/)
      const browser = new Browser(server.url)
      const signIn = (await browser.follow(await browser.get(notes.authorizeUrl()))).response
      const pages = [signIn, ...(await Promise.all(['/login', '/forgot-password'].map((path) => browser.get(path))))]
      for (const answer of pages) {
        const page = await readPage(answer)
        assert.equal(page.status, 200)
        assert.doesNotMatch(page.html, /regist|create an account|invit/i)
      }
    })

    test('prompt=create is refused like a prompt that does not exist', async () => {
      const answers = []
      for (const prompt of ['create', 'unheard-of']) {
        const { url } = await new Browser(server.url).follow(
          await new Browser(server.url).get(notes.authorizeUrl({ prompt, state: 's' })),
        )
        answers.push(Object.fromEntries(new URL(url).searchParams))
      }
      assert.equal(answers[0]?.['error'], 'invalid_request')
      assert.deepEqual(answers[0], answers[1])
    })

    test('a link that is no invitation says the same to all, and nothing of accounts', async () => {
      const page = await readPage(await new Browser(server.url).get(`/invitation/${'A'.repeat(48)}`))
      assert.deepEqual(
        [page.status, page.heading],
        [404, mode === 'invited' ? 'This link does not work' : 'Page not found'],
      )
    })

    test('what strangers ask about known and unknown addresses gets the same answer after the same work', async () => {
      const questions: [string, (email: string) => Record<string, string>][] = [
        ['/register', sent],
        ['/login', (login) => ({ login, password: 'a password that no account here has' })],
        ['/forgot-password', (email) => ({ email })],
      ]
      for (const [path, fields] of questions) {
        const outcomes = []
        // Not the first of its kind: statements are prepared, and queues opened, once.
        await new Browser(server.url).post(path, fields('first@example.test'))
        for (const email of [ada.email, grace.email, 'unknown@example.test']) {
          let answer: Response | null = null
          const statements = await recordStatements(async () => {
            answer = await new Browser(server.url).post(path, fields(email))
          })
          const page = await readPage(answer as unknown as Response)
          const text = page.text.replaceAll(email, 'EMAIL').replace(/Reference \w+/, '')
          const work = path === '/register' ? withoutPeriodic(statements).map(({ text: sql }) => sql) : []
          outcomes.push({ status: page.status, text, work })
        }
        assert.deepEqual(outcomes[0], outcomes[2], path)
        assert.deepEqual(outcomes[1], outcomes[2], path)
      }
    })
  })
}

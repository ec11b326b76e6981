import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { answerIn, tokensIn } from '../../testing/portal/answers.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client, type Tokens } from '../../testing/browser/client.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { send } from '../../testing/network/wire.ts'

const CALLBACK = 'https://notes.example.test/callback'
const ROUNDS = 8

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let twin: TestServer
  let twinPort: number
  let browser: Browser
  let notes: Client

  before(async () => {
    server = await startTestServer({ kind })
    twinPort = await findFreePort()
    const env = { PUBLIC_URL: server.url, PORT: String(twinPort) }
    twin = await startTestServer({ database: server.database, env })
    await server.addIdentity(ada)
    notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })
  after(async () => {
    await twin.close()
    await server.close()
  })

  /** The same exchange, at the other portal. */
  async function exchangeAtTwin(code: string): Promise<{ status: number; body: string }> {
    return send(twinPort, {
      method: 'POST',
      path: '/oauth/token',
      headers: {
        host: new URL(server.url).host,
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`notes:${notes.secret}`).toString('base64')}`,
      },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        redirect_uri: CALLBACK,
        code_verifier: notes.verifier,
      }).toString(),
    })
  }

  test(`a code that twenty callers show at once, at two portals, opens no family that lives (${kind})`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const code = await notes.code(browser)
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, caller) => {
          if (caller % 2 === 0) return exchangeAtTwin(code)
          const response = await notes.exchange(code)
          return { status: response.status, body: await response.text() }
        }),
      )
      const won = answers.filter(({ status }) => status === 200)
      assert.equal(won.length, 1)
      for (const { status, body } of answers) {
        if (status !== 200) assert.deepEqual([status, JSON.parse(body).error], [400, 'invalid_grant'])
      }
      for (const { body } of won) {
        const tokens = JSON.parse(body) as Tokens
        assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
        assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
      }
    }
    const { rows } = await server.services.storage.pool.query(
      'SELECT count(*)::int AS n FROM families WHERE ended_at IS NULL',
    )
    assert.equal(rows[0].n, 0)
  })

  test(`two callers who show one code at once end it, whichever was first (${kind})`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const code = await notes.code(browser)
      const answers = await Promise.all([notes.exchange(code), notes.exchange(code)])
      const won = answers.filter(({ status }) => status === 200)
      assert.equal(won.length, 1)
      for (const response of won) {
        assert.equal((await notes.userinfo((await tokensIn(response)).access_token)).status, 401)
      }
    }
  })

  test(`a code that one portal gave is exchanged at the other (${kind})`, async () => {
    const code = answerIn(await browser.get(notes.authorizeUrl()), CALLBACK)['code'] as string
    const { status, body } = await exchangeAtTwin(code)
    assert.equal(status, 200, body)
    assert.equal((await notes.userinfo((JSON.parse(body) as Tokens).access_token)).status, 200)
  })
}

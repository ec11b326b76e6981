import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as oauth from 'openid-client'
import { insertFamily, type NewFamily } from '../storage/family-openings.ts'
import { transaction } from '../storage/postgres.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { familyRow } from '../testing/portal/connections.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const OFFLINE = 'openid profile email offline_access'
/** How long an application token of these apps lives (seconds). */
const TOKEN = 300

/** What an app asks for beside `prompt=none`: nothing, or something that leaves the request to the library. */
const WAYS: Record<'plain' | 'library', Record<string, string>> = {
  plain: {},
  library: { claims: '{"id_token":{"email":null}}' },
}

for (const kind of ['postgres', 'postgres+redis'] as const) {
  for (const [way, more] of Object.entries(WAYS)) {
    suite(`silent renewals on ${kind}, the ${way} way`, () => {
      // No midnight is near, so that what the activity lists happened on one day.
      const clock = createClock(new Date(new Date().setUTCHours(36, 0, 0, 0)))
      let server: TestServer
      let adaId: string
      let browser: Browser
      let notes: Client
      let photos: Client
      let listener: Client
      let worker: Client

      before(async () => {
        server = await startTestServer({ kind, clock, env: { APPLICATION_TOKEN_TTL: String(TOKEN) } })
        adaId = await server.addIdentity(ada)
        notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
        photos = new Client(
          server.url,
          'photos',
          await server.addApp('photos', photosApp),
          'https://photos.example.test/',
        )
        const told = { ...notesApp, backchannelLogoutUri: 'https://notes.example.test/logout' }
        listener = new Client(server.url, 'listener', await server.addApp('listener', told), CALLBACK)
        const offline = { ...notesApp, scope: OFFLINE, allowOffline: true }
        worker = new Client(server.url, 'worker', await server.addApp('worker', offline), CALLBACK)
      })
      after(() => server.close())
      beforeEach(async () => {
        browser = new Browser(server.url)
        await browser.signIn(ada)
      })

      const silently = { prompt: 'none', ...more }
      const renew = (client: Client = notes, change: Record<string, string> = {}) =>
        client.connect(browser, { ...silently, ...change })
      const familyOf = ({ access_token: token }: Tokens) => claimsOf(token)['fam'] as string

      /** The causes of the ends of these families; null for one that lives. */
      async function endsOf(...tokens: Tokens[]): Promise<(string | null)[]> {
        const rows = await Promise.all(tokens.map((each) => familyRow(server.services, { familyId: familyOf(each) })))
        return rows.map(({ endCause }) => endCause)
      }

      /** The same for a request that shows a page. */
      async function chooseAccount(): Promise<Tokens> {
        const shown = await browser.get(notes.authorizeUrl({ ...more, prompt: 'select_account' }))
        const page = await readPage((await browser.follow(shown)).response)
        const form = page.forms.find(({ buttons }) => buttons.includes('Continue as ada'))
        const { url } = await browser.follow(await browser.post(form?.action ?? '', form?.fields ?? {}))
        const answer = await notes.exchange(new URL(url).searchParams.get('code') ?? '')
        return tokensIn(answer)
      }

      async function reasonOf(response: Response): Promise<unknown> {
        const { error, reason } = (await response.json()) as Record<string, unknown>
        return [response.status, error, reason]
      }

      test('openid-client renews ten times before each token expires, and two families live', async () => {
        const config = await oauth.discovery(
          new URL(server.url),
          'notes',
          {},
          oauth.ClientSecretBasic(notes.secret as string),
          {
            execute: [oauth.allowInsecureRequests],
          },
        )
        const livingCounts: number[] = []
        for (let count = 0; count <= 10; count++) {
          const verifier = oauth.randomPKCECodeVerifier()
          const url = oauth.buildAuthorizationUrl(config, {
            redirect_uri: CALLBACK,
            scope: 'openid profile email',
            code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
            code_challenge_method: 'S256',
            ...silently,
          })
          const { url: reached } = await browser.follow(await browser.get(url.href))
          const tokens = await oauth.authorizationCodeGrant(config, new URL(reached), { pkceCodeVerifier: verifier })
          const sessionId = (
            await familyRow(server.services, { familyId: claimsOf(tokens.access_token)['fam'] as string })
          ).identitySessionId
          const { rows } = await server.services.storage.pool.query<{ count: number }>(
            'SELECT count(*)::int AS count FROM families WHERE identity_session_id = $1 AND ended_at IS NULL',
            [sessionId],
          )
          livingCounts.push(rows[0]?.count ?? 0)
          clock.advance(TOKEN - 60)
        }
        assert.deepEqual(livingCounts, [1, ...Array<number>(10).fill(2)])
      })

      test('a renewal takes the place of the one before as soon as its token has expired, and writes that down', async () => {
        const first = await renew()
        clock.advance(TOKEN - 1)
        const second = await renew()
        assert.deepEqual(await endsOf(first, second), [null, null])
        clock.advance(1)
        const third = await renew()
        assert.deepEqual(await endsOf(first, second, third), ['replaced', null, null])

        const { pool } = server.services.storage
        const events = await pool.query(
          'SELECT kind, cause, detail, identity_id, client_id, browser, address, actor FROM audit_events WHERE family_id = ANY($1) ORDER BY id',
          [[familyOf(first), familyOf(third)]],
        )
        const [opened, ended] = events.rows
        assert.deepEqual(events.rows, [
          { ...opened, kind: 'family_opened', cause: null, detail: 'silent' },
          { ...opened, kind: 'family_ended', cause: 'replaced', detail: null },
          { ...opened, kind: 'family_opened', cause: null, detail: 'renewal' },
        ])
        assert.deepEqual([ended.identity_id, ended.client_id, ended.actor], [adaId, 'notes', null])
        const line = server
          .log()
          .split('\n')
          .find((each) => each.includes('"event":"family_ended"') && each.includes(familyOf(first)))
        assert.match(line ?? '', /"cause":"replaced"/)

        assert.deepEqual(await reasonOf(await notes.refresh(first.refresh_token)), [400, 'invalid_grant', 'revoked'])
        assert.equal((await notes.refresh(third.refresh_token)).status, 200)
        const { text } = await readPage(await browser.get('/activity'))
        // The page of the activity lists neither the renewal nor what it replaced.
        assert.doesNotMatch(text, /Signed out of Notes/)
        assert.match(text, /Today You were signed in to Notes automatically 2 times\./)
        assert.doesNotMatch((await readPage(await browser.get('/dashboard'))).text, /Just ended/)
      })

      test('a family that was refreshed stays, however often the app renews', async () => {
        const used = await renew()
        assert.equal((await notes.refresh(used.refresh_token)).status, 200)
        for (let count = 0; count < 3; count++) {
          clock.advance(TOKEN)
          await renew()
        }
        assert.deepEqual(await endsOf(used), [null])
      })

      test('families that a page or no prompt opened stay, and replace none', async () => {
        const untouched = await renew()
        clock.advance(TOKEN)
        const plain = await notes.connect(browser, more)
        const asked = await chooseAccount()
        assert.deepEqual(await endsOf(untouched, plain, asked), [null, null, null])
        clock.advance(TOKEN)
        await renew()
        assert.deepEqual(await endsOf(untouched, plain, asked), ['replaced', null, null])
      })

      test('families of another app, another browser and another user stay', async () => {
        const others = [await renew(photos)]
        const another = new Browser(server.url)
        await another.signIn(ada)
        others.push(await notes.connect(another, silently))
        const username = `other-${kind.length}-${way}`
        const person = { ...ada, username, email: `${username}@example.test` }
        await server.addIdentity(person)
        const theirs = new Browser(server.url)
        await theirs.signIn(person)
        others.push(await notes.connect(theirs, silently))
        clock.advance(TOKEN)
        await renew()
        assert.deepEqual(await endsOf(...others), [null, null, null])
      })

      test('a family that may do more than the new one stays', async () => {
        const narrow = await renew(notes, { scope: 'openid' })
        const wide = await renew()
        clock.advance(TOKEN)
        await renew(notes, { scope: 'openid email' })
        assert.deepEqual(await endsOf(narrow, wide), ['replaced', null])
      })

      test('a family with offline_access gives its place to one with offline_access and to no other', async () => {
        const offline = await renew(worker, { scope: OFFLINE })
        const online = await renew(worker)
        clock.advance(TOKEN)
        const next = await renew(worker)
        assert.deepEqual(await endsOf(offline, online), [null, 'replaced'])
        await renew(worker, { scope: OFFLINE })
        assert.deepEqual(await endsOf(offline, next), ['replaced', null])
      })

      test('an app is told of no replacement, and of every replaced family when the last one ends', async () => {
        const renewals: Tokens[] = []
        for (let count = 0; count < 3; count++) {
          renewals.push(await renew(listener))
          clock.advance(TOKEN)
        }
        const { pool } = server.services.storage
        const told = async () => {
          const { rows } = await pool.query<{ sid: string; cause: string }>(
            'SELECT sid, cause FROM notices WHERE family_id = ANY ($1) ORDER BY array_position($1, family_id)',
            [renewals.map(familyOf)],
          )
          return rows
        }
        assert.deepEqual(await endsOf(...renewals), ['replaced', 'replaced', null])
        assert.deepEqual(await told(), [])
        const { text } = await readPage(await browser.get(`/families/${familyOf(renewals[0] as Tokens)}`))
        assert.match(text, /Notes asked for the newer sign-in itself\. The access of this one ended by/)

        await browser.post('/logout', {})
        const sids = renewals.map(({ id_token: token }) => claimsOf(token)['sid'])
        assert.equal(new Set(sids).size, 3)
        assert.deepEqual(
          await told(),
          sids.map((sid) => ({ sid, cause: 'signed_out' })),
        )
      })

      test('two renewals at once leave two, and one of them writes down what was replaced', async () => {
        const before = await renew()
        clock.advance(TOKEN)
        const codes = [await notes.code(browser, silently), await notes.code(browser, silently)]
        const answers = await Promise.all(codes.map(async (code) => notes.exchange(code)))
        const tokens = await Promise.all(answers.map(tokensIn))
        assert.deepEqual(await endsOf(before, ...tokens), ['replaced', null, null])
        const { rows } = await server.services.storage.pool.query(
          "SELECT FROM audit_events WHERE family_id = $1 AND kind = 'family_ended'",
          [familyOf(before)],
        )
        assert.equal(rows.length, 1)
      })

      test('a refresh that commits while the replacement waits keeps its family', async () => {
        const before = await renew()
        clock.advance(TOKEN)
        const code = await notes.code(browser, silently)
        const { pool } = server.services.storage
        let exchanging: Promise<Response> | undefined
        let refreshed: Response | undefined
        await transaction(pool, async (db) => {
          // The exchange has its snapshot, in which nothing was refreshed, and waits for the app.
          await db.query("SELECT FROM apps WHERE client_id = 'notes' FOR UPDATE")
          exchanging = notes.exchange(code)
          await waitForWaiting()
          refreshed = await notes.refresh(before.refresh_token)
        })
        assert.equal(refreshed?.status, 200)
        assert.equal((await exchanging)?.status, 200)
        assert.deepEqual(await endsOf(before), [null])
        const { refresh_token: next } = await tokensIn(refreshed)
        assert.equal((await notes.refresh(next)).status, 200)
      })

      test('a family that is being refreshed or ended at that moment stays, and the renewal does not wait', async () => {
        const before = await renew()
        clock.advance(TOKEN)
        const tokens = await transaction(server.services.storage.pool, async (db) => {
          await db.query('SELECT FROM families WHERE id = $1 FOR NO KEY UPDATE', [familyOf(before)])
          return renew()
        })
        assert.deepEqual(await endsOf(before, tokens), [null, null])
      })

      test('a refresh that waits for a replacement is refused, and nothing is forked', async () => {
        const before = await renew()
        clock.advance(TOKEN)
        const row = await familyRow(server.services, { familyId: familyOf(before) })
        const later = new Date(clock().getTime() + 60_000)
        const next: NewFamily = {
          ...row,
          id: randomUUID(),
          identitySessionId: row.identitySessionId as string,
          currentHash: Buffer.alloc(32),
          idleExpiresAt: later,
          expiresAt: later,
          openedSilently: true,
          defaultTokenSeconds: TOKEN,
        }
        let refreshing: Promise<Response> | undefined
        await transaction(server.services.storage.pool, async (db) => {
          assert.deepEqual((await insertFamily(db, next, clock()))?.replaced, [row.id])
          refreshing = notes.refresh(before.refresh_token)
          await waitForWaiting()
        })
        assert.deepEqual(await reasonOf((await refreshing) as Response), [400, 'invalid_grant', 'revoked'])
        const { generation, endCause } = await familyRow(server.services, { familyId: row.id })
        assert.deepEqual([generation, endCause], [0, 'replaced'])
      })

      /** Until a connection waits for a lock. */
      async function waitForWaiting(): Promise<void> {
        const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
        for (let tries = 0; tries < 200; tries++) {
          const { rows } = await server.services.storage.pool.query(waiting)
          if (rows.length > 0) return
          await sleep(25)
        }
        assert.fail('nothing waits for a lock')
      }
    })
  }
}

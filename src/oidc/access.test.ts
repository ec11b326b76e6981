import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { type AppRow, type AppSettings, changeApp, findApp } from '../domain/apps/apps.ts'
import { changeRoles } from '../domain/identities/identities.ts'
import { updateApp } from '../storage/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf } from '../testing/browser/client.ts'
import { actionOf, type Page, readPage } from '../testing/browser/page.ts'
import { answerIn, jsonIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { deskApp, notesApp, televisionApp } from '../testing/portal/apps.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const ACCESS = { access: 'assigned', allowedRoles: ['sales'] }
const REFUSED = ['access_denied', 'the person may not use this app', undefined]
/** Leads past the fast path. */
const SLOWLY = '&unrelated=1'

for (const kind of ['postgres', 'postgres+redis'] as const)
  describe(`access to an app (${kind})`, () => {
    let database: TestDatabase
    let server: TestServer
    let notes: Client
    let browser: Browser
    let adasId: string
    let gracesId: string

    before(async () => {
      database = await createDatabase(kind)
      server = await startTestServer({ database, env: { SUPPORT_URL: 'https://help.example.test/' } })
      adasId = await server.addIdentity(ada)
      gracesId = await server.addIdentity(grace, { roles: ['sales'] })
      const settings = { ...notesApp, ...ACCESS, homeUri: 'https://notes.example.test/' }
      notes = new Client(server.url, 'notes', await server.addApp('notes', settings), CALLBACK)
    })
    after(async () => {
      await server.close()
      await database.drop()
    })
    beforeEach(async () => {
      await changeRoles(server.services, adasId, [])
      await change({ ...ACCESS, firstTimeNotice: false, isThirdParty: false, requirePar: false })
      browser = new Browser(server.url)
      await browser.signIn(ada)
    })

    async function change(settings: Partial<AppSettings>): Promise<void> {
      await changeApp(server.services, (await findApp(server.services, 'notes')) as AppRow, settings)
    }

    async function open(url = notes.authorizeUrl()): Promise<{ url: string; page: Page }> {
      const followed = await browser.follow(await browser.get(url))
      return { url: followed.url, page: await readPage(followed.response) }
    }

    async function press(page: Page, button: string, fields: Record<string, string> = {}): Promise<string> {
      const form = page.forms.find(({ buttons }) => buttons.includes(button))
      assert.ok(form, `no ${button} on ${page.text}`)
      return (await browser.follow(await browser.post(form.action, { ...form.fields, ...fields }))).url
    }

    const toldIn = (url: string) => {
      const { searchParams: told } = new URL(url)
      return [told.get('error'), told.get('error_description'), told.get('code') ?? undefined]
    }

    test('a user without access gets a page with what to do, and the app no code', async () => {
      for (const more of ['', SLOWLY]) {
        const { page } = await open(notes.authorizeUrl() + more)
        assert.deepEqual([page.status, page.heading], [403, 'You have no access to Notes'])
        assert.match(page.text, /You are signed in as ada.+ask your administrator.+Contact support.+Go to your apps/i)
        assert.match(page.html, /href="https:\/\/help\.example\.test\/"/)
        assert.deepEqual(toldIn(await press(page, 'Go back to Notes')), REFUSED)
        const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' }) + more), CALLBACK)
        assert.deepEqual([told['error'], told['error_description'], told['code']], REFUSED)
      }
      assert.doesNotMatch((await readPage(await browser.get('/dashboard'))).text, /Notes/)
      await changeRoles(server.services, adasId, ['sales'])
      assert.match((await readPage(await browser.get('/dashboard'))).text, /Notes/)
    })

    test('the page comes before all others but the sign-in, whatever the app and its request are like', async () => {
      const heading = async (url?: string) => (await open(url)).page.heading
      const expected = 'You have no access to Notes'
      await change({ firstTimeNotice: true })
      assert.equal(await heading(), expected)
      await change({ isThirdParty: true })
      assert.equal(await heading(), expected)
      assert.equal(await heading(notes.authorizeUrl({ prompt: 'consent' })), expected)
      await change({ requirePar: true })
      const params = Object.fromEntries(new URL(notes.authorizeUrl()).searchParams)
      const { request_uri: uri } = await jsonIn(await notes.send('/oauth/par', params))
      assert.equal(await heading(`/oauth/authorize?client_id=notes&request_uri=${String(uri)}`), expected)
      const id = `desk-${kind.length}`
      await server.addApp(id, { ...deskApp, ...ACCESS })
      const desk = new Client(server.url, id, null, 'http://127.0.0.1/callback')
      assert.equal(await heading(desk.authorizeUrl()), 'You have no access to Desk')
      await server.services.storage.pool.query('UPDATE identities SET email_verified = false WHERE id = $1', [adasId])
      assert.equal(await heading(desk.authorizeUrl()), 'You have no access to Desk')
    })

    test('another account that has access goes on to the app, and one that has none reads the page again', async () => {
      const toSignIn = async (page: Page) => {
        const [, href = ''] = /<a [^>]*href="([^"]*)"[^>]*>Use another account<\/a>/.exec(page.html) ?? []
        return (await open(href.replaceAll('&amp;', '&'))).page
      }
      const { page } = await open()
      const fields = ({ username: login, password }: typeof ada) => ({ login, password })
      const again = await open(await press(await toSignIn(page), 'Sign in', fields(ada)))
      assert.equal(again.page.heading, 'You have no access to Notes')
      const code = new URL(await press(await toSignIn(again.page), 'Sign in', fields(grace))).searchParams.get('code')
      const tokens = await tokensIn(await notes.exchange(code ?? ''))
      assert.equal(claimsOf(tokens.id_token)['sub'], gracesId)
    })

    test('access that is given while the page is open is there when it is loaded again', async () => {
      const { url } = await open()
      await changeRoles(server.services, adasId, ['sales'])
      assert.ok((await open(url)).url.startsWith(`${CALLBACK}?code=`))
      assert.ok((await open()).url.startsWith(`${CALLBACK}?code=`))
    })

    test('a code is worth nothing once access is taken away, on the fast path and past it', async () => {
      for (const claims of [null, '{"userinfo":{"sub":null}}']) {
        await changeRoles(server.services, adasId, ['sales'])
        const code = await notes.code(browser, { claims })
        await changeRoles(server.services, adasId, [])
        assert.equal((await problemIn(await notes.exchange(code))).error, 'invalid_grant')
        const { rows } = await server.services.storage.pool.query(
          'SELECT FROM families WHERE identity_id = $1 AND ended_at IS NULL',
          [adasId],
        )
        assert.deepEqual(rows, [])
      }
    })

    test('nothing that an app holds is good for anything once access is withdrawn, even before it has ended', async () => {
      await changeRoles(server.services, adasId, ['sales'])
      const all = [await notes.connect(browser), await notes.connect(browser, { claims: '{"userinfo":{"sub":null}}' })]
      await updateApp(server.services.storage.pool, 'notes', { allowedRoles: [] }, new Date())
      for (const tokens of all) {
        assert.deepEqual(await notes.introspect(tokens.access_token), { active: false, reason: 'family_ended' })
        assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
        for (const scope of [null, 'openid']) {
          const refused = await problemIn(await notes.refresh(tokens.refresh_token, { scope }))
          assert.deepEqual([refused.error, refused.reason], ['invalid_grant', 'access_withdrawn'])
        }
      }
      await updateApp(server.services.storage.pool, 'notes', { allowedRoles: ['sales'] }, new Date())
      for (const { refresh_token: token } of all) assert.equal((await notes.refresh(token)).status, 200)
    })

    test('a user without access cannot let a device in, and a device is refused whose user has lost it', async () => {
      const id = `tv-${kind.length}`
      await server.addApp(id, { ...televisionApp, ...ACCESS })
      const television = new Client(server.url, id, null, '')
      const ask = async () => jsonIn(await television.send('/oauth/device', { scope: 'openid' }))
      const poll = async (codes: Record<string, unknown>) => {
        const grant = 'urn:ietf:params:oauth:grant-type:device_code'
        const fields = { grant_type: grant, device_code: codes['device_code'] as string }
        return problemIn(await television.send('/oauth/token', fields))
      }
      const page = async (codes: Record<string, unknown>) =>
        readPage(await browser.get(`/device?user_code=${codes['user_code'] as string}`))

      const first = await ask()
      const refused = await page(first)
      assert.deepEqual([refused.status, refused.heading], [403, 'You have no access to Television'])
      const forced = await browser.post(`/device/approval?user_code=${first['user_code'] as string}`, {})
      assert.equal((await readPage(forced)).heading, 'You have no access to Television')
      assert.equal((await poll(first)).error, 'authorization_pending')
      await press(refused, 'Go back to Television')

      await changeRoles(server.services, adasId, ['sales'])
      const second = await ask()
      await browser.post(actionOf(await page(second), 'Allow'), {})
      await changeRoles(server.services, adasId, [])
      assert.equal((await poll(second)).error, 'invalid_grant')
    })
  })

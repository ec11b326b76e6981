import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { changeApp, findApp } from '../domain/apps/apps.ts'
import { answerIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { actionOf, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
let server: TestServer
let notes: Client
let browser: Browser
let id: string
let count = 0

before(async () => {
  server = await startTestServer()
  const secret = await server.addApp('notes', { ...notesApp, firstTimeNotice: true })
  notes = new Client(server.url, 'notes', secret, CALLBACK)
})
after(() => server.close())
beforeEach(async () => {
  const username = `person${++count}`
  const person = { ...ada, username, email: `${username}@example.test` }
  id = await server.addIdentity(person)
  browser = new Browser(server.url)
  await browser.signIn(person)
})

const open = async (change: Record<string, string> = {}) => {
  const { url, response } = await browser.follow(await browser.get(notes.authorizeUrl(change)))
  return { url, page: url.startsWith(CALLBACK) ? null : await readPage(response) }
}
const rows = async () => {
  const { rows: found } = await server.services.storage.pool.query(
    'SELECT client_id FROM introductions WHERE identity_id = $1',
    [id],
  )
  return found.map(({ client_id }) => client_id)
}

test('an app says once to each user what it sees', async () => {
  const { page } = await open({ scope: 'openid profile email' })
  assert.equal(page?.heading, 'Continue to Notes')
  assert.match(
    page?.text ?? '',
    /for the first time\. It will see: your user name what your profile says: .+ your e-mail address, and whether/,
  )
  const reached = await browser.follow(await browser.post(actionOf(page, 'Continue'), {}))
  assert.ok(reached.url.startsWith(`${CALLBACK}?code=`), reached.url)
  assert.deepEqual(await rows(), ['notes'])
  assert.ok((await open()).url.startsWith(`${CALLBACK}?code=`))
  const { code } = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' })), CALLBACK)
  assert.ok(code)
})

test('an app that asks for nothing of the account says so', async () => {
  const { page } = await open({ scope: 'openid' })
  assert.match(page?.text ?? '', /It will see: that you have an account at Gatehouse, and nothing else about you/)
})

test('until it was read, an app that asks silently is told that a page is needed', async () => {
  for (const more of ['', '&unrelated=1']) {
    const told = answerIn(await browser.get(notes.authorizeUrl({ prompt: 'none' }) + more), CALLBACK)
    assert.deepEqual([told['error'], told['code']], ['interaction_required', undefined])
  }
})

test('a user who cancels brings the app access_denied, and is asked again', async () => {
  const { page } = await open()
  const { url } = await browser.follow(await browser.post(actionOf(page as never, 'Cancel'), {}))
  assert.equal(new URL(url).searchParams.get('error'), 'access_denied')
  assert.deepEqual(await rows(), [])
  assert.equal((await open()).page?.heading, 'Continue to Notes')
})

test('it is in the export', async () => {
  await browser.post(actionOf((await open()).page as never, 'Continue'), {})
  const data = JSON.parse(await (await browser.post('/settings/export', {})).text())
  assert.equal(data.first_time_notices[0].app, 'notes')
})

test('an app that does not want it opens at once', async () => {
  const app = await findApp(server.services, 'notes')
  await changeApp(server.services, app as never, { firstTimeNotice: false })
  try {
    assert.ok((await open()).url.startsWith(`${CALLBACK}?code=`))
    assert.deepEqual(await rows(), [])
  } finally {
    await changeApp(server.services, app as never, { firstTimeNotice: true })
  }
})

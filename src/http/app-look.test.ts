import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readIcon } from '../domain/apps/app-icons.ts'
import { createApp, disableApp, findApp } from '../domain/apps/apps.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { recordStatements } from '../testing/portal/statements.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const SVG = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"></svg>')

let server: TestServer
before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
})
after(() => server.close())

async function clientOf(id: string, change: object, icon: Uint8Array<ArrayBuffer> | null = null): Promise<Client> {
  const settings = { ...notesApp, ...change }
  const { secret } = await createApp(server.services, id, settings, icon && readIcon(icon))
  return new Client(server.url, id, secret, CALLBACK)
}

const open = async (client: Client, change: Record<string, string> = {}) => {
  const browser = new Browser(server.url)
  const { url, response } = await browser.follow(await browser.get(client.authorizeUrl(change)))
  return { browser, url, page: await readPage(response) }
}

test('the sign-in page of an app shows its picture, and what it will see', async () => {
  const client = await clientOf('pictured', { scope: 'openid email' }, SVG)
  const { browser, page } = await open(client, { scope: 'openid email' })
  assert.match(page.html, /<img class="app-picture" src="\/app-icons\/pictured\/[\w-]{22}" alt=""/)
  assert.match(page.text, /Notes will see your e-mail address\./)
  const register = /href="(\/register\?return_to=[^"]+)"/.exec(page.html)?.[1] as string
  const form = await readPage(await browser.get(register))
  assert.match(form.html, /class="app-picture"/)
  assert.match(form.text, /Notes will see your e-mail address\./)
})

test('an app without a picture has its first letter in its colour, readable on it', async () => {
  const dark = await open(await clientOf('blue', { colour: '#1d4ed8' }))
  assert.match(dark.page.html, /<svg class="app-band"[^>]*><rect [^>]*fill="#1d4ed8"\/>/)
  assert.match(dark.page.html, /<text [^>]*fill="#ffffff">N<\/text>/)
  const light = await open(await clientOf('yellow', { colour: '#facc15' }))
  assert.match(light.page.html, /<text [^>]*fill="#000000">N<\/text>/)
})

test('the look goes on to the other pages on the way, and not to others', async () => {
  const client = await clientOf('native-blue', { colour: '#1d4ed8' })
  const { browser, page } = await open(client, { prompt: 'consent' })
  const form = page.forms.find(({ action }) => action === '/login')
  const fields = { ...form?.fields, login: ada.username, password: ada.password }
  const { response } = await browser.follow(await browser.post('/login', fields))
  const question = await readPage(response)
  assert.match(question.html, /class="app-band"/)
  assert.doesNotMatch(question.text, /will see/)
  assert.doesNotMatch(await (await browser.get('/dashboard')).text(), /class="app-(?:band|look)"/)
  assert.doesNotMatch(await (await new Browser(server.url).get('/login')).text(), /class="app-(?:band|look)"/)
})

test('a page whose address names an app that is unknown or disabled shows nothing of one', async () => {
  await clientOf('gone', { colour: '#1d4ed8' })
  await disableApp(server.services, (await findApp(server.services, 'gone')) ?? assert.fail())
  for (const id of ['gone', 'nowhere', '%00', '"><script>', 'x'.repeat(500)]) {
    const returnTo = `/interaction/x?client_id=${encodeURIComponent(id)}`
    const answer = await new Browser(server.url).get(`/login?return_to=${encodeURIComponent(returnTo)}`)
    assert.equal(answer.status, 200)
    assert.doesNotMatch(await answer.text(), /class="app-(?:band|look)"|<script>/)
  }
})

test('an error page on the way asks no store for the app', async () => {
  await clientOf('shown', { colour: '#1d4ed8' })
  const path = '/interaction/x/nowhere?client_id=shown'
  const statements = await recordStatements(async () => {
    const answer = await new Browser(server.url).get(path)
    assert.equal(answer.status, 404)
    assert.doesNotMatch(await answer.text(), /class="app-/)
  })
  assert.deepEqual(
    statements.filter(({ text }) => /FROM apps/.test(text)),
    [],
  )
})

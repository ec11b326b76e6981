import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { notesApp } from '../../src/testing/portal/apps.ts'
import { Browser } from '../../src/testing/browser/browser.ts'
import { Client } from '../../src/testing/browser/client.ts'
import { readPage } from '../../src/testing/browser/page.ts'
import { ada } from '../../src/testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../src/testing/portal/server.ts'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'

let server: TestServer
let adasId: string
const children: ChildProcess[] = []

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
})
after(async () => {
  for (const child of children) child.kill()
  await server.close()
})

/** Runs an example as it is printed. */
async function run(file: string, env: Record<string, string>): Promise<Readable> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
    env: { PATH: process.env['PATH'] ?? '', ISSUER: server.url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  assert.equal(child.exitCode, null, `${file} ended`)
  return child.stdout
}

/** Follows every redirect, the portal's and the app's, as a browser does. */
async function visit(browser: Browser, url: string, response?: Response): Promise<{ url: string; response: Response }> {
  let answer = response ?? (await browser.get(url))
  for (let hops = 0; hops < 12; hops++) {
    const location = answer.headers.get('location')
    if (location === null) return { url, response: answer }
    url = new URL(location, url).href
    answer = await browser.get(url)
  }
  throw new Error(`redirected too often, last to ${url}`)
}

test('the app on a server signs in, remembers it, refuses a foreign answer and signs out', async () => {
  const port = String(await findFreePort())
  const home = `http://127.0.0.1:${port}/`
  const uris = { redirectUris: [`${home}callback`], postLogoutRedirectUris: [home] }
  const secret = await server.addApp('my-app', { ...notesApp, ...uris })
  await run('server.ts', { PORT: port, CLIENT_ID: 'my-app', CLIENT_SECRET: secret ?? '' })

  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const forged = await browser.get(`${home}callback?code=made-up&state=none&iss=${encodeURIComponent(server.url)}`)
  assert.equal(forged.status, 400)
  assert.match(await forged.text(), /Try again/)

  const home1 = await visit(browser, `${home}sign-in`)
  assert.equal(home1.url, home)
  assert.match(await home1.response.text(), new RegExp(`Signed in as ${adasId}`))

  const out = await browser.post(`${home}sign-out`, {})
  const question = await visit(browser, `${home}sign-out`, out)
  const form = (await readPage(question.response)).forms[0]
  const confirmed = await browser.post(form?.action ?? '', form?.fields ?? {})
  const back = await visit(browser, question.url, confirmed)
  assert.equal(back.url, home)
  assert.match(await back.response.text(), /href="\/sign-in"/)
  assert.equal((await browser.get('/dashboard')).status, 303)
})

test('the API takes the application tokens of its audience, and no other token', async () => {
  const secret = await server.addApp('notes', notesApp)
  const others = await server.addApp('others', { ...notesApp, audience: 'others' })
  const port = String(await findFreePort())
  await run('api.ts', { PORT: port, AUDIENCE: 'notes' })
  const ask = async (token: string) =>
    fetch(`http://127.0.0.1:${port}/me`, { headers: { authorization: `Bearer ${token}` } })

  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const [callback] = notesApp.redirectUris as [string]
  const tokens = await new Client(server.url, 'notes', secret, callback).connect(browser)
  const answer = await ask(tokens.access_token)
  assert.equal(answer.status, 200)
  assert.equal(((await answer.json()) as { sub: string }).sub, adasId)
  const foreign = await new Client(server.url, 'others', others, callback).connect(browser)
  for (const wrong of [tokens.id_token, foreign.access_token, `${tokens.access_token}x`, ''])
    assert.equal((await ask(wrong)).status, 401)
})

test('the app that is notified hears which family has ended, and takes nothing but a logout token', async () => {
  const port = String(await findFreePort())
  const backchannelLogoutUri = `http://127.0.0.1:${port}/backchannel-logout`
  const secret = await server.addApp('notified', { ...notesApp, backchannelLogoutUri })
  const output = await run('logout.ts', { PORT: port, CLIENT_ID: 'notified' })
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const [callback] = notesApp.redirectUris as [string]
  const tokens = await new Client(server.url, 'notified', secret, callback).connect(browser)

  for (const wrong of [tokens.id_token, tokens.access_token, 'x', '']) {
    const body = new URLSearchParams({ logout_token: wrong })
    assert.equal((await fetch(backchannelLogoutUri, { method: 'POST', body })).status, 400)
  }
  assert.equal((await fetch(backchannelLogoutUri, { method: 'POST' })).status, 400)

  const heard = once(output, 'data')
  await browser.post('/apps/notified/disconnection', {})
  const { fam } = decodeJwt(tokens.access_token)
  const { sid } = decodeJwt(tokens.id_token)
  assert.match(
    String(await heard),
    new RegExp(`family ${String(fam)}, ID token session ${String(sid)}, user ${adasId}`),
  )
})

for (const [page, file, language] of [
  ['README.md', 'server.ts', 'ts'],
  ['docs/connect-an-app.md', 'server.ts', 'ts'],
  ['docs/connect-an-app.md', 'api.ts', 'ts'],
  ['docs/connect-an-app.md', 'browser.html', 'html'],
  ['docs/notifications.md', 'logout.ts', 'ts'],
  ['docs/apis.md', 'introspect.ts', 'ts'],
  ['docs/services.md', 'service.ts', 'ts'],
  ['docs/delegation.md', 'back-end.ts', 'ts'],
  ['docs/devices.md', 'device.ts', 'ts'],
  ['docs/keys.md', 'make-keys.ts', 'ts'],
  ['docs/keys.md', 'bank.ts', 'ts'],
] as const) {
  test(`${page} prints ${file} as it runs, in at most 40 lines`, async () => {
    const text = await readFile(join(import.meta.dirname, file), 'utf8')
    const printed = await readFile(join(import.meta.dirname, '../..', page), 'utf8')
    assert.ok(printed.includes(`\`\`\`${language}\n${text}\`\`\`\n`))
    assert.ok(text.trimEnd().split('\n').length <= 40)
  })
}

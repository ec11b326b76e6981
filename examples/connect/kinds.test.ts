import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { decodeJwt } from 'jose'
import { readMarkdown } from '../../scripts/documents/markdown.ts'
import { shellCommands } from '../../scripts/documents/shell-words.ts'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import { Browser } from '../../src/testing/browser/browser.ts'
import { Client } from '../../src/testing/browser/client.ts'
import { readPage } from '../../src/testing/browser/page.ts'
import { runCommand } from '../../src/testing/portal/commands.ts'
import { printed } from '../../src/testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../../src/testing/portal/open-portal.ts'
import { ada } from '../../src/testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../src/testing/portal/server.ts'
import { makeTemporaryFolder } from '../../src/testing/services/temporary-folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const CONTACTS = 'https://contacts.example.com'
const CALLBACK = 'http://127.0.0.1:4005/callback'

let server: TestServer
let adasId: string
let browser: Browser
const folder = await makeTemporaryFolder('kinds')
const children: ChildProcess[] = []

beforeEach(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill()
  await server.close()
})
after(() => folder.remove())

interface Credential {
  client_id: string
  client_secret?: string
}

/** Runs every gatehouse command of a page in the order of the page. @returns the credentials that they have printed, by id */
async function register(page: string, port = '4009'): Promise<Map<string, Credential>> {
  const { blocks } = readMarkdown(await readFile(join(ROOT, 'docs', page), 'utf8'))
  const commands = blocks.filter(({ language }) => language === '').flatMap(({ text }) => shellCommands(text))
  const made = new Map<string, Credential>()
  for (const [program, name, ...words] of commands) {
    if (program !== 'npx' || name !== 'gatehouse') continue
    const args = words.map((word) => word.replace('../bank/', `${folder.path}/`).replace(':4009/', `:${port}/`))
    const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
    const result = printed<Credential>(await runCommand([...args, '--json'], env))
    made.set(words[2] as string, result)
  }
  return made
}

/** Runs an example as it is printed, until it has printed these words, or ended where none are named. @returns what it printed */
async function run(file: string, env: Record<string, string>, words: RegExp | null): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'] ?? '', ISSUER: server.url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  let output = ''
  child.stdout.on('data', (chunk) => (output += String(chunk)))
  const ended = once(child, 'close')
  if (words === null) assert.deepEqual(await ended, [0, null], file)
  while (words !== null && !words.test(output)) {
    assert.equal(child.exitCode, null, `${file} ended`)
    await Promise.race([once(child.stdout, 'data'), ended])
  }
  return output
}

function credentialsOf(made: Map<string, Credential>, id: string): { CLIENT_ID: string; CLIENT_SECRET: string } {
  const { client_id: CLIENT_ID, client_secret: CLIENT_SECRET = '' } = made.get(id) as Credential
  return { CLIENT_ID, CLIENT_SECRET }
}

test('an API of its own is asked for with resource, and asks the portal why a token is refused', async () => {
  const made = await register('apis.md')
  const port = String(await findFreePort())
  await run('introspect.ts', { PORT: port, ...credentialsOf(made, CONTACTS) }, / is on /)
  const notes = new Client(server.url, 'notes', made.get('notes')?.client_secret ?? '', CALLBACK)
  const scope = 'openid contacts:read contacts:write'
  const tokens = await notes.connect(browser, { scope, resource: CONTACTS })
  const { aud, scope: granted } = decodeJwt(tokens.access_token)
  assert.deepEqual([aud, granted], [CONTACTS, 'contacts:read'])

  const ask = async () =>
    fetch(`http://127.0.0.1:${port}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  assert.deepEqual(await (await ask()).json(), { sub: adasId, scope: 'contacts:read' })
  await browser.post('/apps/notes/disconnection', {})
  const refused = await ask()
  assert.equal(refused.status, 401)
  assert.deepEqual(await refused.json(), { error: 'invalid_token', error_description: 'family_ended' })
})

test('a service gets tokens in its own name', async () => {
  const made = await register('services.md')
  const output = await run('service.ts', credentialsOf(made, 'reports'), null)
  const payload = /^a token for (\S+): (\S+)$/m.exec(output)
  const claims = JSON.parse(Buffer.from(payload?.[2] ?? '', 'base64url').toString()) as Record<string, unknown>
  assert.deepEqual([claims['sub'], claims['aud'], claims['scope']], ['reports', CONTACTS, 'contacts:read'])
  assert.equal('fam' in claims, false)
})

test('a back end exchanges the token of a user, and the next API sees user and back end', async () => {
  const made = await register('delegation.md')
  const [port, apiPort] = [String(await findFreePort()), String(await findFreePort())]
  await run('api.ts', { PORT: apiPort, AUDIENCE: CONTACTS }, / is on /)
  const API = `http://127.0.0.1:${apiPort}/me`
  await run('back-end.ts', { PORT: port, API, ...credentialsOf(made, 'calendar') }, / is on /)

  const planner = new Client(server.url, 'planner', made.get('planner')?.client_secret ?? '', CALLBACK)
  const asked = { scope: 'openid calendar contacts:read', resource: 'https://calendar.example.com' }
  const { access_token: token } = await planner.connect(browser, asked)
  const ask = async (bearer: string) =>
    fetch(`http://127.0.0.1:${port}/birthdays`, { headers: { authorization: `Bearer ${bearer}` } })
  const answer = (await (await ask(token)).json()) as Record<string, unknown>
  assert.deepEqual([answer['sub'], answer['scope']], [adasId, 'contacts:read'])
  await browser.post('/apps/planner/disconnection', {})
  assert.equal((await ask(token)).status, 401)
})

test('a device signs a user in who enters its code elsewhere', async () => {
  await register('devices.md')
  const output = await run('device.ts', {}, /picture of .+\n/)
  const url = /^or scan a picture of (\S+)$/m.exec(output)?.[1] ?? ''
  const question = await readPage(await browser.get(url))
  const form = question.forms.find(({ action }) => action.includes('device'))
  assert.ok(form, question.text)
  assert.match(question.text, /My device/)
})

test('an app with keys pushes its requests, and its tokens are bound to its key', async () => {
  await run('make-keys.ts', {}, null)
  const port = String(await findFreePort())
  await register('keys.md', port)
  await run('bank.ts', { PORT: port }, / is on /)
  const home = `http://127.0.0.1:${port}/`
  let url = `${home}sign-in`
  let answer = await browser.get(url)
  for (let hops = 0; answer.headers.has('location') && hops < 12; hops++) {
    url = new URL(answer.headers.get('location') as string, url).href
    answer = await browser.get(url)
  }
  assert.equal(url, home)
  assert.match(await answer.text(), new RegExp(adasId))
})

test('the commands for an app of another company register it', async () => {
  const made = await register('third-party-apps.md')
  assert.equal(made.get('partner')?.client_id, 'partner')
})

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import { Browser } from '../../src/testing/browser/browser.ts'
import { readPage } from '../../src/testing/browser/page.ts'
import { startTestServer, type TestServer } from '../../src/testing/portal/server.ts'

const PASSWORD = 'an analytical engine in brass'

let folder: string
let service: ChildProcess
let server: TestServer
let env: Record<string, string>

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'user-service-'))
  const port = await findFreePort()
  const secret = { IDENTITY_SOURCE_SECRET: 'a secret of thirty-two characters' }
  server = await startTestServer({ env: { IDENTITY_SOURCE_URL: `http://127.0.0.1:${port}`, ...secret } })
  const own = { PORT: String(port), DATABASE: join(folder, 'users.sqlite'), PORTAL_URL: server.url }
  env = { PATH: process.env['PATH'] ?? '', ...secret, ...own }
  service = spawn(process.execPath, [join(import.meta.dirname, 'server.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(service.stdout as NonNullable<typeof service.stdout>, 'data')
})
after(async () => {
  await server.close()
  service.kill()
  await once(service, 'exit')
  rmSync(folder, { recursive: true })
})

/** Runs `node user.ts …`, and returns what it prints. */
async function user(args: string[], input = ''): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'user.ts'), ...args], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(input)
  return text(child.stdout)
}

test('a user of the service signs in at a portal, and is signed out the moment the service disables them', async () => {
  await user(['add', 'ada', 'ada@example.test'], `${PASSWORD}\n`)
  assert.match(await user(['name', 'ada', 'Ada', 'Lovelace']), /^changed: the portal answered 200$/m)
  const browser = new Browser(server.url)
  const login = async () => (await browser.post('/login', { login: 'ada', password: PASSWORD })).status
  const isSignedIn = async () => (await browser.get('/dashboard')).status === 200
  assert.equal((await browser.post('/login', { login: 'ada', password: 'a wrong one, of some length' })).status, 401)
  assert.equal(await login(), 303)
  assert.ok(await isSignedIn())
  assert.match((await readPage(await browser.get('/settings'))).text, /Ada Lovelace|ada@example\.test/)

  assert.match(await user(['disable', 'ada']), /^disabled: the portal answered 200$/m)
  assert.ok(!(await isSignedIn()))
  assert.equal(await login(), 401)

  assert.match(await user(['enable', 'ada']), /^enabled: the portal answered 200$/m)
  assert.equal(await login(), 303)
  assert.match(
    await user(['password', 'ada'], 'a loom that weaves flowers\n'),
    /^password_changed: the portal answered 200$/m,
  )
  assert.ok(!(await isSignedIn()))
  assert.equal(await login(), 401)
})

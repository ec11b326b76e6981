import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, type Tokens } from '../../testing/browser/client.ts'
import { deskApp } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'
import { makeTemporaryFolder } from '../../testing/services/temporary-folder.ts'

const DOCUMENT = join(import.meta.dirname, '../../../docs/direct-sign-in.md')

test('the lines of the document sign a user in with a second factor, refresh and sign out', async () => {
  const clock = createClock()
  const [server, folder] = await Promise.all([startTestServer({ clock }), makeTemporaryFolder('document')])
  try {
    await server.addIdentity(ada)
    await server.addApp('my-phone-app', { ...deskApp, firstPartyDirect: true })
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    const { key } = await addTotp(browser, clock())
    clock.advance(60)
    await writeFile(join(folder.path, 'login.txt'), ada.username)
    await writeFile(join(folder.path, 'password.txt'), ada.password)

    const blocks = [...(await readFile(DOCUMENT, 'utf8')).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines)
    assert.equal(blocks.length, 3)
    await run(blocks.join('\n'), folder.path, { ISSUER: server.url, TOTP: codeOf(key, clock()) })

    const [first, next] = (await Promise.all(
      ['tokens.json', 'refreshed.json'].map(async (name) =>
        JSON.parse(await readFile(join(folder.path, name), 'utf8')),
      ),
    )) as [Tokens, Tokens]
    assert.deepEqual(claimsOf(first.id_token)['amr'], ['pwd', 'otp', 'mfa'])
    const refused = await fetch(`${server.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: 'my-phone-app',
        grant_type: 'refresh_token',
        refresh_token: next.refresh_token,
      }),
    })
    assert.equal(((await refused.json()) as { reason: string }).reason, 'revoked')
  } finally {
    await server.close()
    await folder.remove()
  }
})

async function run(script: string, cwd: string, env: Record<string, string>): Promise<void> {
  const shell = spawn('bash', ['-euo', 'pipefail', '-s'], { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
  let said = ''
  shell.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  shell.stdin.end(script)
  const code = await new Promise((resolve) => shell.once('close', resolve))
  assert.equal(code, 0, said)
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../../testing/browser/browser.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let plain: TestServer
let server: TestServer

before(async () => {
  plain = await startTestServer()
  server = await startTestServer({
    clock: createClock(new Date('2026-11-21T12:34:56Z')),
    env: {
      WEBAUTHN_RELATED_ORIGINS: `https://example.org,android:apk-key-hash:${'x'.repeat(43)},https://example.net`,
      SECURITY_CONTACT: 'security@example.com,https://example.com/report',
      SECURITY_POLICY_URL: 'https://example.com/security',
    },
  })
})
after(async () => {
  await plain.close()
  await server.close()
})

test('browsers learn which other origins may use the passkeys of this host', async () => {
  const response = await fetch(`${server.url}/.well-known/webauthn`)
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  assert.deepEqual(await response.json(), { origins: ['https://example.org', 'https://example.net'] })
  assert.equal((await fetch(`${plain.url}/.well-known/webauthn`)).status, 404)
})

test('password managers learn where passkeys are made and where the password is changed', async () => {
  const response = await fetch(`${plain.url}/.well-known/passkey-endpoints`)
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  const endpoints = (await response.json()) as Record<string, string>
  assert.deepEqual(Object.keys(endpoints), ['enroll', 'manage'])
  await plain.addIdentity(ada)
  const browser = new Browser(plain.url)
  await browser.signIn(ada)
  for (const url of Object.values(endpoints)) assert.equal((await browser.get(url)).status, 200, url)
  const changed = await browser.follow(await browser.get('/.well-known/change-password'))
  assert.equal(changed.url, `${plain.url}/settings/password`)
  assert.equal(changed.response.status, 200)
  // What reveals a portal that answers every path with 200 (W3C Change Password URL §3).
  const missing = '/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200'
  assert.equal((await fetch(plain.url + missing)).status, 404)
})

test('security.txt says where vulnerabilities are reported, and expires', async () => {
  const response = await fetch(`${server.url}/.well-known/security.txt`)
  assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
  assert.equal(
    await response.text(),
    `Contact: mailto:security@example.com
Contact: https://example.com/report
Expires: 2027-05-20T00:00:00Z
Policy: https://example.com/security
Canonical: ${server.url}/.well-known/security.txt
`,
  )
  assert.equal((await fetch(`${plain.url}/.well-known/security.txt`)).status, 404)
})

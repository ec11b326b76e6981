import assert from 'node:assert/strict'
import { readFileSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { errors } from 'oidc-provider'
import { HTTP_ERRORS } from '../http/error-reference.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { problemIn } from '../testing/portal/answers.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { ERROR_CODES } from './error-codes.ts'

/** Of parts of the library that are switched off: device flow, CIBA, registration by apps, credentials, attestation. */
const SWITCHED_OFF = [
  'authorization_pending',
  'credential_request_denied',
  'expired_login_hint_token',
  'expired_token',
  'invalid_authorization_details',
  'invalid_binding_message',
  'invalid_client_attestation',
  'invalid_client_metadata',
  'invalid_credential_request',
  'invalid_nonce',
  'invalid_proof',
  'invalid_software_statement',
  'invalid_user_code',
  'missing_user_code',
  'slow_down',
  'transaction_failed',
  'unapproved_software_statement',
  'unknown_credential_configuration',
  'unknown_credential_identifier',
  'unknown_user_id',
  'use_attestation_challenge',
  'use_fresh_attestation',
]

const SOURCES = join(import.meta.dirname, '..')
const sources = globSync('**/*.ts', { cwd: SOURCES })
  .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('testing/') && !file.startsWith('storage/client/'))
  .map((file) => readFileSync(join(SOURCES, file), 'utf8'))

let server: TestServer
let browser: Browser
let notes: Client
before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

test('every error that the protocol library and our own code can answer is explained', () => {
  const { OIDCProviderError: _, CustomOIDCProviderError: __, ...classes } = errors
  const codes = Object.values(classes).map((Class) => new (Class as new (words: string) => Error)('words').message)
  const own = sources.flatMap((text) => [...text.matchAll(/\berror(?: =|:) '([a-z_]+)'/g)].map(([, code = '']) => code))
  assert.ok(codes.length > 30 && own.length > 5)
  const unexplained = [...codes, ...own].filter((code) => !(code in ERROR_CODES) && !SWITCHED_OFF.includes(code))
  assert.deepEqual(unexplained, [])
})

test('every status that a page has is explained', () => {
  const statuses = sources.flatMap((text) =>
    [...text.matchAll(/(?:RequestRefused\(|\bstatus: |\.status\(|writeHead\()\s*([45]\d\d)\b|'([45]\d\d) [A-Z]/g)].map(
      ([, status, line]) => Number(status ?? line),
    ),
  )
  assert.ok(statuses.length > 20)
  // Of the revocation feed and of the APIs for operators, which no browser opens.
  assert.deepEqual(
    [...new Set(statuses)].filter((status) => !(status in HTTP_ERRORS) && ![405, 406, 412].includes(status)),
    [],
  )
})

test('error_uri leads to the place on a page of this portal that explains the error', async () => {
  const { refresh_token: refreshToken } = await notes.connect(browser)
  await notes.send('/oauth/revoke', { token: refreshToken })
  const wrongSecret = new Client(server.url, 'notes', 'wrong', 'https://notes.example.test/callback')
  const answers = {
    'reason-revoked': await notes.refresh(refreshToken),
    'reason-unknown': await notes.refresh('nonsense'),
    unsupported_grant_type: await notes.send('/oauth/token', { grant_type: 'nonsense' }),
    invalid_client: await wrongSecret.refresh(refreshToken),
    invalid_token: await fetch(`${server.url}/oauth/userinfo`, { headers: { Authorization: 'Bearer nonsense' } }),
    invalid_request: await fetch(`${server.url}/oauth/revocations?since=nonsense`),
    misdirected_request: await fetch(server.url.replace('localhost', '127.0.0.1'), {
      headers: { Accept: 'application/json' },
    }),
  }
  const page = await (await fetch(`${server.url}/docs/errors`)).text()
  for (const [anchor, response] of Object.entries(answers)) {
    const { error_uri: uri } = await problemIn(response)
    assert.equal(uri, `${server.url}/docs/errors#${anchor}`)
    assert.ok(page.includes(` id="${anchor}"`), anchor)
  }
  const tooLong = await fetch(`${server.url}/oauth/token`, { method: 'POST', body: 'a'.repeat(40_000) })
  assert.equal((await problemIn(tooLong)).error_uri, `${server.url}/docs/errors#invalid_request`)
})

test('an error page leads to its explanation', async () => {
  const page = await (await fetch(`${server.url}/docs/errors`)).text()
  for (const [path, anchor] of [
    ['/nothing', 'http-404'],
    ['/oauth/authorize?client_id=nothing', 'invalid_client'],
  ] as const) {
    const html = await (await browser.get(path)).text()
    assert.match(html, new RegExp(`href="[^"]*/docs/errors#${anchor}"`))
    assert.ok(page.includes(` id="${anchor}"`), anchor)
  }
})

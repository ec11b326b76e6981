import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Attribute, Change, Client as LdapClient } from 'ldapts'
import { checkSourceStatuses } from '../domain/accounts/source-statuses.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { type Authority, createAuthority } from '../testing/network/authority.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createRunningClock, type TestClock } from '../testing/portal/clock.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { BASE, DIRECTORY_PASSWORD, PORTAL, startDirectory } from '../testing/services/directories.ts'
import type { Slapd } from '../testing/services/slapd.ts'

const TTL = 60
const ADA = { username: 'ada', password: DIRECTORY_PASSWORD }
const GRACE = { username: 'grace@example.com', password: DIRECTORY_PASSWORD }

let authority: Authority
let directory: Slapd
let clock: TestClock
let server: TestServer
let notes: Client

before(async () => {
  authority = await createAuthority()
  directory = await startDirectory(await authority.issue('localhost'))
  await asAdmin(async (admin) =>
    admin.add(`cn=editors,ou=groups,${BASE}`, {
      objectClass: 'groupOfNames',
      cn: 'editors',
      member: `uid=ada,ou=people,${BASE}`,
    }),
  )
  clock = createRunningClock()
  server = await startTestServer({
    clock,
    env: {
      IDENTITY_SOURCE_URL: `ldaps://localhost:${directory.tlsPort}/${BASE}`,
      IDENTITY_SOURCE_SECRET: PORTAL.password,
      IDENTITY_SOURCE_STATUS_TTL: String(TTL),
      LDAP_BIND_DN: PORTAL.dn,
      LDAP_CA_FILE: authority.file,
      LDAP_ROLE_GROUPS: `editor=cn=editors,ou=groups,${BASE}`,
    },
  })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), notesApp.redirectUris[0] ?? '')
})
after(async () => {
  await server.close()
  await directory.stop()
  await authority.remove()
})

test('a user of the directory signs in with the password there, and apps learn name and roles', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ADA)
  const tokens = await notes.connect(browser)
  const claims = (await (await notes.userinfo(tokens.access_token)).json()) as Record<string, unknown>
  assert.equal(claims['email'], 'ada@example.com')
  assert.equal(claims['preferred_username'], 'ada')
  assert.deepEqual(claimsOf(tokens.access_token)['roles'], ['editor'])
  for (const wrong of [
    { ...ADA, password: 'not this' },
    { username: '*', password: DIRECTORY_PASSWORD },
  ]) {
    const refused = await new Browser(server.url).post('/login', { login: wrong.username, password: wrong.password })
    assert.equal(refused.status, 401)
  }
  assert.doesNotMatch(server.log(), new RegExp(DIRECTORY_PASSWORD))
})

test('while the directory is down, users who are signed in stay, and others are asked to try again', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ADA)
  const tokens = await notes.connect(browser)
  await directory.kill()
  const page = await readPage(await new Browser(server.url).post('/login', { login: 'ada', password: 'not this' }))
  assert.equal(page.status, 503)
  assert.match(page.text, /does not answer at the moment/)
  clock.advance(TTL)
  await assert.rejects(checkSourceStatuses(server.services, TTL))
  const kept = await tokensIn(await notes.refresh(tokens.refresh_token))
  assert.equal((await browser.get('/dashboard')).status, 200)

  await directory.start()
  // The pause of the breaker is over.
  clock.advance(10)
  await new Browser(server.url).signIn(ADA)
  await tokensIn(await notes.refresh(kept.refresh_token))
})

test('a user whose entry is disabled is signed out of everything once the status is too old', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(GRACE)
  const tokens = await notes.connect(browser)
  await asAdmin(async (admin) =>
    admin.modify(
      `uid=grace,ou=people,${BASE}`,
      new Change({
        operation: 'replace',
        modification: new Attribute({ type: 'pwdAccountLockedTime', values: ['000001010000Z'] }),
      }),
    ),
  )
  clock.advance(TTL)
  await checkSourceStatuses(server.services, TTL)
  const refused = await notes.refresh(tokens.refresh_token)
  assert.equal(((await refused.json()) as { error: string }).error, 'invalid_grant')
  assert.equal((await browser.get('/dashboard')).status, 303)
  assert.equal(
    (await new Browser(server.url).post('/login', { login: 'grace', password: DIRECTORY_PASSWORD })).status,
    401,
  )
})

async function asAdmin(act: (admin: LdapClient) => Promise<void>): Promise<void> {
  const client = new LdapClient({ url: `ldap://127.0.0.1:${directory.port}`, timeout: 20_000, connectTimeout: 20_000 })
  try {
    await client.bind(directory.admin.dn, directory.admin.password)
    await act(client)
  } finally {
    // Not waited for: ldapts may miss the end of a connection that it asks to end.
    void client.unbind().catch(() => undefined)
  }
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, gatehouse, printed } from '../testing/portal/gatehouse.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { waitForMail } from '../testing/mail/outbox.ts'
import { readPage } from '../testing/browser/page.ts'
import { grace } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let notes: Client

before(async () => {
  server = await startTestServer()
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
})
after(() => server.close())

function user(args: string[], input?: string): Promise<Finished> {
  const env = { DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  return input === undefined ? runCommand(['user', ...args], env) : gatehouse(['user', ...args], env, input)
}

test('a user with a password from standard input signs in, with their roles in the tokens', async () => {
  const args = ['--username', 'grace', '--email', grace.email, '--password-stdin', '--email-verified', '--json']
  const created = printed(await user(['create', ...args, '--role', 'editor', 'author'], `${grace.password}\n`))
  assert.equal(created['username'], 'grace')
  assert.equal(created['email_verified'], true)
  assert.equal(created['state'], 'enabled')
  assert.equal('password' in created, false)

  const browser = new Browser(server.url)
  await browser.signIn(grace)
  const claims = claimsOf((await notes.connect(browser)).access_token)
  assert.equal(claims['sub'], created['id'])
  assert.deepEqual(claims['roles'], ['editor', 'author'])
})

test('without a password one is made, printed once and kept only as a hash', async () => {
  const { username, password } = printed<Record<string, string>>(
    await user(['create', '--username', 'linus', '--email', 'linus@example.test', '--json']),
  )
  await new Browser(server.url).signIn({ username, password } as { username: string; password: string })
  const listed = await user(['list', '--json'])
  const { rows } = await server.services.storage.pool.query('SELECT * FROM identities')
  assert.equal((listed.stdout + JSON.stringify(rows)).includes(password as string), false)
  assert.doesNotMatch(listed.stdout, /argon2|hash/i)
})

test('an invalid user is refused with the reason, and none is created', async () => {
  const [taken, weak, role] = await Promise.all([
    user(['create', '--username', 'GRACE', '--email', 'other@example.test']),
    user(['create', '--username', 'x', '--email', 'nothing', '--password-stdin'], 'short\n'),
    user(['create', '--username', 'xy', '--email', 'xy@example.test', '--role', 'a b']),
  ])
  assert.deepEqual(taken, { code: 1, stdout: '', stderr: 'username: This user name is taken.\n' })
  assert.equal(weak.stderr.trimEnd().split('\n').length, 3)
  assert.match(role.stderr, /^a role has 1 to 64 letters/)
  assert.deepEqual([weak.code, role.code], [1, 1])
  assert.equal(printed<unknown[]>(await user(['list', '--json'])).length, 2)
})

test('roles that are set are in the next refresh, and in no token of before', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(grace)
  const tokens = await notes.connect(browser)
  const set = printed(await user(['set-roles', 'grace', 'auditor', 'auditor', '--json']))
  assert.deepEqual(set['roles'], ['auditor'])
  assert.equal((await notes.introspect(tokens.access_token))['active'], false)
  const renewed = (await (await notes.refresh(tokens.refresh_token)).json()) as Tokens
  assert.deepEqual(claimsOf(renewed.access_token)['roles'], ['auditor'])
  assert.match(
    (await readPage(await browser.get('/activity'))).text,
    /An administrator changed your roles to: auditor\./,
  )

  const refused = await user(['set-roles', 'grace', 'a b'])
  assert.match(refused.stderr, /^a role has 1 to 64 letters/)
  assert.deepEqual(printed(await user(['set-roles', 'grace', '--json']))['roles'], [])
})

test('a disabled user is out of every browser and every app at once, and an enabled one may come back', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(grace)
  const tokens = await notes.connect(browser)
  assert.equal(printed(await user(['disable', 'grace@EXAMPLE.test', '--json']))['state'], 'disabled')
  assert.equal((await browser.get('/dashboard')).status, 303)
  const refusal = (await (await notes.refresh(tokens.refresh_token)).json()) as Record<string, unknown>
  assert.equal(refusal['reason'], 'identity_disabled')
  assert.equal((await notes.introspect(tokens.access_token))['active'], false)
  assert.equal((await browser.post('/login', { login: 'grace', password: grace.password })).status, 401)

  assert.equal(printed(await user(['enable', 'grace', '--json']))['state'], 'enabled')
  assert.equal((await browser.get('/dashboard')).status, 303)
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
  await browser.signIn(grace)
})

test('revoke-all ends every browser and every family of one user only', async () => {
  const linus = { username: 'other', email: 'other@example.test', password: 'a kernel under a blanket' }
  await server.addIdentity(linus)
  const [mine, theirs] = [new Browser(server.url), new Browser(server.url)]
  await mine.signIn(grace)
  await theirs.signIn(linus)
  const tokens = await notes.connect(mine)
  const { code } = await user(['revoke-all', 'grace'])
  assert.equal(code, 0)
  assert.equal((await mine.get('/dashboard')).status, 303)
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
  assert.equal((await theirs.get('/dashboard')).status, 200)
  await mine.signIn(grace)
})

test('a user who has lost every second factor signs in with the password again, and is told', async () => {
  const forgetful = { username: 'forgetful', email: 'forgetful@example.test', password: 'a telephone under a tram' }
  await server.addIdentity(forgetful)
  const browser = new Browser(server.url)
  await browser.signIn(forgetful)
  await addTotp(browser, new Date())
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(forgetful)
  assert.equal((await elsewhere.get('/dashboard')).status, 303)

  assert.equal((await user(['reset-second-factors', 'forgetful'])).code, 0)
  await elsewhere.signIn(forgetful)
  assert.equal((await elsewhere.get('/dashboard')).status, 200)
  const mail = await waitForMail(server.mailFolder, forgetful.email, 'sign-in method was removed')
  assert.match(mail.text, /authenticator app “Phone”/)
  assert.match(mail.text, /an administrator/i)
})

test('a deleted user is out at once and can come back for a while; with --now there is nothing left', async () => {
  const leaver = { username: 'leaver', email: 'leaver@example.test', password: 'a person who leaves again' }
  await server.addIdentity(leaver)
  const browser = new Browser(server.url)
  await browser.signIn(leaver)
  const deleted = printed(await user(['delete', 'leaver', '--json']))
  assert.equal(deleted['state'], 'deleted')
  assert.ok(new Date(deleted['erased_from'] as string) > new Date())
  assert.equal((await browser.get('/dashboard')).status, 303)
  await browser.signIn(leaver)
  assert.equal((await browser.get('/dashboard')).status, 303)
  await browser.post('/account-restoration', {})
  assert.match((await readPage(await browser.get('/activity'))).text, /Your account was deleted by an administrator\./)

  await user(['delete', 'leaver'])
  assert.equal(printed(await user(['delete', 'leaver@example.test', '--now', '--json']))['state'], 'erased')
  assert.equal((await user(['delete', 'leaver', '--now'])).stderr, 'there is no identity leaver\n')
  await server.addIdentity(leaver)
})

test('an unknown user name is reported on one line', async () => {
  const { code, stdout, stderr } = await user(['disable', 'nobody', '--json'])
  assert.deepEqual([code, stdout, stderr], [1, '', 'there is no identity nobody\n'])
})

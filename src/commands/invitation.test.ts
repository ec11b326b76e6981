import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada, { emailVerified: true })
})
after(() => server.close())

/** The command knows the same issuer, or its links would lead elsewhere. */
function gatehouse(args: string[], env: Record<string, string> = {}): Promise<Finished> {
  const { databaseUrl } = server.database
  return runCommand(args, {
    DATABASE_URL: databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
    PUBLIC_URL: server.url,
    ...env,
  })
}

test('the link that is printed is the one that works, until the invitation is revoked', async () => {
  await gatehouse(['group', 'create', 'Staff'])
  const invited = printed(
    await gatehouse([
      'user',
      'invite',
      'guest@example.test',
      '--role',
      'editor',
      'auditor',
      '--group',
      'Staff',
      '--json',
    ]),
  )
  const { link } = invited as { link: string }
  assert.ok(link.startsWith(`${server.url}/invitation/`))
  assert.deepEqual(
    [invited['roles'], (invited['groups'] as { name: string }[])[0]?.name],
    [['editor', 'auditor'], 'Staff'],
  )
  const path = new URL(link).pathname
  assert.equal((await new Browser(server.url).get(path)).status, 200)

  const listed = printed<Record<string, unknown>[]>(await gatehouse(['invitation', 'list', '--json']))
  assert.deepEqual(
    listed.map(({ email, state }) => [email, state]),
    [['guest@example.test', 'open']],
  )
  assert.equal(JSON.stringify(listed).includes(path), false)
  assert.match((await gatehouse(['invitation', 'list'])).stdout, /guest@example\.test +open +editor auditor +Staff/)
  const again = printed(await gatehouse(['invitation', 'resend', 'GUEST@example.test', '--json']))
  assert.deepEqual([again['link'], again['sent_count']], [link, 2])

  assert.equal((await gatehouse(['invitation', 'revoke', 'guest@example.test'])).code, 0)
  assert.equal((await new Browser(server.url).get(path)).status, 404)
})

const REFUSALS: [string[], RegExp][] = [
  [['user', 'invite', 'nowhere'], /^email: is no e-mail address/],
  [['user', 'invite', 'new@example.test', '--group', 'Nobody'], /^there is no group Nobody/],
  [['user', 'invite', ada.email], /^ada@example\.test has an account already, ada\n/],
  [['admin', 'invite', ada.email], /has an account already, ada: gatehouse user set-roles ada admin\n/],
  [['invitation', 'resend', 'unknown@example.test'], /^there is no invitation unknown@example\.test/],
  [['invitation', 'revoke', 'unknown@example.test'], /^there is no invitation unknown@example\.test/],
  [['registration', 'update'], /either --allow-domain or --allow-all/],
  [['registration', 'update', '--allow-domain', 'a b'], /^"a b" is no domain/],
]
for (const [args, words] of REFUSALS) {
  test(`${args.join(' ')} is refused in one sentence`, async () => {
    const { code, stdout, stderr } = await gatehouse(args)
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, words)
  })
}

test('where operators create all accounts, an invitation is refused', async () => {
  const { code, stderr } = await gatehouse(['user', 'invite', 'late@example.test'], { REGISTRATION: 'closed' })
  assert.equal(code, 1)
  assert.match(stderr, /^REGISTRATION is closed/)
})

test('who may register is shown and set', async () => {
  const set = await gatehouse(['registration', 'update', '--allow-domain', 'example.com', '*.Example.com', '--json'])
  assert.deepEqual(printed(set), { registration: 'open', allowed_domains: ['*.example.com', 'example.com'] })
  const all = await gatehouse(['registration', 'update', '--allow-all', '--json'])
  assert.deepEqual(printed(all), printed(await gatehouse(['registration', 'show', '--json'])))
  assert.deepEqual(printed(all)['allowed_domains'], [])
})

test('the first administrator gets a link, later ones an invitation', async () => {
  const first = new URL(printed<{ link: string }>(await gatehouse(['admin', 'first-link', '--json'])).link)
  assert.equal((await new Browser(server.url).get(first.pathname)).status, 200)
  const invited = printed(await gatehouse(['admin', 'invite', 'chief@example.test', '--json']))
  assert.deepEqual(invited['roles'], ['admin'])
  const answer = await new Browser(server.url).post(new URL(invited['link'] as string).pathname, {
    username: 'chief',
    password: ada.password,
    password_confirmation: ada.password,
  })
  assert.equal(answer.status, 303)
  const { code, stderr } = await gatehouse(['admin', 'first-link'])
  assert.deepEqual(
    [code, stderr],
    [1, 'there is an administrator already, who can invite others: gatehouse admin invite\n'],
  )
  assert.equal((await new Browser(server.url).get(first.pathname)).status, 404)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createIdentityProvider, upstreamProviderOf } from '../domain/identity-providers/identity-providers.ts'
import { ScriptedProvider } from '../testing/network/identity-provider.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, gatehouse, printed } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const SECRET = 'a-secret~of/the+provider'
const TENANT = '8eaef023-2b34-4da1-9baa-8bc8c9d6a490'

let server: TestServer
let provider: ScriptedProvider

before(async () => {
  provider = new ScriptedProvider(() => new Date())
  await provider.start()
  server = await startTestServer()
})
after(async () => {
  await server.close()
  await provider.close()
})

async function run(args: string[], input?: string): Promise<Finished> {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const whole = ['identity-provider', ...args]
  return input === undefined ? runCommand(whole, env) : gatehouse(whole, env, input)
}

async function shown(args: string[], input?: string): Promise<Record<string, unknown>> {
  const finished = await run([...args, '--json'], input)
  assert.equal(finished.code, 0, finished.stderr)
  return printed(finished)
}

const create = (id: string, ...more: string[]) => ['create', id, '--client-id', 'portal', ...more]
const corporate = (id: string, ...more: string[]) => create(id, '--name', 'Staff', '--issuer', provider.issuer, ...more)

async function deleteAll(): Promise<void> {
  await server.services.storage.pool.query('DELETE FROM identity_providers')
}

test('a provider is registered with its secret from standard input, which nothing shows again', async () => {
  await deleteAll()
  const created = await shown(corporate('staff', '--client-secret-stdin', '--domain', 'Bücher.Example'), `${SECRET}\n`)
  assert.deepEqual(
    [created['redirect_uri'], created['backchannel_logout_uri'], created['domains'], created['has_secret']],
    [
      `${server.url}/login/with/staff/callback`,
      `${server.url}/login/with/staff/backchannel-logout`,
      ['xn--bcher-kva.example'],
      true,
    ],
  )
  const { rows } = await server.services.storage.pool.query('SELECT * FROM identity_providers, audit_events')
  for (const said of [JSON.stringify(created), JSON.stringify(rows), server.log()])
    assert.equal(said.includes(SECRET), false)

  assert.equal((await shown(['check', 'staff']))['standing'], 'answers')
  assert.equal((await shown(['update', 'staff', '--client-secret-stdin'], '\n'))['has_secret'], false)
  const other = await shown(['update', 'staff', '--client-secret-stdin'], 'another')
  assert.equal(other['has_secret'], true)
  const changed = await shown(['update', 'staff', '--name', 'Employees', '--no-domains', '--registration', 'open'])
  assert.deepEqual([changed['name'], changed['domains'], changed['registration']], ['Employees', [], 'open'])
  assert.equal((await shown(['disable', 'staff']))['state'], 'disabled')
  assert.equal((await shown(['enable', 'staff']))['state'], 'enabled')
  assert.equal((await run(['list'])).stdout.includes(provider.issuer), true)
})

test('what is known of Google, Microsoft Entra and GitHub need not be given', async () => {
  await deleteAll()
  const { services } = server
  const github = await shown(create('github', '--preset', 'github'))
  assert.deepEqual(
    [github['kind'], github['name'], github['issuer'], github['scopes']],
    ['github', 'GitHub', 'https://github.com', ['read:user', 'user:email']],
  )
  // These would be asked for their discovery documents, and no test leaves the machine.
  for (const [args, refused] of [
    [create('entra', '--preset', 'entra'), /tenant of Microsoft Entra is given by its id/],
    [create('entra', '--preset', 'entra', '--tenant', 'common'), /tenant of Microsoft Entra is given by its id/],
    [create('google', '--preset', 'google', '--tenant', TENANT), /only Microsoft Entra has tenants/],
    [create('google', '--preset', 'facebook'), /preset/],
    [
      create('entra', '--name', 'M', '--issuer', 'https://login.microsoftonline.com/organizations/v2.0'),
      /names one tenant by its id/,
    ],
  ] as const) {
    const { code, stderr } = await run([...args])
    assert.deepEqual([code, refused.test(stderr)], [1, true], stderr)
  }
  assert.equal((await services.storage.pool.query('SELECT FROM identity_providers')).rowCount, 1)
})

test('a provider that cannot be is refused, with the reason', async () => {
  await deleteAll()
  const misnamed = provider.issuer.replace('127.0.0.1', 'localhost')
  for (const [args, refused] of [
    [create('Staff', '--name', 'S', '--issuer', provider.issuer), /small letters, digits and hyphens/],
    [create('staff', '--issuer', provider.issuer), /needs a name/],
    [create('staff', '--name', 'S'), /issuer is an https address/],
    [create('staff', '--name', 'S', '--issuer', 'http://id.example.com'), /issuer is an https address/],
    [create('staff', '--name', 'S', '--issuer', `${provider.issuer}?x=1`), /issuer is an https address/],
    [create('staff', '--name', 'S', '--issuer', misnamed), /the provider cannot be used/],
    [corporate('staff', '--domain', 'a@example.com'), /no domain like example\.com/],
    [corporate('staff', '--scope', 'profile'), /without the scope openid/],
    [corporate('staff', '--registration', 'sometimes'), /registration/],
    [['show', 'staff'], /there is no provider staff/],
    [['update', 'staff', '--name', 'S'], /there is no provider staff/],
    [['delete', 'staff'], /there is no provider staff/],
  ] as const) {
    const { code, stderr } = await run([...args])
    assert.deepEqual([code, refused.test(stderr)], [1, true], `${args.join(' ')}: ${stderr}`)
  }
})

test('one that does not answer is registered with a warning, and a check fails until it does', async () => {
  await deleteAll()
  provider.script.answers['/.well-known/openid-configuration'] = (res) => res.socket?.destroy()
  const { code, stderr } = await run(corporate('staff'))
  assert.deepEqual([code, /does not answer now/.test(stderr)], [0, true], stderr)
  const checked = await run(['check', 'staff'])
  assert.deepEqual([checked.code, /unreachable: /.test(checked.stderr)], [1, true], checked.stderr)
  delete provider.script.answers['/.well-known/openid-configuration']
  assert.equal((await run(['check', 'staff'])).code, 0)
})

test('a domain leads to one provider, however many are registered with it at once', async () => {
  await deleteAll()
  const given = { name: 'S', kind: 'github', clientId: 'portal', domains: ['example.com'] } as const
  const made = await Promise.allSettled(
    Array.from({ length: 8 }, async (_, index) =>
      createIdentityProvider(server.services, `p${index}`, { ...given, domains: [...given.domains] }),
    ),
  )
  assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('a provider with linked accounts is deleted only with --unlink', async () => {
  await deleteAll()
  const { services } = server
  await shown(create('github', '--preset', 'github', '--client-secret-stdin'), SECRET)
  const [row] = (
    await services.storage.pool.query('SELECT encrypted_secret AS "encryptedSecret" FROM identity_providers')
  ).rows
  const opened = upstreamProviderOf(services, {
    ...row,
    id: 'github',
    kind: 'github',
    issuer: '',
    clientId: '',
    scopes: [],
  })
  assert.equal(opened.clientSecret, SECRET)
  await services.storage.pool.query(
    `INSERT INTO linked_accounts (id, identity_id, provider_id, subject, created_at) VALUES (gen_random_uuid(), $1, 'github', '1', now())`,
    [await server.addIdentity(ada)],
  )
  const refused = await run(['delete', 'github'])
  assert.deepEqual([refused.code, /1 account is linked there/.test(refused.stderr)], [1, true], refused.stderr)
  assert.equal((await run(['delete', 'github', '--unlink'])).code, 0)
  assert.equal((await services.storage.pool.query('SELECT FROM linked_accounts')).rowCount, 0)
})

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

const CONTACTS = 'https://contacts.example.test/api'
const CALENDAR = 'urn:example:calendar'
const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let folder: TemporaryFolder
before(async () => {
  server = await startTestServer()
  folder = await makeTemporaryFolder('keys')
})
after(async () => {
  await server.close()
  await folder.remove()
})

async function run(...args: string[]): Promise<Finished> {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  return runCommand(args, env)
}

async function shown(...args: string[]): Promise<Record<string, unknown>> {
  return printed(await run(...args, '--json'))
}

function keyFile(keys: object[]): string {
  const file = join(folder.path, 'jwks.json')
  writeFileSync(file, JSON.stringify({ keys }))
  return file
}

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

test('an API is registered with a credential that is shown once, and its settings change by name', async () => {
  const created = await shown(
    'api',
    'create',
    CONTACTS,
    '--name',
    'Contacts',
    '--scope',
    'contacts:read',
    'contacts:write',
  )
  assert.deepEqual(Object.keys(created), ['identifier', 'client_id', 'client_secret'])
  assert.match(created['client_id'] as string, /^api\.[0-9a-f]{20}$/)
  const { rows } = await server.services.storage.pool.query('SELECT * FROM apis')
  assert.equal(JSON.stringify(rows).includes(created['client_secret'] as string), false)

  const updated = await shown('api', 'update', CONTACTS, '--token-ttl', '60', '--signing-alg', 'EdDSA')
  const { name, scopes, token_ttl: ttl, signing_alg: alg } = updated
  assert.deepEqual([name, scopes, ttl, alg], ['Contacts', ['contacts:read', 'contacts:write'], 60, 'EdDSA'])
  assert.deepEqual(await shown('api', 'show', CONTACTS), updated)
  const rotated = await shown('api', 'rotate-secret', CONTACTS)
  assert.notEqual(rotated['client_secret'], created['client_secret'])
  assert.match((await run('api', 'create', CONTACTS, '--name', 'B', '--scope', 'x')).stderr, /already/)
})

test('an API with keys has no secret', async () => {
  const keys = keyFile([publicKey.export({ format: 'jwk' })])
  const created = await shown(
    'api',
    'create',
    CALENDAR,
    '--name',
    'Calendar',
    '--scope',
    'calendar',
    '--jwks-file',
    keys,
  )
  assert.deepEqual(Object.keys(created), ['identifier', 'client_id'])
  const rotated = await run('api', 'rotate-secret', CALENDAR)
  assert.equal(rotated.code, 1)
  assert.match(rotated.stderr, /has no secret/)
})

test('an app may have APIs, with all of their scopes or some, and lose them again', async () => {
  const created = await run(
    'app',
    'create',
    'notes',
    '--name',
    'Notes',
    '--redirect-uri',
    CALLBACK,
    '--api',
    CONTACTS,
    CALENDAR,
    '--exchange-for',
    CALENDAR,
  )
  assert.equal(created.code, 0, created.stderr)
  const all = { [CONTACTS]: ['contacts:read', 'contacts:write'], [CALENDAR]: ['calendar'] }
  assert.deepEqual((await shown('app', 'show', 'notes'))['apis'], all)
  assert.deepEqual((await shown('app', 'show', 'notes'))['exchange_for'], { [CALENDAR]: ['calendar'] })

  const narrowed = await shown('app', 'update', 'notes', '--api', CONTACTS, '--api-scope', 'contacts:read')
  assert.deepEqual(narrowed['apis'], { [CONTACTS]: ['contacts:read'] })
  assert.deepEqual(narrowed['exchange_for'], { [CALENDAR]: ['calendar'] })
  const none = await shown('app', 'update', 'notes', '--api', '', '--exchange-for', '')
  assert.deepEqual([none['apis'], none['exchange_for']], [{}, {}])

  for (const [wrong, words] of [
    [['--api', 'https://unknown.example.test'], /no API https:\/\/unknown/],
    [['--api', CONTACTS, '--api-scope', 'admin'], /none of the APIs has the scope admin/],
    [['--api', CONTACTS, CALENDAR, '--api-scope', 'calendar'], /Contacts|contacts\.example\.test\/api has none/],
  ] as const) {
    const refused = await run('app', 'update', 'notes', ...wrong)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, words)
  }
})

test('a scope that an API loses, and an API that is deleted, are taken from apps', async () => {
  await shown('app', 'update', 'notes', '--api', CONTACTS)
  await shown('api', 'update', CONTACTS, '--scope', 'contacts:read')
  assert.deepEqual((await shown('app', 'show', 'notes'))['apis'], { [CONTACTS]: ['contacts:read'] })
  await shown('api', 'delete', CONTACTS)
  assert.deepEqual((await shown('app', 'show', 'notes'))['apis'], {})
  assert.match((await run('api', 'show', CONTACTS)).stderr, /there is no API/)
})

test('what is wrong with an API is said all at once, and nothing is registered', async () => {
  const identifiers = ['no-uri', 'https://a.example.test/#part', server.url, `${server.url}/`, 'https://a b']
  for (const identifier of identifiers) {
    const refused = await run('api', 'create', identifier, '--name', 'A', '--scope', 'a')
    assert.equal(refused.code, 1, identifier)
  }
  const { stderr } = await run(
    'api',
    'create',
    'https://a.example.test',
    '--name',
    ' ',
    '--scope',
    'openid',
    'a"b',
    '--token-ttl',
    '1',
    '--signing-alg',
    'none',
  )
  assert.equal(stderr.trim().split('\n').length, 5)
  const listed = (await shown('api', 'list')) as unknown as { identifier: string }[]
  // Beside the admin API, which is part of the portal.
  assert.deepEqual(
    listed.map(({ identifier }) => identifier).filter((identifier) => !identifier.startsWith(server.url)),
    [CALENDAR],
  )
})

test('keys that would tell the portal a secret, or sign nothing, are refused', async () => {
  const { publicKey: weak } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  for (const [key, words] of [
    [privateKey.export({ format: 'jwk' }), /private or secret/],
    [{ kty: 'oct', k: 'c2VjcmV0' }, /private or secret/],
    [weak.export({ format: 'jwk' }), /2048 bits/],
    [generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }), /signs nothing/],
    [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, /cannot be read/],
  ] as const) {
    const refused = await run('api', 'update', CALENDAR, '--jwks-file', keyFile([key]))
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, words)
  }
  for (const uri of ['http://keys.example.test/jwks', 'ftp://keys.example.test', 'nothing']) {
    const refused = await run('api', 'update', CALENDAR, '--jwks-uri', uri)
    assert.equal(refused.code, 1, uri)
  }
})

test('an app of each kind has what belongs to it, and nothing else', async () => {
  const service = await shown('app', 'create', 'reports', '--name', 'Reports', '--service', '--api', CALENDAR)
  assert.match(service['client_secret'] as string, /^[\w-]{43}$/)
  assert.equal((await shown('app', 'show', 'reports'))['type'], 'service')
  await shown('app', 'create', 'television', '--name', 'Television', '--public', '--device')
  assert.equal((await shown('app', 'show', 'television'))['type'], 'device')
  const keys = keyFile([publicKey.export({ format: 'jwk' })])
  const bank = await shown(
    'app',
    'create',
    'bank',
    '--name',
    'Bank',
    '--redirect-uri',
    CALLBACK,
    '--jwks-file',
    keys,
    '--profile',
    'fapi2',
  )
  assert.equal('client_secret' in bank, false)
  const { auth_method: method, require_par: par, require_dpop: dpop } = await shown('app', 'show', 'bank')
  assert.deepEqual([method, par, dpop], ['private_key_jwt', true, true])

  const device = ['--name', 'A', '--device']
  const web = ['--name', 'A', '--redirect-uri', CALLBACK]
  for (const [wrong, words] of [
    [['--name', 'A', '--service', '--public'], /confidential/],
    [[...web, '--service'], /no redirect URIs/],
    [['--name', 'A', '--service', '--scope', 'openid'], /no users/],
    [device, /--public/],
    [[...web, '--profile', 'fapi2'], /keys or a certificate/],
    [[...web, '--profile', 'fapi1'], /fapi2/],
    [[...web, '--auth-method', 'client_secret_jwt'], /authenticates with one of/],
    [[...web, '--auth-method', 'private_key_jwt'], /needs public keys/],
    [[...web, '--jwks-file', keys, '--jwks-uri', 'https://a.example.test/jwks'], /not both/],
    [[...web, '--public', '--jwks-file', keys, '--auth-method', 'private_key_jwt'], /public app/],
    [[...web, '--require-signed-request'], /public keys/],
  ] as const) {
    const refused = await run('app', 'create', 'wrong', ...wrong)
    assert.equal(refused.code, 1, wrong.join(' '))
    assert.match(refused.stderr, words)
  }
})

test('an app that gets keys can no longer be proved with its secret', async () => {
  await shown('app', 'create', 'vault', '--name', 'Vault', '--redirect-uri', CALLBACK)
  await shown('app', 'update', 'vault', '--jwks-file', keyFile([publicKey.export({ format: 'jwk' })]))
  const { rows } = await server.services.storage.pool.query(
    `SELECT auth_method, secret_hash FROM apps WHERE client_id = 'vault'`,
  )
  assert.deepEqual(rows, [{ auth_method: 'private_key_jwt', secret_hash: null }])
  assert.match((await run('app', 'rotate-secret', 'vault')).stderr, /has no secret/)
  await shown('app', 'update', 'vault', '--auth-method', 'client_secret_basic', '--jwks-file', '')
  assert.match((await shown('app', 'rotate-secret', 'vault'))['client_secret'] as string, /^[\w-]{43}$/)
})

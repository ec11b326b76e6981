import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { selfSigned } from '../testing/network/certificate.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { connect } from '../testing/portal/connections.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let local: Record<string, string>
let remote: Record<string, string>
let familyId: string
let secret: string

before(async () => {
  server = await startTestServer()
  const adaId = await server.addIdentity(ada)
  await server.addApp('notes', notesApp)
  familyId = (await connect(server.services, adaId, 'notes')).familyId
  local = {
    PUBLIC_URL: server.url,
    DATABASE_URL: server.database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
    // As of the portal elsewhere.
    KEY_ROTATION: 'off',
  }
  secret = await addService('ops', 'admin:read', 'admin:write')
  remote = { GATEHOUSE_URL: server.url, GATEHOUSE_CLIENT_ID: 'ops', GATEHOUSE_CLIENT_SECRET: secret }
})
after(() => server.close())

async function addService(id: string, ...scopes: string[]): Promise<string> {
  const args = ['app', 'create', id, '--name', 'Ops', '--service', '--api-scope', ...scopes, '--json']
  return printed<{ client_secret: string }>(await runCommand(args, local)).client_secret
}

/** Commands that read, or are refused. */
const READING = [
  'app list',
  'app list --json',
  'app show notes --json',
  'app show notes',
  'app show nobody',
  'app role list notes --json',
  'api list --json',
  'api show https://nothing.example.test',
  'group list',
  'group list --json',
  'group show nobody',
  'user list --json',
  'user find AD --json',
  'user find nobody',
  'user find nobody --json',
  'user show ada@example.test',
  'user show nobody --json',
  'user update ada',
  'user set-roles ada !',
  'family list --user ada --json',
  'family list --user nobody',
  'family list',
  'notification list --json',
  'notification resend',
  'ip-block list --json',
  'ip-block lift 203.0.113.1',
  'keys list --json',
  'audit list --app notes --json',
  'family show x',
  'app create notes --name Other --redirect-uri https://other.example.test',
  'app update notes --redirect-uri nothing --rotation-grace 301',
]

test('a command that reads or is refused says the same beside the portal and elsewhere', async () => {
  for (const command of [...READING, `family show ${familyId} --json`, `family show ${familyId}`]) {
    const here = await runCommand(command.split(' '), local)
    assert.deepEqual(await runCommand(command.split(' '), remote), here, command)
  }
})

/** Commands that change something, in this order; # is a word of its own in each place. */
const CHANGING = [
  ['app', 'create', 'wiki-#', '--name', 'Wiki', '--redirect-uri', 'https://wiki.example.test/#'],
  ['app', 'update', 'wiki-#', '--name', 'W', '--allow-role', 'staff', '--colour', '#123456'],
  ['app', 'role', 'add', 'wiki-#', 'author'],
  ['app', 'disable', 'wiki-#'],
  ['app', 'enable', 'wiki-#'],
  ['app', 'rotate-secret', 'wiki-#'],
  ['api', 'create', 'https://api.example.test/#', '--name', 'API', '--scope', 'read', 'write'],
  ['app', 'update', 'wiki-#', '--api', 'https://api.example.test/#', '--api-scope', 'read'],
  ['app', 'update', 'wiki-#', '--api-scope', 'write'],
  ['api', 'update', 'https://api.example.test/#', '--token-ttl', '60'],
  ['api', 'rotate-secret', 'https://api.example.test/#'],
  ['user', 'create', '--username', 'user#', '--email', 'user#@example.test', '--role', 'staff'],
  ['user', 'update', 'user#', '--given-name', 'U', '--email-verified', '--username', 'person#'],
  ['user', 'set-roles', 'person#', 'editor', 'staff'],
  ['user', 'set-roles', 'person#', '--app', 'wiki-#', 'author'],
  ['user', 'set-attribute', 'person#', 'dept', 'R & D / 50 %'],
  ['group', 'create', 'Team / #', '--role', 'tester'],
  ['group', 'add', 'Team / #', 'person#', 'user#@example.test'],
  ['group', 'show', 'Team / #'],
  ['user', 'show', 'person#'],
  ['user', 'set-attribute', 'person#', 'dept', '--remove'],
  ['group', 'remove', 'Team / #', 'person#'],
  ['group', 'remove', 'Team / #', 'person#'],
  ['group', 'delete', 'Team / #'],
  ['app', 'role', 'remove', 'wiki-#', 'author'],
  ['api', 'delete', 'https://api.example.test/#'],
  ['user', 'revoke-all', 'person#'],
  ['user', 'reset-second-factors', 'person#'],
  ['user', 'disable', 'person#'],
  ['user', 'enable', 'person#'],
  ['user', 'delete', 'person#'],
  ['user', 'delete', 'person#', '--now'],
  ['user', 'delete', 'person#', '--now'],
]

test('a command that changes something does and says the same beside the portal and elsewhere', async () => {
  for (const command of CHANGING) {
    const run = async (place: string, env: Record<string, string>) =>
      alike(place, await runCommand([...command.map((word) => word.replace(/#(?!\d)/, place)), '--json'], env))
    assert.deepEqual(await run('omega', remote), await run('alpha', local), command.join(' '))
  }
})

/** Without what differs between two things of one kind: the word of the place, ids, times and secrets. */
function alike(place: string, { code, stdout, stderr }: Finished): object {
  const blur = (text: string) =>
    text
      .replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, 'ID')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replaceAll(/"updated_at":\d+/g, '"updated_at":0')
      .replaceAll(/"(client_secret|password|client_id)":"[\w.-]{20,}"/g, '"$1":"RANDOM"')
      .replaceAll(place, '#')
  return { code, stdout: blur(stdout), stderr: blur(stderr) }
}

test('the audit log names the service that a command was run as', async () => {
  const { rows } = await server.services.storage.pool.query(
    `SELECT DISTINCT actor, actor_id FROM audit_events WHERE kind = 'group_created' AND detail = 'Team / omega'`,
  )
  assert.deepEqual(rows, [{ actor: 'ops', actor_id: 'ops' }])
})

test('a credential that does not do is said in one line, without the secret', async () => {
  const reader = await addService('reader', 'admin:groups:read')
  const noService = await server.addApp('plain', notesApp)
  for (const [env, words] of [
    [{ GATEHOUSE_CLIENT_SECRET: 'CANARY-wrong' }, /does not know an app with this GATEHOUSE_CLIENT_ID/],
    [{ GATEHOUSE_CLIENT_ID: 'CANARY-nobody' }, /does not know an app with this GATEHOUSE_CLIENT_ID/],
    [{ GATEHOUSE_CLIENT_ID: 'plain', GATEHOUSE_CLIENT_SECRET: noService ?? '' }, /plain may not use the admin API/],
    [{ GATEHOUSE_CLIENT_ID: 'reader', GATEHOUSE_CLIENT_SECRET: reader }, /needs the scope admin:write or admin:groups/],
  ] as const) {
    const { code, stdout, stderr } = await runCommand(['group', 'create', 'Never'], { ...remote, ...env })
    assert.deepEqual([code, stdout, stderr.split('\n').length], [1, '', 2], stderr)
    assert.match(stderr, words)
    for (const value of [secret, reader, noService as string, 'CANARY-wrong']) assert.ok(!stderr.includes(value))
  }
  const env = { ...remote, GATEHOUSE_CLIENT_ID: 'reader', GATEHOUSE_CLIENT_SECRET: reader }
  assert.equal((await runCommand(['group', 'list', '--json'], env)).code, 0)
})

test('a portal that cannot be reached is said in words', async () => {
  const tls = createServer(selfSigned).listen(0, '127.0.0.1')
  const silent = createHttpServer((req) => req.socket.destroy()).listen(0, '127.0.0.1')
  const page = createHttpServer((_req, res) => res.end('<h1>Hello</h1>')).listen(0, '127.0.0.1')
  const at = (each: typeof silent | typeof tls) => (each.address() as AddressInfo).port
  try {
    for (const [url, words] of [
      [`http://localhost:${await findFreePort()}`, /refuses connections \(ECONNREFUSED\)\n$/],
      ['https://nothing.invalid', /has a host that (?:does not exist|cannot be looked up now) \(E\w+\)\n$/],
      [`https://localhost:${at(tls)}`, /has a certificate of an authority that this machine does not know/],
      [`https://localhost:${at(silent)}`, /does not speak TLS|closed the connection/],
      [`http://localhost:${at(silent)}`, /closed the connection/],
      [`http://localhost:${at(page)}`, /is no Gatehouse that this version can use/],
      [server.url.replace('localhost', '127.0.0.1'), /GATEHOUSE_URL must be the PUBLIC_URL|is no Gatehouse/],
      ['http://id.example.test', /GATEHOUSE_URL: must begin with https/],
    ] as const) {
      const { code, stdout, stderr } = await runCommand(['app', 'list', '--json'], { ...remote, GATEHOUSE_URL: url })
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, words)
      assert.ok(!stderr.includes(secret))
    }
  } finally {
    for (const each of [tls, silent, page]) each.close()
  }
})

test('what works beside the portal alone says so', async () => {
  const { code, stderr } = await runCommand(['user', 'find-subject', 'notes', 'x'], remote)
  assert.deepEqual([code, stderr], [1, 'this command works where the portal runs; GATEHOUSE_URL must not be set\n'])
  const migrated = await runCommand(['migrate', '--json'], { ...remote, ...local })
  assert.equal(migrated.code, 0)
  assert.match(migrated.stderr, /^gatehouse: migrate is about this machine; GATEHOUSE_URL has no effect on it\n/)
})

import assert from 'node:assert/strict'
import { userInfo } from 'node:os'
import { after, before, test } from 'node:test'
import { sealAuditLog } from '../domain/audit/sealing.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import { blockIp } from '../domain/limits/ip-blocks.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let adaId: string
let fam: string

before(async () => {
  server = await startTestServer()
  adaId = await server.addIdentity(ada)
  await server.addApp('notes', { ...notesApp, backchannelLogoutUri: 'https://notes.example.test/logouts' })
})
after(() => server.close())

async function run(...args: string[]): Promise<Finished> {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const finished = await runCommand([...args, '--json'], env)
  assert.equal(finished.code, 0, finished.stderr)
  return finished
}

/** What the audit log says since then. */
async function logged(since: string): Promise<Record<string, unknown>[]> {
  const { rows } = await server.services.storage.pool.query<Record<string, unknown>>(
    'SELECT kind, identity_id, client_id, family_id, detail, address, actor FROM audit_events WHERE id > $1 ORDER BY id',
    [since],
  )
  return rows
}

async function newest(): Promise<string> {
  const { rows } = await server.services.storage.pool.query('SELECT coalesce(max(id), 0) AS id FROM audit_events')
  return rows[0].id as string
}

/** Each command, with what makes something for it to change, and what must be in the log afterwards. */
const COMMANDS: [string[] | (() => string[]), string, object, (() => Promise<unknown>)?][] = [
  [['app', 'create', 'wiki', '--name', 'Wiki', '--redirect-uri', CALLBACK], 'app_created', { client_id: 'wiki' }],
  [['app', 'update', 'wiki', '--name', 'W'], 'app_changed', { client_id: 'wiki', detail: 'name' }],
  [['app', 'rotate-secret', 'wiki'], 'app_secret_rotated', { client_id: 'wiki' }],
  [['app', 'disable', 'wiki'], 'app_disabled', { client_id: 'wiki' }],
  [['app', 'enable', 'wiki'], 'app_enabled', { client_id: 'wiki' }],
  [['user', 'set-roles', ada.username, 'editor'], 'roles_changed', { detail: 'editor' }],
  [['app', 'role', 'add', 'wiki', 'author'], 'app_changed', { client_id: 'wiki', detail: 'roles +author' }],
  [
    ['user', 'set-roles', ada.username, '--app', 'wiki', 'author'],
    'app_roles_changed',
    { client_id: 'wiki', detail: 'author' },
  ],
  [['app', 'role', 'remove', 'wiki', 'author'], 'app_roles_changed', { client_id: 'wiki', detail: '-author' }],
  [['user', 'set-attribute', ada.username, 'dept', 'Engines'], 'attribute_changed', { detail: 'dept' }],
  [['user', 'revoke-all', ada.username], 'everything_ended', {}],
  [['user', 'reset-second-factors', ada.username], 'second_factors_reset', {}],
  [
    () => ['family', 'end', fam],
    'family_ended',
    { client_id: 'notes' },
    async () => (fam = (await connect(server.services, adaId, 'notes')).familyId),
  ],
  [['user', 'disable', ada.username], 'identity_disabled', {}],
  [['user', 'enable', ada.username], 'identity_enabled', {}],
  [
    ['notice', 'resend', '--app', 'notes'],
    'notices_resent',
    { client_id: 'notes' },
    async () => {
      const { familyId } = await connect(server.services, adaId, 'notes')
      await endFamilies(server.services, { id: familyId }, 'ended_by_person', home)
      await server.services.storage.pool.query('UPDATE notices SET given_up_at = now()')
    },
  ],
  [
    ['suspension', 'lift', '203.0.113.9'],
    'suspension_lifted',
    { address: '203.0.113.9' },
    async () => blockIp(server.services, '203.0.113.9', 100),
  ],
  [['keys', 'rotate'], 'signing_keys_rotated', {}],
  [['user', 'delete', ada.username], 'deletion_requested', {}],
]

test('every command that changes something is in the audit log, with who ran it', async () => {
  for (const [args, kind, about, prepare] of COMMANDS) {
    await prepare?.()
    const since = await newest()
    const command = typeof args === 'function' ? args() : args
    await run(...command)
    const [event] = (await logged(since)).filter((row) => row['kind'] === kind)
    const isPersonal = ['user', 'family'].includes(command[0] as string)
    const expected = { actor: userInfo().username, ...(isPersonal ? { identity_id: adaId } : {}), ...about }
    assert.deepEqual(event, { ...event, kind, ...expected }, command.join(' '))
  }
})

test('what a user does has no operator in it', async () => {
  const since = await newest()
  const { familyId } = await connect(
    server.services,
    await server.addIdentity({ ...ada, username: 'u', email: 'u@example.test' }),
    'notes',
  )
  await endFamilies(server.services, { id: familyId }, 'ended_by_person', home)
  assert.ok((await logged(since)).every(({ actor }) => actor === null))
})

test('when keys revoke has ended, no process takes what the key has signed', async () => {
  await server.addIdentity({ ...ada, username: 'grace', email: 'grace@example.test' })
  const browser = new Browser(server.url)
  await browser.signIn({ ...ada, username: 'grace' })
  const secret = printed<Record<string, string>>(await run('app', 'rotate-secret', 'notes'))['client_secret'] as string
  const notes = new Client(server.url, 'notes', secret, CALLBACK)
  const { access_token: token } = await notes.connect(browser)
  assert.equal((await notes.introspect(token))['active'], true)
  const { kid } = JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()) as { kid: string }

  const since = await newest()
  const revoked = printed<Record<string, string>>(await run('keys', 'revoke', kid))
  assert.equal(revoked['state'], 'revoked')
  assert.deepEqual(await notes.introspect(token), { active: false })
  assert.equal((await notes.userinfo(token)).status, 401)
  const published = await (await fetch(`${server.url}/oauth/jwks`)).text()
  assert.deepEqual([published.includes(kid), published.includes(revoked['replaced_by'] as string)], [false, true])
  const [event] = await logged(since)
  assert.deepEqual(
    [event?.['kind'], event?.['detail'], event?.['actor']],
    ['signing_key_revoked', kid, userInfo().username],
  )
})

test('audit verify names the events that a superuser has changed, the first one first, and exits with 1', async () => {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const verify = async (...args: string[]) => runCommand(['audit', 'verify', ...args], env)
  await sealAuditLog(server.services)
  const intact = await verify('--json')
  const { newest_checkpoint: newest, ...before } = printed(intact)
  assert.deepEqual([intact.code, before['intact'], before['first_altered']], [0, true, null])
  const { number, hash } = newest as { number: string; hash: string }
  assert.equal((await verify('--checkpoint', `${number}:${hash}`)).code, 0)
  const other = await verify('--checkpoint', `${number}:${'0'.repeat(64)}`)
  assert.deepEqual([other.code, other.stdout.startsWith(`checkpoint ${number}: not_as_witnessed.`)], [1, true])
  assert.equal((await verify('--checkpoint', 'x')).code, 1)

  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    `UPDATE audit_events SET actor = 'mallory' WHERE id IN (SELECT id FROM audit_events ORDER BY id LIMIT 3) RETURNING id::text`,
  )
  const ids = rows.map(({ id }) => id).toSorted((one, two) => Number(one) - Number(two))
  const altered = await verify('--json')
  type Answer = { findings: { event: string }[]; first_altered: object }
  const { findings, first_altered: first } = JSON.parse(altered.stdout) as Answer
  assert.deepEqual([altered.code, findings.map(({ event }) => event), first], [1, ids, findings[0]])
  const { code, stdout, stderr } = await verify()
  assert.equal(code, 1)
  assert.equal(stdout.split('\n')[0], `The first event that is not as it was sealed: ${ids[0]}.`)
  assert.match(stderr, /not intact: findings: 3$/m)
})

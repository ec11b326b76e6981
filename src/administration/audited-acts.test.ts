import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { blockIp } from '../domain/limits/ip-blocks.ts'
import type { Services } from '../domain/services.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { Forbidden, perform } from './operation.ts'
import { OPERATIONS } from './operations.ts'

type Name = keyof typeof OPERATIONS
type Input = Record<string, unknown>

const API = 'https://contacts.example.test/'
const CALLBACK = 'https://notes.example.test/callback'
const LOGOUTS = 'https://127.0.0.1:1/logouts'
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const operator = { name: 'root', id: 'operator', address: '192.0.2.1' }

let portal: TestPortal
let services: Services
/** What acts have made. */
const made: Record<string, string> = {}

before(async () => {
  portal = await openTestPortal()
  services = { ...portal, operator }
})
after(() => portal.close())

async function query(text: string, values: unknown[] = []): Promise<Record<string, string>[]> {
  return (await portal.storage.pool.query<Record<string, string>>(text, values)).rows
}

const ofAda = () => ({ identity: made['ada'] })

/** Every operation that writes, in an order in which each has something to change. */
const ACTS: [Name, Input | (() => Input | Promise<Input>)][] = [
  ['createFirstAdministratorLink', {}],
  ['createApi', { identifier: API, name: 'Contacts', scopes: ['contacts:read'] }],
  ['updateApi', { api: API, name: 'All contacts' }],
  ['rotateApiSecret', { api: API }],
  ['endPreviousApiSecret', { api: API }],
  [
    'createApp',
    {
      client_id: 'notes',
      type: 'confidential',
      name: 'Notes',
      redirect_uris: [CALLBACK],
      backchannel_logout_uri: LOGOUTS,
    },
  ],
  ['updateApp', { client_id: 'notes', name: 'All notes', id_token_alg: 'HS256' }],
  ['rotateAppSecret', { client_id: 'notes' }],
  ['rotateAppTokenKey', { client_id: 'notes' }],
  ['endPreviousAppSecret', { client_id: 'notes' }],
  ['setAppIcon', { client_id: 'notes', picture: PICTURE }],
  ['removeAppIcon', { client_id: 'notes' }],
  ['addAppRole', { client_id: 'notes', role: 'author' }],
  ['sendTestNotification', { client_id: 'notes' }],
  ['createIdentity', { username: 'ada', email: 'ada@example.test', password: 'a person of this test' }],
  ['updateIdentity', () => ({ ...ofAda(), email_verified: true })],
  ['setIdentityRoles', () => ({ ...ofAda(), roles: ['editor'] })],
  ['setIdentityAppRoles', () => ({ ...ofAda(), client_id: 'notes', roles: ['author'] })],
  ['removeAppRole', { client_id: 'notes', role: 'author' }],
  ['setIdentityAttribute', () => ({ ...ofAda(), attribute: 'department', value: 'Engines' })],
  ['removeIdentityAttribute', () => ({ ...ofAda(), attribute: 'department' })],
  ['createGroup', { name: 'Team' }],
  ['updateGroup', () => ({ group: 'Team', description: 'of engines' })],
  ['addGroupMembers', () => ({ group: 'Team', identities: [made['ada']] })],
  ['removeGroupMember', () => ({ group: 'Team', ...ofAda() })],
  ['deleteGroup', { group: 'Team' }],
  ['endFamily', async () => ({ family: (await connect(portal, made['ada'] as string, 'notes')).familyId })],
  ['endIdentitySession', async () => ({ ...ofAda(), session: await openSession() })],
  ['revokeEverything', ofAda],
  ['removeSecondFactor', async () => ({ ...ofAda(), factor: await addFactor() })],
  ['resetSecondFactors', async () => ((await addFactor()) === '' ? {} : ofAda())],
  ['sendPasswordReset', ofAda],
  ['unlockIdentity', ofAda],
  ['exportIdentity', ofAda],
  ['sendTestMail', ofAda],
  ['disableIdentity', ofAda],
  ['enableIdentity', ofAda],
  ['deleteIdentity', ofAda],
  ['keepIdentity', ofAda],
  ['importIdentities', { identities: [{ username: 'grace', email: 'grace@example.test' }] }],
  ['createInvitation', { email: 'guest@example.test' }],
  ['resendInvitation', () => ({ invitation: made['invitation'] })],
  ['revokeInvitation', () => ({ invitation: made['invitation'] })],
  [
    'createIdentityProvider',
    { id: 'google', name: 'Google', issuer: 'https://accounts.google.com', client_id: 'gatehouse' },
  ],
  ['updateIdentityProvider', { provider: 'google', domains: ['example.test'] }],
  ['disableIdentityProvider', { provider: 'google' }],
  ['enableIdentityProvider', { provider: 'google' }],
  ['deleteIdentityProvider', { provider: 'google' }],
  ['updateRegistration', { allowed_domains: ['example.test'] }],
  ['liftIpBlock', async () => ({ address: (await blockIp(portal, '203.0.113.9', 100))?.address })],
  ['resendNotification', async () => ({ notification: await giveUp() })],
  ['resendNotifications', async () => ({ client_id: (await giveUp()) && 'notes' })],
  ['resendMail', async () => ({ mail: await failMail() })],
  ['resendMails', async () => ((await failMail()) === '' ? { none: true } : {})],
  ['disableApp', { client_id: 'notes' }],
  ['enableApp', { client_id: 'notes' }],
  ['deleteApp', { client_id: 'notes' }],
  ['deleteApi', { api: API }],
  ['rewrapRootSecrets', {}],
  ['forgetRootSecrets', {}],
  ['rotateSigningKeys', {}],
  ['revokeSigningKey', async () => ({ kid: (await portal.keys.list(null))[0]?.kid })],
]

async function openSession(): Promise<string> {
  const [row] = await query(
    `INSERT INTO identity_sessions (id, identity_id, created_at, last_seen_at, expires_at, review_at, amr, browser, address)
     VALUES (gen_random_uuid(), $1, $2, $2, $2::timestamptz + interval '1 day', $2::timestamptz + interval '1 day', '{pwd}', $3, $4) RETURNING id`,
    [made['ada'], portal.clock(), home.browser, home.address],
  )
  return row?.['id'] as string
}

async function addFactor(): Promise<string> {
  const [row] = await query(
    `INSERT INTO passkeys (id, identity_id, credential_id, public_key, counter, backed_up, name, created_at)
     VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, '', 0, false, 'Phone', $2) RETURNING id`,
    [made['ada'], portal.clock()],
  )
  return row?.['id'] as string
}

async function giveUp(): Promise<string> {
  const [row] = await query(
    `INSERT INTO notices (id, kind, client_id, family_id, identity_id, happened_at, attempts, problem, given_up_at)
     VALUES (gen_random_uuid(), 'logout', 'notes', gen_random_uuid(), $1, $2, 7, 'is away', $2) RETURNING id`,
    [made['ada'], portal.clock()],
  )
  return row?.['id'] as string
}

async function failMail(): Promise<string> {
  const [row] = await query(
    `INSERT INTO failed_mails (id, identity_id, kind, recipient, payload, problem, failed_at)
     VALUES (gen_random_uuid(), $1::uuid, 'test', 'ada@example.test', jsonb_build_object('kind', 'test', 'identityId', $1::text, 'at', 'now'), '550', $2)
     RETURNING id`,
    [made['ada'], portal.clock()],
  )
  return row?.['id'] as string
}

test('every operation that changes something is in the audit log, with who did it', async () => {
  const writes = Object.values(OPERATIONS).filter(({ kind }) => kind === 'write')
  assert.deepEqual(ACTS.map(([name]) => name).toSorted(), writes.map(({ name }) => name).toSorted())
  const silent: string[] = []
  for (const [name, given] of ACTS) {
    const input = typeof given === 'function' ? await given() : given
    const [newest] = await query('SELECT coalesce(max(id), 0) AS id FROM audit_events')
    const answer = (await perform(services, { kind: 'command' }, OPERATIONS[name], input)) as Input | null
    if (name === 'createIdentity') made['ada'] = answer?.['id'] as string
    if (name === 'createInvitation') made['invitation'] = answer?.['id'] as string
    const events = await query('SELECT actor, actor_id, actor_address FROM audit_events WHERE id > $1', [
      newest?.['id'],
    ])
    const isNamed = events.some(
      ({ actor, actor_id: id, actor_address: address }) =>
        actor === operator.name && id === operator.id && address === operator.address,
    )
    if (!isNamed) silent.push(`${name}: ${JSON.stringify(events)}`)
  }
  assert.deepEqual(silent, [])
})

test('an operation that the operator may not perform is in the audit log, too, and not without end', async () => {
  for (let times = 0; times < 70; times++)
    await assert.rejects(
      perform(services, { kind: 'role', roles: ['support'] }, OPERATIONS.rotateSigningKeys, {}),
      Forbidden,
    )
  const events = await query(`SELECT detail, actor FROM audit_events WHERE kind = 'operation_refused'`)
  assert.equal(events.length, 60)
  assert.deepEqual(events[0], { detail: 'rotateSigningKeys', actor: 'root' })
})

// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import {
  type AppRow,
  changeApp,
  disableApp,
  enableApp,
  endFamiliesOfDisabledApps,
  findApp,
} from '../domain/apps/apps.ts'
import { correctAccount } from '../domain/accounts/corrections.ts'
import { deleteAccount } from '../domain/accounts/deletions.ts'
import { eraseDeletedAccounts } from '../domain/accounts/erasure.ts'
import { searchFamilies } from '../domain/families/families.ts'
import {
  changeRoles,
  disableIdentity,
  enableIdentity,
  findIdentity,
  type IdentityRow,
  listIdentities,
  revokeEverything,
} from '../domain/identities/identities.ts'
import { makeMailLink, type LinkPurpose } from '../domain/identities/mail-links.ts'
import { signInWithPasskey } from '../domain/sign-in/passkeys.ts'
import { expireFamilies, expireIdentitySessions } from '../domain/endings/expiry.ts'
import { deliverNotification, type NotificationAnswer } from '../backchannel/delivery.ts'
import { listNotifications, resendNotifications } from '../domain/endings/notifications.ts'
import {
  pruneCounters,
  pruneFamilies,
  pruneProtocolRecords,
  pruneIdentitySessions,
  pruneMailLinks,
  pruneNotifications,
  pruneIpBlocks,
} from '../domain/pruning.ts'
import type { Services } from '../domain/services.ts'
import { Revocations } from '../domain/families/revocations.ts'
import { unlockAccount } from '../domain/sign-in/attempts.ts'
import { listSecondFactors, proveSecondStep } from '../domain/sign-in/second-factors.ts'
import { liftIpBlock, listIpBlocks, blockIp } from '../domain/limits/ip-blocks.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { home } from '../testing/portal/connections.ts'
import { createClock } from '../testing/portal/clock.ts'
import { addFamilies, addPeople, peopleOf } from '../testing/portal/crowd.ts'
import { linkFor } from '../testing/mail/mails.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { recordStatements, type Statement } from '../testing/portal/statements.ts'
import { transaction } from './postgres.ts'
import { replaceRecoveryCodes } from './recovery-codes.ts'
import { deleteSecondFactor } from './second-factors.ts'

const CALLBACK = 'https://notes.example.test/callback'
const FAMILIES = 40_000
const PAGE = { after: null, limit: 50 }
const SEARCH = { ...PAGE, prefix: '', state: null, role: null, groupId: null }
/** Tables that grow with users and requests. `apps` and `signing_keys` have few, which may be read whole. */
const GROWING = [
  'families',
  'ledger_entries',
  'identities',
  'identity_sessions',
  'audit_events',
  'handshakes',
  'browser_sessions',
  'totp_keys',
  'passkeys',
  'recovery_codes',
  'devices',
  'mail_links',
  'counters',
  'suspensions',
  'notices',
]

const PASSKEY_OF_NOBODY = JSON.stringify({
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' },
})

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
  Plans?: PlanNode[]
}

const clock = createClock()
let server: TestServer
let db: pg.Client
let notes: Client
let wrong: Client
let adaId: string
let browser: Browser

const seenTables = new Set<string>()

before(async () => {
  // Only what is asked here is recorded, and nothing is forgotten meanwhile.
  server = await startTestServer({ clock, env: { IN_PROCESS_WORKER: 'false' } })
  db = new pg.Client({ connectionString: server.database.databaseUrl })
  await db.connect()
  // The operations of an operator must be by index for an app of usual size; of twenty-five each has four in a hundred.
  const clientIds = Array.from({ length: 25 }, (_, number) => `app-${number}`)
  for (const id of clientIds) await server.addApp(id, notesApp)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  wrong = new Client(server.url, 'notes', 'a-secret-it-does-not-have', CALLBACK)

  const people = peopleOf(FAMILIES)
  await addPeople(db, people, clock())
  await addFamilies(db, { families: { from: 0, count: FAMILIES }, people, clientIds, endedPercent: 30 }, clock())
  await db.query(`INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, browser, address)
    SELECT created_at, 'family_opened', identity_id, client_id, id, browser, address FROM families, generate_series(1, 2)`)
  await db.query(`INSERT INTO ledger_entries (family_id, kind, count, first_at, last_at, generation, browser, address)
    SELECT id, 'grace_hit', 1, created_at, created_at, 0, browser, address FROM families`)
  await db.query(`INSERT INTO handshakes (id, payload, uid, expires_at)
    SELECT 'Session:' || md5(n::text), repeat('x', 500), 'Session:' || md5((-n)::text), now() + interval '1 second' * (n % 3600)
    FROM generate_series(1, 20000) n`)
  await db.query(`INSERT INTO browser_sessions (sid, sess, expire)
    SELECT md5(n::text), '{"cookie":{}}', now() + interval '1 day' * (n % 90) FROM generate_series(1, 20000) n`)
  await db.query(`INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at)
    SELECT gen_random_uuid(), id, 'Phone', 'x', 0, created_at FROM identities`)
  await db.query(`INSERT INTO passkeys (id, identity_id, credential_id, public_key, counter, backed_up, name, created_at)
    SELECT gen_random_uuid(), id, id::text, '', 0, false, 'Laptop', created_at FROM identities`)
  await db.query(`INSERT INTO recovery_codes (identity_id, hash, created_at)
    SELECT id, sha256(convert_to(id::text || n, 'UTF8')), created_at FROM identities, generate_series(1, 3) n`)
  await db.query(`INSERT INTO devices (identity_id, hash, first_seen_at, last_seen_at, browser, address)
    SELECT id, sha256(id::text::bytea), now(), now(), 'Firefox', '192.0.2.1' FROM identities`)
  await db.query(`INSERT INTO mail_links (id, purpose, identity_id, email, created_at, expires_at)
    SELECT gen_random_uuid(), 'verify-address', id, email, now(), now() + interval '1 day' FROM identities`)
  await db.query(`INSERT INTO counters (key, points, expire)
    SELECT md5(n::text), 1, (extract(epoch FROM now()) * 1000)::bigint + 1000 * n FROM generate_series(-1000, 20000) n`)
  await db.query(`INSERT INTO suspensions (address, since, until, failures)
    SELECT '2001:db8:' || to_hex(n) || '::/64', now(), now() - interval '1 second' * n, 100 FROM generate_series(1, 20000) n`)
  // Of a hundred, ninety-eight are confirmed and one is given up.
  await db.query(`INSERT INTO notices (id, kind, client_id, family_id, identity_id, cause, happened_at, confirmed_at, given_up_at)
    SELECT gen_random_uuid(), 'logout', client_id, id, identity_id, 'signed_out', ended_at,
      CASE WHEN n > 2 THEN ended_at END, CASE WHEN n = 2 THEN ended_at END
    FROM (SELECT *, row_number() OVER (ORDER BY ended_at) % 100 AS n FROM families WHERE ended_at IS NOT NULL) f`)
  adaId = await server.addIdentity(ada)
  await server.addIdentity(grace)
  browser = new Browser(server.url)
  await browser.signIn(ada)
  // The queue makes its tables when it is first used, which is not what is looked at here.
  await browser.post('/forgot-password', { email: 'nobody@example.test' })
  for (let count = 0; count < 5; count++) await notes.connect(browser)
  await db.query('VACUUM ANALYZE')
})
after(async () => {
  await db.end()
  await server.close()
})

for (const [what, act] of [
  ['opening a page without a cookie', async () => new Browser(server.url).get('/dashboard')],
  ['signing in with a user name', async () => new Browser(server.url).signIn(ada)],
  ['signing in with an address', async () => new Browser(server.url).signIn({ ...ada, username: ada.email })],
  ['a wrong password', async () => new Browser(server.url).post('/login', { login: 'ada', password: 'wrong' })],
  ['a wrong secret', async () => wrong.introspect('token')],
  ['signing in again in the same browser', async () => browser.signIn(ada)],
  ['registering', async () => register('fresh')],
  ['asking for a password reset', async () => browser.post('/forgot-password', { email: 'nobody@example.test' })],
  ['opening a link that confirms an address', async () => browser.get(await link('verify-address'))],
  ['confirming an address', async () => browser.post(await link('verify-address'), {})],
  ['confirming an e-mail address that another account claims', async () => confirmClaimed()],
  ['resetting a password', async () => resetPassword()],
  ['changing a password', async () => changePassword()],
  ['changing the address', async () => changeAddress()],
  ['asking for another address', async () => browser.post('/settings/email', { email: 'ada@new.example.test' })],
  ['the settings', async () => browser.get('/settings')],
  ['the dashboard', async () => browser.get('/dashboard')],
  ['the list of signed-in browsers', async () => browser.get('/sessions')],
  ['the activity', async () => browser.get('/activity')],
  ['older activity', async () => browser.get('/activity?before=50000')],
  ['a page a minute later, which notes the time', async () => later(61, async () => browser.get('/dashboard'))],
  ['connecting an app', async () => notes.connect(browser)],
  ['renewing silently', async () => later(300, async () => notes.connect(browser, { prompt: 'none' }))],
  ['renewing silently what the library looks at', async () => later(300, async () => renewWithClaims())],
  ['a refresh', async () => notes.refresh(await freshToken())],
  ['a refresh with the token before', async () => twice(await freshToken())],
  ['a refresh with a stolen token', async () => later(31, async () => twice(await freshToken()))],
  ['changing the roles of a person', async () => changeRoles(server.services, adaId, ['editor'])],
  ['a refresh after that', async () => refreshChanged()],
  ['introspection', async () => notes.introspect((await connected()).access_token)],
  ['userinfo', async () => notes.userinfo((await connected()).access_token)],
  ['revocation by an app', async () => notes.revoke(await freshToken())],
  ['the page of a family', async () => browser.get(`/families/${await familyId()}`)],
  ['ending a family', async () => browser.post(`/families/${await familyId()}/revocation`, {})],
  ['disconnecting an app', async () => browser.post('/apps/notes/disconnection', {})],
  ['ending a browser', async () => browser.post(`/sessions/${await sessionId()}/revocation`, {})],
  ['ending all other browsers', async () => browser.post('/sessions/revocation', {})],
  ['the second factors', async () => listSecondFactors(server.services, adaId)],
  ['a code', async () => typeCode('000000')],
  ['a recovery code', async () => typeCode('0'.repeat(16))],
  ['a passkey', async () => signInWithPasskey(server.services, PASSKEY_OF_NOBODY, home)],
  ['new recovery codes', async () => replaceRecoveryCodes(server.services.storage.pool, adaId, [], clock())],
  ['removing a second factor', async () => deleteSecondFactor(server.services.storage.pool, 'totp', adaId, adaId)],
  ['signing out', async () => browser.post('/logout', {})],
  ['signing in again where one was signed in', async () => browser.signIn(ada)],
  ['signing out everywhere', async () => browser.post('/logout', { everywhere: 'yes' })],
  ['disabling a person', async () => disableIdentity(server.services, adaId)],
  ['enabling a person', async () => enableIdentity(server.services, adaId)],
  ['forgetting a browser', async () => forgetBrowser()],
  ['disowning a sign-in', async () => disown()],
  ['downloading what is held', async () => exportOf(await signedIn())],
  ['deleting an account', async () => (await signedIn()).post('/settings/deletion', { username: 'ada' })],
  ['coming back to a deleted account', async () => comeBack()],
  ['erasing an account', async () => erase()],
  ['ending everything of a person', async () => revokeEverything(server.services, adaId)],
  [
    'the families of a person',
    async () => searchFamilies(server.services, { ...PAGE, identityId: adaId, clientId: 'notes' }),
  ],
  ['unlocking an account', async () => unlockAccount(server.services, await person())],
  [
    'correcting an account',
    async () => correctAccount(server.services, adaId, { emailVerified: true, profile: { name: 'Ada' } }),
  ],
  ['finding people', async () => listIdentities(server.services, { ...SEARCH, prefix: 'person1999' })],
  ['finding people by their group', async () => listIdentities(server.services, { ...SEARCH, groupId: adaId })],
  [
    'the families of an app',
    async () => searchFamilies(server.services, { ...PAGE, identityId: null, clientId: 'notes' }),
  ],
  ['changing an app', async () => changeApp(server.services, await app('app-3'), { name: 'Letters' })],
  ['disabling an app', async () => disableApp(server.services, await app('app-3'))],
  ['ending what a disabled app still has', async () => endFamiliesOfDisabledApps(server.services)],
  ['enabling an app', async () => enableApp(server.services, await app('app-3'))],
  ['ending families that have expired', async () => later(31 * 86_400, async () => firstBatch(expireFamilies))],
  ['ending browsers that have expired', async () => firstBatch(expireIdentitySessions)],
  ['pruning families', async () => later(200 * 86_400, async () => pruneFamilies(server.services))],
  ['pruning signed-out browsers', async () => pruneIdentitySessions(server.services)],
  ['pruning protocol records', async () => pruneProtocolRecords(server.services)],
  ['what has been revoked', async () => new Revocations(server.services).look()],
  ['suspending an address', async () => blockIp(server.services, '192.0.2.9', 100)],
  [
    'listing suspended addresses',
    async () => listIpBlocks(server.services, { prefix: '192.', after: null, limit: 51 }),
  ],
  ['lifting an IP block', async () => liftIpBlock(server.services, '192.0.2.9')],
  ['pruning counters', async () => pruneCounters(server.services)],
  ['pruning IP blocks', async () => pruneIpBlocks(server.services)],
  ['pruning links of mails', async () => pruneMailLinks(server.services)],
  ['telling an app', async () => tell({ kind: 'accepted' })],
  ['telling an app in vain', async () => tell({ kind: 'unreachable', problem: 'is away' })],
  ['what is told of a family', async () => listNotifications(server.services, { familyId: adaId }, 200)],
  [
    'what an app was not told',
    async () => listNotifications(server.services, { clientId: 'app-4', state: 'given-up' }, 200),
  ],
  ['telling an app again', async () => resendNotifications(server.services, { clientId: 'app-4' })],
  ['pruning what apps were told', async () => later(200 * 86_400, async () => pruneNotifications(server.services))],
] satisfies [string, () => Promise<unknown>][]) {
  test(`${what} finds its rows by an index`, async () => {
    const statements = await record(act)
    const faults: string[] = []
    for (const statement of statements) {
      for (const plan of await plansOf(statement)) faults.push(...faultsOf(plan, statement))
    }
    assert.deepEqual(faults, [])
  })
}

test('erasing from the audit log finds its rows by an index, inside the function that does it', async () => {
  const { rows } = await db.query<{ text: string }>(
    `SELECT prosrc AS text FROM pg_proc WHERE proname = 'anonymize_audit_events'`,
  )
  const [text] = /UPDATE audit_events [^;]*/.exec(rows[0]?.text as string) as RegExpExecArray
  const statement = { text, values: [adaId, [1, 2, 3], Array(3).fill(Buffer.from('proof'))], name: 'shown' }
  const plans = await plansOf(statement)
  assert.equal(plans.length, 2)
  assert.deepEqual(
    plans.flatMap((plan) => faultsOf(plan, statement)),
    [],
  )
})

test('these acts have asked every growing table', () => {
  assert.deepEqual([...seenTables].toSorted(), GROWING.toSorted())
})

test('a sequential scan would have been noticed', async () => {
  for (const text of [
    'SELECT * FROM families WHERE last_used_at > now()',
    'SELECT * FROM audit_events ORDER BY id DESC',
    `UPDATE identities SET updated_at = now() WHERE username = 'ada'`,
  ]) {
    const statement = { text, values: [], name: undefined }
    const [plan] = await plansOf(statement)
    assert.equal(faultsOf(plan as PlanNode, statement).length, 1, text)
  }
})

async function tell(answer: NotificationAnswer): Promise<void> {
  const [notification] = await listNotifications(server.services, { clientId: 'app-4', state: 'waiting' }, 1)
  const delivery = await deliverNotification(
    server.services,
    async () => answer,
    { notice: notification?.id as string },
    false,
  )
  assert.equal(delivery.kind, answer.kind === 'accepted' ? 'done' : 'given-up')
}

async function typeCode(code: string) {
  return proveSecondStep(server.services, { identityId: adaId, answer: { code }, clientInfo: home, deviceHash: null })
}

async function record(act: () => Promise<unknown>): Promise<Statement[]> {
  const statements = await recordStatements(act)
  const isPlanned = ({ text }: Statement) => /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(text)
  return [...new Map(statements.filter(isPlanned).map((statement) => [statement.text, statement])).values()]
}

/** The plan for these very values; a named statement may later get one for any values, so that is asked for, too. */
async function plansOf({ text, values, name }: Statement): Promise<PlanNode[]> {
  const explain = async (statement: string, given: unknown[]) => {
    const result = await db.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`EXPLAIN (FORMAT JSON) ${statement}`, given)
    return result.rows[0]?.['QUERY PLAN'][0].Plan as PlanNode
  }
  const plans = [await explain(text, values)]
  if (name === undefined) return plans

  await db.query('SET plan_cache_mode = force_generic_plan')
  await db.query(`PREPARE recorded AS ${text}`)
  const any = values.length === 0 ? '' : `(${values.map(() => 'NULL').join(', ')})`
  plans.push(await explain(`EXECUTE recorded${any}`, []))
  await db.query('DEALLOCATE recorded')
  await db.query('RESET plan_cache_mode')
  return plans
}

/** Every read of a growing table that is not a search in an index. */
function faultsOf(node: PlanNode, { text }: Statement): string[] {
  const { 'Node Type': type, 'Relation Name': table, 'Index Name': index, Plans: below = [] } = node
  const isGrowing = table !== undefined && GROWING.includes(table)
  if (isGrowing) seenTables.add(table)

  const isRead = (isGrowing && type.endsWith('Scan')) || type === 'Bitmap Index Scan'
  const isSearch = type === 'Bitmap Heap Scan' || (type.includes('Index') && node['Index Cond'] !== undefined)
  const fault = isRead && !isSearch ? [`${type} on ${table ?? index} by ${index}: ${text}`] : []
  return [...fault, ...below.flatMap((each) => faultsOf(each, { text, values: [], name: undefined }))]
}

async function person(): Promise<IdentityRow> {
  return (await findIdentity(server.services, adaId)) as IdentityRow
}

async function register(username: string): Promise<void> {
  const password = 'a long enough password'
  const email = `${username}@example.test`
  const form = { username, email, password, password_confirmation: password }
  assert.equal((await new Browser(server.url).post('/register', form)).status, 303)
}

async function link(purpose: LinkPurpose, email = ada.email): Promise<string> {
  return linkFor(server.services, purpose, { identityId: adaId, email })
}

async function confirmClaimed(): Promise<void> {
  await register('claimant')
  const email = 'claimant@example.test'
  assert.equal((await browser.post(await link('change-address', email), {})).status, 303)
  assert.equal((await browser.post(await link('change-address', ada.email), {})).status, 303)
}

async function resetPassword(): Promise<void> {
  const form = { password: ada.password, password_confirmation: ada.password }
  assert.equal((await browser.post(await link('reset-password'), form)).status, 303)
  await browser.signIn(ada)
}

async function changePassword(): Promise<void> {
  const form = { current_password: ada.password, password: ada.password, password_confirmation: ada.password }
  assert.equal((await browser.post('/settings/password', form)).status, 303)
}

async function changeAddress(): Promise<void> {
  assert.equal((await browser.post(await link('change-address', 'ada@new.example.test'), {})).status, 303)
  assert.equal((await browser.post(await link('change-address', ada.email), {})).status, 303)
}

async function later<T>(seconds: number, act: () => Promise<T>): Promise<T> {
  clock.advance(seconds)
  return act()
}

async function connected(): Promise<Tokens> {
  return notes.connect(browser)
}

async function renewWithClaims(): Promise<Tokens> {
  return notes.connect(browser, { prompt: 'none', claims: '{"id_token":{"email":null}}' })
}

async function freshToken(): Promise<string> {
  return (await connected()).refresh_token
}

async function twice(refreshToken: string): Promise<void> {
  await notes.refresh(refreshToken)
  await notes.refresh(refreshToken)
}

async function refreshChanged(): Promise<void> {
  const token = await freshToken()
  await changeRoles(server.services, adaId, [])
  assert.equal((await notes.refresh(token)).status, 200)
}

async function signedIn(): Promise<Browser> {
  const fresh = new Browser(server.url)
  await fresh.signIn(ada)
  return fresh
}

async function forgetBrowser(): Promise<void> {
  const fresh = await signedIn()
  const [, path] = /action="(\/devices\/[^"]+)"/.exec(await (await fresh.get('/sessions')).text()) ?? []
  assert.equal((await fresh.post(path ?? '', {})).status, 303)
}

async function disown(): Promise<void> {
  const holder = { identityId: adaId, email: ada.email, identitySessionId: await sessionId() }
  const token = await transaction(server.services.storage.pool, (client) =>
    makeMailLink(server.services, client, 'disown-sign-in', holder),
  )
  await new Browser(server.url).get(`/not-me/${token}`)
  assert.equal((await new Browser(server.url).post(`/not-me/${token}`, {})).status, 303)
}

async function exportOf(fresh: Browser): Promise<void> {
  assert.match(await (await fresh.post('/settings/export', {})).text(), /\]\n\}\n$/)
}

async function comeBack(): Promise<void> {
  browser = await signedIn()
  await browser.get('/account-restoration')
  assert.equal((await browser.post('/account-restoration', {})).headers.get('location'), '/dashboard')
}

async function erase(): Promise<void> {
  const id = await server.addIdentity({ ...grace, username: 'leaver', email: 'leaver@example.test' })
  await deleteAccount(server.services, id, null, 0)
  assert.equal(await eraseDeletedAccounts(server.services), 1)
}

/** There are enough to keep a round busy for a while. */
async function firstBatch(run: (services: Services, signal: AbortSignal) => Promise<number>): Promise<void> {
  const stopping = new AbortController()
  const running = run(server.services, stopping.signal)
  stopping.abort()
  assert.ok((await running) > 0)
}

async function familyId(): Promise<string> {
  await connected()
  return idIn('SELECT id FROM families WHERE identity_id = $1 AND ended_at IS NULL LIMIT 1')
}

async function sessionId(): Promise<string> {
  await new Browser(server.url).signIn(ada)
  return idIn(
    'SELECT id FROM identity_sessions WHERE identity_id = $1 AND ended_at IS NULL ORDER BY created_at DESC LIMIT 1',
  )
}

async function idIn(text: string): Promise<string> {
  return (await db.query<{ id: string }>(text, [adaId])).rows[0]?.id as string
}

async function app(clientId: string): Promise<AppRow> {
  return (await findApp(server.services, clientId)) as AppRow
}

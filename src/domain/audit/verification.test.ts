import assert from 'node:assert/strict'
import { createHash, createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { createLogger } from '../../logger.ts'
import { LASTING_COLUMNS, PERSONAL_COLUMNS } from '../../storage/audit-seals.ts'
import { insertAuditEvents, type NewAuditRow } from '../../storage/audit.ts'
import { transaction } from '../../storage/postgres.ts'
import { home } from '../../testing/portal/connections.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { Random } from '../../testing/portal/random.ts'
import { deleteAccount } from '../accounts/deletions.ts'
import { eraseDeletedAccounts } from '../accounts/erasure.ts'
import { deriveAuditKeys } from '../keys/audit-keys.ts'
import { register } from '../identities/identities.ts'
import { merkleRoot } from './merkle-tree.ts'
import { sealAuditLog } from './sealing.ts'
import { type Finding, verifyAuditLog } from './verification.ts'

/** Events in each of the checkpoints. */
const EVENTS = 120
const CHECKPOINTS = 3

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

async function query(text: string, values: unknown[] = []) {
  return (await portal.storage.pool.query(text, values)).rows as Record<string, string>[]
}

/** Some columns are empty, and some are the empty text. */
function eventOf(number: number): NewAuditRow {
  const full = {
    kind: 'signed_in' as const,
    identityId: randomUUID(),
    familyId: randomUUID(),
    identitySessionId: randomUUID(),
  }
  if (number % 3 === 0)
    return {
      kind: 'app_changed' as const,
      clientId: 'notes',
      detail: '',
      actor: { name: 'root', id: 'a', address: '' },
    }
  return { ...full, clientId: 'notes', cause: 'replaced', detail: 'password', ...home }
}

async function sealSome(count: number): Promise<void> {
  portal.clock.advance(60)
  await insertAuditEvents(
    portal.storage.pool,
    Array.from({ length: count }, (_, number) => eventOf(number)),
    portal.clock(),
  )
  assert.equal(await sealAuditLog(portal), count)
}

beforeEach(async () => {
  await query('TRUNCATE audit_events, audit_checkpoints RESTART IDENTITY')
  for (let each = 0; each < CHECKPOINTS; each++) await sealSome(EVENTS)
})

async function findings(): Promise<Finding[]> {
  return (await verifyAuditLog(portal, null, 0)).findings
}

function inWords(found: Finding[]): string[] {
  return found.map((each) =>
    each.about === 'event' ? `event ${each.id} ${each.problem}` : `checkpoint ${each.number} ${each.problem}`,
  )
}

test('the Merkle tree hash is that of RFC 9162, in a tree that is not full', () => {
  const hash = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  const [one, two, three] = ['1', '2', '3'].map((leaf) => hash(Buffer.of(0), Buffer.from(leaf))) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const root = hash(Buffer.of(1), hash(Buffer.of(1), one, two), three)
  assert.deepEqual(merkleRoot(['1', '2', '3'].map((leaf) => Buffer.from(leaf))), root)
})

test('every column of an event is sealed', async () => {
  const columns = await query(
    `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'audit_events'`,
  )
  assert.deepEqual(
    columns.map(({ name }) => name).toSorted(),
    [...LASTING_COLUMNS, ...PERSONAL_COLUMNS, 'erasure_proof'].toSorted(),
  )
})

test('fifty events that a superuser alters are named, whichever column it is, and nothing else', async () => {
  assert.deepEqual(await findings(), [])
  const alterations = [
    `at = at + interval '1 millisecond'`,
    `at = 'infinity'`,
    `kind = kind || ' '`,
    `client_id = 'other'`,
    `cause = CASE WHEN cause IS NULL THEN '' END`,
    `actor = coalesce(actor || 'x', '')`,
    `actor_id = coalesce(actor_id || 'x', '')`,
    `actor_address = CASE WHEN actor_address IS NULL THEN '' END`,
    `identity_id = gen_random_uuid()`,
    `family_id = gen_random_uuid()`,
    `identity_session_id = gen_random_uuid()`,
    `detail = CASE WHEN detail = '' THEN NULL ELSE '' END`,
    `browser = coalesce(browser || 'x', '')`,
    `address = '203.0.113.99'`,
    // Two values that change places.
    `actor = coalesce(actor_id, 'b'), actor_id = coalesce(actor, 'c')`,
  ]
  const random = new Random(50)
  const ids = new Set<number>()
  while (ids.size < 50) ids.add(1 + random.below(EVENTS * CHECKPOINTS))
  for (const [index, id] of [...ids].entries())
    await query(`UPDATE audit_events SET ${alterations[index % alterations.length]} WHERE id = $1`, [id])
  const expected = [...ids].toSorted((one, other) => one - other)
  const found = await verifyAuditLog(portal, null, 0)
  assert.deepEqual(
    inWords(found.findings),
    expected.map((id) => `event ${id} altered`),
  )
  assert.deepEqual([found.total, found.wrongEvents, found.events], [50, 50, EVENTS * CHECKPOINTS])
})

test('deleted, inserted and back-dated events are named', async () => {
  await query('DELETE FROM audit_events WHERE id IN (1, 200, $1)', [EVENTS * CHECKPOINTS])
  // In the place of another one, before all others, and with a new id.
  await query(`INSERT INTO audit_events (id, at, kind) VALUES (1, now(), 'signed_in'), (-7, now(), 'signed_in')`)
  portal.clock.advance(1)
  await query(`INSERT INTO audit_events (at, kind) VALUES ($1::timestamptz - interval '1 hour', 'signed_in')`, [
    portal.clock(),
  ])
  await sealAuditLog(portal)
  assert.deepEqual(inWords(await findings()), [
    'event -7 added',
    'event 1 altered',
    'event 200 removed',
    `event ${EVENTS * CHECKPOINTS} removed`,
    `event ${EVENTS * CHECKPOINTS + 1} backdated`,
  ])
})

test('an id that was left out when its neighbours were sealed stays empty', async () => {
  await query(`SELECT nextval('audit_events_id_seq')`)
  await sealSome(1)
  const gap = EVENTS * CHECKPOINTS + 1
  await query(`INSERT INTO audit_events (id, at, kind) VALUES ($1, $2, 'signed_in')`, [gap, portal.clock()])
  assert.deepEqual(inWords(await findings()), [`event ${gap} added`])
})

for (const [what, tamper, expected] of [
  [
    'an event and its leaf together',
    `UPDATE audit_events SET kind = 'x' WHERE id = 130;
     UPDATE audit_checkpoints SET leaves = overlay(leaves PLACING decode(repeat('00', 32), 'hex') FROM 9 * 72 + 9) WHERE number = 2`,
    ['checkpoint 2 leaves_altered', 'event 130 altered'],
  ],
  [
    'the root',
    `UPDATE audit_checkpoints SET root = previous WHERE number = 2`,
    ['checkpoint 2 altered', 'checkpoint 2 leaves_altered'],
  ],
  [
    'the leaves, which are gone',
    `UPDATE audit_checkpoints SET leaves = NULL WHERE number = 2`,
    ['checkpoint 2 leaves_altered'],
  ],
  ['its time', `UPDATE audit_checkpoints SET at = 'infinity' WHERE number = 2`, ['checkpoint 2 altered']],
  [
    'the order of two checkpoints',
    `UPDATE audit_checkpoints SET number = number + 10 WHERE number IN (1, 2); UPDATE audit_checkpoints SET number = 13 - number WHERE number > 10`,
    ['checkpoint 1 altered', 'checkpoint 2 altered', 'checkpoint 3 unchained'],
  ],
  ['a checkpoint, which is gone', 'DELETE FROM audit_checkpoints WHERE number = 2', ['checkpoint 2 removed']],
  [
    'the first checkpoints, which are gone',
    'DELETE FROM audit_checkpoints WHERE number < 3',
    ['checkpoint 1 removed', 'checkpoint 2 removed'],
  ],
  [
    'a signature',
    `UPDATE audit_checkpoints SET signature = previous || previous WHERE number = 2`,
    ['checkpoint 2 unsigned'],
  ],
  [
    'a deletion that is said to be the retention’s',
    `DELETE FROM audit_events WHERE id <= 240; DELETE FROM audit_checkpoints WHERE number = 1;
     UPDATE audit_checkpoints SET leaves = NULL, pruned_signature = signature WHERE number = 2`,
    ['checkpoint 1 removed', 'checkpoint 2 leaves_altered'],
  ],
] satisfies [string, string, string[]][]) {
  test(`what a superuser alters of a checkpoint is found: ${what}`, async () => {
    await query(tamper)
    assert.deepEqual(inWords(await findings()), expected)
  })
}

test('a chain that a superuser has made anew of altered events is not signed', async () => {
  await query(`UPDATE audit_events SET kind = 'x' WHERE id = 5`)
  await query('DELETE FROM audit_checkpoints')
  const auditKeys = deriveAuditKeys(createSecretKey(randomBytes(32)))
  await sealAuditLog({ ...portal, auditKeys })
  assert.deepEqual(inWords(await findings()).slice(0, 3), [
    'checkpoint 1 unsigned',
    'event 1 altered',
    'event 2 altered',
  ])
})

test('an erased account leaves a log that is intact, and one that is emptied by hand does not', async () => {
  const registration = { username: 'vanisher', email: 'vanisher@example.test', password: 'a person who leaves again' }
  const outcome = await register(portal, registration, home)
  const id = outcome.kind === 'registered' ? outcome.identity.id : assert.fail()
  await sealAuditLog(portal)
  await deleteAccount(portal, id, null, 0)
  // One of its events is sealed before it is emptied, and the other one after that.
  assert.equal(await eraseDeletedAccounts(portal), 1)
  await sealAuditLog(portal)
  const [erased] = await query('SELECT count(*)::int AS count FROM audit_events WHERE erasure_proof IS NOT NULL')
  assert.ok(Number(erased?.['count']) >= 2)
  assert.deepEqual(await findings(), [])

  const empty =
    'identity_id = NULL, family_id = NULL, identity_session_id = NULL, detail = NULL, browser = NULL, address = NULL'
  // Also with the proof of another event.
  await query(
    `UPDATE audit_events SET ${empty}, erasure_proof = (SELECT erasure_proof FROM audit_events WHERE erasure_proof IS NOT NULL LIMIT 1) WHERE id = 2`,
  )
  await query(`UPDATE audit_events SET ${empty} WHERE id = 5`)
  await query(`UPDATE audit_events SET actor = 'x' WHERE erasure_proof IS NOT NULL AND id > 5 AND kind = 'registered'`)
  const [registered] = await query(`SELECT id FROM audit_events WHERE kind = 'registered'`)
  assert.deepEqual(inWords(await findings()), [
    'event 2 emptied',
    'event 5 emptied',
    `event ${registered?.['id']} altered`,
  ])
})

test('a witness finds that the newest checkpoints were cut off and made anew', async () => {
  const { newest } = await verifyAuditLog(portal, null, 0)
  assert.equal(newest?.number, String(CHECKPOINTS))
  assert.deepEqual((await verifyAuditLog(portal, newest, 0)).findings, [])
  await query('DELETE FROM audit_checkpoints WHERE number > 1; DELETE FROM audit_events WHERE id = 300')
  const errors: string[] = []
  const logger = Object.assign(createLogger('silent'), { error: ({ event }: { event: string }) => errors.push(event) })
  await sealAuditLog({ ...portal, logger })
  assert.deepEqual(errors, ['audit_log_changed'])
  assert.deepEqual(await findings(), [])
  assert.deepEqual(inWords((await verifyAuditLog(portal, newest, 0)).findings), ['checkpoint 3 not_as_witnessed'])
})

test('an event that is committed late, behind a higher id, is sealed with it and not before', async () => {
  const event = eventOf(1)
  let whileOpen: number | null = null
  const stopping = new AbortController()
  await transaction(portal.storage.pool, async (db) => {
    await insertAuditEvents(db, [event], portal.clock())
    await insertAuditEvents(portal.storage.pool, [event], portal.clock())
    setImmediate(() => stopping.abort())
    whileOpen = await sealAuditLog(portal, stopping.signal)
  })
  assert.equal(whileOpen, 0)
  assert.equal((await verifyAuditLog(portal, null, 0)).unsealed.count, 2)
  assert.equal(await sealAuditLog(portal), 2)
  assert.deepEqual(await findings(), [])
})

test('processes that seal at once make one chain, and catch up in several checkpoints', async () => {
  await insertAuditEvents(
    portal.storage.pool,
    Array.from({ length: 1300 }, (_, number) => eventOf(number)),
    portal.clock(),
  )
  await Promise.all(Array.from({ length: 4 }, async () => sealAuditLog(portal, undefined, 0)))
  await sealAuditLog(portal)
  const rows = await query('SELECT count FROM audit_checkpoints WHERE number > $1 ORDER BY number', [CHECKPOINTS])
  assert.deepEqual(
    rows.map(({ count }) => count),
    [500, 500, 300],
  )
  assert.deepEqual(await findings(), [])
})

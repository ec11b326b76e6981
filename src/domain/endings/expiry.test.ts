import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { advanceFamily } from '../../storage/family-rotations.ts'
import { transaction } from '../../storage/postgres.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import {
  type Connection,
  connect,
  familyRow,
  home,
  multiply,
  refresh,
  refusalIn,
  successorIn,
} from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { createApp } from '../apps/apps.ts'
import { expireFamilies, expireIdentitySessions } from './expiry.ts'
import { findLivingFamily } from '../families/families.ts'
import { findLivingIdentitySession } from '../sign-in/identity-sessions.ts'
import { hashRefreshToken } from '../families/refresh-tokens.ts'
import { addSeconds } from '../time.ts'

const DAY = 86_400
const LOGOUTS = 'https://notes.example.test/logouts'

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  const told = { backchannelLogoutUri: LOGOUTS }
  await createApp(portal, 'notes', { ...notesApp, ...told })
  await createApp(portal, 'mail', { ...notesApp, ...told, familyLifetime: 'session' })
  await createApp(portal, 'backup', { ...notesApp, ...told, familyLifetime: 'offline' })
})
after(() => portal.close())
beforeEach(async () => {
  for (const table of ['families', 'identity_sessions', 'audit_events', 'notices'])
    await portal.storage.pool.query(`DELETE FROM ${table}`)
})

/** Every end that was written down, and what was said to apps. */
async function endings(): Promise<{ kind: string; cause: string; address: string | null; count: number }[]> {
  const result = await portal.storage.pool.query<{
    kind: string
    cause: string
    address: string | null
    count: number
  }>(
    `SELECT kind, cause, address, count(*)::int AS count FROM (
       SELECT kind, cause, address FROM audit_events WHERE cause IS NOT NULL
       UNION ALL SELECT 'notice to ' || client_id, cause, NULL FROM notices) told
     GROUP BY kind, cause, address ORDER BY kind, cause`,
  )
  return result.rows
}

async function reviewAt(table: 'families' | 'identity_sessions', id: string): Promise<Date | undefined> {
  const { rows } = await portal.storage.pool.query<{ at: Date }>(`SELECT review_at AS at FROM ${table} WHERE id = $1`, [
    id,
  ])
  return rows[0]?.at
}

test('an idle family is ended when its idle time is over, not a second earlier, and its app is notified', async () => {
  const notes = await connect(portal, adaId, 'notes')
  portal.clock.advance(30 * DAY - 1)
  assert.equal(await expireFamilies(portal), 0)
  portal.clock.advance(1)
  assert.equal(await expireFamilies(portal), 1)
  assert.equal(await expireFamilies(portal), 0)

  const { endCause, endedAt, endAddress } = await familyRow(portal, notes)
  assert.deepEqual([endCause, endedAt, endAddress], ['idle_expired', portal.clock(), null])
  assert.deepEqual(await endings(), [
    { kind: 'family_ended', cause: 'idle_expired', address: null, count: 1 },
    { kind: 'notice to notes', cause: 'idle_expired', address: null, count: 1 },
  ])
})

test('a family that is used is looked at again when it may have idled, and ends when it has lasted as long as it may', async () => {
  const notes = await connect(portal, adaId, 'notes')
  for (const days of [20, 40, 60, 80]) {
    portal.clock.advance(20 * DAY)
    notes.refreshToken = successorIn(await refresh(portal, notes))
    assert.equal(await expireFamilies(portal), 0, `after ${days} days`)
  }
  const { expiresAt } = await familyRow(portal, notes)
  portal.clock.advance(10 * DAY - 1)
  assert.equal(await expireFamilies(portal), 0)
  assert.deepEqual(await reviewAt('families', notes.familyId), expiresAt)
  assert.notEqual(await findLivingFamily(portal, notes.familyId), null)
  portal.clock.advance(1)
  assert.equal(await expireFamilies(portal), 1)
  assert.equal((await familyRow(portal, notes)).endCause, 'expired')
})

test('any number of families end, and of several processes at it each has ended some, once', async () => {
  await multiply(portal, await connect(portal, adaId, 'notes'), 499)
  portal.clock.advance(20 * DAY)
  const living = await connect(portal, adaId, 'notes')
  portal.clock.advance(10 * DAY)
  const counts = await Promise.all(Array.from({ length: 4 }, async () => expireFamilies(portal)))
  const rest = await expireFamilies(portal)
  assert.equal(
    counts.reduce((sum, count) => sum + count, rest),
    500,
  )
  assert.deepEqual(await endings(), [
    { kind: 'family_ended', cause: 'idle_expired', address: null, count: 500 },
    { kind: 'notice to notes', cause: 'idle_expired', address: null, count: 500 },
  ])
  assert.notEqual(await findLivingFamily(portal, living.familyId), null)
})

test('a family in the middle of a rotation is left alone, and goes on', async () => {
  const notes = await connect(portal, adaId, 'notes')
  portal.clock.advance(30 * DAY)
  await transaction(portal.storage.pool, async (db) => {
    const now = addSeconds(portal.clock(), -1)
    const advance = {
      id: notes.familyId,
      clientId: 'notes',
      presentedHash: hashRefreshToken(notes.refreshToken),
      successorHash: Buffer.from('next'),
      scopes: null,
      audience: 'default' as const,
      jkt: null,
      x5t: null,
      defaultIdleSeconds: 30 * DAY,
      defaultGraceSeconds: 30,
      seen: '192.0.2.1 test',
    }
    assert.notEqual(await advanceFamily(db, advance, { now, seenSince: now }, false), null)
    assert.equal(await expireFamilies(portal), 0)
  })
  assert.equal(await expireFamilies(portal), 0)
  assert.notEqual(await findLivingFamily(portal, notes.familyId), null)
})

test('whether a refresh or its end comes first: what was refreshed lives, what was refused has ended', async () => {
  const late = { ...portal, clock: () => addSeconds(portal.clock(), 2) }
  const first = await connect(portal, adaId, 'notes')
  const terms = { identitySessionId: first.identitySessionId }
  const connections = [first]
  for (let count = 1; count < 40; count++) connections.push(await connect(portal, adaId, 'notes', terms))
  portal.clock.advance(30 * DAY - 1)

  const reviews = Array.from({ length: 8 }, async () => expireFamilies(late))
  const rotations = await Promise.all(connections.map(async (connection) => refresh(portal, connection)))
  await Promise.all(reviews)
  await expireFamilies(late)
  for (const [index, rotation] of rotations.entries()) {
    const { endCause } = await familyRow(portal, connections[index] as Connection)
    assert.equal(endCause, rotation.kind === 'rotated' ? null : 'idle_expired')
    if (rotation.kind !== 'rotated') assert.equal(refusalIn(rotation).reason, 'expired')
  }
})

test('a browser that is not seen is signed out, and only what is to last as long ends with it', async () => {
  const mail = await connect(portal, adaId, 'mail')
  const terms = { identitySessionId: mail.identitySessionId }
  const others = [await connect(portal, adaId, 'notes', terms), await connect(portal, adaId, 'backup', terms)]
  const elsewhere = await connect(portal, adaId, 'mail')
  portal.clock.advance(7 * DAY)
  elsewhere.refreshToken = successorIn(await refresh(portal, elsewhere))
  portal.clock.advance(7 * DAY - 1)
  assert.equal(await expireIdentitySessions(portal), 0)
  portal.clock.advance(1)
  assert.equal(await expireIdentitySessions(portal), 1)
  assert.equal(await expireIdentitySessions(portal), 0)

  assert.equal((await familyRow(portal, mail)).endCause, 'session_expired')
  assert.deepEqual(refusalIn(await refresh(portal, mail)), { reason: 'expired', ended: false })
  for (const other of [...others, elsewhere]) successorIn(await refresh(portal, other))
  assert.deepEqual(await endings(), [
    { kind: 'family_ended', cause: 'session_expired', address: null, count: 1 },
    { kind: 'notice to mail', cause: 'session_expired', address: null, count: 1 },
    { kind: 'session_ended', cause: 'idle_expired', address: null, count: 1 },
  ])
})

test('a browser that is used is looked at again, until it has been signed in as long as it may', async () => {
  const mail = await connect(portal, adaId, 'mail')
  const { identitySessionId: id } = mail
  const end = addSeconds(portal.clock(), 90 * DAY)
  for (const days of [12, 24, 36, 48, 60, 72, 84]) {
    portal.clock.advance(12 * DAY)
    assert.notEqual(await findLivingIdentitySession(portal, id, home), null)
    assert.equal(await expireIdentitySessions(portal), 0, `after ${days} days`)
  }
  portal.clock.advance(6 * DAY - 1)
  assert.equal(await expireIdentitySessions(portal), 0)
  assert.deepEqual(await reviewAt('identity_sessions', id), end)
  portal.clock.advance(1)
  assert.equal(await expireIdentitySessions(portal), 1)
  assert.equal((await familyRow(portal, mail)).endCause, 'session_expired')
  assert.deepEqual(
    (await endings()).map(({ kind, cause }) => [kind, cause]),
    [
      ['family_ended', 'session_expired'],
      ['notice to mail', 'session_expired'],
      ['session_ended', 'expired'],
    ],
  )
})

test('any number of browsers are signed out, each by one of several processes', async () => {
  const { identitySessionId } = await connect(portal, adaId, 'mail')
  await portal.storage.pool.query(
    `INSERT INTO identity_sessions (id, identity_id, created_at, last_seen_at, expires_at, review_at, amr, browser, address)
     SELECT gen_random_uuid(), identity_id, created_at, last_seen_at, expires_at, review_at, amr, browser, address
     FROM identity_sessions, generate_series(1, 249) WHERE id = $1`,
    [identitySessionId],
  )
  portal.clock.advance(14 * DAY)
  const counts = await Promise.all(Array.from({ length: 3 }, async () => expireIdentitySessions(portal)))
  const rest = await expireIdentitySessions(portal)
  assert.equal(
    counts.reduce((sum, count) => sum + count, rest),
    250,
  )
  assert.deepEqual(
    (await endings()).map(({ kind, count }) => [kind, count]),
    [
      ['family_ended', 1],
      ['notice to mail', 1],
      ['session_ended', 250],
    ],
  )
})

test('an aborted round does not begin another batch', async () => {
  await connect(portal, adaId, 'notes')
  portal.clock.advance(30 * DAY)
  const signal = AbortSignal.abort()
  assert.deepEqual([await expireFamilies(portal, signal), await expireIdentitySessions(portal, signal)], [0, 0])
})

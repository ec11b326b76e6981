import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { transaction } from '../../storage/postgres.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import {
  type Connection,
  connect,
  elsewhere,
  familyRow,
  home,
  refresh,
  refusalIn,
  successorIn,
} from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { createApp } from '../apps/apps.ts'
import { endFamilies, endIdentitySessions } from '../endings/endings.ts'
import { expireFamilies, expireIdentitySessions } from '../endings/expiry.ts'
import { disableIdentity, enableIdentity } from '../identities/identities.ts'
import {
  findLivingIdentitySession,
  listIdentitySessions,
  openIdentitySession,
  passwordMarkOf,
  proofOf,
  type SignedInRow,
} from './identity-sessions.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'

const DAY = 86_400

let portal: TestPortal
let people = 0

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  await createApp(portal, 'photos', photosApp)
  await createApp(portal, 'following', { ...notesApp, familyLifetime: 'session' })
  await createApp(portal, 'renewed', { ...notesApp, familyRenewal: 'sign-in' })
  await createApp(portal, 'unrenewed', { ...notesApp, familyRenewal: 'never' })
  const terms = { familyIdle: 7 * DAY, familyMax: 20 * DAY }
  await createApp(portal, 'brief', { ...notesApp, ...terms, familyRenewal: 'sign-in' })
})
after(() => portal.close())

test('a sign-in opens a session that says who, how, and where', async () => {
  const id = await addPerson()
  const session = await find(await open(id))
  assert.equal(session?.identityId, id)
  assert.deepEqual(session.amr, ['pwd'])
  assert.deepEqual({ browser: session.browser, address: session.address }, home)
  assert.deepEqual(session.createdAt, portal.clock())
  assert.match(session.email, /@example\.test$/)
  assert.deepEqual(await kinds(id), ['registered', 'signed_in'])
})

test('the audit event of a sign-in says in which browser and how, and a session that is only opened anew is none', async () => {
  const id = await addPerson()
  const first = await openIdentitySession(portal, { identityId: id, amr: ['pwd', 'otp', 'mfa'] }, home, null)
  const signedIn = (await find(first as string)) as SignedInRow
  const again = await openIdentitySession(portal, { ...proofOf(signedIn), methods: ['passkey'] }, home, signedIn)
  const renewed = (await find(again as string)) as SignedInRow
  const anew = await openIdentitySession(portal, proofOf(renewed), home, renewed)
  assert.notEqual(anew, null)
  await endIdentitySessions(portal, { identityId: id }, 'signed_out_everywhere', home)
  const { rows } = await portal.storage.pool.query(
    `SELECT kind, identity_session_id AS session, detail FROM audit_events WHERE identity_id = $1 AND kind <> 'registered' ORDER BY id`,
    [id],
  )
  assert.deepEqual(rows, [
    { kind: 'signed_in', session: first, detail: 'password+app' },
    { kind: 'signed_in', session: again, detail: 'again passkey' },
    { kind: 'session_ended', session: anew, detail: null },
  ])
})

test('a sign-in with a password that has been changed since opens nothing', async () => {
  const id = await addPerson()
  const { pool } = portal.storage
  const { rows } = await pool.query<{ hash: string }>('SELECT password_hash AS hash FROM identities WHERE id = $1', [
    id,
  ])
  const mark = passwordMarkOf(rows[0]?.hash as string)
  const openWith = async (passwordMark: string | null) =>
    openIdentitySession(portal, { identityId: id, amr: ['pwd'], ...(passwordMark && { passwordMark }) }, home, null)
  assert.notEqual(await openWith(mark), null)
  await pool.query(`UPDATE identities SET password_hash = 'another' WHERE id = $1`, [id])
  assert.equal(await openWith(mark), null)
  assert.notEqual(await openWith(null), null)
})

test('an unknown session signs no user in', async () => {
  assert.equal(await find(randomUUID()), null)
})

test('a session that is not seen for fourteen days is over, and not a second earlier', async () => {
  const id = await addPerson()
  const [seen, unseen] = [await open(id), await open(id)]
  portal.clock.advance(14 * DAY - 1)
  assert.notEqual(await find(seen), null)
  portal.clock.advance(1)
  assert.equal(await find(unseen), null)
  assert.notEqual(await find(seen), null)
  assert.deepEqual(
    (await listIdentitySessions(portal, id)).map((session) => session.id),
    [seen],
  )
})

test('a session ends after ninety days, however often it is seen', async () => {
  const session = await open(await addPerson())
  for (let days = 0; days < 80; days += 10) {
    portal.clock.advance(10 * DAY)
    assert.notEqual(await find(session), null)
  }
  portal.clock.advance(10 * DAY - 1)
  assert.notEqual(await find(session), null)
  portal.clock.advance(1)
  assert.equal(await find(session), null)
})

test('reading pages writes down when a browser was last seen at most once a minute', async () => {
  const session = await open(await addPerson())
  const opened = portal.clock()
  portal.clock.advance(59)
  await find(session, elsewhere)
  assert.deepEqual(await lastSeen(session), { at: opened, address: home.address })
  portal.clock.advance(1)
  await find(session, elsewhere)
  assert.deepEqual(await lastSeen(session), { at: portal.clock(), address: elsewhere.address })
})

test('a browser that may idle for half a minute only stays signed in while it, or an app that follows it, is used', async () => {
  const brief: Services = { ...portal, lifetimes: { ...portal.lifetimes, identitySessionIdle: 30 } }
  const id = await addPerson()
  const page = await open(id)
  const app = await connect(portal, id, 'following')
  for (let seconds = 0; seconds < 120; seconds += 20) {
    portal.clock.advance(20)
    assert.notEqual(await findLivingIdentitySession(brief, page, home), null)
    app.refreshToken = successorIn(await refresh(brief, app))
  }
  assert.notEqual(await findLivingIdentitySession(brief, app.identitySessionId, home), null)
})

test('an app that follows its sign-in writes down that it was used at most once a minute', async () => {
  const app = await connect(portal, await addPerson(), 'following')
  const opened = portal.clock()
  portal.clock.advance(59)
  app.refreshToken = successorIn(await refresh(portal, app, { clientInfo: elsewhere }))
  assert.deepEqual(await lastSeen(app.identitySessionId), { at: opened, address: home.address })
  portal.clock.advance(1)
  await refresh(portal, app, { clientInfo: elsewhere })
  assert.deepEqual(await lastSeen(app.identitySessionId), { at: portal.clock(), address: home.address })
})

test('a person sees their signed-in browsers, the one seen last first, and none of another user', async () => {
  const id = await addPerson()
  const first = await open(id)
  portal.clock.advance(60)
  const second = await open(id)
  await open(await addPerson())
  const list = async () => (await listIdentitySessions(portal, id)).map((session) => session.id)
  assert.deepEqual(await list(), [second, first])
  portal.clock.advance(60)
  await find(first)
  assert.deepEqual(await list(), [first, second])
})

test('signing out ends one browser and its families, and leaves the others', async () => {
  const id = await addPerson()
  const notes = await connect(portal, id, 'notes')
  const other = await connect(portal, id, 'notes')
  assert.equal(
    await endIdentitySessions(portal, { identityId: id, id: notes.identitySessionId }, 'signed_out', home),
    1,
  )
  assert.equal(await find(notes.identitySessionId), null)
  assert.notEqual(await find(other.identitySessionId), null)
  assert.equal((await familyRow(portal, notes)).endCause, 'signed_out')
  assert.equal((await refresh(portal, other)).kind, 'rotated')
})

test('a browser that is ended from another ends its families because of that', async () => {
  const id = await addPerson()
  const notes = await connect(portal, id, 'notes')
  await endIdentitySessions(portal, { identityId: id, id: notes.identitySessionId }, 'ended_by_person', elsewhere)
  assert.equal((await familyRow(portal, notes)).endCause, 'session_ended')
  const result = await portal.storage.pool.query(
    `SELECT kind, cause, address FROM audit_events WHERE identity_id = $1 AND cause IS NOT NULL ORDER BY id`,
    [id],
  )
  assert.deepEqual(result.rows, [
    { kind: 'session_ended', cause: 'ended_by_person', address: elsewhere.address },
    { kind: 'family_ended', cause: 'session_ended', address: elsewhere.address },
  ])
})

test('everywhere else means everywhere but here', async () => {
  const id = await addPerson()
  const [here, there, further] = [await open(id), await open(id), await open(id)]
  const otherId = await open(await addPerson())
  assert.equal(await endIdentitySessions(portal, { identityId: id, except: here }, 'ended_by_person', home), 2)
  assert.notEqual(await find(here), null)
  assert.deepEqual([await find(there), await find(further)], [null, null])
  assert.notEqual(await find(otherId), null)
})

test("a user cannot end another user's session", async () => {
  const session = await open(await addPerson())
  const stranger = await addPerson()
  assert.equal(await endIdentitySessions(portal, { identityId: stranger, id: session }, 'ended_by_person', home), 0)
  assert.notEqual(await find(session), null)
})

test('of twenty callers that end a session at once one has ended it, with one audit event', async () => {
  const id = await addPerson()
  const session = await open(id)
  const counts = await Promise.all(
    Array.from({ length: 20 }, async () =>
      endIdentitySessions(portal, { identityId: id, id: session }, 'signed_out', home),
    ),
  )
  assert.equal(counts.filter((count) => count === 1).length, 1)
  assert.deepEqual(await kinds(id), ['registered', 'signed_in', 'signed_out'])
})

test('a new sign-in of the same user in a browser adopts the families opened there', async () => {
  const id = await addPerson()
  const notes = await connect(portal, id, 'notes')
  const former = (await find(notes.identitySessionId)) as SignedInRow
  const next = (await openIdentitySession(portal, { identityId: id, amr: ['pwd'] }, home, former)) as string
  assert.equal(await find(notes.identitySessionId), null)
  assert.equal((await familyRow(portal, notes)).identitySessionId, next)
  assert.equal((await refresh(portal, notes)).kind, 'rotated')
  assert.deepEqual(await kinds(id), ['registered', 'signed_in', 'family_opened', 'signed_in'])
})

test('a sign-in in a browser whose session has expired adopts the families opened there', async () => {
  const id = await addPerson()
  const [laptop, phone] = [randomBytes(32), randomBytes(32)]
  const first = await open(id, laptop)
  const notes = await connect(portal, id, 'notes', { identitySessionId: first })
  const onPhone = await connect(portal, id, 'notes', { identitySessionId: await open(id, phone) })
  const otherId = await addPerson()
  const others = await connect(portal, otherId, 'notes', {
    identitySessionId: await open(otherId, laptop),
  })
  const before = await familyRow(portal, notes)
  portal.clock.advance(15 * DAY)
  assert.equal(await find(first), null)
  await expireIdentitySessions(portal)

  const next = await open(id, laptop)
  assert.deepEqual(await familyRow(portal, notes), { ...before, identitySessionId: next })
  assert.equal((await familyRow(portal, onPhone)).identitySessionId, onPhone.identitySessionId)
  assert.equal((await familyRow(portal, others)).identitySessionId, others.identitySessionId)

  // A sign-in that comes before the expired session is ended finds the same.
  portal.clock.advance(14 * DAY)
  const third = await open(id, laptop)
  assert.equal((await familyRow(portal, notes)).identitySessionId, third)
  await endIdentitySessions(portal, { identityId: id, id: third }, 'signed_out', home)
  assert.equal((await familyRow(portal, notes)).endCause, 'signed_out')
  assert.equal((await familyRow(portal, onPhone)).endCause, null)
})

test('what ended, or idled by itself, is not taken over', async () => {
  const id = await addPerson()
  const laptop = randomBytes(32)
  const terms = { identitySessionId: await open(id, laptop) }
  const [ended, idle, followed] = [
    await connect(portal, id, 'notes', terms),
    await connect(portal, id, 'renewed', terms),
    await connect(portal, id, 'following', terms),
  ]
  await endFamilies(portal, { id: ended.familyId }, 'ended_by_person', home)
  portal.clock.advance(30 * DAY)
  await open(id, laptop)
  for (const family of [ended, idle, followed])
    assert.equal((await familyRow(portal, family)).identitySessionId, terms.identitySessionId)
  assert.equal(refusalIn(await refresh(portal, idle)).reason, 'expired')
  assert.equal(refusalIn(await refresh(portal, followed)).reason, 'expired')
})

test('a new sign-in gives a new term to what follows it, and to apps that want one', async () => {
  const id = await addPerson()
  const laptop = randomBytes(32)
  const terms = { identitySessionId: await open(id, laptop) }
  const [plain, renewed, brief, followed] = [
    await connect(portal, id, 'notes', terms),
    await connect(portal, id, 'renewed', terms),
    await connect(portal, id, 'brief', terms),
    await connect(portal, id, 'following', terms),
  ]
  const opened = portal.clock()
  const days = async (family: Connection) => {
    const { idleExpiresAt, expiresAt } = await familyRow(portal, family)
    return [idleExpiresAt, expiresAt].map((end) => (end.getTime() - opened.getTime()) / DAY / 1000)
  }
  assert.deepEqual(
    [await days(plain), await days(renewed), await days(brief), await days(followed)],
    [
      [30, 90],
      [30, 90],
      [7, 20],
      [90, 90],
    ],
  )
  portal.clock.advance(5 * DAY)
  const next = await openIdentitySession(
    portal,
    { identityId: id, amr: ['pwd'] },
    home,
    await find(terms.identitySessionId),
    laptop,
  )
  assert.deepEqual(
    [await days(plain), await days(renewed), await days(brief), await days(followed)],
    [
      [30, 90],
      [35, 95],
      [12, 25],
      [95, 95],
    ],
  )
  for (const family of [plain, renewed, brief, followed])
    assert.equal((await familyRow(portal, family)).identitySessionId, next)
  // What is due is found from its old time on: the renewed are looked at again, and live.
  portal.clock.advance(25 * DAY)
  await expireFamilies(portal)
  assert.deepEqual(
    await Promise.all(
      [plain, renewed, brief, followed].map(async (family) => (await familyRow(portal, family)).endCause),
    ),
    ['idle_expired', null, 'expired', null],
  )
})

test('whether signing in again renews is a setting of the portal, too', async () => {
  const renewing: Services = { ...portal, policy: { ...portal.policy, familyRenewal: 'sign-in' } }
  const id = await addPerson()
  const laptop = randomBytes(32)
  const terms = { identitySessionId: await open(id, laptop) }
  const [notes, never] = [await connect(portal, id, 'notes', terms), await connect(portal, id, 'unrenewed', terms)]
  const { expiresAt } = await familyRow(portal, notes)
  portal.clock.advance(DAY)
  await openIdentitySession(renewing, { identityId: id, amr: ['pwd'] }, home, null, laptop)
  assert.deepEqual((await familyRow(portal, notes)).expiresAt, addSeconds(expiresAt, DAY))
  assert.deepEqual((await familyRow(portal, never)).expiresAt, expiresAt)
})

test('an expiry that has become shorter is applied in time', async () => {
  const shorter: Services = {
    ...portal,
    policy: { ...portal.policy, familyRenewal: 'sign-in' },
    lifetimes: { ...portal.lifetimes, familyIdle: DAY },
  }
  const id = await addPerson()
  const laptop = randomBytes(32)
  const notes = await connect(portal, id, 'notes', { identitySessionId: await open(id, laptop) })
  await openIdentitySession(shorter, { identityId: id, amr: ['pwd'] }, home, null, laptop)
  portal.clock.advance(DAY)
  await expireFamilies(portal)
  assert.equal((await familyRow(portal, notes)).endCause, 'idle_expired')
})

test('of two sign-ins at once in one browser one adopts the families opened there, and none is lost', async () => {
  const id = await addPerson()
  const laptop = randomBytes(32)
  const terms = { identitySessionId: await open(id, laptop) }
  const families = [await connect(portal, id, 'notes', terms), await connect(portal, id, 'following', terms)]
  const before = (await find(terms.identitySessionId)) as SignedInRow
  const openings = Array.from({ length: 6 }, async () =>
    openIdentitySession(portal, { identityId: id, amr: ['pwd'] }, home, before, laptop),
  )
  const opened = await Promise.all(openings)
  const owners = await Promise.all(families.map(async (family) => (await familyRow(portal, family)).identitySessionId))
  assert.ok(opened.includes(owners[0] as string))
  for (const family of families) assert.equal((await refresh(portal, family)).kind, 'rotated')
})

test('an app that refreshes while its person signs in again goes on', async () => {
  const { pool } = portal.storage
  const id = await addPerson()
  const app = await connect(portal, id, 'following')
  const next = await open(id)
  const rotation = await transaction(pool, async (db) => {
    // What a sign-in does, as far as the app that waits for it could see: the new session is newer than its question.
    await db.query('UPDATE families SET current_hash = current_hash WHERE id = $1', [app.familyId])
    await pool.query(`UPDATE identity_sessions SET ended_at = $2, end_cause = 'signed_out' WHERE id = $1`, [
      next,
      portal.clock(),
    ])
    const refreshing = refresh(portal, app)
    while ((await waiting()) === 0) await sleep(5)
    await pool.query('UPDATE identity_sessions SET ended_at = NULL, end_cause = NULL WHERE id = $1', [next])
    await db.query('UPDATE families SET identity_session_id = $2 WHERE id = $1', [app.familyId, next])
    // The promise itself would be waited for before the transaction ends.
    return { refreshing }
  })
  assert.equal((await rotation.refreshing).kind, 'rotated')
})

test('a sign-in in a browser where another user was signed in ends what that user had opened there', async () => {
  const [first, second] = [await addPerson(), await addPerson()]
  const notes = await connect(portal, first, 'notes')
  const otherBrowser = await connect(portal, first, 'photos')
  const former = (await find(notes.identitySessionId)) as SignedInRow
  const next = (await openIdentitySession(portal, { identityId: second, amr: ['pwd'] }, elsewhere, former)) as string
  assert.equal((await find(next))?.identityId, second)
  assert.equal(await find(notes.identitySessionId), null)
  assert.equal((await familyRow(portal, notes)).endCause, 'signed_in_again')
  assert.equal(refusalIn(await refresh(portal, notes)).reason, 'revoked')
  assert.equal((await refresh(portal, otherBrowser)).kind, 'rotated')
})

test('a disabled person is signed in nowhere, and not again when enabled', async () => {
  const id = await addPerson()
  const session = await open(id)
  await disableIdentity(portal, id)
  assert.equal(await find(session), null)
  await enableIdentity(portal, id)
  assert.equal(await find(session), null)
})

test('a disabled person is signed in nowhere even before anything has ended their sessions', async () => {
  const id = await addPerson()
  const session = await open(id)
  await portal.storage.pool.query('UPDATE identities SET disabled_at = now() WHERE id = $1', [id])
  assert.equal(await find(session), null)
})

test('an identity that is disabled during its sign-in is not signed in', async () => {
  const id = await addPerson()
  await disableIdentity(portal, id)
  assert.equal(await openIdentitySession(portal, { identityId: id, amr: ['pwd'] }, home, null), null)
})

async function addPerson(): Promise<string> {
  const username = `person${people++}`
  return addIdentity(portal, { ...ada, username, email: `${username}@example.test` })
}

async function open(identityId: string, deviceHash: Buffer | null = null): Promise<string> {
  return (await openIdentitySession(portal, { identityId, amr: ['pwd'] }, home, null, deviceHash)) as string
}

async function find(id: string, clientInfo = home): Promise<SignedInRow | null> {
  return findLivingIdentitySession(portal, id, clientInfo)
}

/** How many transactions wait for a lock of another. */
async function waiting(): Promise<number> {
  const { rows } = await portal.storage.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return rows[0]?.count as number
}

async function lastSeen(id: string): Promise<{ at: Date; address: string } | undefined> {
  const result = await portal.storage.pool.query<{ at: Date; address: string }>(
    'SELECT last_seen_at AS at, address FROM identity_sessions WHERE id = $1',
    [id],
  )
  return result.rows[0]
}

async function kinds(identityId: string): Promise<string[]> {
  const result = await portal.storage.pool.query<{ kind: string }>(
    'SELECT kind FROM audit_events WHERE identity_id = $1 ORDER BY id',
    [identityId],
  )
  return result.rows.map(({ kind }) => kind)
}

import assert from 'node:assert/strict'
import { endIdentitySessions } from './endings.ts'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/apps.ts'
import { connect, elsewhere, familyRow, home, refresh, refusalIn } from '../testing/connections.ts'
import { addIdentity } from '../testing/identities.ts'
import { ada } from '../testing/people.ts'
import { openTestPortal, type TestPortal } from '../testing/portal.ts'
import { createApp } from './apps.ts'
import { disableIdentity, enableIdentity } from './identities.ts'
import {
  findLivingIdentitySession,
  listIdentitySessions,
  openIdentitySession,
  passwordMarkOf,
  type SignedInRow,
} from './identity-sessions.ts'

const DAY = 86_400

let portal: TestPortal
let people = 0

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  await createApp(portal, 'photos', photosApp)
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

test('a sign-in with a password that has been changed since opens nothing', async () => {
  const id = await addPerson()
  const { pool } = portal.storage
  const { rows } = await pool.query<{ hash: string }>('SELECT password_hash AS hash FROM identities WHERE id = $1', [
    id,
  ])
  const mark = passwordMarkOf(rows[0]?.hash as string)
  const openWith = async (passwordMark: string | null) =>
    openIdentitySession(portal, id, ['pwd'], home, null, null, passwordMark)
  assert.notEqual(await openWith(mark), null)
  await pool.query(`UPDATE identities SET password_hash = 'another' WHERE id = $1`, [id])
  assert.equal(await openWith(mark), null)
  assert.notEqual(await openWith(null), null)
})

test('nobody is signed in with a session that never was', async () => {
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

test('a person sees their signed-in browsers, the one seen last first, and none of anybody else', async () => {
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
  const ofSomebodyElse = await open(await addPerson())
  assert.equal(await endIdentitySessions(portal, { identityId: id, except: here }, 'ended_by_person', home), 2)
  assert.notEqual(await find(here), null)
  assert.deepEqual([await find(there), await find(further)], [null, null])
  assert.notEqual(await find(ofSomebodyElse), null)
})

test("nobody ends somebody else's browser", async () => {
  const session = await open(await addPerson())
  const stranger = await addPerson()
  assert.equal(await endIdentitySessions(portal, { identityId: stranger, id: session }, 'ended_by_person', home), 0)
  assert.notEqual(await find(session), null)
})

test('of twenty who end a browser at once one has ended it, and it is written down once', async () => {
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

test('who signs in again in one browser goes on with what they had opened there', async () => {
  const id = await addPerson()
  const notes = await connect(portal, id, 'notes')
  const former = (await find(notes.identitySessionId)) as SignedInRow
  const next = (await openIdentitySession(portal, id, ['pwd'], home, former)) as string
  assert.equal(await find(notes.identitySessionId), null)
  assert.equal((await familyRow(portal, notes)).identitySessionId, next)
  assert.equal((await refresh(portal, notes)).kind, 'rotated')
  assert.deepEqual(await kinds(id), ['registered', 'signed_in', 'family_opened', 'signed_in'])
})

test('who signs in where somebody else was signed in ends what that person had opened there', async () => {
  const [first, second] = [await addPerson(), await addPerson()]
  const notes = await connect(portal, first, 'notes')
  const otherBrowser = await connect(portal, first, 'photos')
  const former = (await find(notes.identitySessionId)) as SignedInRow
  const next = (await openIdentitySession(portal, second, ['pwd'], elsewhere, former)) as string
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

test('somebody who was disabled while signing in is not signed in', async () => {
  const id = await addPerson()
  await disableIdentity(portal, id)
  assert.equal(await openIdentitySession(portal, id, ['pwd'], home, null), null)
})

async function addPerson(): Promise<string> {
  const username = `person${people++}`
  return addIdentity(portal, { ...ada, username, email: `${username}@example.test` })
}

async function open(identityId: string): Promise<string> {
  return (await openIdentitySession(portal, identityId, ['pwd'], home, null)) as string
}

async function find(id: string, place = home): Promise<SignedInRow | null> {
  return findLivingIdentitySession(portal, id, place)
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

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { connect, familyRow, home, refresh } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { type AppRow, changeApp, createApp, findApp } from '../apps/apps.ts'
import type { EndCause } from '../endings/end-causes.ts'
import { endFamilies } from '../endings/endings.ts'
import { expireFamilies } from '../endings/expiry.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { findDeliveryStatuses, type DeliveryStatus } from './delivery-status.ts'

const LOGOUTS = 'https://notes.example.test/backchannel-logout'
const EVENTS = 'https://notes.example.test/events'

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  await createApp(portal, 'notes', { ...notesApp, backchannelLogoutUri: LOGOUTS })
  await createApp(portal, 'both', { ...notesApp, backchannelLogoutUri: LOGOUTS, eventReceiverUri: EVENTS })
  await createApp(portal, 'events', { ...notesApp, eventReceiverUri: EVENTS })
  await createApp(portal, 'photos', photosApp)
})
after(() => portal.close())
beforeEach(() => setClock('2026-03-04T12:00:00Z'))

function setClock(to: string): void {
  portal.clock.advance((Date.parse(to) - Number(portal.clock())) / 1000)
}

/** A family of this app, opened and ended now. */
async function ended(clientId: string, cause: EndCause = 'ended_by_person'): Promise<string> {
  const { familyId } = await connect(portal, adaId, clientId)
  assert.equal((await endFamilies(portal, { id: familyId }, cause, home)).length, 1)
  return familyId
}

/** As an operator reads it. */
async function statusOf(familyId: string): Promise<Omit<DeliveryStatus, 'sentence'> & { sentence: string }> {
  const statuses = await findDeliveryStatuses(portal, [await familyRow(portal, { familyId })])
  const status = statuses.get(familyId) as DeliveryStatus
  return { ...status, sentence: englishTexts().say(status.sentence) }
}

/** What delivery would have recorded about the notifications of a family. */
async function note(familyId: string, set: string, kind = 'logout'): Promise<void> {
  const text = `UPDATE notices SET ${set} WHERE family_id = $1 AND kind = $2`
  assert.equal((await portal.storage.pool.query(text, [familyId, kind])).rowCount, 1)
}

const CONFIRMED = "attempts = 1, last_attempt_at = '2026-03-04T12:01:02Z', confirmed_at = '2026-03-04T12:01:03Z'"
const FAILED = "attempts = 3, last_attempt_at = '2026-03-04T12:01:02Z', problem = 'it answered 500'"

test('the status names when the app confirmed', async () => {
  const family = await ended('notes')
  await note(family, CONFIRMED)
  const status = await statusOf(family)
  assert.equal(status.sentence, 'Notes confirmed the sign-out (4 Mar 2026, 12:01 UTC).')
  assert.equal(status.state, 'confirmed')
})

test('until it answers, the last application token is what counts, to the end of its minute', async () => {
  const family = await ended('notes')
  assert.equal(
    (await statusOf(family)).sentence,
    'Waiting for Notes to confirm. It loses access by 4 Mar 2026, 12:05 UTC at the latest.',
  )
  portal.clock.advance(299)
  assert.match((await statusOf(family)).sentence, /^Waiting for Notes .* by 4 Mar 2026, 12:05 UTC at the latest\.$/)
  portal.clock.advance(1)
  const status = await statusOf(family)
  assert.equal(status.sentence, 'Notes has not confirmed. Its access ended by 4 Mar 2026, 12:05 UTC.')
  assert.equal(status.state, 'waiting')
})

test('after failed attempts the status says how many there were', async () => {
  const family = await ended('notes')
  await note(family, FAILED)
  assert.equal(
    (await statusOf(family)).sentence,
    'Waiting for Notes to confirm, after 3 tries. It loses access by 4 Mar 2026, 12:05 UTC at the latest.',
  )
  await note(family, 'attempts = 1')
  assert.match((await statusOf(family)).sentence, /^Waiting for Notes to confirm, after one try\. /)
})

test('the status says that an app could not be told, until a resend is confirmed', async () => {
  const family = await ended('notes')
  await note(family, `${FAILED}, given_up_at = '2026-03-07T12:00:00Z'`)
  portal.clock.advance(3 * 86_400)
  const status = await statusOf(family)
  assert.equal(status.sentence, 'Notes could not be told, in 3 tries. Its access ended by 4 Mar 2026, 12:05 UTC.')
  assert.equal(status.state, 'given-up')
  assert.equal(status.ways[0]?.notification.problem, 'it answered 500')
  await note(family, CONFIRMED)
  assert.equal((await statusOf(family)).state, 'confirmed')
})

test('an app whose URI was removed before the notification was sent was not tried', async () => {
  const family = await ended('notes')
  await note(family, "given_up_at = '2026-03-04T12:00:01Z', problem = 'takes no such notices any more'")
  assert.match((await statusOf(family)).sentence, /^Notes could not be told\. It loses access by/)
})

test('an app without a URI takes no notifications, and its token is valid until it expires', async () => {
  const family = await ended('photos')
  const status = await statusOf(family)
  assert.equal(status.sentence, 'Photos loses access by 4 Mar 2026, 12:05 UTC at the latest.')
  assert.equal(status.state, 'silent')
  assert.deepEqual(status.ways, [])
  portal.clock.advance(86_400)
  assert.equal((await statusOf(family)).sentence, 'The access of Photos ended by 4 Mar 2026, 12:05 UTC.')
})

test('a family that its app ended needs no answer, and whose record is gone is not said to take none', async () => {
  const byApp = await ended('notes', 'revoked_by_app')
  assert.match((await statusOf(byApp)).sentence, /^Notes signed you out itself\. It loses access by/)
  await note(byApp, CONFIRMED)
  assert.equal((await statusOf(byApp)).sentence, 'Notes confirmed the sign-out (4 Mar 2026, 12:01 UTC).')

  const old = await ended('notes')
  await portal.storage.pool.query('DELETE FROM notices WHERE family_id = $1', [old])
  assert.match((await statusOf(old)).sentence, /^There is no record that Notes was told\. It loses access by/)
})

test('of a logout token and an event the logout token decides', async () => {
  const family = await ended('both')
  await note(family, CONFIRMED, 'session-revoked')
  const waiting = await statusOf(family)
  assert.match(waiting.sentence, /^Waiting for Notes to confirm/)
  assert.deepEqual(
    waiting.ways.map(({ notification, words }) => [notification.kind, englishTexts().say(words)]),
    [
      ['logout', 'The app was asked to sign you out, and has not confirmed.'],
      ['session-revoked', 'The app was told what happened, and confirmed (4 Mar 2026, 12:01 UTC).'],
    ],
  )
  await note(family, CONFIRMED)
  assert.match((await statusOf(family)).sentence, /^Notes confirmed/)

  const byEvent = await ended('events')
  await note(byEvent, CONFIRMED, 'session-revoked')
  assert.equal((await statusOf(byEvent)).sentence, 'Notes confirmed the sign-out (4 Mar 2026, 12:01 UTC).')
})

test('the last token is as young as the last refresh and its grace allow, and never younger than the end', async () => {
  const connection = await connect(portal, adaId, 'photos')
  const tokensUntil = async () => (await statusOf(connection.familyId)).tokensUntil.toISOString()
  portal.clock.advance(600)
  await refresh(portal, connection)
  portal.clock.advance(10)
  await endFamilies(portal, { id: connection.familyId }, 'ended_by_person', home)
  assert.equal(await tokensUntil(), '2026-03-04T12:15:10.000Z')

  const endAt = (at: string) =>
    portal.storage.pool.query('UPDATE families SET ended_at = $2 WHERE id = $1', [connection.familyId, at])
  await endAt('2026-03-04T13:00:00Z')
  assert.equal(await tokensUntil(), '2026-03-04T12:15:30.000Z')

  const app = (await findApp(portal, 'photos')) as AppRow
  await changeApp(portal, app, { applicationTokenTtl: 60, rotationGrace: 0 })
  assert.equal(await tokensUntil(), '2026-03-04T12:11:00.000Z')
  await changeApp(portal, app, { applicationTokenTtl: null, rotationGrace: null })
})

test('midnight is between the end and the last token', async () => {
  setClock('2026-03-04T23:58:30Z')
  const family = await ended('photos')
  assert.match((await statusOf(family)).sentence, /by 5 Mar 2026, 00:04 UTC at the latest\.$/)
  setClock('2026-03-05T00:00:00Z')
  assert.match((await statusOf(family)).sentence, /by 5 Mar 2026, 00:04 UTC at the latest\.$/)
})

test('an app is called by the name it has now', async () => {
  const family = await ended('notes')
  const app = (await findApp(portal, 'notes')) as AppRow
  await changeApp(portal, app, { name: 'Letters' })
  assert.match((await statusOf(family)).sentence, /^Waiting for Letters to confirm/)
  await changeApp(portal, app, { name: 'Notes' })
})

test('a living family has no delivery status; an expired one has it once its end is recorded', async () => {
  const { familyId } = await connect(portal, adaId, 'notes')
  const statuses = async () => findDeliveryStatuses(portal, [await familyRow(portal, { familyId })])
  assert.equal((await statuses()).size, 0)
  portal.clock.advance(31 * 86_400)
  assert.equal((await statuses()).size, 0)
  assert.ok((await expireFamilies(portal)) >= 1)
  assert.match((await statusOf(familyId)).sentence, /^Notes has not confirmed\. Its access ended by 4 Mar/)
})

test('one query gives every family its own delivery status', async () => {
  const [first, second, third] = [await ended('notes'), await ended('photos'), await ended('both')]
  await note(first, CONFIRMED)
  const families = await Promise.all([third, first, second].map((familyId) => familyRow(portal, { familyId })))
  const statuses = await findDeliveryStatuses(portal, families)
  assert.deepEqual(
    [first, second, third].map((id) => statuses.get(id)?.state),
    ['confirmed', 'silent', 'waiting'],
  )
})

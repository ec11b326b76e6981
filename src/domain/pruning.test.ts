import assert from 'node:assert/strict'
import { englishTexts } from '../i18n/texts.ts'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deleteEndedFamilies } from '../storage/erased-families.ts'
import { openPostgres, transaction } from '../storage/postgres.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import {
  type Connection,
  connect,
  familyRow,
  home,
  multiply,
  refresh,
  refusalIn,
  successorIn,
} from '../testing/portal/connections.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada } from '../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { startTestServer } from '../testing/portal/server.ts'
import { createApp } from './apps/apps.ts'
import { listActivityEntries } from './activity.ts'
import { endFamilies, endIdentitySessions } from './endings/endings.ts'
import { expireFamilies, expireIdentitySessions } from './endings/expiry.ts'
import { findFamilyFor, findFamilyOf, listConnectedApps } from './families/families.ts'
import { LINK_LIVES, makeMailLink } from './identities/mail-links.ts'
import type { Services } from './services.ts'
import { listNotifications } from './endings/notifications.ts'
import {
  pruneCounters,
  pruneFamilies,
  pruneProtocolRecords,
  pruneIdentitySessions,
  pruneMailLinks,
  pruneNotifications,
  pruneIpBlocks,
} from './pruning.ts'
import { listIpBlocks, blockIp } from './limits/ip-blocks.ts'
import { addSeconds } from './time.ts'

const DAY = 86_400

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  await createApp(portal, 'notes', notesApp)
  await createApp(portal, 'photos', photosApp)
})
after(() => portal.close())
beforeEach(async () => {
  await portal.storage.pool.query('DELETE FROM families')
  await portal.storage.pool.query('DELETE FROM identity_sessions')
})

async function prune(): Promise<number> {
  return pruneFamilies(portal, undefined, 0)
}

async function isRemembered({ familyId }: Pick<Connection, 'familyId'>): Promise<boolean> {
  return (await findFamilyFor(portal, familyId, adaId)) !== null
}

async function countFamilies(): Promise<number> {
  const result = await portal.storage.pool.query<{ count: number }>('SELECT count(*)::int AS count FROM families')
  return result.rows[0]?.count as number
}

test('a family that ended is remembered for ninety days, and not a second longer', async () => {
  const notes = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
  portal.clock.advance(90 * DAY)
  assert.equal(await prune(), 0)
  assert.equal(await isRemembered(notes), true)
  portal.clock.advance(1)
  assert.equal(await prune(), 1)
  assert.equal(await isRemembered(notes), false)
})

test('a family that lives stays, however long ago another of the same app and person ended', async () => {
  const past = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: past.familyId }, 'disconnected', home)
  portal.clock.advance(91 * DAY)
  const living = await connect(portal, adaId, 'notes')
  assert.equal(await prune(), 1)
  assert.deepEqual([await isRemembered(past), await isRemembered(living)], [false, true])
  successorIn(await refresh(portal, living))
})

test('an expired family is remembered from when its end was recorded', async () => {
  const notes = await connect(portal, adaId, 'notes')
  portal.clock.advance(31 * DAY)
  const [app] = await listConnectedApps(portal, adaId)
  assert.deepEqual([app?.living.length, app?.ended.length], [0, 1])
  assert.equal(await expireFamilies(portal), 1)

  portal.clock.advance(90 * DAY)
  assert.equal(await prune(), 0)
  assert.equal(await isRemembered(notes), true)
  portal.clock.advance(1)
  assert.equal(await prune(), 1)
})

test('a family whose end a refresh recorded first is remembered from then on', async () => {
  const notes = await connect(portal, adaId, 'notes')
  portal.clock.advance(170 * DAY)
  assert.deepEqual(refusalIn(await refresh(portal, notes)), { reason: 'expired', ended: true })
  portal.clock.advance(90 * DAY)
  assert.equal(await prune(), 0)
  assert.equal((await familyRow(portal, notes)).endCause, 'expired')
  portal.clock.advance(1)
  assert.equal(await prune(), 1)
})

test('how long is a setting', async () => {
  const brief: Services = { ...portal, lifetimes: { ...portal.lifetimes, familyHistory: 3600 } }
  const notes = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
  portal.clock.advance(3601)
  assert.equal(await prune(), 0)
  assert.equal(await pruneFamilies(brief, undefined, 0), 1)
})

test('the token of a forgotten family is unknown, ends nothing and says nothing', async () => {
  const past = await connect(portal, adaId, 'notes')
  const second = successorIn(await refresh(portal, past))
  await endFamilies(portal, { id: past.familyId }, 'ended_by_person', home)
  portal.clock.advance(91 * DAY)
  const living = await connect(portal, adaId, 'notes')
  await prune()

  const eventsBefore = (await listActivityEntries(portal, adaId, 100, null)).length
  for (const refreshToken of [past.refreshToken, second]) {
    assert.deepEqual(refusalIn(await refresh(portal, { ...past, refreshToken })), { reason: 'unknown', ended: false })
    assert.equal(await findFamilyOf(portal, refreshToken), null)
  }
  assert.deepEqual(await endFamilies(portal, { id: past.familyId }, 'reuse', home), [])
  assert.equal((await listActivityEntries(portal, adaId, 100, null)).length, eventsBefore)
  successorIn(await refresh(portal, living))
})

test('the audit events of a pruned family stay, and the lists go on without it', async () => {
  const past = await connect(portal, adaId, 'notes')
  const photos = await connect(portal, adaId, 'photos')
  await endFamilies(portal, { id: past.familyId }, 'disconnected', home)
  portal.clock.advance(80 * DAY)
  await endFamilies(portal, { id: photos.familyId }, 'disconnected', home)
  portal.clock.advance(11 * DAY)
  await prune()

  const apps = await listConnectedApps(portal, adaId)
  assert.deepEqual(
    apps.map(({ clientId, ended, endedMore }) => [clientId, ended.map(({ id }) => id), endedMore]),
    [['photos', [photos.familyId], 0]],
  )
  const told = (await listActivityEntries(portal, adaId, 100, null)).filter(
    ({ familyId }) => familyId === past.familyId,
  )
  assert.deepEqual(
    told.map(({ sentence }) => englishTexts().say(sentence)),
    ['Signed out of Notes: you removed the app.', 'You signed in to Notes.'],
  )
})

test('a backlog goes in batches, to its last row', async () => {
  const ended = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: ended.familyId }, 'ended_by_person', home)
  await multiply(portal, ended, 699)
  await multiply(portal, await connect(portal, adaId, 'photos'), 399)
  portal.clock.advance(91 * DAY)
  assert.equal(await expireFamilies(portal), 400)
  portal.clock.advance(90 * DAY + 1)
  const living = await connect(portal, adaId, 'notes')

  const before = addSeconds(portal.clock(), -90 * DAY)
  const first = await deleteEndedFamilies(portal.storage.pool, before, 100)
  assert.equal(first, 100)
  assert.equal(await prune(), 1100 - first)
  assert.equal(await countFamilies(), 1)
  assert.equal(await isRemembered(living), true)
  assert.equal(await prune(), 0)
})

test('two processes that prune at once share the work: every family is deleted once', async () => {
  const ended = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: ended.familyId }, 'ended_by_person', home)
  await multiply(portal, ended, 2999)
  portal.clock.advance(91 * DAY)
  const counts = await Promise.all(Array.from({ length: 4 }, async () => prune()))
  const rest = await prune()
  assert.equal(
    counts.reduce((sum, count) => sum + count, rest),
    3000,
  )
  assert.equal(await countFamilies(), 0)
})

test('pruning skips locked rows, and deletes them the next time', async () => {
  const ended = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: ended.familyId }, 'ended_by_person', home)
  await multiply(portal, ended, 9)
  portal.clock.advance(91 * DAY)
  await transaction(portal.storage.pool, async (db) => {
    await db.query('SELECT 1 FROM families WHERE id = $1 FOR UPDATE', [ended.familyId])
    assert.equal(await prune(), 9)
  })
  assert.equal(await isRemembered(ended), true)
  assert.equal(await prune(), 1)
})

test('an aborted round does not begin another batch', async () => {
  const ended = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: ended.familyId }, 'ended_by_person', home)
  await multiply(portal, ended, 999)
  portal.clock.advance(91 * DAY)
  const stopping = new AbortController()
  const pruning = pruneFamilies(portal, stopping.signal, 60_000)
  while ((await countFamilies()) === 1000) await sleep(5)
  stopping.abort()
  assert.equal(await pruning, 250)
  assert.equal(await pruneFamilies(portal, stopping.signal, 0), 0)
  assert.equal(await countFamilies(), 750)
})

test('a round ends, also when there is always more', async () => {
  const protocolRecords = { ...portal.storage.protocolRecords, prune: async (limit: number) => limit }
  assert.equal(
    await pruneProtocolRecords({ ...portal, storage: { ...portal.storage, protocolRecords } }, undefined, 0),
    100_000,
  )
})

test('protocol records go in batches to the last one that has expired, and none that lives', async () => {
  const { pool, protocolRecords } = portal.storage
  await pool.query(
    `INSERT INTO handshakes (id, payload, expires_at) SELECT 'AuthorizationCode:' || n, '{}', $1 FROM generate_series(1, 1900) n`,
    [portal.clock()],
  )
  const id = randomUUID()
  await protocolRecords.put('AuthorizationCode', id, {}, 60)
  assert.equal(await pruneProtocolRecords(portal, undefined, 0), 1900)
  assert.notEqual(await protocolRecords.find('AuthorizationCode', id), null)
})

test('sent notifications are pruned with their families, and waiting ones stay', async () => {
  await createApp(portal, 'letters', { ...notesApp, backchannelLogoutUri: 'https://letters.example.test/logout' })
  const end = async () => {
    const { familyId } = await connect(portal, adaId, 'letters')
    await endFamilies(portal, { id: familyId }, 'ended_by_person', home)
    return (await listNotifications(portal, { familyId }, 1))[0]?.id as string
  }
  const [confirmed, givenUp, waiting] = [await end(), await end(), await end()]
  portal.clock.advance(1)
  const later = await end()
  const { pool } = portal.storage
  await pool.query('UPDATE notices SET confirmed_at = $1 WHERE id = ANY ($2)', [portal.clock(), [confirmed, later]])
  await pool.query('UPDATE notices SET given_up_at = $1 WHERE id = $2', [portal.clock(), givenUp])

  portal.clock.advance(90 * DAY - 1)
  assert.equal(await pruneNotifications(portal, undefined, 0), 0)
  portal.clock.advance(1)
  assert.equal(await pruneNotifications(portal, undefined, 0), 2)
  const left = await listNotifications(portal, { clientId: 'letters' }, 10)
  assert.deepEqual(
    left.map(({ id }) => id),
    [later, waiting],
  )
})

test('IP blocks are pruned when they are over, and not a second before', async () => {
  await blockIp(portal, '192.0.2.1', 100)
  portal.clock.advance(60)
  await blockIp(portal, '192.0.2.2', 100)
  portal.clock.advance(portal.policy.ipBlockDuration - 61)
  assert.equal(await pruneIpBlocks(portal, undefined, 0), 0)
  portal.clock.advance(1)
  assert.equal(await pruneIpBlocks(portal, undefined, 0), 1)
  assert.deepEqual(
    (await listIpBlocks(portal, { prefix: '', after: null, limit: 10 })).map(({ address }) => address),
    ['192.0.2.2'],
  )
})

test('links of mails go once they have expired, and not a second earlier', async () => {
  const { pool } = portal.storage
  const holder = { identityId: adaId, email: ada.email }
  await transaction(pool, (db) => makeMailLink(portal, db, 'reset-password', holder))
  await transaction(pool, (db) => makeMailLink(portal, db, 'verify-address', holder))
  portal.clock.advance(LINK_LIVES['reset-password'] - 1)
  assert.equal(await pruneMailLinks(portal, undefined, 0), 0)
  portal.clock.advance(1)
  assert.equal(await pruneMailLinks(portal, undefined, 0), 1)
  const { rows } = await pool.query<{ purpose: string }>('SELECT purpose FROM mail_links')
  assert.deepEqual(rows, [{ purpose: 'verify-address' }])
})

test('counters go in batches to the last one that has ended, and none that counts', async () => {
  const { pool, counters } = portal.storage
  await pool.query(`INSERT INTO counters (key, points, expire) SELECT n::text, 1, $1 FROM generate_series(1, 600) n`, [
    Date.now(),
  ])
  await counters.add('living', 60)
  assert.equal(await pruneCounters(portal, undefined, 0), 600)
  assert.equal(await counters.read('living'), 1)
})

test('a browser that was signed out is remembered as long as its families', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const { identitySessionId: id } = notes
  await endIdentitySessions(portal, { identityId: adaId, id }, 'signed_out', home)
  portal.clock.advance(90 * DAY)
  assert.equal(await pruneIdentitySessions(portal, undefined, 0), 0)
  portal.clock.advance(1)
  // Also when its families are still there: they go on without it.
  assert.equal(await pruneIdentitySessions(portal, undefined, 0), 1)
  assert.equal((await familyRow(portal, notes)).identitySessionId, null)
  assert.equal((await familyRow(portal, notes)).endCause, 'signed_out')
})

test('an identity session with a living family is not pruned, so that the next sign-in adopts the family', async () => {
  const patient: Services = {
    ...portal,
    lifetimes: { ...portal.lifetimes, familyIdle: 300 * DAY, familyMax: 300 * DAY },
  }
  const notes = await connect(patient, adaId, 'notes')
  portal.clock.advance(14 * DAY)
  await expireIdentitySessions(portal)
  portal.clock.advance(91 * DAY)
  assert.equal(await pruneIdentitySessions(portal, undefined, 0), 0)
  assert.equal((await familyRow(portal, notes)).identitySessionId, notes.identitySessionId)
  await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
  assert.equal(await pruneIdentitySessions(portal, undefined, 0), 1)
})

test('a sign-in stays known while a mail may ask whose it was, however short the history is', async () => {
  const brief: Services = { ...portal, lifetimes: { ...portal.lifetimes, familyHistory: 3600 } }
  const { identitySessionId: id } = await connect(portal, adaId, 'notes')
  await endIdentitySessions(portal, { identityId: adaId, id }, 'signed_out', home)
  portal.clock.advance(LINK_LIVES['disown-sign-in'])
  assert.equal(await pruneIdentitySessions(brief, undefined, 0), 0)
  portal.clock.advance(1)
  assert.equal(await pruneIdentitySessions(brief, undefined, 0), 1)
})

test('a portal that runs forgets by itself, every minute', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  const server = await startTestServer()
  const postgres = openPostgres(server.database.databaseUrl, () => {}, { connection: 15_000, query: 15_000 })
  try {
    const identityId = await server.addIdentity(ada)
    await server.addApp('notes', notesApp)
    const [past, living] = [
      await connect(server.services, identityId, 'notes'),
      await connect(server.services, identityId, 'notes'),
    ]
    await endFamilies(server.services, { id: past.familyId }, 'ended_by_person', home)
    await postgres.pool.query(`UPDATE families SET ended_at = ended_at - interval '91 days' WHERE ended_at IS NOT NULL`)
    await server.services.storage.protocolRecords.put('AuthorizationCode', 'code', {}, -1)

    mock.timers.tick(60_000)
    const left = async (table: string) =>
      (await postgres.pool.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)).rows[0]?.count
    while ((await left('families')) !== 1 || (await left('handshakes')) !== 0) await sleep(10)
    assert.notEqual(await findFamilyFor(server.services, living.familyId, identityId), null)

    const browser = new Browser(server.url)
    await browser.signIn(ada)
    assert.equal((await browser.get('/dashboard')).status, 200)
  } finally {
    mock.timers.reset()
    await postgres.close()
    await server.close()
  }
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { eraseFamiliesOf } from '../../storage/erased-families.ts'
import { listTimelineRows } from '../../storage/family-timeline.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import {
  type Connection,
  connect,
  elsewhere,
  familyRow,
  home,
  refresh,
  successorIn,
} from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { openTestPortal, TEST_SECRET, type TestPortal } from '../../testing/portal/open-portal.ts'
import { createApp } from '../apps/apps.ts'
import { END_CAUSES, type EndCause } from '../endings/end-causes.ts'
import { endFamilies } from '../endings/endings.ts'
import { endInWords, endMessage } from './family-ends.ts'
import type { Words } from '../../i18n/messages.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { TIMELINE_KINDS, type TimelineKind, recordInTimeline, familyTimeline } from './family-timeline.ts'
import type { Services } from '../services.ts'
import { deriveSecrets } from '../keys/secrets.ts'

const english = englishTexts()
const inEnglish = (words: Words) => (typeof words === 'string' ? words : english.say(words))

const OTHER_SECRET = 'another root secret: it has 32 bytes or more'

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  await portal.storage.jobs.work('mail', { everyMs: 500, atOnce: 1 }, async () => 'done')
  adaId = await addIdentity(portal, ada)
  for (const id of ['notes', 'closing']) await createApp(portal, id, notesApp)
  await createApp(portal, 'photos', photosApp)
  await createApp(portal, 'strict', { ...notesApp, rotationGrace: 0 })
})
after(() => portal.close())

async function sql(text: string, id: string): Promise<void> {
  await portal.storage.pool.query(text, [id])
}

async function entriesOf({ familyId }: Connection) {
  return listTimelineRows(portal.storage.pool, familyId)
}

/** The family, refreshed once, with the token that was replaced. */
async function connectAndRefresh(clientId = 'notes', from: Services = portal): Promise<Connection> {
  const connection = await connect(portal, adaId, clientId)
  successorIn(await refresh(from, connection))
  return connection
}

/** How an app gets each kind of entry; the last request of each is from elsewhere. */
const WAYS: Record<TimelineKind, () => Promise<Connection>> = {
  async grace_hit() {
    const notes = await connectAndRefresh()
    successorIn(await refresh(portal, notes, { clientInfo: elsewhere }))
    return notes
  },
  async proven_hit() {
    const notes = await connectAndRefresh()
    portal.clock.advance(31)
    successorIn(await refresh(portal, notes, { clientInfo: elsewhere }))
    return notes
  },
  async refused_wrong_app() {
    const notes = await connect(portal, adaId, 'notes')
    await refresh(portal, { ...notes, clientId: 'photos' }, { clientInfo: elsewhere })
    return notes
  },
  async refused_ended() {
    const notes = await connect(portal, adaId, 'notes')
    await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
    await refresh(portal, notes, { clientInfo: elsewhere })
    return notes
  },
  async refused_expired() {
    const notes = await connect(portal, adaId, 'notes')
    await sql('UPDATE families SET idle_expires_at = created_at WHERE id = $1', notes.familyId)
    await refresh(portal, notes, { clientInfo: elsewhere })
    return notes
  },
  // An operator's command ends what the person or the app has; these are asked for in the moment before.
  async refused_identity_disabled() {
    const graceId = await addIdentity(portal, grace)
    const notes = await connect(portal, graceId, 'notes')
    await sql('UPDATE identities SET disabled_at = now() WHERE id = $1', graceId)
    await refresh(portal, notes, { clientInfo: elsewhere })
    return notes
  },
  async refused_app_disabled() {
    const closing = await connect(portal, adaId, 'closing')
    await sql('UPDATE apps SET disabled_at = now() WHERE client_id = $1', 'closing')
    await refresh(portal, closing, { clientInfo: elsewhere })
    return closing
  },
  async refused_access_withdrawn() {
    const photos = await connect(portal, adaId, 'photos')
    await sql(`UPDATE apps SET access = 'assigned' WHERE client_id = $1`, 'photos')
    await refresh(portal, photos, { clientInfo: elsewhere })
    await sql(`UPDATE apps SET access = 'everyone' WHERE client_id = $1`, 'photos')
    return photos
  },
  async refused_reused() {
    const photos = await connectAndRefresh('photos')
    portal.clock.advance(31)
    await refresh(portal, photos, { clientInfo: elsewhere })
    return photos
  },
  async refused_own_reuse() {
    const notes = await connect(portal, adaId, 'notes')
    const from = { clientInfo: elsewhere }
    const refreshToken = successorIn(await refresh(portal, notes, from))
    await refresh(portal, { ...notes, refreshToken }, from)
    portal.clock.advance(31)
    await refresh(portal, notes, from)
    return notes
  },
  async refused_duplicate() {
    const strict = await connectAndRefresh('strict')
    await refresh(portal, strict, { clientInfo: elsewhere })
    return strict
  },
  async refused_forgotten() {
    const notes = await connect(portal, adaId, 'notes')
    let { refreshToken } = notes
    for (let count = 0; count < 65; count++)
      refreshToken = successorIn(await refresh(portal, { ...notes, refreshToken }))
    await refresh(portal, notes, { clientInfo: elsewhere })
    return notes
  },
  async refused_scope() {
    const notes = await connect(portal, adaId, 'notes')
    await refresh(portal, notes, { scopes: ['email'], clientInfo: elsewhere })
    return notes
  },
  async refused_wrong_proof() {
    const notes = await connect(portal, adaId, 'notes', { jkt: 'a key' })
    await refresh(portal, notes, { jkt: 'another key', clientInfo: elsewhere })
    return notes
  },
  async refused_ahead() {
    const notes = await connect(portal, adaId, 'notes')
    const refreshToken = successorIn(await refresh(portal, notes))
    await sql(
      `UPDATE families SET generation = 0, current_hash = 'x', previous_hash = NULL WHERE id = $1`,
      notes.familyId,
    )
    await refresh(portal, { ...notes, refreshToken }, { clientInfo: elsewhere })
    return notes
  },
  async refused_secret_lost() {
    const notes = await connectAndRefresh('notes', { ...portal, secrets: deriveSecrets([OTHER_SECRET, TEST_SECRET]) })
    await refresh(portal, notes, { clientInfo: elsewhere })
    return notes
  },
  async refused_raced() {
    const notes = await connect(portal, adaId, 'notes')
    // Another caller makes each try to advance the family fail; when `explain` reads the family, every condition holds.
    let looks = 0
    const clock = () => ([1, 4, 7, 10].includes(++looks) ? new Date('2200-01-01') : portal.clock())
    await refresh({ ...portal, clock }, notes, { clientInfo: elsewhere })
    return notes
  },
}

for (const [kind, act] of Object.entries(WAYS)) {
  test(`the timeline says ${kind}, from which client and with which token`, async () => {
    const connection = await act()
    const [entry, ...more] = await entriesOf(connection)
    assert.deepEqual(more, [])
    const generation = kind === 'refused_ahead' ? 1 : 0
    assert.deepEqual(entry, {
      kind,
      count: 1,
      firstAt: portal.clock(),
      lastAt: portal.clock(),
      generation,
      ...elsewhere,
    })
    const family = await familyRow(portal, connection)
    const told = (await familyTimeline(portal, family)).find((each) => each.kind === kind)
    assert.equal(told?.sentence.key, TIMELINE_KINDS[kind as TimelineKind].message)
    // Each has a text of its own, which names no token.
    assert.doesNotMatch(english.say(told.sentence), /token|refresh|undefined/)
    assert.deepEqual(told.clients.map(inEnglish), ['curl, 203.0.113.9'])
  })
}

test('a plain rotation adds no entry but the rotation', async () => {
  const notes = await connectAndRefresh()
  assert.deepEqual(await entriesOf(notes), [])
})

test('of fifty refusals at once all are counted, in one row, with the client of the last and the time of the first', async () => {
  const notes = await connect(portal, adaId, 'notes')
  await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
  const firstAt = portal.clock()
  await refresh(portal, notes)
  portal.clock.advance(60)
  const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(portal, notes, { clientInfo: elsewhere })))
  for (const answer of answers) assert.equal(answer.kind, 'refused')
  const entry = { kind: 'refused_ended', count: 51, firstAt, lastAt: portal.clock(), generation: 0, ...elsewhere }
  assert.deepEqual(await entriesOf(notes), [entry])
})

test('a flood of one kind is written on one connection', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const { pool } = portal.storage
  const presented = { familyId: notes.familyId, generation: 0, clientInfo: home, at: portal.clock() }
  let writes = 0
  const counting = new Proxy(pool, {
    get(target, name) {
      if (name === 'query') writes++
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const flooded = { ...portal, storage: { ...portal.storage, pool: counting } }
  await Promise.all(Array.from({ length: 500 }, () => recordInTimeline(flooded, 'grace_hit', presented)))
  assert.equal(writes, 1)
  assert.equal((await entriesOf(notes))[0]?.count, 500)
})

test('a deleted family causes no error, and its timeline is deleted with it', async () => {
  const linus = { username: 'linus', email: 'linus@example.test', password: 'a kernel under a blanket' }
  const linusId = await addIdentity(portal, linus)
  const notes = await connect(portal, linusId, 'notes')
  await refresh(portal, { ...notes, clientId: 'photos' })
  assert.equal((await entriesOf(notes)).length, 1)
  await eraseFamiliesOf(portal.storage.pool, linusId, portal.clock(), 10)
  assert.deepEqual(await entriesOf(notes), [])
  for (const familyId of [notes.familyId, randomUUID()])
    await recordInTimeline(portal, 'grace_hit', { familyId, generation: 0, clientInfo: home, at: portal.clock() })
  assert.deepEqual(await entriesOf(notes), [])
})

test('the client gets its answer, also when the timeline cannot be written', async () => {
  const notes = await connectAndRefresh()
  const { pool } = portal.storage
  await pool.query('ALTER TABLE ledger_entries RENAME TO lost')
  const answer = await refresh(portal, notes)
  await pool.query('ALTER TABLE lost RENAME TO ledger_entries')
  successorIn(answer)
  assert.deepEqual(await entriesOf(notes), [])
})

test('the timeline is in order: connected, refreshed, asked for twice, refused, ended, and refused again', async () => {
  const notes = await connect(portal, adaId, 'notes')
  portal.clock.advance(60)
  const second = successorIn(
    await refresh(portal, notes, { clientInfo: { browser: 'openid-client/v6.8.1', address: '192.0.2.7' } }),
  )
  portal.clock.advance(1)
  for (let time = 0; time < 3; time++) await refresh(portal, notes)
  portal.clock.advance(60)
  const third = successorIn(await refresh(portal, { ...notes, refreshToken: second }, { clientInfo: elsewhere }))
  portal.clock.advance(60)
  await refresh(portal, notes, { clientInfo: elsewhere })
  portal.clock.advance(60)
  for (let time = 0; time < 2; time++) await refresh(portal, { ...notes, refreshToken: third })

  const entries = await familyTimeline(portal, await familyRow(portal, notes))
  assert.deepEqual(
    entries.map(({ sentence, clients }) => [sentence, ...clients].map(inEnglish)),
    [
      ['You signed in to Notes.', 'Firefox, 192.0.2.1'],
      ['Notes renewed its access 2 times.', 'curl, 203.0.113.9', 'openid-client/v6.8.1, 192.0.2.7'],
      ['Notes asked again, because an answer was lost or two tabs asked at once (3 times).', 'Firefox, 192.0.2.1'],
      ['Notes used an old key of its own again, and was refused.', 'curl, 203.0.113.9'],
      ['It ended: the app used an old key of its own again, which is a fault in the app, from curl, 203.0.113.9.'],
      ['Notes came back after the end, and was refused (2 times).', 'Firefox, 192.0.2.1'],
    ],
  )
})

test('every cause has its words, with the client where there was one', async () => {
  const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
  for (const cause of Object.keys(END_CAUSES) as EndCause[]) {
    const { words, reason } = END_CAUSES[cause]
    const wasThere = reason !== 'expired' && cause !== 'operator'
    const notes = await connect(portal, adaId, 'notes')
    await endFamilies(portal, { id: notes.familyId }, cause, wasThere ? { ...home, browser: firefox } : null)
    const row = await familyRow(portal, notes)
    const said = endInWords(portal, cause, row)
    const text = english.say(words)
    assert.equal(said, wasThere ? `${text}, from Firefox on Linux, 192.0.2.1` : text)
    assert.equal(english.say(endMessage(portal, cause, row)), said)
    assert.doesNotMatch(text, /token|refresh|family/)
  }
})

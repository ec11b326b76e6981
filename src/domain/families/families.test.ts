// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../../main/services.ts'
import { createLogger } from '../../logger.ts'
import { insertFamily } from '../../storage/family-openings.ts'
import { transaction } from '../../storage/postgres.ts'
import { deskApp, notesApp, photosApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import {
  type Connection,
  connect,
  elsewhere,
  familyRow,
  home,
  REFRESHES,
  refusalIn,
  successorIn,
  tryToConnect,
} from '../../testing/portal/connections.ts'
import { createDatabase, STORAGES, type TestDatabase } from '../../testing/portal/databases.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { TEST_SECRET, testConfig } from '../../testing/portal/open-portal.ts'
import { type AppSettings, createApp, disableApp, enableApp } from '../apps/apps.ts'
import { findFamilyFor, findFamilyOf, findLivingFamily, listConnectedApps, type OpeningFamily } from './families.ts'
import { disableIdentity, enableIdentity } from '../identities/identities.ts'
import { endFamilies, endIdentitySessions } from '../endings/endings.ts'
import { openIdentitySession } from '../sign-in/identity-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { hashRefreshToken, mintRefreshToken, parseRefreshToken, successorOf } from './refresh-tokens.ts'
import { deriveSecrets } from '../keys/secrets.ts'

const DAY = 86_400
const OTHER_SECRET = 'another root secret: it has 32 bytes or more'
const ROTATOR = join(import.meta.dirname, '../../testing/portal/rotator.ts')

for (const [kind, way] of [...STORAGES.map((each) => [each, 'library'] as const), ['pgbouncer', 'plain'] as const]) {
  suite(`families on ${kind}, refreshed the ${way} way`, () => {
    const refresh = REFRESHES[way]
    let database: TestDatabase
    let clock: TestClock
    let services: Services
    let adaId: string
    const opened: Services[] = []

    before(async () => {
      database = await createDatabase(kind)
      clock = createClock()
      services = await openPortal()
      // As in a portal that runs, the queue is open before the callers race.
      await services.storage.jobs.work('mail', { everyMs: 500, atOnce: 1 }, async () => 'done')
      adaId = await addPerson(ada.username)
      await createApp(services, 'notes', notesApp)
      await createApp(services, 'photos', photosApp)
    })
    after(async () => {
      for (const each of opened) await each.storage.close()
      await database.drop()
    })

    /** One more process' view of the same database; its time is the suite's unless it is given another. */
    async function openPortal(env: Record<string, string> = {}, time: () => Date = clock): Promise<Services> {
      const another = await openServices(testConfig(database, env), createLogger('silent'), time)
      opened.push(another)
      return another
    }

    async function addPerson(username: string): Promise<string> {
      return addIdentity(services, { ...ada, username, email: `${username}@example.test` })
    }

    async function addApp(settings: Partial<AppSettings>): Promise<string> {
      const clientId = `app-${randomBytes(4).toString('hex')}`
      await createApp(services, clientId, { ...notesApp, ...settings })
      return clientId
    }

    async function auditCauses({ familyId }: Pick<Connection, 'familyId'>): Promise<string[]> {
      const result = await services.storage.pool.query<{ cause: string }>(
        `SELECT cause FROM audit_events WHERE family_id = $1 AND kind = 'family_ended'`,
        [familyId],
      )
      return result.rows.map((row) => row.cause)
    }

    /** Where the token was used again, of every mail there is about it. */
    async function reuseMails({ familyId }: Pick<Connection, 'familyId'>): Promise<ClientInfo[]> {
      const mails = await queuedMails(services, 'family-reuse')
      return mails.filter((mail) => mail.familyId === familyId).map(({ clientInfo }) => clientInfo)
    }

    test('a rotation moves the family by one and gives a token that works next', async () => {
      const notes = await connect(services, adaId, 'notes')
      clock.advance(1)
      const second = successorIn(await refresh(services, notes))
      const family = await familyRow(services, notes)
      assert.equal(family.generation, 1)
      assert.deepEqual(family.rotatedAt, clock())
      assert.deepEqual(family.lastUsedAt, clock())
      assert.deepEqual(family.currentHash, hashRefreshToken(second))
      assert.deepEqual(family.previousHash, hashRefreshToken(notes.refreshToken))
      successorIn(await refresh(services, { ...notes, refreshToken: second }))
    })

    test('twenty callers that race with one token all get the same successor, and the family moves by one', async () => {
      const notes = await connect(services, adaId, 'notes')
      const answers = await Promise.all(Array.from({ length: 20 }, async () => refresh(services, notes)))
      assert.equal(new Set(answers.map(successorIn)).size, 1)
      assert.equal((await familyRow(services, notes)).generation, 1)
      successorIn(await refresh(services, { ...notes, refreshToken: successorIn(answers[0] as never) }))
    })

    test('callers that race on two pools get the same successor too', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = await openPortal()
      const answers = await Promise.all(
        Array.from({ length: 40 }, async (_, caller) => refresh(caller % 2 === 0 ? services : second, notes)),
      )
      assert.equal(new Set(answers.map(successorIn)).size, 1)
      assert.equal((await familyRow(services, notes)).generation, 1)
    })

    test('callers that race in two processes get the same successor too', async () => {
      const wallClock = await openPortal({}, () => new Date())
      const notes = await connect(wallClock, adaId, 'notes')
      const racers = [startRotator('race', notes, 20), startRotator('race', notes, 20)]
      await Promise.all(racers.map(async (racer) => racer.prints(1)))
      for (const racer of racers) racer.child.stdin.write('go\n')

      const printed = await Promise.all(racers.map(async (racer) => racer.printed))
      const answers = printed.flatMap(([, line]) => JSON.parse(line as string) as string[])
      assert.equal(answers.length, 40)
      assert.equal(new Set(answers).size, 1)
      assert.equal((await familyRow(services, notes)).generation, 1)
    })

    test('of twenty callers outside the window each is refused, and the family ends once', async () => {
      const photos = await connect(services, adaId, 'photos')
      const second = successorIn(await refresh(services, photos))
      clock.advance(31)
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => refresh(services, photos, { clientInfo: elsewhere })),
      )
      assert.deepEqual(new Set(answers.map((answer) => refusalIn(answer).reason)), new Set(['reused']))
      assert.equal(answers.filter((answer) => refusalIn(answer).ended).length, 1)

      const family = await familyRow(services, photos)
      assert.equal(family.endCause, 'reuse')
      assert.deepEqual(family.endedAt, clock())
      assert.deepEqual(await auditCauses(photos), ['reuse'])
      assert.deepEqual(await reuseMails(photos), [elsewhere])
      assert.equal(refusalIn(await refresh(services, { ...photos, refreshToken: second })).reason, 'reused')
    })

    for (const [who, clientId, terms, from, cause] of [
      ['a public app, from where it was before', 'photos', {}, {}, 'reuse'],
      ['an app that proves itself, from elsewhere', 'notes', {}, { clientInfo: elsewhere }, 'reuse'],
      ['an app that proves itself, from where it was before', 'notes', {}, {}, 'own_reuse'],
      ['the holder of the key, from where it was before', 'photos', { jkt: 'key' }, { jkt: 'key' }, 'own_reuse'],
      ['a copy without the key, from where the holder was', 'photos', { jkt: 'key' }, { jkt: null }, 'reuse'],
    ] as const) {
      test(`a reuse is an alarm or a fault of the app by who used it, and from where: ${who}`, async () => {
        const connection = await connect(services, adaId, clientId, terms)
        const holder = 'jkt' in terms ? { jkt: terms.jkt } : {}
        const refreshToken = successorIn(await refresh(services, connection, holder))
        clock.advance(5)
        successorIn(await refresh(services, { ...connection, refreshToken }, holder))
        clock.advance(31)
        const answer = await refresh(services, connection, from)
        const { address } = 'clientInfo' in from ? from.clientInfo : home
        const by = cause === 'reuse' ? 'unknown' : 'app'
        const reuse = { generation: 0, currentGeneration: 2, lateSeconds: 36, address, by }
        assert.deepEqual(answer.kind === 'refused' && answer.reuse, reuse)
        assert.equal((await familyRow(services, connection)).endCause, cause)
        // Every later refusal says the same, also to the process that holds the current token.
        const later = await refresh(services, connection, from)
        assert.deepEqual(later.kind === 'refused' && later.reuse, reuse)
      })
    }

    test('a reuse is recorded with the client it came from', async () => {
      const photos = await connect(services, adaId, 'photos')
      successorIn(await refresh(services, photos))
      clock.advance(31)
      await refresh(services, photos, { clientInfo: elsewhere })
      const result = await services.storage.pool.query(
        `SELECT browser, address, identity_id, client_id FROM audit_events WHERE family_id = $1 AND kind = 'family_ended'`,
        [photos.familyId],
      )
      assert.deepEqual(result.rows, [{ ...elsewhere, identity_id: adaId, client_id: 'photos' }])
    })

    test('no mail is sent for a family that ended in any other way, or for a token inside the window', async () => {
      const [notes, photos] = [await connect(services, adaId, 'notes'), await connect(services, adaId, 'photos')]
      successorIn(await refresh(services, notes))
      successorIn(await refresh(services, notes, { clientInfo: elsewhere }))
      await endFamilies(services, { id: notes.familyId }, 'ended_by_person', home)
      await refresh(services, notes, { clientInfo: elsewhere })
      clock.advance(181 * DAY)
      await refresh(services, photos, { clientInfo: elsewhere })
      assert.deepEqual([await reuseMails(notes), await reuseMails(photos)], [[], []])
    })

    test('a code that was used twice is mailed like a token', async () => {
      const notes = await connect(services, adaId, 'notes')
      for (let time = 0; time < 2; time++) {
        await endFamilies(services, { id: notes.familyId }, 'code_reuse', elsewhere)
      }
      assert.deepEqual(await reuseMails(notes), [elsewhere])
    })

    test('a reuse ends its own family and no other of the same person', async () => {
      const photos = await connect(services, adaId, 'photos')
      const sameApp = await connect(services, adaId, 'photos', { identitySessionId: photos.identitySessionId })
      const notes = await connect(services, adaId, 'notes', { identitySessionId: photos.identitySessionId })
      successorIn(await refresh(services, photos))
      clock.advance(31)
      assert.equal(refusalIn(await refresh(services, photos)).ended, true)
      successorIn(await refresh(services, sameApp))
      successorIn(await refresh(services, notes))
    })

    test('what no key of ours has tagged is unknown and touches no family', async () => {
      const notes = await connect(services, adaId, 'notes')
      const flipped = Buffer.from(notes.refreshToken, 'base64url')
      flipped[40] = (flipped[40] as number) ^ 1
      const foreign = deriveSecrets([OTHER_SECRET])
      const strangers = [
        '',
        'garbage',
        'a'.repeat(91),
        randomBytes(68).toString('base64url'),
        flipped.toString('base64url'),
        mintRefreshToken(notes.familyId, foreign),
        `${notes.refreshToken}=`,
        ` ${notes.refreshToken}`,
      ]
      for (const refreshToken of strangers) {
        const answer = await refresh(services, { ...notes, refreshToken })
        assert.deepEqual(answer, { kind: 'refused', reason: 'unknown', familyId: null, isOwn: false, ended: false })
      }
      successorIn(await refresh(services, notes))
    })

    test('a tagged token of a family that is not there is unknown', async () => {
      const refreshToken = mintRefreshToken(randomUUID(), services.secrets)
      assert.deepEqual(refusalIn(await refresh(services, { clientId: 'notes', refreshToken })), {
        reason: 'unknown',
        ended: false,
      })
    })

    test('a token is unknown to another app, which cannot end the family with it either', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = successorIn(await refresh(services, notes))
      clock.advance(31)
      for (const refreshToken of [notes.refreshToken, second]) {
        const answer = await refresh(services, { clientId: 'photos', refreshToken })
        assert.deepEqual(refusalIn(answer), { reason: 'unknown', ended: false })
      }
      successorIn(await refresh(services, { ...notes, refreshToken: second }))
    })

    test('a token from after a restored backup is unknown and ends nothing', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = successorIn(await refresh(services, notes))
      const third = successorIn(await refresh(services, { ...notes, refreshToken: second }))
      await services.storage.pool.query(
        'UPDATE families SET generation = 0, current_hash = $2, previous_hash = NULL, rotated_at = NULL WHERE id = $1',
        [notes.familyId, hashRefreshToken(notes.refreshToken)],
      )
      assert.deepEqual(refusalIn(await refresh(services, { ...notes, refreshToken: third })), {
        reason: 'unknown',
        ended: false,
      })
      assert.equal(successorIn(await refresh(services, notes)), second)
    })

    test('a lost answer costs nothing: a client that asks again gets the same successor, a hundred times over', async () => {
      const notes = await connect(services, adaId, 'notes')
      let { refreshToken } = notes
      for (let round = 0; round < 100; round++) {
        const lost = successorIn(await refresh(services, { ...notes, refreshToken }))
        const again = successorIn(await refresh(services, { ...notes, refreshToken }))
        assert.equal(again, lost)
        refreshToken = again
      }
      assert.equal((await familyRow(services, notes)).generation, 100)
      assert.deepEqual(await auditCauses(notes), [])
    })

    test('a process that is killed while it rotates leaves a token that works, and raises no alarm', async () => {
      const wallClock = await openPortal({}, () => new Date())
      const kills = Array.from({ length: 4 }, async (_, index) => {
        const notes = await connect(wallClock, adaId, 'notes')
        const rotator = startRotator('loop', notes)
        await rotator.prints(2)
        await sleep(index * 13)
        rotator.child.kill('SIGKILL')
        const lastSeen = (await rotator.printed).at(-1) as string

        successorIn(await refresh(wallClock, { ...notes, refreshToken: lastSeen }))
        assert.deepEqual(await auditCauses(notes), [])
      })
      await Promise.all(kills)
    })

    test('inside the window the token before works until its last second, and not at its end', async () => {
      const atEdge = async (seconds: number) => {
        const photos = await connect(services, adaId, 'photos')
        const second = successorIn(await refresh(services, photos))
        clock.advance(seconds)
        const answer = await refresh(services, photos)
        return answer.kind === 'rotated' ? answer.refreshToken === second : refusalIn(answer)
      }
      assert.equal(await atEdge(29), true)
      assert.equal(await atEdge(29.999), true)
      assert.deepEqual(await atEdge(30), { reason: 'reused', ended: true })
      assert.deepEqual(await atEdge(31), { reason: 'reused', ended: true })
    })

    test('the window begins at the rotation and is not opened again by using it', async () => {
      const photos = await connect(services, adaId, 'photos')
      successorIn(await refresh(services, photos))
      clock.advance(20)
      successorIn(await refresh(services, photos))
      clock.advance(20)
      assert.deepEqual(refusalIn(await refresh(services, photos)), { reason: 'reused', ended: true })
    })

    test('without a window a double click is refused and ends nothing', async () => {
      const clientId = await addApp({ rotationGrace: 0 })
      const notes = await connect(services, adaId, clientId)
      const answers = await Promise.all(Array.from({ length: 20 }, async () => refresh(services, notes)))
      const winners = answers.filter((answer) => answer.kind === 'rotated')
      assert.equal(winners.length, 1)
      for (const answer of answers.filter((each) => each.kind !== 'rotated')) {
        assert.deepEqual(refusalIn(answer), { reason: 'reused', ended: false })
      }
      clock.advance(1.999)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'reused', ended: false })
      successorIn(await refresh(services, { ...notes, refreshToken: successorIn(winners[0] as never) }))
    })

    test('without a window a token used again after two seconds ends the family', async () => {
      const clientId = await addApp({ rotationGrace: 0 })
      const notes = await connect(services, adaId, clientId)
      successorIn(await refresh(services, notes))
      clock.advance(2)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'reused', ended: true })
    })

    test('an app may have a window of its own', async () => {
      const clientId = await addApp({ ...photosApp, rotationGrace: 300 })
      const photos = await connect(services, adaId, clientId)
      const second = successorIn(await refresh(services, photos))
      clock.advance(299)
      assert.equal(successorIn(await refresh(services, photos)), second)
      clock.advance(1)
      assert.deepEqual(refusalIn(await refresh(services, photos)), { reason: 'reused', ended: true })
    })

    test("a portal's own window holds for apps that name none", async () => {
      const strict = await openPortal({ ROTATION_GRACE: '0' })
      const notes = await connect(strict, adaId, 'notes')
      successorIn(await refresh(strict, notes))
      assert.deepEqual(refusalIn(await refresh(strict, notes)), { reason: 'reused', ended: false })
    })

    test('a family that is not used for thirty days has expired, and not a second earlier', async () => {
      const atEdge = async (seconds: number) => {
        const notes = await connect(services, adaId, 'notes')
        clock.advance(seconds)
        const answer = await refresh(services, notes)
        return { answer, cause: (await familyRow(services, notes)).endCause }
      }
      successorIn((await atEdge(30 * DAY - 1)).answer)
      for (const seconds of [30 * DAY, 30 * DAY + 1]) {
        const { answer, cause } = await atEdge(seconds)
        assert.deepEqual(refusalIn(answer), { reason: 'expired', ended: true })
        assert.equal(cause, 'idle_expired')
      }
    })

    test('each use gives a family its full idle time again, but never past its absolute end', async () => {
      const clientId = await addApp({ familyIdle: 60, familyMax: 100 })
      const notes = await connect(services, adaId, clientId)
      const born = clock().getTime()
      let { refreshToken } = notes
      for (const [step, idleEnd] of [
        [30, 90],
        [20, 100],
        [49, 100],
      ] as const) {
        clock.advance(step)
        refreshToken = successorIn(await refresh(services, { ...notes, refreshToken }))
        const family = await familyRow(services, notes)
        assert.equal((family.idleExpiresAt.getTime() - born) / 1000, idleEnd)
        assert.equal((family.expiresAt.getTime() - born) / 1000, 100)
      }
      clock.advance(1)
      assert.deepEqual(refusalIn(await refresh(services, { ...notes, refreshToken })), {
        reason: 'expired',
        ended: true,
      })
      assert.equal((await familyRow(services, notes)).endCause, 'expired')
      assert.deepEqual(await auditCauses(notes), ['expired'])
    })

    test('a family never begins with more idle time than it has altogether', async () => {
      const clientId = await addApp({ familyIdle: 1000, familyMax: 50 })
      const family = await familyRow(services, await connect(services, adaId, clientId))
      assert.deepEqual(family.idleExpiresAt, family.expiresAt)
    })

    test('an expired family stays expired for the token before as well, and is no reuse', async () => {
      const clientId = await addApp({ familyIdle: 10, rotationGrace: 300 })
      const notes = await connect(services, adaId, clientId)
      successorIn(await refresh(services, notes))
      clock.advance(10)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'expired', ended: true })
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'expired', ended: false })
    })

    test('a new idle time of an app counts from the next rotation on', async () => {
      const clientId = await addApp({ familyIdle: 1000 })
      const notes = await connect(services, adaId, clientId)
      await services.storage.pool.query('UPDATE apps SET family_idle = 20 WHERE client_id = $1', [clientId])
      successorIn(await refresh(services, notes))
      const family = await familyRow(services, notes)
      assert.equal((family.idleExpiresAt.getTime() - clock().getTime()) / 1000, 20)
    })

    test('a token of the old secret rotates to one of the new, which goes on when the old is taken away', async () => {
      const notes = await connect(services, adaId, 'notes')
      const both = await openPortal({ GATEHOUSE_SECRET: `${OTHER_SECRET},${TEST_SECRET}` })
      const second = successorIn(await refresh(both, notes))
      const onlyNew = deriveSecrets([OTHER_SECRET])
      assert.equal(parseRefreshToken(second, onlyNew)?.generation, 1)
      assert.equal(parseRefreshToken(second, services.secrets), null)

      const later = { ...both, secrets: onlyNew }
      successorIn(await refresh(later, { ...notes, refreshToken: second }))
    })

    test('a change of secret inside the window still gives the same successor', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = successorIn(await refresh(services, notes))
      const both = { ...services, secrets: deriveSecrets([OTHER_SECRET, TEST_SECRET]) }
      assert.equal(successorIn(await refresh(both, notes)), second)
      const third = successorIn(await refresh(both, { ...notes, refreshToken: second }))
      assert.notEqual(parseRefreshToken(third, deriveSecrets([OTHER_SECRET])), null)
    })

    test('processes that disagree on the order of two secrets agree on the successor', async () => {
      const notes = await connect(services, adaId, 'notes')
      const oneWay = { ...services, secrets: deriveSecrets([TEST_SECRET, OTHER_SECRET]) }
      const otherWay = { ...services, secrets: deriveSecrets([OTHER_SECRET, TEST_SECRET]) }
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, caller) => refresh(caller % 2 === 0 ? oneWay : otherWay, notes)),
      )
      assert.equal(new Set(answers.map(successorIn)).size, 1)
    })

    test('a secret that is taken away makes its tokens unknown and ends nothing', async () => {
      const notes = await connect(services, adaId, 'notes')
      const without = { ...services, secrets: deriveSecrets([OTHER_SECRET]) }
      assert.deepEqual(refusalIn(await refresh(without, notes)), { reason: 'unknown', ended: false })
      assert.equal((await familyRow(services, notes)).endedAt, null)
      successorIn(await refresh(services, notes))
    })

    test('a family bound to a key goes on only with that key', async () => {
      const notes = await connect(services, adaId, 'notes', { jkt: 'the key of Ada' })
      for (const jkt of [null, 'another key']) {
        assert.deepEqual(await refresh(services, notes, { jkt }), { kind: 'wrong-proof', familyId: notes.familyId })
      }
      const second = successorIn(await refresh(services, notes, { jkt: 'the key of Ada' }))
      assert.deepEqual(await refresh(services, notes, { jkt: 'another key' }), {
        kind: 'wrong-proof',
        familyId: notes.familyId,
      })
      assert.equal(successorIn(await refresh(services, notes, { jkt: 'the key of Ada' })), second)
      assert.equal((await familyRow(services, notes)).generation, 1)
    })

    test('an app may ask for fewer scopes than it has, never for more', async () => {
      const notes = await connect(services, adaId, 'notes', { scope: 'openid profile email' })
      const exceeding = [['address'], ['openid', 'address'], ['open'], ['openid profile'], ['']]
      for (const scopes of exceeding) {
        assert.deepEqual(await refresh(services, notes, { scopes }), {
          kind: 'scope-exceeded',
          familyId: notes.familyId,
        })
      }
      assert.equal((await familyRow(services, notes)).generation, 0)

      const second = successorIn(await refresh(services, notes, { scopes: ['email'] }))
      assert.deepEqual(await refresh(services, notes, { scopes: ['address'] }), {
        kind: 'scope-exceeded',
        familyId: notes.familyId,
      })
      successorIn(await refresh(services, { ...notes, refreshToken: second }, { scopes: ['profile', 'openid'] }))
      assert.equal((await familyRow(services, notes)).scope, 'openid profile email')
    })

    test('the families of a disabled identity are refused, and stay ended when it is enabled again', async () => {
      const graceId = await addPerson('grace')
      const notes = await connect(services, graceId, 'notes')
      await disableIdentity(services, graceId)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'identity_disabled', ended: false })
      assert.equal((await familyRow(services, notes)).endCause, 'identity_disabled')
      assert.deepEqual(await auditCauses(notes), ['identity_disabled'])

      await enableIdentity(services, graceId)
      assert.equal(refusalIn(await refresh(services, notes)).reason, 'identity_disabled')
      successorIn(await refresh(services, await connect(services, graceId, 'notes')))
    })

    test('the families of a disabled app are refused, and stay ended when it is enabled again', async () => {
      const { app } = await createApp(services, 'desk', deskApp)
      const desk = await connect(services, adaId, 'desk')
      await disableApp(services, app)
      assert.deepEqual(refusalIn(await refresh(services, desk)), { reason: 'app_disabled', ended: false })
      assert.deepEqual(await auditCauses(desk), ['app_disabled'])

      await enableApp(services, app)
      assert.equal(refusalIn(await refresh(services, desk)).reason, 'app_disabled')
      successorIn(await refresh(services, await connect(services, adaId, 'desk')))
    })

    test('a family is refused from the moment its identity or app is disabled, before anything has ended it', async () => {
      const lovelaceId = await addPerson('lovelace')
      const clientId = await addApp({})
      const notes = await connect(services, lovelaceId, clientId)
      const disable = async (statement: string, id: string) => services.storage.pool.query(statement, [id])

      await disable('UPDATE apps SET disabled_at = now() WHERE client_id = $1', clientId)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'app_disabled', ended: false })
      assert.equal(await findLivingFamily(services, notes.familyId), null)
      await disable('UPDATE identities SET disabled_at = now() WHERE id = $1', lovelaceId)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'identity_disabled', ended: false })

      await disable('UPDATE apps SET disabled_at = NULL WHERE client_id = $1', clientId)
      await disable('UPDATE identities SET disabled_at = NULL WHERE id = $1', lovelaceId)
      successorIn(await refresh(services, notes))
    })

    test('a family that has ended for another reason says so, whatever is disabled later', async () => {
      const notes = await connect(services, adaId, 'notes')
      const cause = 'disconnected'
      await endFamilies(services, { id: notes.familyId }, cause, home)
      assert.deepEqual(refusalIn(await refresh(services, notes)), { reason: 'revoked', ended: false })
      assert.equal((await endFamilies(services, { id: notes.familyId }, 'reuse', elsewhere)).length, 0)
      assert.equal((await familyRow(services, notes)).endCause, cause)
    })

    test('ending one family ends no other', async () => {
      const notes = await connect(services, adaId, 'notes')
      const other = await connect(services, adaId, 'notes')
      const ended = await endFamilies(services, { id: notes.familyId }, 'ended_by_person', home)
      assert.deepEqual(
        ended.map(({ id, clientId, identityId }) => [id, clientId, identityId]),
        [[notes.familyId, 'notes', adaId]],
      )
      assert.equal(await findLivingFamily(services, notes.familyId), null)
      assert.equal((await findLivingFamily(services, other.familyId))?.id, other.familyId)
    })

    test('a user cannot end a family of another user', async () => {
      const notes = await connect(services, adaId, 'notes')
      const choice = { id: notes.familyId, identityId: randomUUID() }
      assert.deepEqual(await endFamilies(services, choice, 'ended_by_person', home), [])
      assert.equal(await findFamilyFor(services, notes.familyId, randomUUID()), null)
      assert.equal((await findFamilyFor(services, notes.familyId, adaId))?.id, notes.familyId)
      successorIn(await refresh(services, notes))
    })

    test('disconnecting an app ends what it has of this person and nothing else', async () => {
      const [one, two] = [await addPerson('one'), await addPerson('two')]
      const notes = [await connect(services, one, 'notes'), await connect(services, one, 'notes')]
      const photos = await connect(services, one, 'photos')
      const ofSomebodyElse = await connect(services, two, 'notes')
      const ended = await endFamilies(services, { identityId: one, clientId: 'notes' }, 'disconnected', home)
      assert.deepEqual(new Set(ended.map(({ id }) => id)), new Set(notes.map(({ familyId }) => familyId)))
      successorIn(await refresh(services, photos))
      successorIn(await refresh(services, ofSomebodyElse))
    })

    test('ending all of a person ends offline access as well', async () => {
      const person = await addPerson('three')
      const offline = await connect(services, person, 'notes', { scope: 'openid offline_access' })
      const photos = await connect(services, person, 'photos')
      assert.equal((await endFamilies(services, { identityId: person }, 'operator', null)).length, 2)
      for (const each of [offline, photos]) assert.equal(refusalIn(await refresh(services, each)).reason, 'revoked')
    })

    test('signing out ends the families of that browser, except those with offline access', async () => {
      const notes = await connect(services, adaId, 'notes')
      const here = { identitySessionId: notes.identitySessionId }
      const offline = await connect(services, adaId, 'photos', { ...here, scope: 'openid offline_access' })
      const lookalike = await connect(services, adaId, 'photos', { ...here, scope: 'openid no_offline_access' })
      const otherBrowser = await connect(services, adaId, 'notes')
      await endIdentitySessions(services, { identityId: adaId, id: notes.identitySessionId }, 'signed_out', home)

      assert.equal(refusalIn(await refresh(services, notes)).reason, 'revoked')
      assert.equal(refusalIn(await refresh(services, lookalike)).reason, 'revoked')
      successorIn(await refresh(services, offline))
      successorIn(await refresh(services, otherBrowser))
    })

    test('of twenty callers that end a family at once one has ended it, with one audit event', async () => {
      const notes = await connect(services, adaId, 'notes')
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => endFamilies(services, { id: notes.familyId }, 'ended_by_person', home)),
      )
      assert.equal(answers.filter((ended) => ended.length === 1).length, 1)
      assert.deepEqual(await auditCauses(notes), ['ended_by_person'])
    })

    test('a family that is ended while it rotates is ended afterwards', async () => {
      for (let round = 0; round < 10; round++) {
        const notes = await connect(services, adaId, 'notes')
        const [rotation] = await Promise.all([
          refresh(services, notes),
          endFamilies(services, { id: notes.familyId }, 'ended_by_person', home),
        ])
        const refreshToken = rotation.kind === 'rotated' ? rotation.refreshToken : notes.refreshToken
        assert.equal(refusalIn(await refresh(services, { ...notes, refreshToken })).reason, 'revoked')
      }
    })

    test('a family is opened with the browser and the IP address of its sign-in', async () => {
      const family = await familyRow(services, await connect(services, adaId, 'notes'))
      assert.equal(family.browser, home.browser)
      assert.equal(family.address, home.address)
      const result = await services.storage.pool.query(
        `SELECT browser, address FROM audit_events WHERE family_id = $1 AND kind = 'family_opened'`,
        [family.id],
      )
      assert.deepEqual(result.rows, [home])
    })

    test('no family is opened from a sign-in that has ended', async () => {
      const identitySessionId = (await openIdentitySession(
        services,
        { identityId: adaId, amr: ['pwd'] },
        home,
        null,
      )) as string
      await endIdentitySessions(services, { identityId: adaId, id: identitySessionId }, 'signed_out', home)
      const { connection, opened: isOpen } = await tryToConnect(services, adaId, 'notes', { identitySessionId })
      assert.equal(isOpen, false)
      assert.equal(refusalIn(await refresh(services, connection)).reason, 'unknown')
    })

    test('no family is opened from a sign-in that has expired', async () => {
      const identitySessionId = (await openIdentitySession(
        services,
        { identityId: adaId, amr: ['pwd'] },
        home,
        null,
      )) as string
      clock.advance(90 * DAY)
      assert.equal((await tryToConnect(services, adaId, 'notes', { identitySessionId })).opened, false)
    })

    test("no family is opened from another user's sign-in", async () => {
      const identitySessionId = (await openIdentitySession(
        services,
        { identityId: adaId, amr: ['pwd'] },
        home,
        null,
      )) as string
      const person = await addPerson('four')
      assert.equal((await tryToConnect(services, person, 'notes', { identitySessionId })).opened, false)
    })

    test('no family is opened for a disabled identity or a disabled app', async () => {
      const person = await addPerson('five')
      const clientId = await addApp({})
      const identitySessionId = (await openIdentitySession(
        services,
        { identityId: person, amr: ['pwd'] },
        home,
        null,
      )) as string
      await services.storage.pool.query('UPDATE apps SET disabled_at = now() WHERE client_id = $1', [clientId])
      assert.equal((await tryToConnect(services, person, clientId, { identitySessionId })).opened, false)
      await services.storage.pool.query('UPDATE identities SET disabled_at = now() WHERE id = $1', [person])
      assert.equal((await tryToConnect(services, person, 'notes', { identitySessionId })).opened, false)
    })

    for (const [what, disable] of [
      ['identity', async (identityId: string) => disableIdentity(services, identityId)],
      [
        'app',
        async (_identityId: string, clientId: string) => {
          const app = await (await services.storage.prisma()).app.findUniqueOrThrow({ where: { clientId } })
          await disableApp(services, app)
        },
      ],
    ] as const) {
      test(`a family that is being opened while its ${what} is disabled does not outlive that`, async () => {
        const person = await addPerson(`racing-${what}`)
        const clientId = await addApp({})
        const identitySessionId = (await openIdentitySession(
          services,
          { identityId: person, amr: ['pwd'] },
          home,
          null,
        )) as string
        const familyId = randomUUID()
        let disabling: Promise<unknown> | undefined
        await transaction(services.storage.pool, async (db) => {
          const opened = await insertFamily(db, familyOf(familyId, person, clientId, identitySessionId), clock())
          assert.deepEqual(opened?.replaced, [])
          disabling = disable(person, clientId)
          await Promise.race([disabling, sleep(150)])
        })
        await disabling
        assert.notEqual((await familyRow(services, { familyId })).endedAt, null)
      })
    }

    function familyOf(id: string, identityId: string, clientId: string, identitySessionId: string) {
      const opening: Omit<OpeningFamily, 'refreshToken' | 'app' | 'x5t'> & { x5t: null } = {
        id,
        identityId,
        clientId,
        identitySessionId,
        scope: 'openid',
        claims: null,
        sid: null,
        acr: null,
        amr: [],
        authTime: 0,
        jkt: null,
        x5t: null,
        resources: null,
        claimsVersion: 0,
        openedSilently: false,
      }
      const later = new Date(clock().getTime() + 60_000)
      return {
        ...opening,
        lifetime: 'browser',
        currentHash: randomBytes(32),
        idleExpiresAt: later,
        expiresAt: later,
        defaultTokenSeconds: services.lifetimes.applicationToken,
      }
    }

    test('a genuine token is known by its standing: current, excused, reused', async () => {
      const photos = await connect(services, adaId, 'photos')
      const standing = async (token: string) => (await findFamilyOf(services, token))?.standing ?? null
      assert.equal(await standing(photos.refreshToken), 'current')
      const second = successorIn(await refresh(services, photos))
      assert.equal(await standing(second), 'current')
      clock.advance(29)
      assert.equal(await standing(photos.refreshToken), 'excused')
      clock.advance(1)
      assert.equal(await standing(photos.refreshToken), 'reused')
      assert.equal(await standing('garbage'), null)
      assert.equal(await standing(mintRefreshToken(randomUUID(), services.secrets)), null)
    })

    test('asking about a replaced token ends nothing', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = successorIn(await refresh(services, notes))
      clock.advance(31)
      await findFamilyOf(services, notes.refreshToken)
      successorIn(await refresh(services, { ...notes, refreshToken: second }))
    })

    test('a person sees every app, what lives of it, and the last five that have ended', async () => {
      const person = await addPerson('six')
      for (let count = 0; count < 7; count++) {
        clock.advance(1)
        const past = await connect(services, person, 'notes')
        await endFamilies(services, { id: past.familyId }, 'ended_by_person', home)
      }
      const notes = await connect(services, person, 'notes')
      clock.advance(1)
      const photos = await connect(services, person, 'photos')

      const apps = await listConnectedApps(services, person)
      assert.deepEqual(
        apps.map(({ clientId, name, living, ended, endedMore }) => ({
          clientId,
          name,
          living: living.map(({ id }) => id),
          ended: ended.length,
          endedMore,
        })),
        [
          { clientId: 'photos', name: 'Photos', living: [photos.familyId], ended: 0, endedMore: 0 },
          { clientId: 'notes', name: 'Notes', living: [notes.familyId], ended: 5, endedMore: 2 },
        ],
      )
    })

    test('a family that was not used for too long is listed as ended', async () => {
      const person = await addPerson('seven')
      await connect(services, person, 'notes')
      clock.advance(30 * DAY)
      const [app] = await listConnectedApps(services, person)
      assert.deepEqual([app?.living.length, app?.ended.length, app?.endedMore], [0, 1, 0])
    })

    test('nothing in the database is a refresh token or can make one', async () => {
      const notes = await connect(services, adaId, 'notes')
      const second = successorIn(await refresh(services, notes))
      const result = await services.storage.pool.query<{ row: string }>(
        `SELECT f::text || coalesce((SELECT string_agg(e::text, '') FROM audit_events e WHERE e.family_id = f.id), '') AS row
         FROM families f WHERE id = $1`,
        [notes.familyId],
      )
      const row = result.rows[0]?.row as string
      for (const token of [notes.refreshToken, second]) {
        const random = parseRefreshToken(token, services.secrets)?.random as Buffer
        assert.equal(row.includes(token), false)
        assert.equal(row.includes(random.toString('hex')), false)
      }
      const withoutKey = deriveSecrets([OTHER_SECRET])
      const token = parseRefreshToken(notes.refreshToken, services.secrets)
      assert.notEqual(token === null ? null : successorOf(token, withoutKey[0]), second)
    })

    function startRotator(task: 'race' | 'loop', { clientId, refreshToken }: Connection, callers = 0) {
      const child = spawn(process.execPath, [ROTATOR, task, way, clientId, refreshToken, String(callers)], {
        env: {
          PATH: process.env['PATH'],
          NODE_ENV: 'test',
          GATEHOUSE_SECRET: TEST_SECRET,
          DATABASE_URL: database.databaseUrl,
          ...(database.redisUrl === null ? {} : { REDIS_URL: database.redisUrl }),
          ...database.env,
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      const lines = () => output.split('\n').slice(0, -1)
      return {
        child,
        /** Waits until it has printed this many lines. */
        async prints(count: number) {
          while (lines().length < count) await once(child.stdout, 'data')
        },
        /** Every line, once it is gone. */
        printed: once(child, 'close').then(lines),
      }
    }
  })
}

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { insertFamily, type NewFamily, type OpenedFamily } from '../../storage/family-openings.ts'
import { findIdentity, lockIdentity, updateAssignedRoles } from '../../storage/identities.ts'
import { settleIdentities } from '../../storage/groups.ts'
import { transaction } from '../../storage/postgres.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { claimsOf } from '../../testing/browser/client.ts'
import {
  type Connection,
  connect,
  familyRow,
  home,
  refresh,
  REFRESHES,
  successorIn,
} from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import {
  type ApplicationTokenClaims,
  findApplicationToken,
  mintApplicationToken,
  signApplicationToken,
} from './application-tokens.ts'
import { createApp } from '../apps/apps.ts'
import type { Rotation } from './families.ts'
import { announceClaims } from '../identities/claim-changes.ts'
import { changeRoles } from '../identities/identities.ts'
import { openIdentitySession } from '../sign-in/identity-sessions.ts'
import { epochSeconds } from '../time.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  await createApp(portal, 'rich', { ...notesApp, applicationTokenClaims: ['nickname'] })
  await createApp(portal, 'events', { ...notesApp, eventReceiverUri: 'https://notes.example.test/events' })
})
after(() => portal.close())

async function addPerson(roles: string[]): Promise<string> {
  const username = `person-${randomUUID()}`
  return addIdentity(portal, { username, email: `${username}@example.test`, password: 'a change of roles' }, { roles })
}

interface Told {
  token: string
  roles: string[]
  version: number
}

/** What an app reads in the application token that a rotation gave. */
async function told(rotation: Rotation): Promise<Told> {
  assert.equal(rotation.kind, 'rotated')
  const { token } = await mintApplicationToken(portal, rotation, null, null)
  const claims = claimsOf(token) as unknown as ApplicationTokenClaims
  const now = epochSeconds(portal.clock())
  assert.equal(claims.iat <= now && claims.exp - claims.iat === 300, true)
  return { token, roles: claims.roles, version: claims.claims_version }
}

async function isStale(token: string): Promise<boolean> {
  const found = await findApplicationToken(portal, token)
  assert.notEqual(found, null)
  return found?.isStale === true
}

async function staleSince(connection: Connection): Promise<number> {
  const { staleSince: since } = await familyRow(portal, connection)
  assert.notEqual(since, null)
  return epochSeconds(since as Date)
}

for (const [way, refreshThis] of Object.entries(REFRESHES)) {
  test(`a token before a change of roles is stale and one after it is not, in the same second (${way})`, async () => {
    const person = await addPerson(['editor'])
    const notes = await connect(portal, person, 'notes')
    const before = await refreshThis(portal, notes)
    const old = await told(before)
    assert.deepEqual(old.roles, ['editor'])
    assert.equal(await isStale(old.token), false)

    await changeRoles(portal, person, ['auditor'])
    assert.equal(await isStale(old.token), true)
    assert.equal(await staleSince(notes), epochSeconds(portal.clock()))
    assert.equal(before.kind, 'rotated')
    const after = await refreshThis(portal, { ...notes, refreshToken: before.refreshToken })
    const fresh = await told(after)
    assert.deepEqual(fresh.roles, ['auditor'])
    assert.equal(await isStale(fresh.token), false)

    // And once more, before that second is over.
    await changeRoles(portal, person, [])
    assert.equal(await isStale(fresh.token), true)
    assert.equal(after.kind, 'rotated')
    const last = await told(await refreshThis(portal, { ...notes, refreshToken: after.refreshToken }))
    assert.deepEqual(last.roles, [])
    assert.equal(await isStale(last.token), false)
  })
}

test('a refresh that is answered once more after a change has the new roles', async () => {
  const person = await addPerson(['editor'])
  const notes = await connect(portal, person, 'notes')
  await told(await refresh(portal, notes))
  await changeRoles(portal, person, ['auditor'])
  const again = await told(await refresh(portal, notes))
  assert.deepEqual(again.roles, ['auditor'])
  assert.equal(await isStale(again.token), false)
})

test('a refresh that meets a change under way does not make a token with old roles look new', async () => {
  for (const repeats of [false, true]) {
    const person = await addPerson(['editor'])
    const notes = await connect(portal, person, 'notes')
    if (repeats) await refresh(portal, notes)
    let refreshing: Promise<Rotation> | undefined
    await transaction(portal.storage.pool, async (db) => {
      // As changeRoles does it, with a refresh in the middle.
      await lockIdentity(db, person)
      await db.query('SELECT FROM families WHERE identity_id = $1 FOR NO KEY UPDATE', [person])
      await db.query('UPDATE identities SET roles = $2, claims_version = 1 WHERE id = $1', [person, ['auditor']])
      await db.query('UPDATE families SET claims_version = 1, stale_since = $2 WHERE identity_id = $1', [
        person,
        portal.clock(),
      ])
      refreshing = refresh(portal, notes)
      await Promise.race([refreshing, sleep(150)])
    })
    const { token, roles } = await told((await refreshing) as Rotation)
    // A repeated answer does not wait for the change; its token is stale as soon as the change is there.
    assert.deepEqual(roles, repeats ? ['editor'] : ['auditor'])
    assert.equal(await isStale(token), repeats)
  }
})

test('a refresh that meets a change of the profile or of the roles in its app has all of it', async () => {
  const person = await addPerson([])
  const rich = await connect(portal, person, 'rich')
  let refreshing: Promise<Rotation> | undefined
  await transaction(portal.storage.pool, async (db) => {
    // As changeProfile and changeAppRoles do it, with a refresh in the middle.
    await lockIdentity(db, person)
    await db.query(`UPDATE identities SET nickname = 'Countess', app_roles = '{"rich":["author"]}' WHERE id = $1`, [
      person,
    ])
    await announceClaims(portal, db, person, { claims: ['nickname'], rolesIn: 'rich' })
    refreshing = refresh(portal, rich)
    await Promise.race([refreshing, sleep(150)])
  })
  const { token, roles } = await told((await refreshing) as Rotation)
  assert.deepEqual([roles, claimsOf(token)['nickname']], [['author'], 'Countess'])
  assert.equal(await isStale(token), false)
})

test('after many changes in a second the times in a token are true, and only the last one is not stale', async () => {
  const person = await addPerson([])
  const notes = await connect(portal, person, 'notes')
  let { refreshToken } = notes
  const tokens: Told[] = []
  for (let change = 1; change <= 30; change++) {
    await changeRoles(portal, person, [`role-${change}`])
    const rotation = await refresh(portal, { ...notes, refreshToken })
    tokens.push(await told(rotation))
    refreshToken = successorIn(rotation)
  }
  assert.deepEqual(
    tokens.map(({ version }) => version),
    tokens.map((_, index) => index + 1),
  )
  const stale = await Promise.all(tokens.map(async ({ token }) => isStale(token)))
  assert.equal(stale.lastIndexOf(true), tokens.length - 2)
  assert.equal(stale.indexOf(false), tokens.length - 1)
})

test('a family that opens after a change begins with its version', async () => {
  const person = await addPerson([])
  await changeRoles(portal, person, ['editor'])
  const notes = await connect(portal, person, 'notes')
  const { token, version } = await told(await refresh(portal, notes))
  assert.equal(version, 1)
  assert.equal(await isStale(token), false)
})

test('a token from before there were versions is judged by its time', async () => {
  const person = await addPerson(['editor'])
  const notes = await connect(portal, person, 'notes')
  const { token } = await told(await refresh(portal, notes))
  const { claims_version: _version, ...claims } = claimsOf(token) as unknown as ApplicationTokenClaims
  const old = signApplicationToken(portal, claims as ApplicationTokenClaims)
  assert.equal(await isStale(old), false)
  await changeRoles(portal, person, [])
  assert.equal(await isStale(old), true)
  const later = signApplicationToken(portal, { ...claims, iat: claims.iat + 1 } as ApplicationTokenClaims)
  assert.equal(await isStale(later), false)
})

test('a refresh that comes just before a change is stale after it, however late its token is signed', async () => {
  const person = await addPerson(['editor'])
  const notes = await connect(portal, person, 'notes')
  const rotation = await refresh(portal, notes)
  await changeRoles(portal, person, [])
  portal.clock.advance(2)
  const late = await told(rotation)
  assert.deepEqual(late.roles, ['editor'])
  assert.equal(await isStale(late.token), true)
})

test('a change waits for a refresh that is under way', async () => {
  const person = await addPerson(['editor'])
  const notes = await connect(portal, person, 'notes')
  let changing: Promise<void> | undefined
  let when = 0
  await transaction(portal.storage.pool, async (db) => {
    await db.query('UPDATE families SET generation = generation WHERE id = $1', [notes.familyId])
    changing = changeRoles(portal, person, [])
    await Promise.race([changing, sleep(150)])
    portal.clock.advance(5)
    when = epochSeconds(portal.clock())
  })
  await changing
  assert.equal(await staleSince(notes), when)
})

test('a family that opens while roles change is stale from the start, because its first token has the old ones', async () => {
  const person = await addPerson(['editor'])
  const identitySessionId = (await openIdentitySession(
    portal,
    { identityId: person, amr: ['pwd'] },
    home,
    null,
  )) as string
  const id = randomUUID()
  const later = new Date(portal.clock().getTime() + 60_000)
  const family: NewFamily = {
    id,
    clientId: 'notes',
    identityId: person,
    identitySessionId,
    currentHash: Buffer.alloc(32),
    scope: 'openid',
    claims: null,
    sid: null,
    acr: null,
    amr: [],
    authTime: 0,
    jkt: null,
    x5t: null,
    resources: null,
    lifetime: 'browser',
    idleExpiresAt: later,
    expiresAt: later,
    claimsVersion: 0,
    openedSilently: false,
    defaultTokenSeconds: portal.lifetimes.applicationToken,
  }
  let opening: Promise<OpenedFamily | null> | undefined
  await transaction(portal.storage.pool, async (db) => {
    await lockIdentity(db, person)
    opening = insertFamily(portal.storage.pool, family, portal.clock())
    await Promise.race([opening, sleep(150)])
    await updateAssignedRoles(db, person, [])
    await settleIdentities(db, [person], portal.clock())
  })
  assert.deepEqual((await opening)?.replaced, [])
  const { staleSince: since, oldestValidVersion } = await familyRow(portal, { familyId: id })
  assert.deepEqual([since, oldestValidVersion], [portal.clock(), 1])
})

test('roles, families, the audit event and the notifications to the apps change together, and the same roles change nothing', async () => {
  const person = await addPerson(['editor'])
  const [silent, listening] = [await connect(portal, person, 'notes'), await connect(portal, person, 'events')]
  await changeRoles(portal, person, ['editor'])
  assert.equal((await familyRow(portal, silent)).staleSince, null)

  await changeRoles(portal, person, ['editor', 'admin'])
  assert.deepEqual((await findIdentity(portal.storage, person))?.roles, ['editor', 'admin'])
  for (const connection of [silent, listening]) await staleSince(connection)
  const audit = await portal.storage.pool.query(
    `SELECT detail FROM audit_events WHERE identity_id = $1 AND kind = 'roles_changed'`,
    [person],
  )
  assert.deepEqual(audit.rows, [{ detail: 'editor, admin' }])
  const notifications = await portal.storage.pool.query(
    'SELECT kind, client_id, family_id, cause FROM notices WHERE identity_id = $1',
    [person],
  )
  assert.deepEqual(notifications.rows, [
    { kind: 'token-claims-change', client_id: 'events', family_id: listening.familyId, cause: null },
  ])
})

test('a change of roles that fails leaves everything as it was', async () => {
  const person = await addPerson(['editor'])
  const notes = await connect(portal, person, 'events')
  const { jobs } = portal.storage
  const broken = {
    ...portal,
    storage: { ...portal.storage, jobs: { ...jobs, putAll: () => Promise.reject(new Error('full')) } },
  }
  await assert.rejects(changeRoles(broken, person, []), /full/)
  assert.deepEqual((await findIdentity(portal.storage, person))?.roles, ['editor'])
  assert.equal((await familyRow(portal, notes)).staleSince, null)
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { findPersonOf } from '../../storage/application-tokens.ts'
import { updateApp } from '../../storage/apps.ts'
import { listActivityEntries } from '../activity.ts'
import { notesApp, robotService } from '../../testing/portal/apps.ts'
import { connect, familyRow, refresh, refusalIn, successorIn, tryToConnect } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { Random } from '../../testing/portal/random.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { endCauseOf } from '../families/family-ends.ts'
import { momentOf } from '../families/families.ts'
import { listLauncher } from '../families/launcher.ts'
import { mayEnter } from '../identities/entitlements.ts'
import { addMembers, createGroup, deleteGroup, removeMembers } from '../identities/groups.ts'
import { changeRoles, findIdentity } from '../identities/identities.ts'
import { endWithdrawnFamilies } from './app-access.ts'
import { AppRefused } from './app-refused.ts'
import { addAppRole, changeAppRoles, removeAppRoleFromAll } from './app-roles.ts'
import { type AppRow, type AppSettings, changeApp, createApp, findApp } from './apps.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

async function addPerson(roles: string[] = []): Promise<string> {
  const username = `person-${randomUUID()}`
  return addIdentity(
    portal,
    { username, email: `${username}@example.test`, password: 'who may enter an app' },
    { roles },
  )
}

async function addApp(settings: Partial<AppSettings> = {}): Promise<string> {
  const clientId = `app-${randomUUID()}`
  await createApp(portal, clientId, { ...notesApp, homeUri: 'https://notes.example.test/', ...settings })
  await addAppRole(portal, clientId, 'clerk')
  return clientId
}

async function change(clientId: string, settings: Partial<AppSettings>): Promise<AppRow> {
  return changeApp(portal, (await findApp(portal, clientId)) as AppRow, settings)
}

test('SQL, the rule outside of it and the cause of an ending agree on who may enter, whatever decides it', async () => {
  const random = new Random(17)
  const groups = await Promise.all(['Sales', 'Field', 'Board'].map(async (name) => createGroup(portal, { name })))
  const ids = groups.map(({ id }) => id)
  const roles = ['sales', 'board', 'toString', '__proto__']
  const clientId = await addApp()
  const person = await addPerson()
  const family = await connect(portal, person, clientId)
  const seen = new Set<boolean>()
  for (let round = 0; round < 40; round++) {
    const access = random.is(0.8) ? 'assigned' : 'everyone'
    const allowed = { allowedRoles: random.some(roles, 0.3), allowedGroups: random.some(ids, 0.3) }
    await updateApp(portal.storage.pool, clientId, { access, ...allowed }, portal.clock())
    const appRoles = Object.fromEntries(
      random.some([clientId, 'another', 'toString'], 0.2).map((id) => [id, ['clerk']]),
    )
    await portal.storage.pool.query('UPDATE identities SET roles = $2, group_ids = $3, app_roles = $4 WHERE id = $1', [
      person,
      random.some(roles, 0.3),
      random.some(ids, 0.3),
      appRoles,
    ])
    const [app, identity] = [await findApp(portal, clientId), await findIdentity(portal, person)]
    assert.ok(app && identity)
    const may = mayEnter(app, identity)
    seen.add(may)
    const what = JSON.stringify({ access, ...allowed, identity })
    assert.equal((await familyRow(portal, family)).accessWithdrawn, !may, what)
    assert.equal(endCauseOf(await familyRow(portal, family), portal.clock()), may ? null : 'access_withdrawn', what)
    const found = await findPersonOf(portal.storage.pool, family.familyId, momentOf(portal))
    assert.equal(found !== null, may, what)
    const { connection, opened } = await tryToConnect(portal, person, clientId)
    assert.equal(opened, may, what)
    if (opened) assert.equal((await refresh(portal, connection)).kind, 'rotated')
    const listed = await listLauncher(portal, person)
    assert.equal(listed.find((each) => each.clientId === clientId)?.homeUri !== null, may, what)
  }
  assert.deepEqual(seen, new Set([true, false]))
})

/** Each way to give access to one person, which is then taken away by the function that it returns. */
const WAYS: Record<string, (clientId: string, person: string) => Promise<() => Promise<unknown>>> = {
  'a role': async (clientId, person) => {
    await change(clientId, { access: 'assigned', allowedRoles: ['sales'] })
    await changeRoles(portal, person, ['sales'])
    return () => changeRoles(portal, person, [])
  },
  'the role of a group': async (clientId, person) => {
    const { id } = await createGroup(portal, { name: randomUUID().slice(1), roles: ['sales'] })
    await change(clientId, { access: 'assigned', allowedRoles: ['sales'] })
    await addMembers(portal, id, [person])
    return () => removeMembers(portal, id, [person])
  },
  'a group': async (clientId, person) => {
    const { id } = await createGroup(portal, { name: randomUUID().slice(1) })
    await change(clientId, { access: 'assigned', allowedGroups: [id] })
    await addMembers(portal, id, [person])
    return () => removeMembers(portal, id, [person])
  },
  'a group that is deleted': async (clientId, person) => {
    const { id } = await createGroup(portal, { name: randomUUID().slice(1) })
    await change(clientId, { access: 'assigned', allowedGroups: [id] })
    await addMembers(portal, id, [person])
    return async () => {
      await deleteGroup(portal, id)
      assert.deepEqual((await findApp(portal, clientId))?.allowedGroups, [])
      await endWithdrawnFamilies(portal)
      assert.equal((await findApp(portal, clientId))?.accessChangedAt, null)
    }
  },
  'a role in the app': async (clientId, person) => {
    await change(clientId, { access: 'assigned' })
    await changeAppRoles(portal, person, clientId, ['clerk'])
    return () => changeAppRoles(portal, person, clientId, [])
  },
  'a role in the app that is removed': async (clientId, person) => {
    await change(clientId, { access: 'assigned' })
    await changeAppRoles(portal, person, clientId, ['clerk'])
    return () => removeAppRoleFromAll(portal, clientId, 'clerk')
  },
  'the list of the app': async (clientId, person) => {
    await change(clientId, { access: 'assigned', allowedRoles: ['sales', 'board'] })
    await changeRoles(portal, person, ['sales'])
    return () => change(clientId, { allowedRoles: ['board'] })
  },
  everyone: async (clientId) => () => change(clientId, { access: 'assigned' }),
}

for (const [way, give] of Object.entries(WAYS)) {
  test(`what a user has of an app ends when access by ${way} is taken away, and nothing else does`, async () => {
    const clientId = await addApp()
    const [person, other] = [await addPerson(), await addPerson(['board'])]
    await changeAppRoles(portal, other, clientId, ['clerk'])
    const take = await give(clientId, person)
    if (way === 'a role in the app that is removed') {
      await addAppRole(portal, clientId, 'chief')
      await changeAppRoles(portal, other, clientId, ['clerk', 'chief'])
    }
    const [gone, elsewhere, kept] = [
      await connect(portal, person, clientId),
      await connect(portal, person, await addApp()),
      await connect(portal, other, clientId),
    ]
    const refreshToken = successorIn(await refresh(portal, gone))
    portal.clock.advance(5)

    await take()

    const { endedAt, endCause, endAddress } = await familyRow(portal, gone)
    assert.deepEqual([endedAt, endCause, endAddress], [portal.clock(), 'access_withdrawn', null])
    assert.deepEqual(refusalIn(await refresh(portal, { ...gone, refreshToken })), {
      reason: 'access_withdrawn',
      ended: false,
    })
    assert.equal((await tryToConnect(portal, person, clientId)).opened, false)
    for (const each of [elsewhere, kept]) assert.equal((await refresh(portal, each)).kind, 'rotated')
    const [entry] = await listActivityEntries(portal, person, 5, null).then((all) =>
      all.filter(({ familyId }) => familyId === gone.familyId),
    )
    assert.ok(entry)
    assert.match(englishTexts().say(entry.sentence), /an administrator withdrew your access to the app/)
  })
}

test('families that an interrupted change has left are refused at once, and end later', async () => {
  const clientId = await addApp()
  const family = await connect(portal, await addPerson(), clientId)
  const changed = { access: 'assigned', accessChangedAt: portal.clock() }
  await updateApp(portal.storage.pool, clientId, changed, portal.clock())
  assert.deepEqual(refusalIn(await refresh(portal, family)), { reason: 'access_withdrawn', ended: false })
  assert.equal((await familyRow(portal, family)).endedAt, null)

  const stopped = new AbortController()
  stopped.abort()
  await endWithdrawnFamilies(portal, stopped.signal)
  assert.equal((await familyRow(portal, family)).endedAt, null)
  await endWithdrawnFamilies(portal)
  assert.equal((await familyRow(portal, family)).endCause, 'access_withdrawn')
  assert.equal((await findApp(portal, clientId))?.accessChangedAt, null)
})

test('access that is given back before its families have ended keeps them', async () => {
  const clientId = await addApp({ access: 'assigned', allowedRoles: ['sales'] })
  const person = await addPerson(['sales'])
  const family = await connect(portal, person, clientId)
  await updateApp(portal.storage.pool, clientId, { allowedRoles: [], accessChangedAt: portal.clock() }, portal.clock())
  await change(clientId, { access: 'everyone' })
  assert.equal((await refresh(portal, family)).kind, 'rotated')
})

test('an app lets in only groups that there are, and a service lets in no one', async () => {
  const { id } = await createGroup(portal, { name: 'Deleted soon' })
  const clientId = await addApp({ allowedGroups: [id] })
  await deleteGroup(portal, id)
  for (const settings of [
    { allowedGroups: [id] },
    { allowedGroups: [randomUUID()] },
    { access: 'nobody' },
    { allowedRoles: ['two words'] },
    { allowedRoles: [''] },
    { allowedRoles: Array.from({ length: 101 }, (_, index) => `r${index}`) },
  ])
    await assert.rejects(change(clientId, settings), AppRefused)
  await assert.rejects(createApp(portal, 'robot', { ...robotService, access: 'assigned' }), AppRefused)
  await assert.rejects(createApp(portal, 'robot', { ...robotService, allowedRoles: ['sales'] }), AppRefused)
})

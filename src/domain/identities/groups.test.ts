import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, familyRow, refresh, successorIn } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { deleteAccount } from '../accounts/deletions.ts'
import { createApp } from '../apps/apps.ts'
import { Refused } from '../refused.ts'
import {
  addMembers,
  changeGroup,
  countMembersOf,
  createGroup,
  deleteGroup,
  findGroup,
  listGroups,
  listMembers,
  removeMembers,
  settleGroups,
} from './groups.ts'
import { changeRoles, disableIdentity, enableIdentity, findIdentity } from './identities.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'events', { ...notesApp, eventReceiverUri: 'https://events.example.test/' })
})
after(() => portal.close())

test('members have the roles of their groups and their own, and lose only those of the group', async () => {
  const person = await addPerson({ roles: ['editor'] })
  const staff = await createGroup(portal, { name: 'Staff', roles: ['reader', 'editor'] })
  assert.equal(await addMembers(portal, staff.id, [person]), 1)
  assert.equal(await addMembers(portal, staff.id, [person]), 0)
  assert.deepEqual(await rolesAndGroups(person), [['editor', 'reader'], ['Staff']])

  await changeGroup(portal, staff.id, { name: 'Employees', roles: ['reader', 'writer'] })
  assert.deepEqual(await rolesAndGroups(person), [['editor', 'reader', 'writer'], ['Employees']])
  await changeRoles(portal, person, ['author'])
  assert.deepEqual(await rolesAndGroups(person), [['author', 'reader', 'writer'], ['Employees']])
  assert.equal(await removeMembers(portal, staff.id, [person]), 1)
  assert.deepEqual(await rolesAndGroups(person), [['author'], []])
})

test('the roles of a group reach tokens with the next refresh, and older tokens are stale', async () => {
  const person = await addPerson({ roles: [] })
  const connection = await connect(portal, person, 'events')
  const crew = await createGroup(portal, { name: 'Crew', roles: ['sailor'] })
  portal.clock.advance(5)
  await addMembers(portal, crew.id, [person])
  assert.deepEqual((await familyRow(portal, connection)).staleSince, portal.clock())
  const rotation = await refresh(portal, connection)
  assert.ok(successorIn(rotation))
  assert.deepEqual(rotation.kind === 'rotated' && rotation.family.roles, ['sailor'])
})

test('a deleted group is gone at once, and its name is free', async () => {
  const person = await addPerson({ roles: [] })
  const { id } = await createGroup(portal, { name: 'Guests', roles: ['guest'] })
  await addMembers(portal, id, [person])
  await deleteGroup(portal, id)
  assert.equal(await findGroup(portal, id), null)
  assert.deepEqual(await rolesAndGroups(person), [[], []])
  assert.notEqual((await createGroup(portal, { name: 'guests' })).id, id)
})

test('members whose group was changed by a process that ended are brought up to date later', async () => {
  const person = await addPerson({ roles: [] })
  const { id } = await createGroup(portal, { name: 'Interrupted', roles: ['before'] })
  await addMembers(portal, id, [person])
  await portal.storage.pool.query(`UPDATE groups SET roles = '{after}' WHERE id = $1`, [id])
  await portal.storage.pool.query('UPDATE group_members SET is_outdated = true WHERE group_id = $1', [id])
  assert.equal(await settleGroups(portal), 1)
  assert.deepEqual(await rolesAndGroups(person), [['after'], ['Interrupted']])
  assert.equal(await settleGroups(portal), 0)
})

test('groups are found by id, and by name whatever its capitals and width, and listed by prefix', async () => {
  const { id } = await createGroup(portal, { name: 'Ärzte 100%', description: 'Hospital' })
  assert.equal((await findGroup(portal, 'ＡＲＺＴＥ 100%'))?.id, undefined)
  assert.equal((await findGroup(portal, 'äRZTE 100%'))?.id, id)
  assert.equal((await findGroup(portal, id))?.name, 'Ärzte 100%')
  assert.deepEqual(
    (await listGroups(portal, { prefix: 'ÄR', limit: 10 })).map(({ name }) => name),
    ['Ärzte 100%'],
  )
  assert.deepEqual(await listGroups(portal, { prefix: '%', limit: 10 }), [])
  const names = (await listGroups(portal, { limit: 100 })).map(({ nameKey }) => nameKey)
  assert.ok(names.length > 3)
  const [first, ...others] = names
  assert.deepEqual(
    (await listGroups(portal, { after: first, limit: 100 })).map(({ nameKey }) => nameKey),
    others,
  )
})

test('members are listed by id, page by page', async () => {
  const { id } = await createGroup(portal, { name: 'Choir' })
  const people = await Promise.all([1, 2, 3].map(async () => addPerson({ roles: [] })))
  await addMembers(portal, id, people)
  assert.equal(await countMembersOf(portal, id), 3)
  const [first] = await listMembers(portal, id, { limit: 1 })
  const rest = await listMembers(portal, id, { after: first?.identityId, limit: 5 })
  assert.deepEqual(
    [first, ...rest].map((each) => each?.identityId),
    people.toSorted(),
  )
})

for (const [what, settings] of Object.entries({
  'no name': { name: ' ' },
  'a name of 101 characters': { name: 'x'.repeat(101) },
  'a UUID as its name': { name: '8b0c2a34-1f5e-4a43-9a01-0d2f5f2f7d11' },
  'a line break in its name': { name: 'two\nlines' },
  'a name that turns the text around': { name: 'safe\u202egnp' },
  'a role with a space': { name: 'Bad role', roles: ['two words'] },
  'a description of 501 characters': { name: 'Long', description: 'x'.repeat(501) },
})) {
  test(`a group with ${what} is refused`, async () => {
    await assert.rejects(createGroup(portal, settings), Refused)
  })
}

test('a taken name, an unknown group and an unknown identity are refused, and nothing changes', async () => {
  const { id } = await createGroup(portal, { name: 'Only one' })
  await assert.rejects(createGroup(portal, { name: 'ONLY ONE' }), { code: 'conflict' })
  const nowhere = '00000000-0000-4000-8000-000000000000'
  await assert.rejects(changeGroup(portal, nowhere, { name: 'x' }), { code: 'not_found' })
  await assert.rejects(deleteGroup(portal, nowhere), { code: 'not_found' })
  const person = await addPerson({ roles: [] })
  await assert.rejects(addMembers(portal, id, [person, nowhere]), { code: 'not_found' })
  assert.equal(await countMembersOf(portal, id), 0)
})

test('the last administrator stays, whichever way and however many race', async () => {
  const { id } = await createGroup(portal, { name: 'Administrators', roles: ['admin'] })
  const administrators = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => addPerson({ roles: index % 2 === 0 ? ['admin'] : [] })),
  )
  await addMembers(
    portal,
    id,
    administrators.filter((_, index) => index % 2 === 1),
  )
  const ways = [
    async (person: string) => changeRoles(portal, person, []),
    async (person: string) => removeMembers(portal, id, [person]),
    async (person: string) => disableIdentity(portal, person),
    async (person: string) => disableIdentity(portal, person),
    async (person: string) => deleteAccount(portal, person, null),
    async (person: string) => deleteAccount(portal, person, null),
  ]
  const outcomes = await Promise.allSettled(
    administrators.map(async (person, index) => (ways[index] as (typeof ways)[number])(person)),
  )
  const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  assert.deepEqual(
    refused.map(({ reason }) => (reason as Refused).code),
    ['last_administrator'],
  )
  const left = administrators[outcomes.findIndex(({ status }) => status === 'rejected')] as string
  assert.ok((await findIdentity(portal, left))?.roles.includes('admin'))
  await assert.rejects(disableIdentity(portal, left), { code: 'last_administrator' })
  assert.equal((await findIdentity(portal, left))?.disabledAt, null)
  const other = administrators.find((person) => person !== left) as string
  await enableIdentity(portal, other)
})

let people = 0
async function addPerson({ roles }: { roles: string[] }): Promise<string> {
  const username = `person${(people += 1)}`
  return addIdentity(
    portal,
    { username, email: `${username}@example.test`, password: 'one password of many' },
    { roles },
  )
}

test('a group of the last administrator keeps the role, and the portal an administrator', async () => {
  const alone = await openTestPortal()
  try {
    const { id } = await createGroup(alone, { name: 'Only administrators', roles: ['admin'] })
    const person = await addIdentity(alone, ada, {})
    await addMembers(alone, id, [person])
    await assert.rejects(changeGroup(alone, id, { roles: [] }), { code: 'last_administrator' })
    await assert.rejects(deleteGroup(alone, id), { code: 'last_administrator' })
    assert.deepEqual((await findGroup(alone, id))?.roles, ['admin'])
    assert.equal(await settleGroups(alone), 0)
    await changeRoles(alone, person, ['admin'])
    await deleteGroup(alone, id)
    assert.deepEqual((await findIdentity(alone, person))?.roles, ['admin'])
  } finally {
    await alone.close()
  }
})

async function rolesAndGroups(id: string): Promise<[string[], string[]]> {
  const identity = await findIdentity(portal, id)
  assert.ok(identity)
  return [identity.roles, identity.groups]
}

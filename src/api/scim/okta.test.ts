import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findIdentity } from '../../domain/identities/identities.ts'
import { openScimClient, type ScimClient } from '../../testing/portal/scim-client.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { GROUP_SCHEMA, USER_SCHEMA } from './schemas.ts'

// The requests that Okta sends: users are matched by userName, read and replaced as a whole, disabled by PATCH without a path, and
// never deleted; groups are pushed.

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const JSON_TYPE = { 'Content-Type': 'application/scim+json; charset=utf-8', Accept: 'application/scim+json' }
let server: TestServer
let okta: ScimClient
let isaac: Record<string, unknown>
let userId: string

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  okta = await openScimClient(server, 'okta')
})
after(() => server.close())

const patch = async (path: string, ...operations: object[]) =>
  okta.send('PATCH', path, { schemas: [PATCH], Operations: operations }, JSON_TYPE)

test('a user who is not found is created, with a password that the portal leaves alone', async () => {
  const filter = encodeURIComponent('userName eq "isaac.brock@example.com"')
  const none = await okta.send('GET', `/Users?filter=${filter}&startIndex=1&count=100`, undefined, JSON_TYPE)
  assert.deepEqual([none.status, none.body.totalResults], [200, 0])
  const { status, body } = await okta.send(
    'POST',
    '/Users',
    {
      schemas: [USER_SCHEMA],
      userName: 'isaac.brock@example.com',
      name: { givenName: 'Isaac', middleName: '', familyName: 'Brock' },
      emails: [{ primary: true, value: 'isaac.brock@example.com', type: 'work' }],
      displayName: 'Isaac Brock',
      locale: 'en-US',
      externalId: '00ujl29u0le5T6Aj10h7',
      groups: [],
      password: '1mz050nq',
      active: true,
    },
    JSON_TYPE,
  )
  assert.equal(status, 201)
  assert.equal('password' in body, false)
  isaac = body
  userId = body.id
  assert.equal((await findIdentity(server.services, userId))?.username, 'isaac.brock')
})

test('the users are imported page by page', async () => {
  const names = ['b', 'c', 'd', 'e'].map((letter) => `isaac.${letter}@example.com`)
  for (const userName of names) assert.equal((await okta.send('POST', '/Users', { userName })).status, 201)
  const read: string[] = []
  for (let startIndex = 1, total = 1; startIndex <= total; startIndex += 2) {
    const { body } = await okta.send('GET', `/Users?startIndex=${startIndex}&count=2`)
    assert.deepEqual([body.startIndex, body.itemsPerPage], [startIndex, body.Resources.length])
    total = body.totalResults
    read.push(...body.Resources.map((each: { userName: string }) => each.userName))
  }
  assert.deepEqual(read.toSorted(), ['isaac.brock@example.com', ...names].toSorted())
})

test('a user is read, and replaced as a whole', async () => {
  const { body } = await okta.send('GET', `/Users/${userId}`)
  assert.deepEqual({ ...body }, isaac)
  const { middleName: _, ...name } = body.name
  const sent = { ...body, name: { ...name, givenName: 'Anthony' }, displayName: 'Anthony Brock', nickName: 'Tony' }
  const replaced = await okta.send('PUT', `/Users/${userId}`, sent, JSON_TYPE)
  assert.equal(replaced.status, 200)
  const { meta: __, ...rest } = replaced.body
  const { meta: ___, ...expected } = sent as Record<string, unknown>
  assert.deepEqual(rest, expected)
  assert.notEqual(replaced.body.meta.version, body.meta.version)
  const repeated = await okta.send('PUT', `/Users/${userId}`, sent, JSON_TYPE)
  assert.equal(repeated.body.meta.version, replaced.body.meta.version)
  isaac = replaced.body
})

test('a user is disabled and enabled without a path', async () => {
  const off = await patch(`/Users/${userId}`, { op: 'replace', value: { active: false } })
  assert.deepEqual([off.status, off.body.active], [200, false])
  const listed = await okta.send('GET', `/Users?filter=${encodeURIComponent('active eq false')}`)
  assert.deepEqual(
    listed.body.Resources.map(({ id }: { id: string }) => id),
    [userId],
  )
  const on = await patch(`/Users/${userId}`, { op: 'replace', value: { active: true } })
  assert.equal(on.body.meta.version, isaac['meta'] && (isaac['meta'] as { version: string }).version)
})

test('a group is pushed, renamed, filled and emptied', async () => {
  const created = await okta.send(
    'POST',
    '/Groups',
    {
      schemas: [GROUP_SCHEMA],
      displayName: 'Test SCIMv2',
      members: [{ value: userId, display: 'isaac.brock@example.com' }],
    },
    JSON_TYPE,
  )
  assert.equal(created.status, 201)
  const { id, members } = created.body
  assert.deepEqual(members, [{ value: userId, $ref: `${server.url}/scim/v2/Users/${userId}`, type: 'User' }])
  const renamed = await patch(`/Groups/${id}`, { op: 'replace', value: { id, displayName: 'Test SCIMv2 renamed' } })
  assert.equal(renamed.status, 204)
  const removed = await patch(`/Groups/${id}`, { op: 'remove', path: `members[value eq "${userId}"]` })
  assert.equal(removed.status, 204)
  assert.equal('members' in (await okta.send('GET', `/Groups/${id}`)).body, false)
  const twice = await patch(
    `/Groups/${id}`,
    { op: 'remove', path: `members[value eq "${userId}"]` },
    { op: 'add', path: 'members', value: [{ value: userId, display: 'isaac.brock@example.com' }] },
  )
  assert.equal(twice.status, 204)
  const listed = await okta.send('GET', `/Groups?startIndex=1&count=100`)
  assert.deepEqual(
    listed.body.Resources.map((each: { displayName: string; members: { value: string }[] }) => [
      each.displayName,
      each.members.map(({ value }) => value),
    ]),
    [['Test SCIMv2 renamed', [userId]]],
  )
  const replaced = await okta.send('PUT', `/Groups/${id}`, {
    schemas: [GROUP_SCHEMA],
    id,
    displayName: 'Emptied',
    members: [],
  })
  assert.deepEqual([replaced.status, replaced.body.displayName, 'members' in replaced.body], [200, 'Emptied', false])
  const selected = await okta.send('PATCH', `/Groups/${id}?attributes=displayName,members`, {
    Operations: [{ op: 'replace', path: 'members', value: [{ value: userId }] }],
  })
  assert.deepEqual([selected.status, selected.body.members.length, 'meta' in selected.body], [200, 1, false])
  assert.equal((await okta.send('DELETE', `/Groups/${id}`)).status, 204)
})

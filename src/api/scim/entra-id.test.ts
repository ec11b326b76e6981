import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findIdentity } from '../../domain/identities/identities.ts'
import { openScimClient, type ScimClient } from '../../testing/portal/scim-client.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA } from './schemas.ts'

// The requests that the provisioning service of Microsoft Entra ID sends, in its order and its spelling: users are matched by userName,
// disabled with "False" before they are deleted, and groups are read without their members.

const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'
const NOBODY = encodeURIComponent('userName eq "8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"')
let server: TestServer
let entra: ScimClient
let userId: string
let groupId: string

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  entra = await openScimClient(server, 'entra')
})
after(() => server.close())

const patch = async (path: string, ...operations: object[]) =>
  entra.send('PATCH', path, { schemas: [PATCH], Operations: operations })

test('the connection is tested with a user that cannot be', async () => {
  const { status, headers, body } = await entra.send('GET', `/Users?filter=${NOBODY}`)
  assert.deepEqual([status, headers.get('content-type')], [200, 'application/scim+json'])
  assert.deepEqual(body, {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
    totalResults: 0,
    itemsPerPage: 0,
    startIndex: 1,
    Resources: [],
  })
})

test('a user who is not found is created, and found from then on', async () => {
  const filter = encodeURIComponent('userName eq "Ada.Lovelace@corp.example"')
  assert.equal((await entra.send('GET', `/Users?filter=${filter}`)).body.totalResults, 0)
  const sent = {
    schemas: [USER_SCHEMA, ENTERPRISE_SCHEMA],
    externalId: '0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef',
    userName: 'Ada.Lovelace@corp.example',
    active: true,
    addresses: [
      { primary: false, type: 'other', formatted: '12 St James Square' },
      {
        primary: true,
        type: 'work',
        country: 'United Kingdom',
        locality: 'London',
        postalCode: 'SW1Y 4JH',
        streetAddress: '12 St James Square',
      },
    ],
    displayName: 'Ada Lovelace',
    emails: [{ primary: true, type: 'work', value: 'Ada.Lovelace@corp.example' }],
    meta: { resourceType: 'User' },
    name: { familyName: 'Lovelace', givenName: 'Ada', formatted: 'Ada Lovelace' },
    phoneNumbers: [
      { primary: false, type: 'fax', value: '020 7946 0001' },
      { primary: true, type: 'work', value: '+44 20 7946 0000' },
    ],
    preferredLanguage: 'en-GB',
    title: 'Countess',
    [ENTERPRISE_SCHEMA]: { department: 'Engines', employeeNumber: '1815', manager: '7d1f' },
    // A mapping that the portal has no attribute for.
    roles: [],
  }
  const { status, headers, body } = await entra.send('POST', '/Users', sent)
  assert.equal(status, 201)
  userId = body.id
  const location = `${server.url}/scim/v2/Users/${userId}`
  assert.deepEqual([headers.get('location'), body.meta.location], [location, location])
  assert.equal(headers.get('etag'), body.meta.version)
  const { roles: _, meta: __, schemas: ___, [ENTERPRISE_SCHEMA]: enterprise, ...kept } = sent
  const { id: ____, meta: _____, groups, schemas, [ENTERPRISE_SCHEMA]: readEnterprise, ...read } = body
  assert.deepEqual(read, kept)
  assert.deepEqual([groups, schemas], [[], sent.schemas])
  assert.deepEqual(readEnterprise, { ...enterprise, manager: { value: '7d1f' } })

  const found = await entra.send(
    'GET',
    `/Users?filter=${encodeURIComponent('userName eq "ADA.lovelace@CORP.example"')}`,
  )
  assert.deepEqual([found.body.totalResults, found.body.Resources[0]], [1, body])
  const byId = await entra.send('GET', `/Users?filter=${encodeURIComponent(`externalId eq "${sent.externalId}"`)}`)
  assert.deepEqual(byId.body.Resources, [body])
  assert.deepEqual((await entra.send('GET', `/Users/${userId}`)).body, body)

  const identity = await findIdentity(server.services, userId)
  assert.ok(identity)
  assert.deepEqual(
    [identity.username, identity.email, identity.emailVerified, identity.name, identity.givenName, identity.familyName],
    ['Ada.Lovelace', 'Ada.Lovelace@corp.example', true, 'Ada Lovelace', 'Ada', 'Lovelace'],
  )
  assert.deepEqual([identity.phoneNumber, identity.locale], ['+442079460000', 'en'])
  assert.deepEqual(identity.address, {
    street_address: '12 St James Square',
    locality: 'London',
    postal_code: 'SW1Y 4JH',
    country: 'United Kingdom',
  })
  assert.deepEqual(identity.attributes, { title: 'Countess', department: 'Engines', employee_number: '1815' })
})

test('changes come by path, with operations in capitals', async () => {
  const { status, body } = await patch(
    `/Users/${userId}`,
    { op: 'Replace', path: 'emails[type eq "work"].value', value: 'ada@corp.example' },
    { op: 'Replace', path: 'name.familyName', value: 'King' },
    { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+44 7700 900000' },
    { op: 'Add', path: 'nickName', value: 'Countess' },
    { op: 'Add', path: `${ENTERPRISE_SCHEMA}:manager`, value: '9e2a' },
    { op: 'Remove', path: `${ENTERPRISE_SCHEMA}:department` },
    { op: 'Remove', path: 'title' },
  )
  assert.equal(status, 200)
  assert.deepEqual(body.emails, [{ primary: true, type: 'work', value: 'ada@corp.example' }])
  assert.deepEqual(body.phoneNumbers.at(-1), { type: 'mobile', value: '+44 7700 900000' })
  assert.deepEqual(body[ENTERPRISE_SCHEMA], { employeeNumber: '1815', manager: { value: '9e2a' } })
  assert.equal('title' in body, false)
  const identity = await findIdentity(server.services, userId)
  assert.deepEqual(
    [identity?.email, identity?.emailVerified, identity?.familyName, identity?.nickname, identity?.attributes],
    ['ada@corp.example', true, 'King', 'Countess', { employee_number: '1815' }],
  )
})

test('another name in the directory gives the user another user name', async () => {
  const { body } = await patch(`/Users/${userId}`, { op: 'Replace', path: 'userName', value: 'ada.king@corp.example' })
  assert.equal(body.userName, 'ada.king@corp.example')
  assert.equal((await findIdentity(server.services, userId))?.username, 'ada.king')
})

test('a group is created, gets members and loses one, and is read without them', async () => {
  const filter = encodeURIComponent('displayName eq "Engineers"')
  const listed = `/Groups?excludedAttributes=members&filter=${filter}`
  assert.equal((await entra.send('GET', listed)).body.totalResults, 0)
  const created = await entra.send('POST', '/Groups', {
    schemas: [GROUP_SCHEMA, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
    externalId: '8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159',
    displayName: 'Engineers',
    meta: { resourceType: 'Group' },
  })
  assert.equal(created.status, 201)
  groupId = created.body.id
  const { meta, ...rest } = created.body
  assert.deepEqual(rest, {
    schemas: [GROUP_SCHEMA],
    id: groupId,
    externalId: '8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159',
    displayName: 'Engineers',
  })
  assert.equal(meta.resourceType, 'Group')

  const grace = await entra.send('POST', '/Users', { userName: 'grace@corp.example', schemas: [USER_SCHEMA] })
  assert.equal(grace.status, 201)
  const added = await patch(`/Groups/${groupId}`, {
    op: 'Add',
    path: 'members',
    value: [{ $ref: null, value: userId }, { value: grace.body.id }],
  })
  assert.deepEqual([added.status, added.body], [204, null])
  const full = (await entra.send('GET', `/Groups/${groupId}`)).body
  assert.deepEqual(
    full.members.map((each: { value: string }) => each.value).toSorted(),
    [userId, grace.body.id].toSorted(),
  )
  const short = await entra.send('GET', `/Groups/${groupId}?excludedAttributes=members`)
  assert.equal('members' in short.body, false)
  assert.equal(short.headers.get('etag'), full.meta.version)
  assert.deepEqual((await entra.send('GET', `/Users/${userId}`)).body.groups, [
    { value: groupId, $ref: `${server.url}/scim/v2/Groups/${groupId}`, display: 'Engineers', type: 'direct' },
  ])
  const isMember = encodeURIComponent(`id eq "${groupId}" and members eq "${userId}"`)
  assert.equal((await entra.send('GET', `/Groups?filter=${isMember}`)).body.totalResults, 1)

  for (const _ of ['once', 'and again']) {
    const removed = await patch(`/Groups/${groupId}`, { op: 'Remove', path: 'members', value: [{ value: userId }] })
    assert.equal(removed.status, 204)
  }
  assert.equal((await entra.send('GET', `/Groups?filter=${isMember}`)).body.totalResults, 0)
  const renamed = await patch(`/Groups/${groupId}`, { op: 'Replace', path: 'displayName', value: 'Analysts' })
  assert.equal(renamed.status, 204)
  assert.deepEqual((await findIdentity(server.services, grace.body.id))?.groups, ['Analysts'])
  assert.equal((await entra.send('DELETE', `/Groups/${groupId}`)).status, 204)
  assert.equal((await entra.send('GET', `/Groups/${groupId}`)).status, 404)
})

test('a user who is unassigned is disabled, and deleted later', async () => {
  const { status, body } = await patch(`/Users/${userId}`, { op: 'Replace', path: 'active', value: 'False' })
  assert.deepEqual([status, body.active], [200, false])
  assert.ok((await findIdentity(server.services, userId))?.disabledAt)
  const again = await patch(`/Users/${userId}`, { op: 'Replace', path: 'active', value: 'True' })
  assert.deepEqual([again.status, again.body.active], [200, true])
  assert.equal((await entra.send('DELETE', `/Users/${userId}`)).status, 204)
  for (const method of ['GET', 'DELETE']) assert.equal((await entra.send(method, `/Users/${userId}`)).status, 404)
  assert.equal(await findIdentity(server.services, userId), null)
  // The name is free at once.
  assert.equal((await entra.send('POST', '/Users', { userName: 'ada.king@corp.example' })).status, 201)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { adminApiOf } from '../domain/apps/apis.ts'
import { addMembers, createGroup } from '../domain/identities/groups.ts'
import { findIdentity } from '../domain/identities/identities.ts'
import { type AdminClient, openAdminClient } from '../testing/portal/admin-client.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const RESOURCES = ['identities', 'groups', 'invitations', 'apps']
let server: TestServer
let narrow: AdminClient
let wide: AdminClient
let adaId: string
let graceId: string

before(async () => {
  server = await startTestServer()
  adaId = await server.addIdentity(ada, { roles: ['admin'], emailVerified: true })
  graceId = await server.addIdentity(grace, { emailVerified: true })
  narrow = await openAdminClient(
    server,
    'narrow',
    RESOURCES.map((resource) => `admin:${resource}:write`),
  )
  wide = await openAdminClient(server, 'wide', ['admin:write'])
  await server.addApp('notes', notesApp)
  const operators = await createGroup(server.services, { name: 'Operators', roles: ['support'] })
  await addMembers(server.services, operators.id, [])
  await createGroup(server.services, { name: 'Readers', roles: ['reader'] })
  await addMembers(server.services, (await createGroup(server.services, { name: 'Staff' })).id, [graceId])
})
after(() => server.close())

const password = 'a long one for a new one'
const importable = { username: 'imported', email: 'imported@example.test' }
const made = { username: 'new', email: 'new@example.test', password }
/** A service with all scopes. */
const robot = () => ({
  client_id: 'robot',
  name: 'Robot',
  type: 'service',
  apis: { [adminApiOf(server.services)]: ['admin:write'] },
})

/** Ways in which a client with the scopes of single resources could get at all the others. */
const ESCALATIONS: [string, string, string, (() => object)?][] = [
  ['gives itself an administrator', 'PUT', '/identities/grace/roles', () => ({ roles: ['admin'] })],
  ['makes an administrator', 'POST', '/identities', () => ({ ...made, roles: ['admin'] })],
  ['makes support of a member', 'POST', '/groups/Operators/members', () => ({ identities: ['grace'] })],
  ['gives a group the role', 'PATCH', '/groups/Staff', () => ({ roles: ['admin'] })],
  ['takes the role from a group', 'PATCH', '/groups/Operators', () => ({ roles: [] })],
  ['deletes a group of operators', 'DELETE', '/groups/Operators'],
  ['invites an administrator', 'POST', '/invitations', () => ({ email: 'x@example.test', roles: ['admin'] })],
  ['invites into a group', 'POST', '/invitations', () => ({ email: 'y@example.test', groups: ['Operators'] })],
  ['takes the address of an administrator', 'PATCH', '/identities/ada', () => ({ email: 'z@example.test' })],
  ['disables an administrator', 'PUT', '/identities/ada/disablement'],
  ['registers a client with all scopes', 'POST', '/apps', robot],
  ['gives itself all scopes', 'PATCH', '/apps/narrow', () => ({ apis: robot().apis })],
  [
    'imports an administrator',
    'POST',
    '/identity-imports',
    () => ({ identities: [{ ...importable, roles: ['admin'] }] }),
  ],
  ['rotates the secret of another client', 'POST', '/apps/wide/secret'],
  ['disables another client', 'POST', '/apps/wide/disable'],
]

for (const [what, method, path, body] of ESCALATIONS) {
  test(`a client with some scopes that ${what} is refused, and nothing changes`, async () => {
    const before = await findIdentity(server.services, graceId)
    const { status, body: answer } = await narrow.send(method, path, method === 'DELETE' ? undefined : (body?.() ?? {}))
    assert.deepEqual([status, answer.code], [403, 'insufficient_scope'], JSON.stringify(answer))
    assert.deepEqual(await findIdentity(server.services, graceId), before)
    assert.equal((await findIdentity(server.services, adaId))?.disabledAt, null)
  })
}

test('it may do the same to everyone and everything else', async () => {
  const set = await narrow.send('PUT', '/identities/grace/roles', { roles: ['editor'] })
  assert.equal(set.status, 200, JSON.stringify(set.body))
  assert.equal((await narrow.send('POST', '/groups/Readers/members', { identities: ['grace'] })).status, 200)
  assert.equal((await narrow.send('POST', '/apps/notes/secret', {})).status, 201)
})

test('a client with admin:write may make an administrator', async () => {
  const { status, body } = await wide.send('PUT', '/identities/grace/roles', { roles: ['admin'] })
  assert.deepEqual([status, body.roles?.includes('admin')], [200, true])
})

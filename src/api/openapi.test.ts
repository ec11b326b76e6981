import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { type AnyOperation, mayPerform, RESOURCES } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { adminApiOf, findApi } from '../domain/apps/apis.ts'
import { type AdminClient, openAdminClient } from '../testing/portal/admin-client.ts'
import { type Described, describedOperations, type OpenApi } from '../testing/portal/openapi.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let ops: AdminClient
let document: OpenApi

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  ops = await openAdminClient(server, 'ops', ['admin:write'])
  document = (await (await fetch(`${server.url}/api/admin/v1/openapi.json`)).json()) as OpenApi
})
after(() => server.close())

test('the document is valid OpenAPI 3.1, and every reference leads somewhere', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(document) as never)
  assert.ok(valid, JSON.stringify(errors, null, 1))
  assert.equal(document.openapi, '3.1.0')
  assert.doesNotThrow(() => validator.resolveRefs())
})

test('it has every operation once, by its name', () => {
  const described = describedOperations(document)
  assert.deepEqual(described.map(({ operationId }) => operationId).toSorted(), Object.keys(OPERATIONS).toSorted())
  for (const [name, asked] of Object.entries(OPERATIONS)) assert.equal(asked.name, name)
})

test('the scopes that it names are those that the API has, and each suffices alone', async () => {
  const api = await findApi(server.services, adminApiOf(server.services))
  const flow = document.components.securitySchemes.clientCredentials.flows.clientCredentials
  assert.deepEqual(Object.keys(flow.scopes).toSorted(), api?.scopes.toSorted())
  for (const { operationId, security } of describedOperations(document)) {
    assert.ok(security.length >= 1)
    for (const { clientCredentials: scopes = [] } of security) {
      assert.ok(scopes.every((scope) => api?.scopes.includes(scope)))
      const asked = (OPERATIONS as Record<string, AnyOperation>)[operationId] as AnyOperation
      assert.ok(mayPerform({ kind: 'scopes', scopes }, asked))
    }
  }
  assert.equal(api?.scopes.length, 2 + 2 * RESOURCES.length)
})

test('a client that is made of the document works', async () => {
  const described = describedOperations(document)
  const call = async (operationId: string, fields: Record<string, unknown> = {}) => {
    const { method, path, parameters } = described.find((each) => each.operationId === operationId) as Described
    const isIn = (place: string) => parameters.filter((each) => each.in === place).map(({ name }) => name)
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(fields[name])))
    const query = new URLSearchParams(
      isIn('query').flatMap((name) => (name in fields ? [[name, String(fields[name])] as [string, string]] : [])),
    )
    const isElsewhere = [...isIn('path'), ...isIn('query')]
    const body = Object.fromEntries(Object.entries(fields).filter(([name]) => !isElsewhere.includes(name)))
    const hasBody = method !== 'get' && method !== 'delete'
    return ops.send(method.toUpperCase(), query.size > 0 ? `${filled}?${query}` : filled, hasBody ? body : undefined)
  }

  const created = await call('createGroup', { name: 'Made / by a client', roles: ['maker'] })
  assert.equal(created.status, 201)
  assert.deepEqual((await call('showGroup', { group: 'Made / by a client' })).body.roles, ['maker'])
  assert.equal((await call('listGroups', { search: 'made', limit: 1 })).body.items.length, 1)
  assert.equal((await call('updateGroup', { group: created.body.id, roles: [] })).status, 200)
  assert.equal((await call('deleteGroup', { group: created.body.id })).status, 204)
})

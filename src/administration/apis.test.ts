import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Refused, type RefusalCode } from '../domain/refused.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { type AnswerOf, type AnyOperation, perform } from './operation.ts'
import { OPERATIONS } from './operations.ts'

const ORDERS = 'https://api.example.test/orders'
const KEY = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

test('an API is registered with its secret once, found by identifier and client id, changed in part and deleted', async () => {
  const created = await run(OPERATIONS.createApi, { identifier: ORDERS, name: 'Orders', scopes: ['read', 'write'] })
  assert.match(created.client_secret ?? '', /^[\w-]{43}$/)
  const { client_secret: _, ...rest } = created
  assert.deepEqual(await run(OPERATIONS.showApi, { api: ORDERS }), { ...rest, apps: [] })
  assert.deepEqual(await run(OPERATIONS.showApi, { api: created.client_id }), { ...rest, apps: [] })
  const changed = await run(OPERATIONS.updateApi, { api: created.client_id, token_ttl: 60 })
  assert.deepEqual(changed, { ...rest, token_ttl: 60, updated_at: changed.updated_at })

  portal.clock.advance(1)
  const rotated = await run(OPERATIONS.rotateApiSecret, { api: ORDERS })
  assert.equal(rotated.client_id, created.client_id)
  assert.notEqual(rotated.client_secret, created.client_secret)
  assert.equal(rotated.previous_secret_until, new Date(portal.clock().getTime() + 86_400_000).toISOString())
  await run(OPERATIONS.endPreviousApiSecret, { api: ORDERS })
  await refused(OPERATIONS.endPreviousApiSecret, { api: ORDERS }, 'conflict')

  await run(OPERATIONS.deleteApi, { api: ORDERS })
  for (const each of [OPERATIONS.showApi, OPERATIONS.updateApi, OPERATIONS.deleteApi, OPERATIONS.rotateApiSecret])
    for (const api of [ORDERS, created.client_id, 'ünknown']) await refused(each, { api }, 'not_found')
})

test('keys replace the secret of an API', async () => {
  const identifier = 'urn:example:keys'
  const made = await run(OPERATIONS.createApi, { identifier, name: 'Keys', scopes: ['read'], jwks: { keys: [KEY] } })
  assert.deepEqual([made.auth_method, made.client_secret, made.has_secret], ['private_key_jwt', null, false])
  const moved = await run(OPERATIONS.updateApi, { api: identifier, jwks_uri: 'https://api.example.test/keys' })
  assert.deepEqual([moved.jwks, moved.jwks_uri], [null, 'https://api.example.test/keys'])
  await refused(OPERATIONS.rotateApiSecret, { api: identifier }, 'invalid')
})

test('APIs are listed by name and found by the beginning of name or identifier', async () => {
  for (const [identifier, name] of [
    ['urn:list:b', 'Same'],
    ['urn:list:a', 'Same'],
    ['urn:other', 'urn:like'],
  ])
    await run(OPERATIONS.createApi, { identifier, name, scopes: ['read'] })
  const first = await run(OPERATIONS.listApis, { search: 'urn:l', limit: 2 })
  assert.deepEqual(
    first.items.map(({ identifier }) => identifier),
    ['urn:list:a', 'urn:list:b'],
  )
  const second = await run(OPERATIONS.listApis, { search: 'urn:l', limit: 2, cursor: first.next_cursor })
  assert.deepEqual([second.items.map(({ identifier }) => identifier), second.next_cursor], [['urn:other'], null])
  assert.deepEqual((await run(OPERATIONS.listApis, { search: 'SAME' })).items.length, 2)
})

test('what an API cannot be is refused in words', async () => {
  const api = { identifier: 'urn:wrong', name: 'Wrong', scopes: ['read'] }
  for (const wrong of [
    { identifier: 'no URI' },
    { identifier: 'urn:x#y' },
    { identifier: 'urn:\0' },
    { identifier: portal.publicUrl },
    { name: ' ' },
    { scopes: [] },
    { scopes: ['openid'] },
    { scopes: ['a b'] },
    { scopes: 'read' },
    { token_ttl: 1 },
    { signing_alg: 'none' },
    { auth_method: 'none' },
    { jwks: { keys: [{ ...KEY, d: 'secret' }] } },
  ])
    await refused(OPERATIONS.createApi, { ...api, ...wrong }, 'invalid')
  await run(OPERATIONS.createApi, api)
  await refused(OPERATIONS.createApi, api, 'conflict')
})

async function run<O extends AnyOperation>(asked: O, input: Record<string, unknown>): Promise<AnswerOf<O>> {
  const answer = await perform(portal, { kind: 'role', roles: ['admin'] }, asked, input)
  if (asked.output !== null) asked.output.parse(answer)
  return answer
}

async function refused(asked: AnyOperation, input: Record<string, unknown>, code: RefusalCode): Promise<void> {
  await assert.rejects(run(asked, input), (error: unknown) => {
    assert.ok(error instanceof Refused, `${JSON.stringify(input)}: ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return error.message !== ''
  })
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findApp, secretMatches } from '../domain/apps/apps.ts'
import { createGroup } from '../domain/identities/groups.ts'
import { Refused, type RefusalCode } from '../domain/refused.ts'
import { connect } from '../testing/portal/connections.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { publishedKeys } from '../testing/portal/published-keys.ts'
import { startReceiver } from '../testing/network/receiver.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { type AnswerOf, type AnyOperation, Forbidden, InvalidInput, perform } from './operation.ts'
import { OPERATIONS } from './operations.ts'

const CALLBACK = 'https://app.example.test/callback'
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
const OPERATOR = { name: 'ada', id: '6b1f7f1c-0000-4000-8000-000000000001', address: '203.0.113.9' }

let portal: TestPortal

before(async () => {
  portal = await openTestPortal('postgres', { ALLOWED_NETWORKS: '127.0.0.0/8' })
})
after(() => portal.close())

test('an app is registered with its secret once, shown in full, changed in part, and all of it is written down', async () => {
  const created = await run(OPERATIONS.createApp, {
    client_id: 'crm',
    type: 'confidential',
    name: 'Customers',
    redirect_uris: [CALLBACK],
  })
  assert.match(created.client_secret ?? '', /^[\w-]{43}$/)
  const { client_secret: _, token_key: tokenKey, ...rest } = created
  const shown = await run(OPERATIONS.showApp, { client_id: 'crm' })
  assert.deepEqual(shown, { ...rest, families: 0, users: 0 })
  assert.equal(JSON.stringify(shown).includes(created.client_secret as string), false)
  assert.deepEqual(
    [shown.type, shown.state, shown.access, shown.has_secret],
    ['confidential', 'enabled', 'everyone', true],
  )

  const changed = await run(OPERATIONS.updateApp, { client_id: 'crm', home_uri: 'https://crm.example.test/' })
  assert.deepEqual(changed, {
    ...rest,
    token_key: tokenKey,
    home_uri: 'https://crm.example.test/',
    updated_at: changed.updated_at,
  })
  assert.deepEqual(await auditOf('crm'), [
    ['app_created', null, OPERATOR.name, OPERATOR.id, OPERATOR.address],
    ['app_changed', 'homeUri', OPERATOR.name, OPERATOR.id, OPERATOR.address],
  ])
})

test('each type of app has what it needs, and nothing that it cannot have', async () => {
  for (const [type, more] of Object.entries({
    confidential: { redirect_uris: [CALLBACK] },
    public: { redirect_uris: [CALLBACK] },
    native: { redirect_uris: ['com.example.app:/callback'] },
    device: {},
    service: {},
  })) {
    const made = await run(OPERATIONS.createApp, { client_id: `type-${type}`, type, name: type, ...more })
    assert.equal(made.type, type)
    assert.equal(made.client_secret !== null, type === 'confidential' || type === 'service')
  }
  const tv = await run(OPERATIONS.createApp, {
    client_id: 'tv',
    type: 'native',
    device: true,
    name: 'TV',
    redirect_uris: ['com.example.tv:/callback'],
  })
  assert.deepEqual([tv.type, tv.native, tv.device], ['device', true, true])
})

test('what an app authenticates with, and what its profile requires, follows from its keys', async () => {
  const jwks = { keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }] }
  const bank = { client_id: 'bank', type: 'confidential', name: 'Bank', redirect_uris: [CALLBACK] }
  const made = await run(OPERATIONS.createApp, { ...bank, jwks, profile: 'fapi2' })
  assert.deepEqual([made.auth_method, made.client_secret, made.has_secret], ['private_key_jwt', null, false])
  assert.deepEqual([made.require_par, made.require_dpop, made.certificate_bound_tokens], [true, true, false])
  assert.deepEqual(made.jwks, jwks)
  const moved = await run(OPERATIONS.updateApp, { client_id: 'bank', jwks_uri: 'https://bank.example.test/keys' })
  assert.deepEqual([moved.jwks, moved.jwks_uri], [null, 'https://bank.example.test/keys'])
  await refused(OPERATIONS.rotateAppSecret, { client_id: 'bank' }, 'invalid', /has no secret/)
})

test('after a rotation both secrets are valid for a day, unless the earlier one is ended', async () => {
  const first = await run(OPERATIONS.createApp, { client_id: 'turn', type: 'service', name: 'Turn' })
  await refused(OPERATIONS.endPreviousAppSecret, { client_id: 'turn' }, 'conflict', /no earlier secret/)
  const second = await run(OPERATIONS.rotateAppSecret, { client_id: 'turn' })
  const until = new Date(portal.clock().getTime() + 86_400_000).toISOString()
  assert.equal(second.previous_secret_until, until)
  assert.equal((await run(OPERATIONS.showApp, { client_id: 'turn' })).previous_secret_until, until)
  assert.deepEqual(await matching('turn', [first.client_secret, second.client_secret]), [true, true])

  assert.equal(await run(OPERATIONS.endPreviousAppSecret, { client_id: 'turn' }), null)
  assert.deepEqual(await matching('turn', [first.client_secret, second.client_secret]), [false, true])
  assert.equal((await run(OPERATIONS.showApp, { client_id: 'turn' })).previous_secret_until, null)
  await refused(OPERATIONS.endPreviousAppSecret, { client_id: 'turn' }, 'conflict', /no earlier secret/)
  const kinds = (await auditOf('turn')).map(([kind]) => kind)
  assert.deepEqual(kinds, ['app_created', 'app_secret_rotated', 'app_previous_secret_ended'])
})

test('access names roles and groups, and a group by its name', async () => {
  await createGroup(portal, { name: 'Sales', roles: [] })
  await make('shop')
  const set = { client_id: 'shop', access: 'assigned', allowed_roles: ['seller'], allowed_groups: ['sales'] }
  const changed = await run(OPERATIONS.updateApp, set)
  assert.deepEqual([changed.access, changed.allowed_roles, changed.allowed_groups], ['assigned', ['seller'], ['Sales']])
  const unknown = { client_id: 'shop', allowed_groups: ['Nobody'] }
  await refused(OPERATIONS.updateApp, unknown, 'invalid', /no group Nobody/)
})

test('an app has scopes of APIs, all of them or some, in both ways', async () => {
  const orders = 'https://api.example.test/orders'
  await run(OPERATIONS.createApi, { identifier: orders, name: 'Orders', scopes: ['orders:read', 'orders:write'] })
  await make('till')
  const asked = { client_id: 'till', apis: { [orders]: null }, exchange_for: { [orders]: ['orders:read'] } }
  const changed = await run(OPERATIONS.updateApp, asked)
  assert.deepEqual(changed.apis, { [orders]: ['orders:read', 'orders:write'] })
  assert.deepEqual(changed.exchange_for, { [orders]: ['orders:read'] })
  const api = await run(OPERATIONS.showApi, { api: orders })
  assert.deepEqual(
    api.apps.map(({ client_id: id, way }) => [id, way]),
    [
      ['till', 'exchange'],
      ['till', 'request'],
    ],
  )
  for (const apis of [{ [orders]: ['orders:burn'] }, { [orders]: [] }, { 'https://unknown.example.test/': null }])
    await refused(OPERATIONS.updateApp, { client_id: 'till', apis }, 'invalid')
  assert.deepEqual((await run(OPERATIONS.updateApp, { client_id: 'till', apis: {} })).apis, {})
})

test('a picture is what its bytes are', async () => {
  await make('look')
  const set = await run(OPERATIONS.setAppIcon, { client_id: 'look', picture: PNG.toString('base64') })
  assert.match(set.icon ?? '', /^[\w-]{22}$/)
  for (const picture of ['', 'no base64!', Buffer.from('GIF89a').toString('base64'), 'A'.repeat(360_000)])
    await refused(OPERATIONS.setAppIcon, { client_id: 'look', picture }, 'invalid')
  await run(OPERATIONS.removeAppIcon, { client_id: 'look' })
  assert.equal((await run(OPERATIONS.showApp, { client_id: 'look' })).icon, null)
})

test('roles of an app are added, listed and removed', async () => {
  await make('blog')
  await run(OPERATIONS.addAppRole, { client_id: 'blog', role: 'author' })
  assert.deepEqual((await run(OPERATIONS.listAppRoles, { client_id: 'blog' })).roles, ['author'])
  await run(OPERATIONS.removeAppRole, { client_id: 'blog', role: 'author' })
  assert.deepEqual((await run(OPERATIONS.showApp, { client_id: 'blog' })).roles, [])
  await refused(OPERATIONS.removeAppRole, { client_id: 'blog', role: 'author' }, 'invalid')
  await refused(OPERATIONS.addAppRole, { client_id: 'blog', role: 'admin' }, 'invalid')
})

test('how many users are signed in to an app is counted, and disabling it ends them all', async () => {
  await make('count')
  const people = await Promise.all(['p1', 'p2'].map(async (name) => addPerson(name)))
  for (const person of [...people, people[0] as string]) await connect(portal, person, 'count')
  const { families, users } = await run(OPERATIONS.showApp, { client_id: 'count' })
  assert.deepEqual([families, users], [3, 2])
  assert.equal((await run(OPERATIONS.disableApp, { client_id: 'count' })).state, 'disabled')
  assert.equal((await run(OPERATIONS.showApp, { client_id: 'count' })).families, 0)
  assert.equal((await run(OPERATIONS.enableApp, { client_id: 'count' })).state, 'enabled')
})

test('a test notification is signed like a real one, and what came back is answered and written down', async () => {
  const keys = await publishedKeys(portal)
  const receiver = await startReceiver({ issuer: portal.publicUrl, clientId: 'heard', keys, clock: portal.clock })
  await make('heard')
  await refused(OPERATIONS.sendTestNotification, { client_id: 'heard' }, 'conflict', /no back-channel logout URI/)
  const uris = { backchannel_logout_uri: receiver.uri, event_receiver_uri: receiver.eventsUri }
  await run(OPERATIONS.updateApp, { client_id: 'heard', ...uris })
  try {
    const logout = await run(OPERATIONS.sendTestNotification, { client_id: 'heard' })
    assert.deepEqual([logout.outcome, logout.status, logout.problem], ['accepted', 200, null])
    assert.equal(receiver.logouts.length, 1)
    const event = await run(OPERATIONS.sendTestNotification, { client_id: 'heard', kind: 'event' })
    assert.deepEqual([event.outcome, event.status, event.uri], ['accepted', 202, receiver.eventsUri])
    assert.equal(receiver.events.length, 1)

    receiver.answer = { status: 500 }
    const refusal = await run(OPERATIONS.sendTestNotification, { client_id: 'heard' })
    assert.deepEqual([refusal.outcome, refusal.status], ['refused', 500])
    assert.match(refusal.problem ?? '', /answered 500/)
  } finally {
    await receiver.close()
  }
  const lost = await run(OPERATIONS.sendTestNotification, { client_id: 'heard' })
  assert.deepEqual([lost.outcome, lost.status], ['unreachable', null])
  const tests = (await auditOf('heard')).filter(([kind]) => kind === 'test_notification_sent')
  assert.deepEqual(
    tests.map(([, detail]) => detail),
    ['logout: accepted', 'event: accepted', 'logout: refused', 'logout: unreachable'],
  )
  // The SSRF guard is the one of every notification.
  await run(OPERATIONS.updateApp, { client_id: 'heard', backchannel_logout_uri: 'https://169.254.169.254/latest' })
  const guarded = await run(OPERATIONS.sendTestNotification, { client_id: 'heard' })
  assert.deepEqual([guarded.outcome, guarded.status], ['unreachable', null])
  assert.match(guarded.problem ?? '', /credentials/)
})

test('a deleted app is gone from everything that operators do', async () => {
  await make('deleted')
  assert.equal(await run(OPERATIONS.deleteApp, { client_id: 'deleted' }), null)
  for (const each of [OPERATIONS.showApp, OPERATIONS.updateApp, OPERATIONS.enableApp, OPERATIONS.deleteApp])
    await refused(each, { client_id: 'deleted' }, 'not_found')
  assert.deepEqual((await run(OPERATIONS.listApps, { search: 'deleted' })).items, [])
})

test('apps are listed by name, page by page, found by the beginning of name or client id, and by state', async () => {
  for (const [id, name] of [
    ['list.b', 'Zebra list'],
    ['list.a', 'Zebra list'],
    ['zebra-other', 'Äpfel'],
    ['unrelated', 'list of things'],
  ] as const)
    await make(id, name)
  const found = async (input: Record<string, unknown>) =>
    (await run(OPERATIONS.listApps, input)).items.map(({ client_id: id }) => id)
  assert.deepEqual(await found({ search: 'LIST' }), ['unrelated'])
  assert.deepEqual(await found({ search: 'list' }), ['unrelated', 'list.a', 'list.b'])
  assert.deepEqual(await found({ search: 'zebra' }), ['list.a', 'list.b', 'zebra-other'])
  assert.deepEqual(await found({ search: '%' }), [])

  const seen: string[] = []
  let cursor: string | null = null
  do {
    const page: AnswerOf<typeof OPERATIONS.listApps> = await run(OPERATIONS.listApps, {
      search: 'zebra',
      limit: 1,
      ...(cursor === null ? {} : { cursor }),
    })
    seen.push(...page.items.map(({ client_id: id }) => id))
    cursor = page.next_cursor
  } while (cursor !== null)
  assert.deepEqual(seen, ['list.a', 'list.b', 'zebra-other'])

  await run(OPERATIONS.disableApp, { client_id: 'list.b' })
  assert.deepEqual(await found({ search: 'list', state: 'disabled' }), ['list.b'])
  assert.deepEqual(await found({ search: 'list', state: 'enabled' }), ['unrelated', 'list.a'])
  for (const forged of ['x', 'W10', Buffer.from('["a"]').toString('base64url')])
    await refused(OPERATIONS.listApps, { cursor: forged }, 'invalid')
})

test('what an app cannot be is refused in words, and nothing else happens', async () => {
  await make('taken')
  const before = await portal.storage.pool.query('SELECT * FROM apps ORDER BY client_id')
  const app = { client_id: 'new', type: 'confidential', name: 'New', redirect_uris: [CALLBACK] }
  await refused(OPERATIONS.createApp, { ...app, client_id: 'taken' }, 'conflict', /already/)
  for (const wrong of [
    { client_id: '' },
    { client_id: 'a b' },
    { client_id: 'api.0123456789abcdef0123' },
    { type: 'robot' },
    { type: undefined },
    { name: '' },
    { name: undefined },
    { name: 'with \0 in it' },
    { name: 'lone \ud800' },
    { name: 7 },
    { redirect_uris: [] },
    { redirect_uris: ['http://app.example.test/'] },
    { redirect_uris: CALLBACK },
    { redirect_uris: Array.from({ length: 101 }, () => CALLBACK) },
    { type: 'public', allow_no_pkce: true },
    { type: 'service' },
    { family_idle: -1 },
    { family_idle: 1.5 },
    { family_idle: 'a week' },
    { access: 'nobody' },
    { jwks: { keys: [] } },
    { jwks: { keys: [{ kty: 'oct', k: 'secret' }] } },
    { claims: { sub: 'x' } },
    { id_token_claims: ['iss'] },
    { unknown: 1 },
    { roles: ['x'] },
  ])
    await refused(OPERATIONS.createApp, { ...app, ...wrong }, 'invalid')
  for (const client_id of ['unknown', 'ünknown', 'a b', 'x'.repeat(150)])
    for (const each of [OPERATIONS.showApp, OPERATIONS.updateApp, OPERATIONS.rotateAppSecret, OPERATIONS.disableApp])
      await refused(each, { client_id }, 'not_found')
  const left = await portal.storage.pool.query('SELECT * FROM apps ORDER BY client_id')
  assert.deepEqual(left.rows, before.rows)
})

test('each fault names the field that it is about', async () => {
  const app = { client_id: 'fields', type: 'confidential', name: 'Fields', redirect_uris: [CALLBACK] }
  for (const [wrong, ...fields] of [
    [{ client_id: 'a~b/' }, 'client_id'],
    [{ name: ' ' }, 'name'],
    [{ redirect_uris: ['http://app.example.test/'], scope: 'a  b' }, 'redirect_uris', 'scope', 'scope'],
    [{ family_idle: 1, colour: 'red' }, 'colour', 'family_idle'],
    [{ jwks: { keys: [] } }, 'jwks'],
    [{ claims: { sub: 'x' } }, 'claims'],
    [{ allowed_groups: ['Unknown'] }, 'allowed_groups'],
    [{ profile: 'fapi2' }, 'auth_method'],
  ] as const)
    await assert.rejects(run(OPERATIONS.createApp, { ...app, ...wrong }), (error: unknown) => {
      assert.ok(error instanceof InvalidInput, String(error))
      assert.deepEqual(
        error.problems.map(({ field }) => field),
        fields,
        JSON.stringify(wrong),
      )
      return true
    })
})

test('support reads apps, and changes none', async () => {
  await make('read')
  const authority = { kind: 'role', roles: ['support'] } as const
  await perform(portal, authority, OPERATIONS.showApp, { client_id: 'read' })
  await perform(portal, authority, OPERATIONS.listApps, {})
  for (const [name, each] of Object.entries(OPERATIONS)) {
    if ((each.resource !== 'apps' && each.resource !== 'apis') || each.kind === 'read') continue
    await assert.rejects(perform(portal, authority, each, { client_id: 'read' }), Forbidden, name)
  }
})

async function run<O extends AnyOperation>(asked: O, input: Record<string, unknown>): Promise<AnswerOf<O>> {
  const answer = await perform({ ...portal, operator: OPERATOR }, { kind: 'role', roles: ['admin'] }, asked, input)
  if (asked.output !== null) asked.output.parse(answer)
  return answer
}

async function refused(
  asked: AnyOperation,
  input: Record<string, unknown>,
  code: RefusalCode,
  words = /./,
): Promise<void> {
  await assert.rejects(run(asked, input), (error: unknown) => {
    assert.ok(error instanceof Refused, `${JSON.stringify(input).slice(0, 200)}: ${String(error)}`)
    assert.deepEqual([error.code, words.test(error.message)], [code, true], error.message)
    return error.code !== 'invalid' || error instanceof InvalidInput || error.message !== ''
  })
}

async function make(id: string, name = id) {
  return run(OPERATIONS.createApp, { client_id: id, type: 'confidential', name, redirect_uris: [CALLBACK] })
}

async function addPerson(name: string): Promise<string> {
  return addIdentity(portal, { username: name, email: `${name}@example.test`, password: 'one password of many' })
}

async function matching(id: string, secrets: (string | null)[]): Promise<boolean[]> {
  const app = await findApp(portal, id)
  assert.ok(app)
  return secrets.map((secret) => secretMatches(app, secret ?? '', portal.clock()))
}

async function auditOf(id: string): Promise<unknown[][]> {
  const { rows } = await portal.storage.pool.query<Record<string, unknown>>(
    'SELECT kind, detail, actor, actor_id, actor_address FROM audit_events WHERE client_id = $1 ORDER BY id',
    [id],
  )
  return rows.map((row) => Object.values(row))
}

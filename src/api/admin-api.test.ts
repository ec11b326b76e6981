import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { type AdminClient, callApi, openAdminClient } from '../testing/portal/admin-client.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let ops: AdminClient

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  ops = await openAdminClient(server, 'ops', ['admin:read', 'admin:write'])
})
after(() => server.close())

const codeOf = ({ status, body }: { status: number; body: { code: string } }) => `${status} ${body.code}`
const newGroup = async (name: string, fields: object = {}) => {
  const { status, body } = await ops.send('POST', '/groups', { name, ...fields })
  assert.equal(status, 201, JSON.stringify(body))
  return body as { id: string }
}
const tagOf = async (path: string) => (await ops.send('GET', path)).headers.get('etag') ?? ''

test('a group is made, shown, changed and deleted', async () => {
  const { id } = await newGroup('Readers', { roles: ['reader'] })
  const shown = await ops.send('GET', '/groups/Readers')
  assert.deepEqual([shown.status, shown.body.id, shown.body.members], [200, id, 0])
  const changed = await ops.send('PATCH', `/groups/${id}`, { description: 'They read.' })
  assert.deepEqual([changed.status, changed.body.description], [200, 'They read.'])
  const deleted = await ops.send('DELETE', `/groups/${id}`)
  assert.deepEqual([deleted.status, deleted.body, deleted.headers.get('content-length')], [204, null, null])
  assert.equal(codeOf(await ops.send('GET', `/groups/${id}`)), '404 not_found')
})

test('a list goes on where its Link leads', async () => {
  for (const letter of ['a', 'b', 'c']) await newGroup(`page ${letter}`)
  const first = await ops.send('GET', '/groups?search=page&limit=2')
  const [, next = ''] = /^<\/api\/admin\/v1(.+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
  const second = await ops.send('GET', next)
  const names = [first, second].map(({ body }) => body.items.map(({ name }: { name: string }) => name))
  assert.deepEqual(names, [['page a', 'page b'], ['page c']])
  assert.equal(second.headers.get('link'), null)
  assert.equal(first.headers.get('etag'), null)
})

test('an export is a stream of the media type that its format names', async () => {
  await newGroup('Exported')
  const ask = async (query: string, method = 'GET') =>
    fetch(`${server.url}/api/admin/v1/audit-events/export?kind=group_created${query}`, {
      method,
      headers: { Authorization: `Bearer ${ops.token}` },
    })
  const csv = await ask('&format=csv')
  assert.deepEqual([csv.status, csv.headers.get('content-type')], [200, 'text/csv'])
  assert.match(await csv.text(), /^id,at,kind,[^\r]*\r\n[\s\S]*Exported/)
  const lines = await ask('')
  assert.equal(lines.headers.get('content-type'), 'application/x-ndjson')
  assert.equal((JSON.parse((await lines.text()).split('\n')[0] ?? '') as { kind: string }).kind, 'group_created')
  assert.equal(await (await ask('', 'HEAD')).text(), '')
  assert.equal((await ask('&format=xml')).status, 422)
})

test('every field that is wrong is named', async () => {
  const { status, headers, body } = await ops.send('POST', '/groups', { name: 1, roles: [2], unknown: 3 })
  assert.deepEqual([status, headers.get('content-type')], [422, 'application/problem+json'])
  assert.equal(body.code, 'invalid')
  assert.equal(body.type, `${server.url}/docs/errors#admin-invalid`)
  assert.deepEqual(body.errors.map(({ field }: { field: string }) => field).toSorted(), ['', 'name', 'roles.0'])
  const page = await (await fetch(`${server.url}/docs/errors`)).text()
  assert.ok(page.includes('id="admin-invalid"'))
})

test('what is no request of the API is refused by its kind', async () => {
  const json = { 'Content-Type': 'application/json' }
  for (const [expected, method, path, body, headers] of [
    ['404 no_such_path', 'GET', '', undefined, {}],
    ['404 no_such_path', 'GET', '/', undefined, {}],
    ['404 no_such_path', 'GET', '/nothing', undefined, {}],
    ['404 no_such_path', 'GET', '/groups/', undefined, {}],
    ['404 no_such_path', 'GET', '/groups/a/members/b/c', undefined, {}],
    ['405 method_not_allowed', 'PUT', '/groups', '{}', json],
    ['405 method_not_allowed', 'PROPFIND', '/groups', undefined, {}],
    ['406 not_acceptable', 'GET', '/groups', undefined, { Accept: 'text/html' }],
    ['400 malformed', 'GET', '/groups?limit=1&limit=2', undefined, {}],
    ['422 invalid', 'GET', '/groups?unknown=1', undefined, {}],
    ['422 invalid', 'GET', '/groups?limit=', undefined, {}],
    ['422 invalid', 'GET', '/groups?limit=1e9', undefined, {}],
    ['422 invalid', 'GET', '/groups?cursor=x', undefined, {}],
    ['422 invalid', 'GET', '/groups?__proto__=x', undefined, {}],
    ['400 malformed', 'GET', '/groups/%ff', undefined, {}],
    ['422 invalid', 'GET', '/groups/%00', undefined, {}],
    ['400 malformed', 'DELETE', '/groups/a', '{}', json],
    ['400 malformed', 'POST', '/groups?name=a', '{"name":"a"}', json],
    ['400 malformed', 'POST', '/groups', '{', json],
    ['400 malformed', 'POST', '/groups', '[]', json],
    ['400 malformed', 'POST', '/groups', 'null', json],
    ['400 malformed', 'PATCH', '/groups/a', '{"group":"b"}', json],
    ['422 invalid', 'POST', '/groups', '{"name":"a","__proto__":{"name":"b"}}', json],
    ['422 invalid', 'POST', '/groups', '{"name":"a\\u0000b"}', json],
    ['422 invalid', 'POST', '/groups', '{"name":"a\\ud800b"}', json],
    ['422 invalid', 'POST', '/groups', undefined, {}],
    [
      '415 unsupported_media_type',
      'POST',
      '/groups',
      'name=a',
      { 'Content-Type': 'application/x-www-form-urlencoded' },
    ],
    [
      '415 unsupported_media_type',
      'POST',
      '/groups',
      '{"name":"a"}',
      { 'Content-Type': 'application/json; charset=latin1' },
    ],
    ['415 unsupported_media_type', 'POST', '/groups', '{"name":"a"}', { ...json, 'Content-Encoding': 'gzip' }],
  ] as const)
    assert.equal(codeOf(await ops.send(method, path, body, headers)), expected, `${method} ${path} ${body}`)
})

test('OPTIONS says what a path has, and HEAD is a GET without its body', async () => {
  const options = await callApi(server.url, 'OPTIONS', '/groups')
  assert.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, POST, HEAD, OPTIONS'])
  const refused = await ops.send('PUT', '/groups', {})
  assert.equal(refused.headers.get('allow'), 'GET, POST, HEAD, OPTIONS')
  const [head, get] = [await ops.send('HEAD', '/groups'), await ops.send('GET', '/groups')]
  assert.deepEqual([head.status, head.body], [200, null])
  assert.equal(head.headers.get('content-length'), get.headers.get('content-length'))
  assert.equal((await callApi(server.url, 'HEAD', '/groups')).status, 401)
})

test('a body may have a megabyte, for a caller with a token', async () => {
  const identities = Array.from({ length: 250 }, (_, at) => `${'x'.repeat(200)}${at}@example.test`)
  const { id } = await newGroup('Large')
  const large = await ops.send('POST', `/groups/${id}/members`, { identities })
  assert.equal(codeOf(large), '404 not_found')
  const padded = (length: number) => `{"name":"Padded"${' '.repeat(length - 17)}}`
  assert.equal((await ops.send('POST', '/groups', padded(1024 * 1024))).status, 201)
  assert.equal(codeOf(await ops.send('POST', '/groups', padded(1024 * 1024 + 1))), '413 too_long')
})

test('a stranger’s body is not waited for', async () => {
  const { hostname, port, host } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    `POST /api/admin/v1/groups HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{`,
  )
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  assert.match(answer, /^HTTP\/1.1 401 /)
  assert.match(answer, /connection: close/i)
})

test('the log names no e-mail address that is in a path', async () => {
  for (const login of ['ada@example.test', 'ada%40example.test']) await ops.send('GET', `/identities/${login}`)
  await ops.send('GET', '/groups')
  assert.match(server.log(), /"path":"\/api\/admin\/v1\/identities\/:email"/)
  assert.doesNotMatch(server.log(), /example\.test/)
})

test('what has an entity tag is sent once, and changed only as it was read', async () => {
  const { id } = await newGroup('Tagged')
  const path = `/groups/${id}`
  const tag = await tagOf(path)
  assert.match(tag, /^"[\w-]+"$/)
  const known = await ops.send('GET', path, undefined, { 'If-None-Match': `"x", ${tag}` })
  assert.deepEqual([known.status, known.body, known.headers.get('etag')], [304, null, tag])
  assert.equal((await ops.send('GET', path, undefined, { 'If-None-Match': '"x"' })).status, 200)

  assert.equal((await ops.send('PATCH', path, { description: 'One' }, { 'If-Match': tag })).status, 200)
  for (const method of ['PATCH', 'DELETE'])
    assert.equal(
      codeOf(
        await ops.send(method, path, method === 'PATCH' ? { description: 'Two' } : undefined, { 'If-Match': tag }),
      ),
      '412 precondition_failed',
    )
  assert.equal((await ops.send('GET', path)).body.description, 'One')
  // By its name, it is the same thing.
  assert.equal((await ops.send('PATCH', '/groups/Tagged', {}, { 'If-Match': await tagOf(path) })).status, 200)
  assert.equal((await ops.send('DELETE', path, undefined, { 'If-Match': '*' })).status, 204)
  assert.equal(codeOf(await ops.send('DELETE', path, undefined, { 'If-Match': '*' })), '412 precondition_failed')
})

test('of twenty changes that read the same version, one is made', async () => {
  const { id } = await newGroup('Raced')
  const tag = await tagOf(`/groups/${id}`)
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, at) =>
      ops.send(
        'PATCH',
        at % 2 === 0 ? `/groups/${id}` : '/groups/Raced',
        { description: `of ${at}` },
        { 'If-Match': tag },
      ),
    ),
  )
  const made = answers.filter(({ status }) => status === 200)
  assert.equal(made.length, 1)
  assert.equal(answers.filter(({ status }) => status === 412).length, 19)
  assert.equal((await ops.send('GET', `/groups/${id}`)).body.description, made[0]?.body.description)
})

test('a repeated request with a key is answered again, and nothing is done twice', async () => {
  const key = { 'Idempotency-Key': 'key-1' }
  const first = await ops.send('POST', '/groups', { name: 'Once' }, key)
  const second = await ops.send('POST', '/groups', { name: 'Once' }, key)
  assert.equal(first.status, 201)
  assert.deepEqual([second.status, second.body], [first.status, first.body])
  assert.equal(codeOf(await ops.send('POST', '/groups', { name: 'Twice' }, key)), '422 key_reused')
  assert.equal(codeOf(await ops.send('POST', '/groups', { name: 'Once' })), '409 conflict')

  const other = await openAdminClient(server, 'other-ops', ['admin:write'])
  assert.equal(codeOf(await other.send('POST', '/groups', { name: 'Once' }, key)), '409 conflict')
  // A refusal has done nothing, so its key may be used again.
  assert.equal((await other.send('POST', '/groups', { name: 'Other' }, key)).status, 201)
  for (const bad of ['', 'x'.repeat(256), 'a b'])
    assert.equal(
      codeOf(await ops.send('POST', '/groups', { name: 'Bad' }, { 'Idempotency-Key': bad })),
      '400 malformed',
    )
})

test('of twenty requests with one key, one acts', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () =>
      ops.send('POST', '/groups', { name: 'Racing' }, { 'Idempotency-Key': 'race' }),
    ),
  )
  assert.deepEqual(
    [...new Set(answers.map(({ status }) => status))].toSorted(),
    answers.some(({ status }) => status === 409) ? [201, 409] : [201],
  )
  assert.ok(answers.filter(({ status }) => status === 409).every(({ body }) => body.code === 'in_progress'))
  assert.equal((await ops.send('GET', '/groups?search=Racing')).body.items.length, 1)
})

test('a secret in an answer that is kept for its key is encrypted', async () => {
  const app = { client_id: 'kept', name: 'Kept', type: 'service' }
  const key = { 'Idempotency-Key': 'secret' }
  const first = await ops.send('POST', '/apps', app, key)
  assert.equal(first.status, 201, JSON.stringify(first.body))
  const { client_secret: secret } = first.body
  assert.equal(typeof secret, 'string')
  assert.equal((await ops.send('POST', '/apps', app, key)).body.client_secret, secret)
  const { rows } = await server.services.storage.pool.query('SELECT payload::text FROM handshakes')
  assert.ok(rows.length > 0)
  assert.equal(JSON.stringify(rows).includes(secret), false)
})

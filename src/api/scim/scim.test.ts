import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { changeRoles, findIdentity } from '../../domain/identities/identities.ts'
import { listAuditEvents } from '../../storage/audit.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { ada } from '../../testing/portal/people.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { callScim, openScimClient, type ScimClient } from '../../testing/portal/scim-client.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { PATCH_SCHEMA } from './patches.ts'
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA } from './schemas.ts'

const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error'
const NOWHERE = '00000000-0000-4000-8000-000000000000'
let server: TestServer
let scim: ScimClient

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  scim = await openScimClient(server, 'directory')
})
after(() => server.close())

let users = 0
const newUser = async (extra: object = {}) => {
  const { status, body } = await scim.send('POST', '/Users', { userName: `user${(users += 1)}@example.test`, ...extra })
  assert.equal(status, 201, JSON.stringify(body))
  return body
}
const patch = async (path: string, operations: object[], headers?: Record<string, string>) =>
  scim.send('PATCH', path, { schemas: [PATCH_SCHEMA], Operations: operations }, headers)
const found = async (filter: string, kind = 'Users') =>
  (await scim.send('GET', `/${kind}?filter=${encodeURIComponent(filter)}`)).body
const identityOf = async (id: string) => {
  const identity = await findIdentity(server.services, id)
  assert.ok(identity)
  return identity
}

test('what SCIM can do here is published for everyone', async () => {
  const config = await callScim(server.url, 'GET', '/ServiceProviderConfig')
  assert.deepEqual([config.status, config.body.patch, config.body.bulk.supported], [200, { supported: true }, false])
  const types = await callScim(server.url, 'GET', '/ResourceTypes')
  assert.deepEqual(
    types.body.Resources.map(({ id, endpoint }: { id: string; endpoint: string }) => [id, endpoint]),
    [
      ['User', '/Users'],
      ['Group', '/Groups'],
    ],
  )
  const schemas = await callScim(server.url, 'GET', '/Schemas')
  assert.deepEqual(
    schemas.body.Resources.map(({ id }: { id: string }) => id),
    [USER_SCHEMA, ENTERPRISE_SCHEMA, GROUP_SCHEMA],
  )
  for (const { meta } of [...types.body.Resources, ...schemas.body.Resources]) {
    const one = await callScim(server.url, 'GET', meta.location.slice(`${server.url}/scim/v2`.length))
    assert.deepEqual([one.status, one.body.meta], [200, meta])
  }
  assert.equal((await callScim(server.url, 'GET', '/Schemas?filter=id%20pr')).status, 403)
})

test('only a service with the scope of the resource may read or write it', async () => {
  const { id } = await newUser()
  const [readsUsers, readsAll, writesGroups] = await Promise.all([
    openScimClient(server, 'reads-users', ['admin:identities:read']),
    openScimClient(server, 'reads-all', ['admin:read']),
    openScimClient(server, 'writes-groups', ['admin:groups:write']),
  ])
  const requests = [
    ['GET', '/Users', undefined],
    ['GET', `/Users/${id}`, undefined],
    ['POST', '/Users/.search', {}],
    ['POST', '/Users', { userName: 'forbidden@example.test' }],
    ['PUT', `/Users/${id}`, { userName: 'forbidden@example.test' }],
    ['PATCH', `/Users/${id}`, { Operations: [{ op: 'replace', path: 'active', value: false }] }],
    ['DELETE', `/Users/${id}`, undefined],
    ['GET', '/Groups', undefined],
    ['POST', '/Groups', { displayName: 'Forbidden' }],
  ] as const
  const statuses = async (send: ScimClient['send']) =>
    Promise.all(requests.map(async ([method, path, body]) => (await send(method, path, body)).status))
  assert.deepEqual(await statuses(readsUsers.send), [200, 200, 200, 403, 403, 403, 403, 403, 403])
  assert.deepEqual(await statuses(readsAll.send), [200, 200, 200, 403, 403, 403, 403, 200, 403])
  assert.deepEqual(await statuses(writesGroups.send), [403, 403, 403, 403, 403, 403, 403, 200, 201])
  const anonymous = async (method: string, path: string, body?: unknown) => callScim(server.url, method, path, body)
  assert.deepEqual(
    await statuses(anonymous),
    Array.from(requests, () => 401),
  )
  const refused = await callScim(server.url, 'GET', '/Users', undefined, { Authorization: 'Bearer x' })
  assert.deepEqual(refused.body.schemas, [ERROR])
  assert.match(refused.headers.get('www-authenticate') ?? '', /error="invalid_token"/)
  assert.equal((await found('userName eq "forbidden@example.test"')).totalResults, 0)
})

for (const [userName, username] of [
  ['mary.jackson@example.test', 'mary.jackson'],
  ['mary.jackson@other.test', 'mary.jackson2'],
  ['katherine', 'katherine'],
  ['CORP\\dorothy', 'CORP.dorothy'],
  ['Émilie du Châtelet', 'Émilie.du.Châtelet'],
  ['x', 'user'],
  ['аda@example.test', 'user2'],
  ['+41791234567', '41791234567'],
] as const) {
  test(`the directory reads ${userName} back, and the user name is ${username}`, async () => {
    const emails = [{ value: `to${(users += 1)}@example.test`, primary: true }]
    const { body } = await scim.send('POST', '/Users', { userName, emails })
    assert.equal(body.userName, userName)
    assert.equal((await identityOf(body.id)).username, username)
    assert.equal((await found(`userName eq ${JSON.stringify(userName.toUpperCase())}`)).Resources[0]?.id, body.id)
  })
}

test('of two creations of one userName at once, one is made and the others are told', async () => {
  for (const userName of ['racer@example.test', 'racer.without.at']) {
    const emails = (index: number) => [{ value: userName.includes('@') ? userName : `racer${index}@example.test` }]
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => scim.send('POST', '/Users', { userName, emails: emails(index) })),
    )
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409, 409, 409, 409])
    for (const { status, body } of answers) if (status === 409) assert.equal(body.scimType, 'uniqueness')
  }
})

test('a userName or an e-mail address that another user has is refused', async () => {
  const one = await newUser({ emails: [{ value: 'held@example.test' }] })
  const other = await newUser()
  const taken = [
    await scim.send('POST', '/Users', { userName: one.userName.toUpperCase() }),
    await scim.send('POST', '/Users', { userName: 'fresh@example.test', emails: [{ value: 'HELD@example.test' }] }),
    await scim.send('PUT', `/Users/${other.id}`, { userName: one.userName }),
    await patch(`/Users/${other.id}`, [{ op: 'replace', path: 'userName', value: one.userName }]),
    await patch(`/Users/${other.id}`, [{ op: 'replace', path: 'emails', value: [{ value: 'held@example.test' }] }]),
    await scim.send('POST', '/Users', { userName: 'held-name', emails: [{ value: 'a1@example.test' }] }),
    await scim.send('POST', '/Users', { userName: 'HELD-name', emails: [{ value: 'a2@example.test' }] }),
  ]
  assert.deepEqual(
    taken.map(({ status, body }) => [status, body.scimType]),
    [409, 409, 409, 409, 409, 201, 409].map((status) => [status, status === 409 ? 'uniqueness' : undefined]),
  )
  assert.deepEqual((await scim.send('GET', `/Users/${other.id}`)).body, other)
})

test('a user of a directory has no password and gets no mail', async () => {
  const { id } = await newUser({ password: 'a password of the directory' })
  const identity = await identityOf(id)
  for (const password of ['a password of the directory', ''])
    assert.equal(await server.services.hasher.matches(identity.passwordHash, password, 'test'), false)
  assert.equal(
    (await queuedMails(server.services)).some((mail) => JSON.stringify(mail).includes(id)),
    false,
  )
})

test('a disabled user is out everywhere at once', async () => {
  const person = { username: 'insider', email: 'insider@example.test', password: 'one password of many' }
  const id = await server.addIdentity(person, { emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  assert.equal((await browser.get('/dashboard')).status, 200)
  const [resource] = (await found('userName eq "INSIDER@example.test"')).Resources
  assert.equal(resource.id, id)
  const { status, body } = await patch(`/Users/${id}`, [{ op: 'replace', path: 'active', value: false }])
  assert.deepEqual([status, body.active], [200, false])
  assert.notEqual((await browser.get('/dashboard')).status, 200)
})

test('an account from before is found by its confirmed address, taken over, and keeps its ways in', async () => {
  const person = { ...ada, username: 'before', email: 'before@example.test' }
  const id = await server.addIdentity(person, { emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  const before = (await found('userName eq "before@example.test"')).Resources[0]
  assert.deepEqual([before.id, before.userName], [id, 'before'])
  const { status, body } = await scim.send('PUT', `/Users/${id}`, {
    userName: 'before@example.test',
    externalId: 'e1',
    emails: [{ value: 'before@example.test' }],
  })
  assert.deepEqual([status, body.userName], [200, 'before@example.test'])
  assert.equal((await found('userName eq "before"')).totalResults, 0)
  assert.equal((await identityOf(id)).username, 'before')
  assert.equal((await browser.get('/dashboard')).status, 200)
})

test('an account with an address that was never confirmed is void once a directory takes it over (account pre-hijacking)', async () => {
  const thief = { username: 'victim', email: 'thief@example.test', password: 'the password of the thief' }
  const id = await server.addIdentity(thief)
  const browser = new Browser(server.url)
  await browser.signIn(thief)
  const [resource] = (await found('userName eq "victim"')).Resources
  assert.equal(resource.id, id)
  await patch(`/Users/${id}`, [{ op: 'add', path: 'emails[type eq "work"].value', value: 'victim@example.test' }])
  assert.notEqual((await browser.get('/dashboard')).status, 200)
  const { passwordHash, email, emailVerified } = await identityOf(id)
  assert.deepEqual([email, emailVerified], ['victim@example.test', true])
  assert.equal(await server.services.hasher.matches(passwordHash, thief.password, 'test'), false)
})

test('an account that only claims the address of a user of the directory loses it', async () => {
  const id = await server.addIdentity({
    username: 'claimant',
    email: 'owner@example.test',
    password: 'claiming password',
  })
  assert.equal((await found('userName eq "owner@example.test"')).totalResults, 0)
  const { body } = await scim.send('POST', '/Users', { userName: 'owner@example.test' })
  assert.notEqual(body.id, id)
  assert.equal((await identityOf(id)).emailKey, null)
})

test('what the user or an operator changes is read by the directory, which takes back only what it writes', async () => {
  const { id } = await newUser({
    displayName: 'Old Name',
    nickName: 'Nick',
    title: 'Engineer',
    emails: [{ value: 'changing@example.test', type: 'home' }],
    phoneNumbers: [{ value: 'extension 7', type: 'work' }],
  })
  await server.services.storage.pool.query(
    `UPDATE identities SET name = 'New Name', nickname = NULL, phone_number = '+41791234567', picture = 'https://example.test/me.png',
       email = 'changed@example.test', email_key = 'changed@example.test', attributes = '{"title":"Chief"}' WHERE id = $1`,
    [id],
  )
  const { body } = await scim.send('GET', `/Users/${id}`)
  assert.deepEqual(
    [body.displayName, body.nickName, body.title, body.emails, body.phoneNumbers, body.photos],
    [
      'New Name',
      undefined,
      'Chief',
      [{ type: 'home', primary: true, value: 'changed@example.test' }],
      [{ value: '+41791234567', type: 'work', primary: true }],
      [{ value: 'https://example.test/me.png', type: 'photo', primary: true }],
    ],
  )
  const replaced = await scim.send('PUT', `/Users/${id}`, { userName: body.userName, displayName: 'Third Name' })
  assert.deepEqual(
    [replaced.body.displayName, replaced.body.title, replaced.body.photos],
    ['Third Name', undefined, body.photos],
  )
  const { name, picture, attributes, email } = await identityOf(id)
  assert.deepEqual([name, picture, attributes, email], ['Third Name', 'https://example.test/me.png', {}, body.userName])
})

test('versions guard against changes in between', async () => {
  const { id, meta, userName } = await newUser()
  const { headers, status } = await scim.send('GET', `/Users/${id}`, undefined, { 'If-None-Match': meta.version })
  assert.deepEqual([status, headers.get('etag')], [304, meta.version])
  const change = [{ op: 'replace', path: 'title', value: 'Changed' }]
  const changed = await patch(`/Users/${id}`, change, { 'If-Match': `"other", ${meta.version}` })
  assert.equal(changed.status, 200)
  for (const answer of [
    await patch(`/Users/${id}`, change, { 'If-Match': meta.version }),
    await scim.send('PUT', `/Users/${id}`, { userName }, { 'If-Match': meta.version }),
    await scim.send('DELETE', `/Users/${id}`, undefined, { 'If-Match': meta.version }),
  ])
    assert.equal(answer.status, 412)
  assert.equal((await patch(`/Users/${id}`, change, { 'If-Match': '*' })).body.meta.version, changed.body.meta.version)
  const racers = await Promise.all(
    Array.from({ length: 5 }, async (_, index) =>
      patch(`/Users/${id}`, [{ op: 'replace', path: 'title', value: `Racer ${index}` }], {
        'If-Match': changed.body.meta.version,
      }),
    ),
  )
  assert.deepEqual(racers.map(({ status: each }) => each).toSorted(), [200, 412, 412, 412, 412])

  const group = (await scim.send('POST', '/Groups', { displayName: 'Versions' })).body
  const members = [{ op: 'add', path: 'members', value: [{ value: id }] }]
  const current = { 'If-Match': group.meta.version }
  assert.equal((await patch(`/Groups/${group.id}`, members, current)).status, 204)
  assert.equal((await patch(`/Groups/${group.id}`, members, current)).status, 412)
  assert.equal((await scim.send('DELETE', `/Groups/${group.id}`, undefined, current)).status, 412)
})

test('lists go on by cursor, and a search may come as a body', async () => {
  const sent = Array.from({ length: 5 }, (_, index) => `paged${index}@example.test`)
  for (const userName of sent) await scim.send('POST', '/Users', { userName })
  const filter = 'userName sw "paged" and active eq true'
  const read: string[] = []
  let cursor: string | undefined = ''
  while (cursor !== undefined) {
    const query = new URLSearchParams({ filter, cursor, count: '2', attributes: 'userName' })
    const { body }: { body: Record<string, unknown> } = await scim.send('GET', `/Users?${query.toString()}`)
    assert.equal(body['totalResults'], 5)
    for (const each of body['Resources'] as Record<string, string>[]) {
      assert.deepEqual(Object.keys(each).toSorted(), ['id', 'schemas', 'userName'])
      read.push(each['userName'] as string)
    }
    cursor = body['nextCursor'] as string | undefined
  }
  assert.deepEqual(read.toSorted(), sent)
  const search = await scim.send('POST', '/Users/.search', {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],
    filter,
    count: 0,
    attributes: ['userName'],
  })
  assert.deepEqual([search.status, search.body.totalResults, search.body.Resources], [200, 5, []])
  const beyond = await scim.send('GET', '/Users?startIndex=999999999&count=-5')
  assert.deepEqual([beyond.status, beyond.body.Resources], [200, []])
})

test('users and groups are found by every attribute that has an index', async () => {
  const user = await newUser({
    externalId: 'Case-1',
    displayName: 'Find Me',
    emails: [
      { value: 'find.me@example.test', type: 'work', primary: true },
      { value: 'second@example.test', type: 'home' },
    ],
  })
  const ids = async (filter: string, kind = 'Users') =>
    (await found(filter, kind)).Resources.map(({ id }: { id: string }) => id)
  for (const filter of [
    `id eq "${user.id}"`,
    `userName sw "${user.userName.slice(0, -1).toUpperCase()}" and userName eq "${user.userName}"`,
    'externalId eq "Case-1"',
    'externalId sw "Case" and externalId pr',
    'emails eq "FIND.me@example.test"',
    'emails.value sw "find.ME"',
    'emails[type eq "work"].value eq "find.me@example.test"',
    'emails[value eq "find.me@example.test" and primary eq true]',
    'displayName eq "find me"',
    'displayName sw "FIND"',
    `active eq true and id eq "${user.id}" and userName pr`,
    `${USER_SCHEMA}:userName eq "${user.userName}"`,
  ])
    assert.deepEqual(await ids(filter), [user.id], filter)
  for (const filter of [
    'id eq "x"',
    'externalId eq "case-1"',
    'emails[type eq "home"].value eq "find.me@example.test"',
    'userName sw "%"',
    `id eq "${user.id}" and active eq "False"`,
  ])
    assert.deepEqual(await ids(filter), [], filter)

  const group = (
    await scim.send('POST', '/Groups', { displayName: 'Find Us', externalId: 'G-1', members: [{ value: user.id }] })
  ).body
  for (const filter of [
    `id eq "${group.id}"`,
    'displayName eq "FIND us"',
    'displayName sw "find u"',
    'externalId eq "G-1"',
    'externalId sw "G" and externalId pr',
    `members.value eq "${user.id}" and displayName pr`,
    `members[value eq "${user.id}"]`,
  ])
    assert.deepEqual(await ids(filter, 'Groups'), [group.id], filter)
  for (const filter of ['id eq "x"', 'members eq "x"', `members eq "${NOWHERE}"`, 'externalId eq "g-1"'])
    assert.deepEqual(await ids(filter, 'Groups'), [], filter)
})

test('the last administrator stays, with words', async () => {
  const { id } = await newUser()
  await changeRoles(server.services, id, ['admin'])
  const wide = await openScimClient(server, 'whole-directory', ['admin:write'])
  const operations = [
    { op: 'replace', path: 'title', value: 'Nothing of it' },
    { op: 'replace', path: 'active', value: false },
  ]
  const change = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: operations }
  assert.equal((await scim.send('PATCH', `/Users/${id}`, change)).status, 403)
  assert.equal((await scim.send('DELETE', `/Users/${id}`)).status, 403)
  const off = await wide.send('PATCH', `/Users/${id}`, change)
  const gone = await wide.send('DELETE', `/Users/${id}`)
  for (const { status, body } of [off, gone]) {
    assert.deepEqual([status, body.scimType], [400, 'mutability'])
    assert.match(body.detail, /last administrator/)
  }
  const { body } = await scim.send('GET', `/Users/${id}`)
  assert.deepEqual([body.active, body.title], [true, undefined])
})

test('the audit log names the client of the directory, and what it changed', async () => {
  const { id } = await newUser()
  await patch(`/Users/${id}`, [
    { op: 'add', path: 'externalId', value: 'x' },
    { op: 'add', path: 'nickName', value: 'Nick' },
  ])
  const events = await listAuditEvents(server.services.storage, id, 20, null, true)
  assert.deepEqual([...new Set(events.map(({ actor }) => actor))], ['directory'])
  const told = events.map(({ kind, detail }) => [kind, detail])
  for (const event of [
    ['registered', null],
    ['profile_changed', 'nickName, externalId'],
    ['profile_changed', 'nickname'],
  ])
    assert.ok(
      told.some((each) => JSON.stringify(each) === JSON.stringify(event)),
      JSON.stringify(told),
    )
})

test('a PATCH and a PUT of a thousand members end soon, and are exact', async () => {
  const { services } = server
  await services.storage.pool.query(
    `INSERT INTO identities (id, username, username_key, email, email_key, password_hash, created_at, updated_at)
     SELECT gen_random_uuid(), 'crowd' || n, 'crowd' || n, 'crowd' || n || '@example.test', 'crowd' || n || '@example.test', 'x', $1, $1
     FROM generate_series(1, 1000) n`,
    [services.clock()],
  )
  const { rows } = await services.storage.pool.query<{ value: string }>(
    "SELECT id AS value FROM identities WHERE username_key LIKE 'crowd%' ORDER BY id",
  )
  const group = (await scim.send('POST', '/Groups', { displayName: 'Crowd' })).body
  assert.equal((await patch(`/Groups/${group.id}`, [{ op: 'add', path: 'members', value: rows }])).status, 204)
  const all = (await scim.send('GET', `/Groups/${group.id}`)).body
  assert.deepEqual(
    all.members.map(({ value }: { value: string }) => value),
    rows.map(({ value }) => value),
  )
  const half = rows.filter((_, index) => index % 2 === 0)
  const put = await scim.send('PUT', `/Groups/${group.id}`, { displayName: 'Crowd', members: half })
  assert.equal(put.body.members.length, 500)
  const byPath = half.map(({ value }) => ({ op: 'remove', path: `members[value eq "${value}"]` }))
  assert.equal((await patch(`/Groups/${group.id}`, byPath)).status, 204)
  const left = await scim.send('GET', `/Groups/${group.id}`)
  assert.equal('members' in left.body, false)
})

const user = (extra: object = {}) => ({ userName: 'bad@example.test', ...extra })
const operations = (...all: unknown[]) => ({ schemas: [PATCH_SCHEMA], Operations: all })
for (const [what, method, path, body, status, scimType] of [
  ['no body', 'POST', '/Users', undefined, 400, 'invalidSyntax'],
  ['a body that is not JSON', 'POST', '/Users', '{"userName":', 400, 'invalidSyntax'],
  ['a list', 'POST', '/Users', [], 400, 'invalidSyntax'],
  ['null', 'POST', '/Users', 'null', 400, 'invalidSyntax'],
  ['another schema', 'POST', '/Users', user({ schemas: [GROUP_SCHEMA] }), 400, 'invalidSyntax'],
  ['schemas that are a text', 'POST', '/Users', user({ schemas: USER_SCHEMA }), 400, 'invalidSyntax'],
  ['one attribute twice', 'POST', '/Users', '{"userName":"a@b.test","USERNAME":"c@d.test"}', 400, 'invalidSyntax'],
  ['no userName', 'POST', '/Users', { displayName: 'x' }, 400, 'invalidValue'],
  ['an empty userName', 'POST', '/Users', { userName: ' ', emails: [{ value: 'a@b.test' }] }, 400, 'invalidValue'],
  ['a userName that is a number', 'POST', '/Users', { userName: 7 }, 400, 'invalidValue'],
  [
    'a userName of 256 characters',
    'POST',
    '/Users',
    { userName: 'x'.repeat(256), emails: [{ value: 'a@b.test' }] },
    400,
    'invalidValue',
  ],
  [
    'an invisible userName',
    'POST',
    '/Users',
    { userName: '\u200b', emails: [{ value: 'a@b.test' }] },
    400,
    'invalidValue',
  ],
  ['NUL', 'POST', '/Users', user({ title: 'a\0b' }), 400, 'invalidValue'],
  ['half a character', 'POST', '/Users', '{"userName":"bad@example.test","title":"\\ud800"}', 400, 'invalidValue'],
  ['no e-mail address', 'POST', '/Users', { userName: 'bad' }, 400, 'invalidValue'],
  ['an e-mail address that is none', 'POST', '/Users', user({ emails: [{ value: 'x' }] }), 400, 'invalidValue'],
  ['e-mail addresses that are a number', 'POST', '/Users', user({ emails: 7 }), 400, 'invalidValue'],
  [
    'an e-mail address in a list in a list',
    'POST',
    '/Users',
    user({ emails: [[{ value: 'a@b.test' }]] }),
    400,
    'invalidValue',
  ],
  [
    'two primary addresses',
    'POST',
    '/Users',
    user({
      emails: [
        { value: 'a@b.test', primary: true },
        { value: 'c@d.test', primary: true },
      ],
    }),
    400,
    'invalidValue',
  ],
  [
    '51 addresses',
    'POST',
    '/Users',
    user({ emails: Array.from({ length: 51 }, () => ({ value: 'a@b.test' })) }),
    400,
    'invalidValue',
  ],
  ['a name of 101 characters', 'POST', '/Users', user({ displayName: 'x'.repeat(101) }), 400, 'invalidValue'],
  ['a name that is turned around', 'POST', '/Users', user({ displayName: 'x\u202ey' }), 400, 'invalidValue'],
  ['a title of 501 characters', 'POST', '/Users', user({ title: 'x'.repeat(501) }), 400, 'invalidValue'],
  ['a text of 1001 characters', 'POST', '/Users', user({ userType: 'x'.repeat(1001) }), 400, 'invalidValue'],
  ['active that is a word', 'POST', '/Users', user({ active: 'yes' }), 400, 'invalidValue'],
  ['a name that is a text', 'POST', '/Users', user({ name: 'Ada' }), 400, 'invalidValue'],
  ['no such user', 'GET', `/Users/${NOWHERE}`, undefined, 404, undefined],
  ['an id that is none', 'GET', '/Users/x%00y', undefined, 404, undefined],
  ['a path that cannot be decoded', 'GET', '/Users/%ff', undefined, 404, undefined],
  ['a change of no such user', 'PUT', `/Users/${NOWHERE}`, user(), 404, undefined],
  [
    'a PATCH of no such user',
    'PATCH',
    `/Users/${NOWHERE}`,
    operations({ op: 'remove', path: 'title' }),
    404,
    undefined,
  ],
  ['a path too far', 'GET', `/Users/${NOWHERE}/emails`, undefined, 404, undefined],
  ['an unknown endpoint', 'GET', '/Printers', undefined, 404, undefined],
  ['no endpoint', 'GET', '', undefined, 404, undefined],
  ['an unknown schema', 'GET', '/Schemas/x', undefined, 404, undefined],
  ['bulk', 'POST', '/Bulk', {}, 501, undefined],
  ['me', 'GET', '/Me', undefined, 501, undefined],
  ['a method that is not there', 'PUT', '/Users', user(), 405, undefined],
  ['a search with GET', 'GET', '/Users/.search', undefined, 405, undefined],
  ['a filter that is none', 'GET', '/Users?filter=x', undefined, 400, 'invalidFilter'],
  [
    'an operator without an index',
    'GET',
    `/Users?filter=${encodeURIComponent('userName co "x"')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  [
    'an attribute without an index',
    'GET',
    `/Users?filter=${encodeURIComponent('title eq "x"')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  [
    'an unknown attribute',
    'GET',
    `/Users?filter=${encodeURIComponent('shoeSize eq "x"')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  [
    'NUL in a filter',
    'GET',
    `/Users?filter=${encodeURIComponent('userName eq "\\u0000"')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  [
    'null in a filter',
    'GET',
    `/Users?filter=${encodeURIComponent('userName eq null')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  [
    'a filter on the type alone',
    'GET',
    `/Users?filter=${encodeURIComponent('emails.type eq "work"')}`,
    undefined,
    400,
    'invalidFilter',
  ],
  ['a filter twice', 'GET', '/Users?filter=userName%20pr&filter=userName%20pr', undefined, 400, 'invalidValue'],
  ['startIndex that is a word', 'GET', '/Users?startIndex=first', undefined, 400, 'invalidValue'],
  ['count that is a word', 'GET', '/Users?count=all', undefined, 400, 'invalidCount'],
  ['a cursor that is none', 'GET', '/Users?cursor=x', undefined, 400, 'invalidCursor'],
  ['a search that is a list', 'POST', '/Users/.search', [], 400, 'invalidSyntax'],
  ['a search with attributes that are a number', 'POST', '/Users/.search', { attributes: 7 }, 400, 'invalidValue'],
  ['a group without a name', 'POST', '/Groups', { members: [] }, 400, 'invalidValue'],
  ['a group with an empty name', 'POST', '/Groups', { displayName: ' ' }, 400, 'invalidValue'],
  ['a group with a name of 101 characters', 'POST', '/Groups', { displayName: 'x'.repeat(101) }, 400, 'invalidValue'],
  [
    'a member that is not there',
    'POST',
    '/Groups',
    { displayName: 'Bad', members: [{ value: NOWHERE }] },
    400,
    'invalidValue',
  ],
  ['a member that is no id', 'POST', '/Groups', { displayName: 'Bad', members: [{ value: 'x' }] }, 400, 'invalidValue'],
  [
    'a member without a value',
    'POST',
    '/Groups',
    { displayName: 'Bad', members: [{ type: 'User' }] },
    400,
    'invalidValue',
  ],
  [
    'a group as a member',
    'POST',
    '/Groups',
    { displayName: 'Bad', members: [{ value: NOWHERE, type: 'Group' }] },
    400,
    'invalidValue',
  ],
  ['no such group', 'DELETE', `/Groups/${NOWHERE}`, undefined, 404, undefined],
] as const) {
  test(`${what} is refused with ${status}`, async () => {
    const answer = await scim.send(method, path, body)
    assert.deepEqual([answer.status, answer.body.scimType], [status, scimType], JSON.stringify(answer.body))
    assert.deepEqual([answer.body.schemas, answer.body.status], [[ERROR], String(status)])
    assert.equal(answer.headers.get('content-type'), 'application/scim+json')
    assert.notEqual(answer.body.detail, '')
  })
}

test('bodies of other types, too long ones and clients that accept no JSON are refused', async () => {
  const send = async (headers: Record<string, string>, body: unknown = user()) =>
    (await scim.send('POST', '/Users', body, headers)).status
  assert.equal(await send({ 'Content-Type': 'text/plain' }), 415)
  assert.equal(await send({ 'Content-Type': 'application/xml' }), 415)
  assert.equal(await send({ 'Content-Encoding': 'gzip' }), 415)
  assert.equal(await send({ Accept: 'text/html' }), 406)
  assert.equal(await send({}, user({ title: 'x'.repeat(1_100_000) })), 413)
  assert.equal(await send({ 'Content-Type': 'application/json', Accept: 'application/json' }), 201)
})

test('a refused change leaves everything as it was', async () => {
  const before = await newUser({ displayName: 'Stays' })
  for (const each of [
    [
      { op: 'replace', path: 'displayName', value: 'Gone' },
      { op: 'replace', path: 'emails', value: [{ value: 'x' }] },
    ],
    [
      { op: 'replace', path: 'displayName', value: 'Gone' },
      { op: 'replace', path: 'title', value: 'x'.repeat(501) },
    ],
    [
      { op: 'replace', path: 'displayName', value: 'Gone' },
      { op: 'replace', path: 'id', value: 'x' },
    ],
  ])
    assert.equal((await patch(`/Users/${before.id}`, each)).status, 400)
  assert.deepEqual((await scim.send('GET', `/Users/${before.id}`)).body, before)
})

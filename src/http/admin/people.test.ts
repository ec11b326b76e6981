import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { addAppRole } from '../../domain/apps/app-roles.ts'
import { changeRoles, findIdentity } from '../../domain/identities/identities.ts'
import { createGroup } from '../../domain/identities/groups.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { PERSON_ACTS } from './person-acts.ts'

const password = 'a long enough password'
const clock = createClock()
let server: TestServer
let admin: Browser
let support: Browser
let adminId: string
let notes: Client
let people = 0
let id: string
let username: string
let path: string

before(async () => {
  server = await startTestServer({ clock })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  await addAppRole(server.services, 'notes', 'author')
  ;({ browser: admin, id: adminId } = await operator('root', 'admin'))
  ;({ browser: support } = await operator('helpdesk', 'support'))
})
after(() => server.close())
beforeEach(async () => {
  username = `person-${++people}`
  id = await server.addIdentity({ username, email: `${username}@example.test`, password })
  path = `/admin/people/${id}`
})

test('a person is found by the beginning of a name, and the list goes on', async () => {
  for (let number = 0; number < 51; number++)
    await server.addIdentity({ username: `many-${number}`, email: `many-${number}@example.test`, password })
  const first = await readPage(await admin.get('/admin/people?search=MANY'))
  assert.equal(first.html.match(/<h2><a/g)?.length, 50)
  const next = /href="(\/admin\/people\?[^"]*cursor[^"]*)"/
    .exec(first.html)?.[1]
    ?.replaceAll('&amp;', '&')
    .replaceAll('&#38;', '&')
  const second = await readPage(await admin.get(next ?? ''))
  assert.equal(second.html.match(/<h2><a/g)?.length, 1)
  const none = await readPage(await support.get('/admin/people?search=%25&state=disabled&role=x'))
  assert.match(none.text, /There is no such person/)
  assert.doesNotMatch(none.html, /\/admin\/people\/new/)
  for (const query of ['state=gone', 'cursor=x', 'search=a&search=b', `search=${'x'.repeat(300)}`, 'search=%00'])
    assert.ok([400, 422].includes((await admin.get(`/admin/people?${query}`)).status), query)
  assert.equal((await admin.get('/admin/people?group=no-such-group')).status, 404)
})

test('strangers are asked to sign in, users without a role are refused, and so is a sign-in with one step', async () => {
  const stranger = new Browser(server.url)
  assert.match((await stranger.get(path)).headers.get('location') ?? '', /^\/login\?return_to=%2Fadmin/)
  await stranger.signIn({ username, password })
  assert.equal((await stranger.get(path)).status, 403)
  await changeRoles(server.services, id, ['admin'])
  assert.equal((await stranger.get(path)).status, 403)
  await changeRoles(server.services, id, [])
  assert.equal((await admin.get('/admin/people/no-such-person')).status, 404)
})

test('the page of a person shows everything, and no secret', async () => {
  const browser = new Browser(server.url)
  await browser.signIn({ username, password })
  const { key } = await addTotp(browser, clock(), 'Pocket <b>')
  await notes.connect(browser)
  const page = await readPage(await support.get(path))
  for (const words of [
    username,
    `${username}@example.test`,
    'not confirmed',
    'Pocket',
    'recovery codes',
    'Notes',
    'Your account was created.',
  ])
    assert.ok(page.text.includes(words), words)
  assert.doesNotMatch(page.html, /argon2|Pocket <b>/)
  assert.ok(!page.html.includes(key))
  // Support has the buttons that help, and no others.
  assert.match(page.html, /password-reset"/)
  assert.doesNotMatch(page.html, /disablement"|correction"|\/deletion"/)
  const protectedPage = await readPage(await support.get(`/admin/people/${adminId}`))
  assert.match(protectedPage.text, /Only an administrator/)
  assert.doesNotMatch(protectedPage.html, /password-reset"|revocation"/)
})

test('every change asks first, and then says what it did, in whose name and from where', async () => {
  await admin.post(`${path}/disablement`, {})
  for (const [name, { title, done }] of Object.entries(PERSON_ACTS)) {
    if (name === 'password-reset') await admin.post(`${path}/enablement`, {})
    const asked = await readPage(await admin.get(`${path}/${name}`))
    assert.equal(asked.forms.at(-1)?.action, `${path}/${name}`, title)
    const response = await admin.post(`${path}/${name}`, {})
    assert.equal(response.headers.get('location'), path, done)
    assert.notEqual((await readPage((await admin.follow(response)).response)).notice, null)
  }
  const { rows } = await server.services.storage.pool.query<{ kind: string; actor: string; at: Date }>(
    `SELECT kind, actor, at FROM audit_events WHERE identity_id = $1 AND actor_id = $2 AND actor_address IN ('127.0.0.1', '::1', '::ffff:127.0.0.1')`,
    [id, adminId],
  )
  const kinds = rows.map(({ kind }) => kind)
  for (const kind of [
    'identity_disabled',
    'identity_enabled',
    'reset_sent',
    'attempts_reset',
    'everything_ended',
    'second_factors_reset',
  ])
    assert.ok(kinds.includes(kind), kind)
  assert.ok(rows.every(({ actor, at }) => actor === 'root' && at.getTime() === clock().getTime()))
})

test('a correction with a problem keeps what was typed, and is made when it is right', async () => {
  const form = {
    username: 'root',
    email: 'nowhere',
    name: 'Ada',
    given_name: '',
    family_name: '',
    nickname: '',
    phone_number: '',
  }
  const refused = await readPage(await admin.post(`${path}/correction`, form))
  assert.equal(refused.status, 422)
  assert.equal(refused.problems.length, 1)
  assert.deepEqual(
    [refused.forms.at(-1)?.fields['username'], refused.forms.at(-1)?.fields['email']],
    ['root', 'nowhere'],
  )
  const taken = await readPage(await admin.post(`${path}/correction`, { ...form, email: `${username}@example.test` }))
  assert.equal(taken.status, 409)

  const right = { ...form, username: `${username}-new`, email: 'ada@new.example.test', email_verified: 'yes' }
  assert.equal((await admin.post(`${path}/correction`, right)).headers.get('location'), path)
  const row = await findIdentity(server.services, id)
  assert.deepEqual(
    [row?.username, row?.email, row?.emailVerified, row?.name],
    [`${username}-new`, 'ada@new.example.test', true, 'Ada'],
  )
})

test('a new person has no password that the operator could know', async () => {
  const form = await readPage(await admin.get('/admin/people/new'))
  assert.doesNotMatch(form.html, /type="password"/)
  const typed = {
    username: 'мария',
    email: 'maria@example.test',
    roles: 'reader, editor',
    password: 'chosen by the operator',
  }
  const response = await admin.post('/admin/people/new', typed)
  const page = await readPage((await admin.follow(response)).response)
  assert.match(page.notice ?? '', /мария is created/)
  const login = await new Browser(server.url).post('/login', { login: 'мария', password: typed.password })
  assert.equal(login.status, 401)
  assert.equal((await admin.post('/admin/people/new', typed)).status, 409)
})

test('one browser, one app and one sign-in method are taken away', async () => {
  const browser = new Browser(server.url)
  await browser.signIn({ username, password })
  await addTotp(browser, clock())
  await notes.connect(browser)
  const linkOn = async (pattern: RegExp) =>
    pattern.exec((await readPage(await admin.get(path))).html)?.[1] ?? assert.fail(String(pattern))
  for (const [pattern, notice] of [
    [/href="(\/admin\/families\/[\w-]+\/ending)"/, /Signed out of/],
    [/href="([^"]*\/second-factors\/[\w-]+\/removal)"/, /removed/],
    [/href="([^"]*\/sessions\/[\w-]+\/ending)"/, /signed out/],
  ] as const) {
    const href = await linkOn(pattern)
    const asked = await readPage(await admin.get(href))
    assert.equal(asked.forms.at(-1)?.action, href)
    const done = await readPage((await admin.follow(await admin.post(href, {}))).response)
    assert.match(done.notice ?? '', notice)
    // Once more: it is gone, and says so without a failure.
    assert.ok((await admin.get(href)).status < 500)
  }
  assert.match((await browser.get('/dashboard')).headers.get('location') ?? '', /^\/login/)
  assert.equal((await admin.get(`/admin/families/${id}`)).status, 404)
})

test('roles, roles in one app, attributes and groups are set on their forms', async () => {
  const group = await createGroup(server.services, { name: `Staff ${username}`, roles: ['member'] })
  const post = async (end: string, fields: Record<string, string>) =>
    (await admin.post(`${path}/${end}`, fields)).status
  assert.equal(await post('roles', { roles: 'reader  editor,reader' }), 303)
  assert.equal(await post('roles', { roles: 'ré' }), 422)
  assert.equal(await post('app-roles', { client_id: 'notes', roles: 'author' }), 303)
  assert.equal(await post('app-roles', { client_id: 'notes', roles: 'king' }), 422)
  assert.equal(await post('attributes', { attribute: 'cost_centre', value: '4711' }), 303)
  assert.equal(await post('attributes', { attribute: 'Cost', value: '' }), 422)
  assert.equal(await post('groups', { group: group.name }), 303)
  for (const end of [
    'correction',
    'roles',
    'app-roles?client_id=notes',
    'attributes?attribute=cost_centre',
    'groups',
    'export',
    'erasure',
    'deletion',
    'events',
    'families',
    'attributes/cost_centre/removal',
  ])
    assert.equal((await admin.get(`${path}/${end}`)).status, 200, end)
  const row = await findIdentity(server.services, id)
  assert.deepEqual(
    [row?.roles, row?.appRoles, row?.attributes, row?.groups],
    [['reader', 'editor', 'member'], { notes: ['author'] }, { cost_centre: '4711' }, [group.name]],
  )
  assert.equal(await post('attributes/cost_centre/removal', {}), 303)
})

test('an account is deleted, kept, exported and erased', async () => {
  assert.equal((await admin.post(`${path}/deletion`, {})).headers.get('location'), path)
  assert.match((await readPage(await admin.get(path))).text, /Will be erased/)
  assert.equal((await admin.post(`${path}/keeping`, {})).headers.get('location'), path)
  const exported = await admin.post(`${path}/export`, {})
  assert.match(exported.headers.get('content-disposition') ?? '', /attachment/)
  assert.equal(((await exported.json()) as { profile: { username: string } }).profile.username, username)
  assert.equal((await admin.post(`${path}/deletion`, { now: 'yes' })).headers.get('location'), '/admin/people')
  assert.equal((await admin.get(path)).status, 404)
  // The last administrator stays.
  assert.equal((await admin.post(`/admin/people/${adminId}/deletion`, { now: 'yes' })).status, 409)
})

test('support changes nothing that is not its to change, however it is asked', async () => {
  const before = await findIdentity(server.services, id)
  for (const end of [
    'disablement',
    'factor-reset',
    'correction',
    'roles',
    'attributes',
    'groups',
    'deletion',
    'export',
  ])
    assert.equal((await support.post(`${path}/${end}`, { roles: 'admin', now: 'yes' })).status, 403, end)
  assert.deepEqual(await findIdentity(server.services, id), before)
  for (const end of ['password-reset', 'revocation', 'unlocking'])
    assert.equal((await support.post(`/admin/people/${adminId}/${end}`, {})).status, 403, end)
  assert.equal((await support.post(`${path}/password-reset`, {})).status, 303)
})

test('groups are created, changed, filled, emptied and deleted', async () => {
  const made = await admin.post('/admin/groups/new', { name: 'موظفون', description: '', roles: 'reader' })
  const group = made.headers.get('location') ?? ''
  assert.match(group, /^\/admin\/groups\/[\w-]+$/)
  assert.equal((await admin.post('/admin/groups/new', { name: 'موظفون', description: '', roles: '' })).status, 409)
  const edited = { name: 'Staff', description: 'Everyone', roles: '' }
  assert.equal((await admin.post(`${group}/edit`, edited)).headers.get('location'), group)
  const other = await server.addIdentity({ username: `${username}-b`, email: `${username}-b@example.test`, password })
  const added = await admin.post(`${group}/members`, {
    people: `${username}\r\n${username}-b@example.test, ${username}`,
  })
  assert.match((await readPage((await admin.follow(added)).response)).notice ?? '', /2 people joined Staff/)
  assert.equal((await admin.post(`${group}/members`, { people: 'no-such-person' })).status, 404)
  assert.equal((await admin.post(`${group}/members`, { people: '' })).status, 422)
  const page = await readPage(await support.get(group))
  assert.match(page.text, /2 members/)
  assert.doesNotMatch(page.html, /removal"|\/edit"/)
  assert.equal((await support.get(`${group}/members`)).status, 403)
  assert.equal((await admin.get(`${group}/members/${other}/removal`)).status, 200)
  assert.equal((await admin.post(`${group}/members/${other}/removal`, {})).headers.get('location'), group)
  for (const end of ['/edit', '/members', '/deletion']) assert.equal((await admin.get(group + end)).status, 200, end)
  assert.equal((await admin.post(`${group}/deletion`, {})).headers.get('location'), '/admin/groups')
  assert.equal((await admin.get(group)).status, 404)
})

async function operator(name: string, role: string): Promise<{ browser: Browser; id: string }> {
  const person = { username: name, email: `${name}@example.test`, password }
  const identityId = await server.addIdentity(person, { roles: [role], emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  await addTotp(browser, clock())
  return { browser, id: identityId }
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findInvitation, invite } from '../../domain/accounts/invitations.ts'
import { createGroup } from '../../domain/identities/groups.ts'
import { findAllowedDomains } from '../../domain/identities/open-registration.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { readPage } from '../../testing/browser/page.ts'
import { linkInLast } from '../../testing/mail/mails.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const LIST = '/admin/people/invitations'
const clock = createClock()
let server: TestServer
let admin: Browser
let support: Browser
let ordinary: Browser

before(async () => {
  server = await startTestServer({ clock, env: { ADMIN_SIGN_IN: '86400', FRESH_SIGN_IN: '86400' } })
  await server.addIdentity(ada, { roles: ['admin'], emailVerified: true })
  const helper = { ...ada, username: 'helper', email: 'helper@example.test' }
  await server.addIdentity(helper, { roles: ['support'] })
  await server.addIdentity(grace)
  admin = await signIn(ada)
  support = await signIn(helper)
  ordinary = new Browser(server.url)
  await ordinary.signIn(grace)
})
after(() => server.close())

async function signIn(person: typeof ada): Promise<Browser> {
  const first = new Browser(server.url)
  await first.signIn(person)
  const { key } = await addTotp(first, clock())
  clock.advance(60)
  const browser = new Browser(server.url)
  await browser.signIn(person)
  assert.equal((await browser.post('/login/second-factor', { code: codeOf(key, clock()) })).status, 303)
  return browser
}

const anInvitation = (email: string) => invite(server.services, { email, roles: [], groupIds: [] })

test('an administrator invites with roles and groups, sends again and revokes, and each is asked or told', async () => {
  const staff = await createGroup(server.services, { name: 'Staff' })
  const form = await readPage(await admin.get(`${LIST}/new`))
  assert.equal(form.status, 200)
  const sent = { email: ' guest@Example.test ', roles: 'editor, auditor', groups: 'staff' }
  const { response } = await admin.follow(await admin.post(LIST, { ...form.forms[0]?.fields, ...sent }))
  const list = await readPage(response)
  assert.equal(list.notice, 'An invitation is on its way to guest@Example.test.')
  assert.match(list.text, /guest@Example\.test .*Sent once.*Invited by ada.*Roles: editor and auditor.*Groups: Staff/)
  const made = await findInvitation(server.services, 'guest@example.test')
  assert.deepEqual([made?.roles, made?.groupIds, made?.invitedBy], [['editor', 'auditor'], [staff.id], 'ada'])
  assert.equal((await new Browser(server.url).get(await linkInLast(server, 'invitation'))).status, 200)

  const question = await readPage(await admin.get(`${LIST}/${made?.id}/resend`))
  assert.match(question.heading, /guest@Example\.test again/)
  assert.equal((await admin.post(`${LIST}/${made?.id}/resend`, {})).status, 303)
  assert.equal((await findInvitation(server.services, made?.id as string))?.sentCount, 2)

  assert.equal((await admin.get(`${LIST}/${made?.id}/revocation`)).status, 200)
  const revoked = await admin.follow(await admin.post(`${LIST}/${made?.id}/revocation`, {}))
  assert.equal((await readPage(revoked.response)).notice, 'The invitation to guest@Example.test is revoked.')
  assert.equal(await findInvitation(server.services, made?.id as string), null)
  const { rows } = await server.services.storage.pool.query(
    `SELECT kind, detail, actor, actor_address FROM audit_events WHERE kind LIKE 'invitation%' ORDER BY id`,
  )
  const event = { detail: 'guest@Example.test: editor, auditor', actor: 'ada', actor_address: '127.0.0.1' }
  assert.deepEqual(
    rows,
    ['invitation_created', 'invitation_resent', 'invitation_revoked'].map((kind) => ({ kind, ...event })),
  )
})

const REFUSED: [string, Record<string, string>, RegExp][] = [
  ['no address', { email: '' }, /email/],
  ['a group that does not exist', { email: 'x@example.test', groups: 'Nobody' }, /there is no group Nobody/],
  ['a role that can be none', { email: 'x@example.test', roles: 'a/b' }, /a role has 1 to 64/],
  ['an address with an account', { email: 'ADA@example.test' }, /has an account already, ada/],
]
for (const [name, fields, words] of REFUSED) {
  test(`the form says why ${name} is refused, and keeps what was typed`, async () => {
    const before = await dump(server.services.storage.pool)
    const page = await readPage(await admin.post(LIST, { email: '', roles: '', groups: '', ...fields }))
    assert.equal(page.status, 422)
    assert.match(page.text, words)
    assert.deepEqual((await dump(server.services.storage.pool))['public.invitations'], before['public.invitations'])
  })
}

test('a form that no page sends is a bad request, and no fault', async () => {
  for (const fields of [
    {},
    { email: 'a\0@example.test', roles: '\0', groups: '\0' },
    { email: 'x'.repeat(400), roles: '', groups: '' },
  ])
    assert.equal((await admin.post(LIST, fields as Record<string, string>)).status, 400)
})

test('support reads; ordinary people and strangers get nothing, and change nothing', async () => {
  const { id } = await anInvitation('kept@example.test')
  const before = (await dump(server.services.storage.pool))['public.invitations']
  const page = await readPage(await support.get(LIST))
  assert.deepEqual(
    [page.status, page.forms.some(({ method, action }) => method === 'post' && action.startsWith('/admin'))],
    [200, false],
  )
  assert.doesNotMatch(page.html, /revocation|\/new"/)
  const stranger = new Browser(server.url)
  for (const path of [
    `${LIST}/new`,
    `${LIST}/${id}/resend`,
    `${LIST}/${id}/revocation`,
    '/admin/people/registration',
  ]) {
    assert.deepEqual(
      (await Promise.all([support, ordinary, stranger].map((each) => each.get(path)))).map(({ status }) => status),
      [403, 403, 303],
      path,
    )
  }
  for (const path of [LIST, `${LIST}/${id}/resend`, `${LIST}/${id}/revocation`, '/admin/people/registration']) {
    const fields = { email: 'other@example.test', domains: 'evil.test' }
    assert.deepEqual(
      (await Promise.all([support, ordinary, stranger].map((each) => each.post(path, fields)))).map(
        ({ status }) => status,
      ),
      [403, 403, 303],
      path,
    )
  }
  assert.deepEqual((await dump(server.services.storage.pool))['public.invitations'], before)
  assert.deepEqual(await findAllowedDomains(server.services), [])
})

test('the domains of open registration are set, and what is none is refused', async () => {
  const set = await admin.follow(
    await admin.post('/admin/people/registration', { domains: 'example.com\r\n*.Example.com' }),
  )
  assert.equal((await readPage(set.response)).notice, 'The domains are saved.')
  assert.deepEqual(await findAllowedDomains(server.services), ['*.example.com', 'example.com'])
  const refused = await readPage(await admin.post('/admin/people/registration', { domains: 'example.com\nnonsense' }))
  assert.equal(refused.status, 422)
  assert.match(refused.text, /"nonsense" is no domain like example\.com or \*\.example\.com/)
  await admin.post('/admin/people/registration', { domains: '' })
  assert.deepEqual(await findAllowedDomains(server.services), [])
})

test('a list goes on where it ended, and finds by the beginning of an address', async () => {
  for (let number = 100; number < 160; number++) await anInvitation(`list${number}@example.test`)
  const found = []
  let path: string | undefined = `${LIST}?search=LIST1`
  while (path !== undefined) {
    const { html } = await readPage(await admin.get(path))
    found.push(...[...html.matchAll(/<bdi>(list\d+)@/g)].map(([, name]) => name))
    path = /href="([^"]*)" rel="next"/.exec(html)?.[1]?.replaceAll('&amp;', '&')
  }
  assert.deepEqual(
    found,
    Array.from({ length: 60 }, (_, index) => `list${100 + index}`),
  )
  for (const [search, status] of [
    ['%', 200],
    ['_', 200],
    ['"', 200],
    ['x'.repeat(254), 200],
    ['x'.repeat(255), 422],
    ['\0', 422],
  ] as const)
    assert.equal((await admin.get(`${LIST}?${new URLSearchParams({ search })}`)).status, status, search)
  assert.equal((await admin.get(`${LIST}?cursor=nonsense`)).status, 422)
})

test('a search by the beginning of an address is on an index', async () => {
  const { pool } = server.services.storage
  await pool.query(
    `INSERT INTO invitations (id, email, email_key, created_at, sent_at, expires_at)
     SELECT gen_random_uuid(), 'many' || n || '@example.test', 'many' || n || '@example.test', now(), now(), now() FROM generate_series(1, 20000) n`,
  )
  await pool.query('ANALYZE invitations')
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT id FROM invitations WHERE email_key COLLATE "C" >= 'many9' AND email_key COLLATE "C" < 'many9' || chr(1114111)
     ORDER BY email_key COLLATE "C" LIMIT 51`,
  )
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  assert.match(plan, /invitations_email_key_prefix_idx/)
  assert.doesNotMatch(plan, /Sort|Seq Scan/)
})

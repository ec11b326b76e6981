import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  acceptInvitation,
  INVITATION_LIFE,
  invitationLink,
  invite,
  listInvitations,
  resendInvitation,
  revokeInvitation,
} from '../../domain/accounts/invitations.ts'
import { createGroup, deleteGroup } from '../../domain/identities/groups.ts'
import { findIdentity, findIdentityByLogin } from '../../domain/identities/identities.ts'
import { pruneInvitations } from '../../domain/pruning.ts'
import { Refused } from '../../domain/refused.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { readPage } from '../../testing/browser/page.ts'
import { linkInLast, queuedMails } from '../../testing/mail/mails.ts'
import { waitForMail } from '../../testing/mail/outbox.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const PASSWORD = 'seven wet umbrellas in a row'
const CLIENT = { browser: 'Firefox', address: '192.0.2.7' }
const clock = createClock()
let server: TestServer
let count = 0

before(async () => {
  server = await startTestServer({ clock, env: { REGISTRATION: 'invited' } })
  await server.addIdentity(ada, { emailVerified: true })
})
after(() => server.close())

const newEmail = () => `guest${++count}@example.test`
const fields = (username: string, change: Record<string, string> = {}) => ({
  username,
  password: PASSWORD,
  password_confirmation: PASSWORD,
  ...change,
})
const anInvitation = (email = newEmail(), { roles = [] as string[], groupIds = [] as string[] } = {}) =>
  invite(server.services, { email, roles, groupIds })
const pathOf = (invitation: { id: string }) => new URL(invitationLink(server.services, invitation)).pathname
const tokenOf = (invitation: { id: string }) => pathOf(invitation).split('/').at(-1) as string

test('who is invited chooses a name and a password, is signed in, confirmed, and has the roles and groups at once', async () => {
  const staff = await createGroup(server.services, { name: 'Staff', roles: ['reader'] })
  const gone = await createGroup(server.services, { name: 'Gone', roles: ['ghost'] })
  const email = newEmail()
  await anInvitation(email, { roles: ['editor'], groupIds: [staff.id, gone.id] })
  await deleteGroup(server.services, gone.id)
  const mail = await waitForMail(server.mailFolder, email, 'You are invited')
  assert.match(mail.text, /The link works once, for 7 days\./)
  const path = await linkInLast(server, 'invitation')

  const browser = new Browser(server.url)
  const page = await readPage(await browser.get(path))
  assert.equal(page.status, 200)
  assert.ok(page.text.includes(email))
  assert.equal('email' in (page.forms[0]?.fields ?? {}), false)
  const answer = await browser.post(path, { ...page.forms[0]?.fields, ...fields('guest') })
  assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/dashboard'])
  assert.match((await readPage(await browser.get('/dashboard'))).text, /guest/)

  const identity = await findIdentityByLogin(server.services, email)
  assert.deepEqual(
    [identity?.username, identity?.email, identity?.emailVerified, identity?.assignedRoles, identity?.groups],
    ['guest', email, true, ['editor'], ['Staff']],
  )
  assert.deepEqual(identity?.roles.toSorted(), ['editor', 'reader'])
  // The address was proved by the link, so no mail asks for its confirmation.
  assert.equal((await queuedMails(server.services, 'verify-address')).length, 0)
  assert.equal((await readPage(await new Browser(server.url).get(path))).status, 404)
})

test('the e-mail address of the form makes no difference', async () => {
  const invitation = await anInvitation()
  const sent = fields(`fixed${count}`, { email: 'someone-else@example.test' })
  assert.equal((await new Browser(server.url).post(pathOf(invitation), sent)).status, 303)
  assert.equal((await findIdentityByLogin(server.services, `fixed${count}`))?.email, invitation.email)
})

test('ten who race with one link make one account, whatever names they choose', async () => {
  for (const name of ['one', 'two']) {
    const invitation = await anInvitation()
    const before = await countIdentities()
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, turn) =>
        acceptInvitation(
          server.services,
          tokenOf(invitation),
          { username: name === 'one' ? 'racer' : `racer${turn}`, password: PASSWORD },
          CLIENT,
          { termsVersion: null },
        ),
      ),
    )
    assert.equal(outcomes.filter(({ kind }) => kind === 'registered').length, 1)
    assert.equal(await countIdentities(), before + 1)
  }
})

test('a refused form keeps the invitation, and says everything that is wrong', async () => {
  const path = pathOf(await anInvitation())
  const browser = new Browser(server.url)
  const short = await readPage(await browser.post(path, fields('', { password: 'short' })))
  assert.deepEqual([short.status, short.problems.length], [422, 3])
  const taken = await readPage(await browser.post(path, fields('ADA')))
  assert.deepEqual([taken.status, taken.problems], [422, ['This user name is taken.']])
  assert.equal((await browser.post(path, fields(`kept${count}`))).status, 303)
})

test('a link that is revoked, expired, forged or incomplete changes nothing, and says that it is dead', async () => {
  const [revoked, expired, open] = [await anInvitation(), await anInvitation(), await anInvitation()]
  await revokeInvitation(server.services, revoked.id)
  await server.services.storage.pool.query('UPDATE invitations SET expires_at = $2 WHERE id = $1', [
    expired.id,
    clock(),
  ])
  const before = await dump(server.services.storage.pool)
  const token = tokenOf(open)
  const forged = token.slice(0, -2) + (token.endsWith('AA') ? 'BB' : 'AA')
  const paths = [
    pathOf(revoked),
    pathOf(expired),
    `/invitation/${forged}`,
    '/invitation/x',
    `/invitation/${'%00'.repeat(48)}`,
  ]
  for (const path of paths) {
    const browser = new Browser(server.url)
    for (const answer of [await browser.get(path), await browser.post(path, fields('late'))]) {
      const page = await readPage(answer)
      assert.deepEqual([page.status, page.heading], [404, 'This link does not work'], path)
    }
  }
  assert.deepEqual(await dump(server.services.storage.pool), before)
})

test('an address that was confirmed by an account meanwhile leads to the sign-in', async () => {
  const invitation = await anInvitation()
  const owner = { ...ada, username: `owner${count}`, email: invitation.email }
  await server.addIdentity(owner, { emailVerified: true })
  const before = await countIdentities()
  for (const answer of [
    await new Browser(server.url).get(pathOf(invitation)),
    await new Browser(server.url).post(pathOf(invitation), fields(`second${count}`)),
  ]) {
    const page = await readPage(answer)
    assert.deepEqual([page.status, page.heading], [409, 'You have an account already'])
  }
  assert.equal(await countIdentities(), before)
  await assert.rejects(resendInvitation(server.services, invitation.id), { code: 'conflict' })
})

test('an account that only claims the invited address loses it', async () => {
  const email = newEmail()
  const squatter = await server.addIdentity({ ...ada, username: `squatter${count}`, email })
  const invitation = await anInvitation(email)
  assert.equal((await new Browser(server.url).post(pathOf(invitation), fields(`true-owner${count}`))).status, 303)
  assert.equal((await findIdentityByLogin(server.services, email))?.username, `true-owner${count}`)
  assert.equal((await findIdentity(server.services, squatter))?.emailKey, null)
})

test('an address has one open invitation, however it is written and however many race', async () => {
  const email = newEmail()
  const written = [email, email.toUpperCase(), ` ${email} `, email.replace('@', '\u200b@')]
  const outcomes = await Promise.allSettled(written.map((each) => anInvitation(each)))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') assert.equal((outcome.reason as Refused).code, 'conflict')
  // One that has expired makes way.
  clock.advance(INVITATION_LIFE)
  await anInvitation(email)
})

test('sending again keeps the link and makes it last; an expired invitation is forgotten after a month', async () => {
  const invitation = await anInvitation()
  clock.advance(INVITATION_LIFE + 1)
  assert.equal((await new Browser(server.url).get(pathOf(invitation))).status, 404)
  const sent = await resendInvitation(server.services, invitation.id)
  assert.deepEqual([sent.sentCount, sent.expiresAt > clock()], [2, true])
  assert.equal(await linkInLast(server, 'invitation'), pathOf(invitation))
  assert.equal((await new Browser(server.url).get(pathOf(invitation))).status, 200)

  clock.advance(INVITATION_LIFE + 30 * 86_400 + 1)
  await pruneInvitations(server.services)
  assert.deepEqual(await listInvitations(server.services, { limit: 10 }), [])
})

const REFUSALS: [string, { email?: string; roles?: string[] }, string][] = [
  ['an address with an account', { email: ada.email.toUpperCase(), roles: ['admin'] }, 'set-roles ada admin'],
  ['what is no address', { email: 'nowhere' }, 'email'],
  ['an address with NUL', { email: 'a\0b@example.test' }, 'email'],
  ['a role with a space', { roles: ['a b'] }, 'a role has'],
]
for (const [name, change, words] of REFUSALS) {
  test(`inviting is refused for ${name}`, async () => {
    const asked = { email: newEmail(), roles: [], groupIds: [], ...change }
    await assert.rejects(invite(server.services, asked), (error: unknown) => {
      assert.ok(error instanceof Refused)
      assert.ok(error.message.includes(words), error.message)
      return true
    })
  })
}

test('neither the queue nor the log nor a Referer has the secret of a link', async () => {
  const invitation = await anInvitation()
  const token = tokenOf(invitation)
  const answer = await new Browser(server.url).get(`/invitation/${token}`)
  assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
  await linkInLast(server, 'invitation')
  const stored = JSON.stringify(await dump(server.services.storage.pool))
  for (const text of [stored, server.log()]) assert.equal(text.includes(token), false)
  assert.ok(server.log().includes('/invitation/:token'))
})

async function countIdentities(): Promise<number> {
  const { rows } = await server.services.storage.pool.query<{ count: number }>('SELECT count(*)::int FROM identities')
  return rows[0]?.count as number
}

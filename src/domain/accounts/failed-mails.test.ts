import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { perform } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { home } from '../../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { type Mailbox, startMailbox } from '../../testing/mail/mailbox.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { queueMail } from '../mail-jobs.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'

const AUTHORITY = { kind: 'command' } as const

let database: TestDatabase
let mailbox: Mailbox
let server: TestServer
let adaId: string
let graceId: string

before(async () => {
  database = await createDatabase()
  mailbox = await startMailbox()
  server = await startTestServer({ database, env: { SMTP_URL: mailbox.url } })
  adaId = await server.addIdentity(ada)
  graceId = await server.addIdentity(grace)
})
beforeEach(async () => {
  mailbox.refuse(null)
  await mailbox.start()
  await server.services.storage.pool.query('DELETE FROM failed_mails')
})
after(async () => {
  await server.close()
  await mailbox.stop()
  await database.drop()
})

/** The administrator ada. */
function asAda(): Services {
  return { ...server.services, operator: { name: 'ada', id: adaId, address: home.address } }
}

/** The failed mails, once there are so many. */
async function failedMails(count: number) {
  for (let looks = 0; looks < 300; looks++) {
    const { items } = await perform(asAda(), AUTHORITY, OPERATIONS.listFailedMails, {})
    if (items.length === count) return items
    await wait(50)
  }
  throw new Error(`there are not ${count} failed mails`)
}

async function audited(kind: string): Promise<{ detail: string | null; actor_id: string | null }[]> {
  const { rows } = await server.services.storage.pool.query<{ detail: string | null; actor_id: string | null }>(
    'SELECT detail, actor_id FROM audit_events WHERE kind = $1 ORDER BY id',
    [kind],
  )
  return rows
}

test('a test mail reaches the administrator who asks for it', async () => {
  const { email } = await perform(asAda(), AUTHORITY, OPERATIONS.sendTestMail, {})
  assert.equal(email, ada.email)
  const mail = await mailbox.waitFor(({ subject }) => subject.startsWith('Test mail'))
  assert.deepEqual(mail.recipients, [ada.email])
  assert.deepEqual(await audited('test_mail_sent'), [{ detail: null, actor_id: adaId }])
})

test('a test mail that is refused shows the answer of the mail server, at once', async () => {
  mailbox.refuse(451)
  await perform(asAda(), AUTHORITY, OPERATIONS.sendTestMail, { identity: 'grace' })
  const [failed] = await failedMails(1)
  assert.equal(failed?.problem, 'the mail server answered 451 to RCPT TO')
  assert.equal(failed?.recipient, grace.email)
  assert.equal(failed?.kind, 'test')
})

test('a test mail without a mail server says that it was not reached', async () => {
  await mailbox.stop()
  await perform(asAda(), AUTHORITY, OPERATIONS.sendTestMail, {})
  const [failed] = await failedMails(1)
  assert.match(failed?.problem ?? '', /^the mail server was not reached \(/)
})

test('a command without an identity names one who gets the test mail', async () => {
  for (const input of [{}, { identity: 'x'.repeat(40) }, { identity: '00000000-0000-4000-8000-000000000000' }])
    await assert.rejects(perform(server.services, AUTHORITY, OPERATIONS.sendTestMail, input), Refused)
})

test('a mail that the mail server refuses for good is kept, and sent again with a new link', async () => {
  mailbox.refuse(550)
  await queueMail(server.services, { kind: 'reset-password', email: grace.email, clientInfo: home })
  const [failed] = await failedMails(1)
  assert.deepEqual(
    { identity_id: failed?.identity_id, recipient: failed?.recipient, problem: failed?.problem },
    { identity_id: graceId, recipient: grace.email, problem: 'the mail server answered 550 to RCPT TO' },
  )
  assert.equal((await perform(asAda(), AUTHORITY, OPERATIONS.showMailQueue, {})).failed, 1)
  mailbox.refuse(null)
  await perform(asAda(), AUTHORITY, OPERATIONS.resendMail, { mail: failed?.id })
  const mail = await mailbox.waitFor(({ recipients, links }) => recipients.includes(grace.email) && links.length > 0)
  assert.match(mail.links[0] ?? '', /\/reset-password\//)
  await failedMails(0)
  await assert.rejects(perform(asAda(), AUTHORITY, OPERATIONS.resendMail, { mail: failed?.id }), {
    code: 'not_found',
  })
})

test('all failed mails are sent again, each once, by administrators who race', async () => {
  mailbox.refuse(550)
  const at = server.services.clock().toISOString()
  for (let count = 0; count < 5; count++)
    await queueMail(server.services, { kind: 'password-changed', identityId: adaId, clientInfo: home, at })
  await failedMails(5)
  mailbox.refuse(null)
  const before = mailbox.mails().length
  const resent = await Promise.all(
    Array.from({ length: 4 }, () => perform(asAda(), AUTHORITY, OPERATIONS.resendMails, {})),
  )
  assert.equal(
    resent.reduce((sum, each) => sum + each.resent, 0),
    5,
  )
  await mailbox.waitFor(() => mailbox.mails().length === before + 5)
  assert.equal(
    (await audited('mails_resent')).slice(1).reduce((sum, { detail }) => sum + Number(detail), 0),
    5,
  )
})

test('a mail is kept after its last try, and not before', async () => {
  mailbox.refuse(451)
  await queueMail(server.services, { kind: 'reset-password', email: ada.email, clientInfo: home })
  const pool = server.services.storage.pool
  const open = async () => (await perform(asAda(), AUTHORITY, OPERATIONS.showMailQueue, {})).waiting
  for (let looks = 0; (await pool.query(`SELECT FROM queue.job WHERE state = 'retry'`)).rowCount === 0; looks++) {
    assert.ok(looks < 300)
    await wait(50)
  }
  assert.equal(await open(), 1)
  assert.equal((await failedMails(0)).length, 0)
  await pool.query(`UPDATE queue.job SET retry_count = 19, start_after = now() WHERE state = 'retry'`)
  assert.equal((await failedMails(1))[0]?.problem, 'the mail server answered 451 to RCPT TO')
  // Its job is over a moment after it has been kept.
  for (let looks = 0; (await open()) > 0; looks++) {
    assert.ok(looks < 300)
    await wait(50)
  }
})

test('the failed mails of an account go with it, and old ones after a week', async () => {
  mailbox.refuse(550)
  const leaver = await server.addIdentity({ ...grace, username: 'leaver', email: 'leaver@example.test' })
  await queueMail(server.services, { kind: 'verify-address', identityId: leaver })
  await failedMails(1)
  await server.services.storage.pool.query('DELETE FROM identities WHERE id = $1', [leaver])
  await failedMails(0)
})

test('pages of failed mails go on where the one before ended, also at the same moment', async () => {
  await server.services.storage.pool.query(
    `INSERT INTO failed_mails (id, kind, payload, problem, failed_at)
     SELECT gen_random_uuid(), 'test', '{"kind":"test"}', 'refused', '2026-01-01T00:00:00Z' FROM generate_series(1, 7)`,
  )
  const ids: string[] = []
  let cursor: string | null = null
  do {
    const input = { limit: 3, ...(cursor === null ? {} : { cursor }) }
    const page: { items: { id: string }[]; next_cursor: string | null } = await perform(
      asAda(),
      AUTHORITY,
      OPERATIONS.listFailedMails,
      input,
    )
    ids.push(...page.items.map(({ id }) => id))
    cursor = page.next_cursor
  } while (cursor !== null)
  assert.equal(new Set(ids).size, 7)
  for (const wrong of [
    'x',
    Buffer.from('["2026","y"]').toString('base64url'),
    Buffer.from('[null,null]').toString('base64url'),
  ])
    await assert.rejects(perform(asAda(), AUTHORITY, OPERATIONS.listFailedMails, { cursor: wrong }), Refused)
})

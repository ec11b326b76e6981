import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { LANGUAGES } from '../../i18n/catalogues.ts'
import { textsFor } from '../../i18n/texts.ts'
import { updateRegion } from '../../storage/identities.ts'
import { transaction } from '../../storage/postgres.ts'
import { home } from '../../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { type Mailbox, startMailbox } from '../../testing/mail/mailbox.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { type LinkPurpose, lookAtMailLink } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'

let database: TestDatabase
let mailbox: Mailbox
let server: TestServer
let adaId: string
let graceId: string

before(async () => {
  database = await createDatabase()
  mailbox = await startMailbox()
  server = await start()
  adaId = await server.addIdentity(ada)
  graceId = await server.addIdentity(grace)
})
after(async () => {
  await server.close()
  await mailbox.stop()
  await database.drop()
})

function start(): Promise<TestServer> {
  return startTestServer({ database, env: { SMTP_URL: mailbox.url } })
}

async function changed(identityId: string, browser = home.browser): Promise<void> {
  const clientInfo = { ...home, browser }
  await queueMail(server.services, {
    kind: 'password-changed',
    identityId,
    clientInfo,
    at: '2026-11-21T12:00:00.000Z',
  })
}

/** Jobs by what has become of them. */
async function states(): Promise<Record<string, number>> {
  const { rows } = await server.services.storage.pool.query<{ state: string; count: number }>(
    `SELECT state::text, count(*)::int AS count FROM queue.job WHERE name = 'mail' GROUP BY state`,
  )
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await isTrue()); looks++) {
    if (looks > 300) throw new Error(`it did not come to that: ${JSON.stringify(await states())}`)
    await wait(50)
  }
}

/** The wait before the next attempt is over. */
async function skipWaiting(): Promise<void> {
  await server.services.storage.pool.query(`UPDATE queue.job SET start_after = now() WHERE state = 'retry'`)
}

function purposeOf(link: string): { purpose: LinkPurpose; token: string } {
  const [, path = '', token = ''] = new URL(link).pathname.split('/')
  const purposes: Record<string, LinkPurpose> = { 'reset-password': 'reset-password', 'verify-email': 'verify-address' }
  return { purpose: purposes[path] as LinkPurpose, token }
}

test('a mail leaves when the change it is about commits, and not when that fails', async () => {
  const { services } = server
  const mail = {
    kind: 'password-changed',
    identityId: adaId,
    clientInfo: home,
    at: '2026-11-21T12:00:00.000Z',
  } as const
  const failing = transaction(services.storage.pool, async (db) => {
    await queueMail(services, mail, db)
    throw new Error('it did not happen')
  })
  await assert.rejects(failing, /it did not happen/)
  await transaction(services.storage.pool, (db) => queueMail(services, { ...mail, identityId: graceId }, db))
  await mailbox.waitFor(({ recipients }) => recipients.includes(grace.email))
  assert.equal(mailbox.mails().filter(({ recipients }) => recipients.includes(ada.email)).length, 0)
})

test('a password recovery sends a link that works, to the e-mail address as the account has it', async () => {
  await queueMail(server.services, { kind: 'reset-password', email: 'ADA@Example.test', clientInfo: home })
  const mail = await mailbox.waitFor(({ subject }) => subject.includes('Choose a new'))
  assert.deepEqual(mail.recipients, [ada.email])
  const [link = ''] = mail.links
  assert.match(link, new RegExp(`^${server.url}/reset-password/[\\w-]{48}$`))
  const { purpose, token } = purposeOf(link)
  assert.equal((await lookAtMailLink(server.services, purpose, token))?.identityId, adaId)
  assert.equal(await lookAtMailLink(server.services, 'verify-address', token), null)
  assert.equal(await lookAtMailLink(server.services, purpose, token.slice(0, -1)), null)
})

test('no mail is sent to an e-mail address without an account, and the job is done', async () => {
  const before = mailbox.mails().length
  await queueMail(server.services, { kind: 'reset-password', email: 'nobody@example.test', clientInfo: home })
  await until(async () => Object.keys(await states()).every((state) => state === 'completed'))
  assert.equal(mailbox.mails().length, before)
})

test('of two links for the same only the newest works', async () => {
  const ask = async () => queueMail(server.services, { kind: 'verify-address', identityId: graceId })
  const links = () => mailbox.mails().filter(({ subject }) => subject.startsWith('Confirm your address'))
  await ask()
  await mailbox.waitFor(() => links().length === 1)
  await ask()
  await mailbox.waitFor(() => links().length === 2)
  const living = await Promise.all(
    links().map(async ({ links: [link = ''] }) => {
      const { purpose, token } = purposeOf(link)
      return (await lookAtMailLink(server.services, purpose, token)) !== null
    }),
  )
  assert.deepEqual(living, [false, true])
})

for (const language of LANGUAGES)
  test(`a mail is in ${language} for a user who has chosen it, or whose browser caused it, and in the zone of the user`, async () => {
    const { services } = server
    const other = LANGUAGES.find((each) => each !== language) ?? language
    const region = { locale: language, zoneinfo: 'Asia/Tokyo' }
    const before = mailbox.mails().length
    const arrived = async (count: number) => mailbox.waitFor(() => mailbox.mails().length === before + count)
    const event = { kind: 'password-changed', identityId: adaId, at: '2026-11-21T16:00:00.000Z' } as const

    await updateRegion(services.storage.pool, adaId, region, services.clock())
    await queueMail(services, { ...event, clientInfo: { ...home, locale: other } })
    await arrived(1)
    await updateRegion(services.storage.pool, adaId, { locale: null, zoneinfo: null }, services.clock())
    await queueMail(services, { ...event, clientInfo: { ...home, locale: language } })
    await arrived(2)
    await queueMail(services, { ...event, clientInfo: home })
    await arrived(3)

    const [chosen, caused, standard] = mailbox.mails().slice(before)
    const [inTokyo, inUtc] = ['Asia/Tokyo', null].map((zone) => textsFor(language, { organisation: 'Gatehouse', zone }))
    const at = new Date(event.at)
    for (const [mail, texts] of [
      [chosen, inTokyo],
      [caused, inUtc],
    ] as const) {
      assert.equal(mail?.headers['content-language'], language)
      assert.equal(mail.subject, texts?.t('mail.password_changed.subject'))
      assert.ok(mail.text.includes(texts?.time(at, at).text ?? ''), mail.text)
    }
    assert.equal(standard?.headers['content-language'], 'en')
  })

test('while the mail server is down no mail is lost, not even by a restart, and each arrives once', async () => {
  const before = mailbox.mails().length
  await mailbox.stop()
  const browsers = ['one', 'two', 'three', 'four', 'five']
  for (const browser of browsers) await changed(adaId, browser)
  await until(async () => ((await states())['retry'] ?? 0) === browsers.length)
  assert.match(server.log(), /"refusal":"the mail server was not reached/)
  await server.close()
  server = await start()
  const other = await start()
  await skipWaiting()
  await until(async () => (await states())['active'] === undefined)
  await mailbox.start()
  await skipWaiting()
  await until(async () => {
    await skipWaiting()
    return Object.keys(await states()).every((state) => state === 'completed')
  })
  await other.close()
  const arrived = mailbox
    .mails()
    .slice(before)
    .filter(({ recipients, subject }) => recipients.includes(ada.email) && subject.includes('was changed'))
  assert.equal(arrived.length, browsers.length)
})

test('a mail whose recipient the server refuses is not tried again', async () => {
  mailbox.refuse(550)
  await changed(graceId)
  await until(async () => server.log().includes('the mail server answered 550'))
  await until(async () => Object.keys(await states()).every((state) => state === 'completed'))
  mailbox.refuse(null)
})

test('neither the queue nor the log holds a link', async () => {
  const { rows } = await server.services.storage.pool.query<{ text: string }>(
    `SELECT string_agg(j::text, ' ') AS text FROM queue.job j`,
  )
  const { rows: links } = await server.services.storage.pool.query(`SELECT * FROM mail_links`)
  const kept = JSON.stringify(rows) + JSON.stringify(links) + server.log()
  const tokens = mailbox.mails().flatMap(({ links: each }) => each.map((link) => link.split('/').at(-1) ?? ''))
  const secret = tokens.filter((token) => token.length === 48)
  assert.ok(secret.length >= 3)
  for (const token of secret) assert.ok(!kept.includes(token))
})

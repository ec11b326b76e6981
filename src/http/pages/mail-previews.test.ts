import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { createMailer } from '../../mail/mailer.ts'
import type { MailContent } from '../../mail/mail-content.ts'
import { letterhead } from '../../testing/mail/letterhead.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { elementsOf, readPage } from '../../testing/browser/page.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { send } from '../../testing/network/wire.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../../testing/services/temporary-folder.ts'

let folder: TemporaryFolder
let database: TestDatabase
let server: TestServer
let browser: Browser
let link: string

const clock = createClock(new Date('2026-11-21T15:25:44Z'))

before(async () => {
  folder = await makeTemporaryFolder('outbox')
  database = await createDatabase()
  server = await startTestServer({ database, env: { DATA_DIR: folder.path }, clock })
  browser = new Browser(server.url)
  link = `${server.url}/reset-password/a-token`
})
after(async () => {
  await server.close()
  await database.drop()
  await folder.remove()
})

async function write(to: string, id: string, rest: Partial<MailContent> = {}): Promise<string> {
  const mailFolder = join(folder.path, 'outbox')
  const mailer = createMailer({
    smtpUrl: null,
    from: 'Gatehouse <no-reply@localhost>',
    previewFolder: mailFolder,
    clock,
  })
  const subject = 'Choose a new password'
  const links = [{ label: 'Choose a new password', url: link }]
  await mailer.send(to, { ...letterhead, subject, heading: subject, paragraphs: ['Good day.'], links, ...rest }, id)
  return `/dev/outbox/${clock().toISOString().replace(/[-:.]/g, '')}-${id}`
}

test('before any mail, the outbox says that it is empty and only for development', async () => {
  const page = await readPage(await browser.get('/dev/outbox'))
  assert.equal(page.status, 200)
  assert.match(page.text, /No mails yet/)
  assert.match(page.text, /This page exists only in development\./)
})

test('mails are listed newest first, with whom they are to and what about', async () => {
  await write(ada.email, 'z-older')
  clock.advance(60)
  await write(grace.email, 'a-newer', { subject: 'New sign-in' })
  const page = await readPage(await browser.get('/dev/outbox'))
  assert.match(
    page.text,
    /New sign-in grace@example\.test just now Choose a new password ada@example\.test 1 minute ago/,
  )
})

test('a mail is shown with its headers and its text, and its links can be followed', async () => {
  const path = await write(ada.email, 'shown')
  const page = await readPage(await browser.get(path))
  assert.equal(page.heading, 'Choose a new password')
  assert.match(page.text, /From Gatehouse <no-reply@localhost> To ada@example\.test Subject Choose a new password/)
  assert.match(page.text, /This page exists only in development\./)
  assert.ok(page.html.includes(`<a href="${link}">${link}</a>`))
})

test('a mail can be had as a mail program would get it', async () => {
  const path = await write(ada.email, 'raw')
  const page = await readPage(await browser.get(path))
  assert.ok(page.html.includes(`href="${path}/eml"`))
  const response = await browser.get(`${path}/eml`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^message\/rfc822/)
  assert.match(response.headers.get('content-disposition') ?? '', /^attachment; filename="?[\w.-]+\.eml"?$/)
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  assert.match(await response.text(), /^Auto-Submitted: auto-generated\r$/m)
})

test('what a mail says stays text, and leads nowhere but to this portal', async () => {
  const harmless = await readPage(await browser.get(await write(ada.email, 'harmless')))
  const hostile = '"><img src=x onerror=alert(1)>'
  const path = await write(ada.email, 'hostile', {
    subject: hostile,
    paragraphs: [hostile],
    facts: [['App', `${hostile} ${'x'.repeat(72)} https://evil.example/ javascript:alert(1)`]],
  })
  const page = await readPage(await browser.get(path))
  assert.deepEqual(elementsOf(page.html), elementsOf(harmless.html))
  assert.equal(page.heading, hostile)
  assert.doesNotMatch(page.html, /href="(https:\/\/evil|javascript)/)
  assert.equal((await readPage(await browser.get('/dev/outbox'))).html.includes('<img'), false)
})

for (const name of [
  'unknown',
  '20261121T152544000Z-unknown',
  '..%2f..%2fsecret',
  '%2e%2e',
  '20261121T152544000Z-..%2f..%2fsecret',
  '20261121T152544000Z-x%00',
  '20261121T152544000Z-shown.json',
  'x'.repeat(5000),
])
  for (const suffix of ['', '/eml'])
    test(`there is no mail called ${name.slice(0, 40)}${suffix}`, async () => {
      assert.equal((await browser.get(`/dev/outbox/${name}${suffix}`)).status, 404)
    })

for (const [where, env] of [
  ['in production', { NODE_ENV: 'production', PUBLIC_URL: 'https://localhost' }],
  ['where mails leave', { SMTP_URL: 'smtp://127.0.0.1:9' }],
  ['where the world can come, whatever NODE_ENV says', { PUBLIC_URL: 'https://id.example.test' }],
] as const) {
  test(`the outbox does not exist ${where}`, async () => {
    const path = await write(ada.email, 'hidden')
    const port = await findFreePort()
    const other = await startTestServer({ database, env: { DATA_DIR: folder.path, PORT: String(port), ...env } })
    try {
      const { host } = new URL(other.url)
      assert.equal((await send(port, { path: '/login', headers: { host } })).status, 200)
      for (const hidden of ['/dev/outbox', path, `${path}/eml`])
        assert.equal((await send(port, { path: hidden, headers: { host } })).status, 404, hidden)
    } finally {
      await other.close()
    }
  })
}

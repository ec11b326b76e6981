import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import PostalMime from 'postal-mime'
import { createClock } from '../testing/portal/clock.ts'
import { type Mailbox, startMailbox } from '../testing/mail/mailbox.ts'
import { letterhead } from '../testing/mail/letterhead.ts'
import { mailsTo, waitForMail } from '../testing/mail/outbox.ts'
import { standBefore } from '../testing/network/outage.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { MailRefused } from './mail-refused.ts'
import { createMailer, type Mailer, type MailerSettings } from './mailer.ts'
import type { MailContent } from './mail-content.ts'

const FROM = 'Gatehouse <no-reply@id.example.test>'
const LINK = 'https://id.example.test/reset-password/a-secret-of-the-link'
const message: MailContent = {
  ...letterhead,
  subject: 'Choose a new password',
  heading: 'Choose a new password',
  paragraphs: ['Somebody asked for a new password.'],
  facts: [['Account', 'ada']],
  links: [{ label: 'Choose a new password', url: LINK }],
  closing: ['If it was not you, ignore this message.'],
}
const short = { connection: 300, greeting: 300, silence: 300, mail: 5000 }
const shortForTheWhole = { connection: 60_000, greeting: 60_000, silence: 60_000, mail: 400 }

let mailbox: Mailbox
let folder: TemporaryFolder
const open: Mailer[] = []

before(async () => {
  mailbox = await startMailbox()
  folder = await makeTemporaryFolder('mailer')
})
beforeEach(async () => {
  mailbox.refuse(null)
  await mailbox.start()
})
after(async () => {
  for (const mailer of open) mailer.close()
  await mailbox.stop()
  await folder.remove()
})

function mailerFor(settings: Partial<MailerSettings>): Mailer {
  const mailer = createMailer({ smtpUrl: null, from: FROM, previewFolder: null, ...settings })
  open.push(mailer)
  return mailer
}

/** What went wrong, in every word of it. */
async function failureOf(sending: Promise<void>): Promise<Error> {
  const error = await sending.then(
    () => null,
    (thrown: unknown) => thrown as Error,
  )
  assert.ok(error instanceof Error)
  return error
}

test('a mail arrives as text and as HTML, to one person, from us', async () => {
  const clock = createClock(new Date('2026-11-21T15:25:44Z'))
  await mailerFor({ smtpUrl: mailbox.url, clock }).send(ada.email, message, 'first')
  const mail = await mailbox.waitFor(({ headers }) => headers['message-id'] === '<first@id.example.test>')

  assert.deepEqual(mail.recipients, [ada.email])
  assert.equal(mail.subject, message.subject)
  assert.equal(mail.headers['from'], FROM)
  assert.equal(mail.headers['to'], ada.email)
  assert.equal(new Date(mail.headers['date'] ?? '').toISOString(), clock().toISOString())
  assert.match(mail.headers['content-type'] ?? '', /^multipart\/alternative/)
  assert.deepEqual(mail.links, [LINK])
  assert.ok(mail.html.includes(`href="${LINK}"`))
})

test('a logo is a part of the mail that the HTML shows, and no file to save', async () => {
  const bytes = Buffer.from('iVBORw0KGgo=', 'base64')
  const logo = { type: 'image/png', bytes }
  const mailer = mailerFor({ smtpUrl: mailbox.url })
  await mailer.send(ada.email, { ...message, brand: { ...letterhead.brand, logo } }, 'logo')
  const { raw, html } = await mailbox.waitFor(({ headers }) => headers['message-id']?.startsWith('<logo@') ?? false)
  const [part, ...others] = (await PostalMime.parse(raw)).attachments
  assert.deepEqual(
    [part?.mimeType, part?.contentId, part?.disposition, part?.filename, others.length],
    ['image/png', '<logo>', 'inline', null, 0],
  )
  assert.deepEqual(Buffer.from(part?.content as ArrayBuffer), bytes)
  assert.match(html, /<img src="cid:logo"/)
})

test('the sender is one mailbox, whatever its name holds, in a domain of any alphabet', async () => {
  for (const [index, [from, name, address]] of (
    [
      ['Team: Support <id@example.test>', 'Team: Support', 'id@example.test'],
      ['"Team: \\"A\\"; B, <C>" <id@example.test>', 'Team: "A"; B, <C>', 'id@example.test'],
      ['Ärzte, Köln <id@example.test>', 'Ärzte, Köln', 'id@example.test'],
      ['Почта <id@почта.рф>', 'Почта', 'id@xn--80a1acny.xn--p1ai'],
      ['id@почта.рф', '', 'id@xn--80a1acny.xn--p1ai'],
      [' <id@example.test> ', '', 'id@example.test'],
    ] as const
  ).entries()) {
    await mailerFor({ smtpUrl: mailbox.url, from }).send(ada.email, message, `sender-${index}`)
    const domain = address.slice(3)
    const mail = await mailbox.waitFor(({ headers }) => headers['message-id'] === `<sender-${index}@${domain}>`)
    assert.deepEqual((await PostalMime.parse(mail.raw)).from, { name, address })
  }
})

test('programs that answer mails are told not to, and nothing says what sent it', async () => {
  await mailerFor({ smtpUrl: mailbox.url }).send(ada.email, message, 'headers')
  const mail = await mailbox.waitFor(({ headers }) => headers['message-id']?.startsWith('<headers@') ?? false)
  assert.equal(mail.headers['auto-submitted'], 'auto-generated')
  assert.equal(mail.headers['x-auto-response-suppress'], 'All')
  assert.equal(mail.headers['content-language'], 'en')
  assert.deepEqual(mail.headerNames.toSorted(), [
    'auto-submitted',
    'content-language',
    'content-type',
    'date',
    'from',
    'message-id',
    'mime-version',
    'subject',
    'to',
    'x-auto-response-suppress',
  ])
})

test('a mail that is tried again is the same mail', async () => {
  const mailer = mailerFor({ smtpUrl: mailbox.url })
  mailbox.refuse(451)
  await failureOf(mailer.send(grace.email, message, 'again'))
  mailbox.refuse(null)
  await mailer.send(grace.email, message, 'again')
  await mailer.send(grace.email, message, 'again')
  const ids = mailbox.mails().flatMap(({ recipients, headers }) => recipients.includes(grace.email) ? [headers['message-id']] : []) // prettier-ignore
  assert.deepEqual(ids, ['<again@id.example.test>', '<again@id.example.test>'])
})

test('a subject, a text and an address may have letters of every alphabet', async () => {
  const subject = 'Zażółć gęślą jaźń, 你好, مرحبا'
  await mailerFor({ smtpUrl: mailbox.url }).send(
    'zoë@exämple.test',
    { ...message, subject, heading: subject },
    'letters',
  )
  const mail = await mailbox.waitFor((one) => one.subject === subject)
  assert.ok(mail.text.includes(subject))
  assert.ok(mail.html.includes(subject))
  assert.deepEqual(mail.recipients, ['zoë@exämple.test'])
})

test('a line break in a subject makes no header', async () => {
  const subject = 'Hello\r\nBcc: eve@example.test\r\n\r\nBuy'
  await mailerFor({ smtpUrl: mailbox.url }).send(ada.email, { ...message, subject }, 'subject')
  const mail = await mailbox.waitFor(({ headers }) => headers['message-id']?.startsWith('<subject@') ?? false)
  assert.deepEqual(mail.recipients, [ada.email])
  assert.equal(mail.headerNames.includes('bcc'), false)
  assert.deepEqual(mail.links, [LINK])
})

for (const to of [
  'a@x\r\nBcc: eve@example.test',
  'a@x\nBcc: eve@example.test',
  'a@x, eve@example.test',
  'a@x;eve@example.test',
  'a@x eve@example.test',
  'a@x<eve@example.test>',
  'Ada <ada@example.test>',
  'Friends: ada@example.test;',
  '"<script>"@x',
  '"eve@example.test "@x',
  '(eve@example.test)a@x',
  'a@x\u2028eve@example.test',
  'a@x\0',
  'a@[127.0.0.1]',
  'a@x@y',
  '@x',
  'a@',
  '',
  `${'a'.repeat(300)}@example.test`,
]) {
  test(`${JSON.stringify(to.slice(0, 40))} is no address that mail goes to`, async () => {
    const { length } = mailbox.mails()
    for (const settings of [{ smtpUrl: mailbox.url }, { previewFolder: join(folder.path, 'refused') }]) {
      const error = await failureOf(mailerFor(settings).send(to, message, 'hostile'))
      assert.ok(error instanceof MailRefused)
      assert.equal(error.message, 'the address is not one that mail goes to')
    }
    assert.equal(mailbox.mails().length, length)
    await assert.rejects(stat(join(folder.path, 'refused')), { code: 'ENOENT' })
  })
}

test('an id that could be a path or a header is a mistake of ours', async () => {
  const mailer = mailerFor({ previewFolder: join(folder.path, 'ids') })
  for (const id of ['../../x', 'a/b', 'a\r\nBcc: eve@example.test', '', 'x>y'])
    await assert.rejects(mailer.send(ada.email, message, id), /the id of a mail/)
})

test('credentials are in the URL, with any character', async () => {
  const credentials = { user: 'portal@example.test', password: 'p@ss:w/rd?&#%+ä' }
  const guarded = await startMailbox({ credentials })
  try {
    await mailerFor({ smtpUrl: `${guarded.url}?requireTLS=false` }).send(ada.email, message, 'auth')
    assert.deepEqual(
      guarded.mails().map(({ user, isEncrypted }) => ({ user, isEncrypted })),
      [{ user: credentials.user, isEncrypted: false }],
    )
  } finally {
    await guarded.stop()
  }
})

test('a password goes over an encrypted connection, unless the URL says otherwise', async () => {
  const credentials = { user: 'portal', password: 'a password of the mail server' }
  const open = await startMailbox({ credentials })
  const encrypted = await startMailbox({ credentials, offersTls: true })
  try {
    const error = await failureOf(mailerFor({ smtpUrl: open.url }).send(ada.email, message, 'stripped'))
    assert.equal(error instanceof MailRefused, false)
    assert.deepEqual(open.mails(), [])

    await mailerFor({ smtpUrl: `${encrypted.url}?tls.rejectUnauthorized=false` }).send(ada.email, message, 'encrypted')
    assert.deepEqual(
      encrypted.mails().map(({ user, isEncrypted }) => ({ user, isEncrypted })),
      [{ user: 'portal', isEncrypted: true }],
    )
  } finally {
    await open.stop()
    await encrypted.stop()
  }
})

test('a server with a self-signed certificate gets no mail', async () => {
  const encrypted = await startMailbox({ offersTls: true })
  try {
    const error = await failureOf(mailerFor({ smtpUrl: encrypted.url }).send(ada.email, message, 'certificate'))
    assert.equal(error instanceof MailRefused, false)
    assert.deepEqual(encrypted.mails(), [])
  } finally {
    await encrypted.stop()
  }
})

for (const code of [550, 551, 552, 553, 554]) {
  test(`a recipient who is answered ${code} is not tried again`, async () => {
    mailbox.refuse(code)
    const error = await failureOf(mailerFor({ smtpUrl: mailbox.url }).send(ada.email, message, 'refused'))
    assert.ok(error instanceof MailRefused)
    assert.equal(error.message, `the mail server answered ${code} to RCPT TO`)
  })
}

for (const code of [421, 450, 451, 452]) {
  test(`a recipient who is answered ${code} may be tried again, over the same mailer`, async () => {
    const mailer = mailerFor({ smtpUrl: mailbox.url })
    mailbox.refuse(code)
    const error = await failureOf(mailer.send(ada.email, message, `later-${code}`))
    assert.equal(error instanceof MailRefused, false)
    assert.match(error.message, new RegExp(`^the mail server answered ${code}`))
    mailbox.refuse(null)
    await mailer.send(ada.email, message, `later-${code}`)
    await mailbox.waitFor(({ headers }) => headers['message-id'] === `<later-${code}@id.example.test>`)
  })
}

test('while the server is down mails may be tried again, and the first attempt after that arrives', async () => {
  const mailer = mailerFor({ smtpUrl: mailbox.url })
  await mailer.send(ada.email, message, 'before-the-outage')
  await mailbox.stop()
  for (const attempt of [1, 2, 3]) {
    const error = await failureOf(mailer.send(ada.email, message, 'through-the-outage'))
    assert.equal(error instanceof MailRefused, false, `attempt ${attempt}`)
    assert.match(error.message, /^the mail server was not reached \(E[A-Z]+\)$/)
  }
  await mailbox.start()
  await mailer.send(ada.email, message, 'through-the-outage')
  await mailbox.waitFor(({ headers }) => headers['message-id'] === '<through-the-outage@id.example.test>')
})

test('a server that accepts connections and says nothing runs into the timeout', async () => {
  const outage = await standBefore(mailbox.url)
  outage.hang()
  try {
    const mailer = mailerFor({ smtpUrl: outage.url, timeouts: short })
    const error = await failureOf(mailer.send(ada.email, message, 'hanging'))
    assert.equal(error instanceof MailRefused, false)
    assert.match(error.message, /^the mail server was not reached \(ETIMEDOUT\)$/)
    await outage.restore()
    await mailer.send(ada.email, message, 'hanging-no-more')
  } finally {
    await outage.close()
  }
})

test('more mails than connections to a hanging server all come back in time', async () => {
  const outage = await standBefore(mailbox.url)
  outage.hang()
  try {
    const mailer = mailerFor({ smtpUrl: outage.url, timeouts: shortForTheWhole })
    const sent = Array.from({ length: 12 }, async (_, n) => failureOf(mailer.send(ada.email, message, `many-${n}`)))
    for (const error of await Promise.all(sent)) {
      assert.equal(error instanceof MailRefused, false)
      assert.match(error.message, /^the mail server was not reached \(EABORT\)$/)
    }
  } finally {
    await outage.close()
  }
})

test('no error says what must not be known: not the password, not the address, not the link', async () => {
  const credentials = { user: 'portal', password: 'a password of the mail server' }
  const guarded = await startMailbox({ credentials })
  const wrong = guarded.url.replace(encodeURIComponent(credentials.password), 'a-wrong-password')
  const errors: Error[] = []
  try {
    // An operator can mend these, so the mails must wait for it.
    errors.push(await failureOf(mailerFor({ smtpUrl: `${wrong}?requireTLS=false` }).send(ada.email, message, 'wrong')))
    errors.push(await failureOf(mailerFor({ smtpUrl: guarded.url }).send(ada.email, message, 'unencrypted')))
    await guarded.stop()
    errors.push(await failureOf(mailerFor({ smtpUrl: guarded.url }).send(ada.email, message, 'down')))
    for (const error of errors) assert.equal(error instanceof MailRefused, false, error.message)

    mailbox.refuse(550)
    errors.push(await failureOf(mailerFor({ smtpUrl: mailbox.url }).send(ada.email, message, 'refused')))
    assert.equal(errors[0]?.message, 'the mail server answered 535 to AUTH PLAIN')
  } finally {
    await guarded.stop()
  }
  for (const error of errors) {
    const everything = [error.message, error.stack, JSON.stringify(error), String(error.cause)].join()
    for (const secret of [credentials.password, 'a-wrong-password', ada.email, 'a-secret-of-the-link'])
      assert.equal(everything.includes(secret), false, everything)
  }
})

test('the URL cannot make conversations with the server visible', async (t) => {
  const print = t.mock.method(console, 'log', () => {})
  const mailer = mailerFor({ smtpUrl: `${mailbox.url}?logger=true&debug=true&transactionLog=true` })
  await mailer.send(ada.email, message, 'quiet')
  assert.deepEqual(
    print.mock.calls.map(({ arguments: printed }) => printed),
    [],
  )
})

test('without a server, mails land in a folder that only the owner of the process can read', async () => {
  const mailFolder = join(folder.path, 'data/outbox')
  const clock = createClock(new Date('2026-11-21T15:25:44.123Z'))
  const mailer = mailerFor({ previewFolder: mailFolder, clock })
  await mailer.send(ada.email, message, 'landed')
  const name = '20261121T152544123Z-landed'

  assert.deepEqual((await readdir(mailFolder)).toSorted(), [`${name}.eml`, `${name}.json`])
  assert.equal((await stat(mailFolder)).mode & 0o777, 0o700)
  for (const file of await readdir(mailFolder)) assert.equal((await stat(join(mailFolder, file))).mode & 0o777, 0o600)

  const mail = await PostalMime.parse(await readFile(join(mailFolder, `${name}.eml`)))
  assert.equal(mail.subject, message.subject)
  assert.equal(mail.messageId, '<landed@id.example.test>')
  assert.deepEqual(mail.to, [{ name: '', address: ada.email }])
  assert.ok(mail.text?.includes(LINK))
  assert.ok(mail.html?.includes(LINK))
})

test('a test finds the newest of the mails to a person', async () => {
  const mailFolder = join(folder.path, 'waiting')
  const clock = createClock()
  const mailer = mailerFor({ previewFolder: mailFolder, clock })
  const waiting = waitForMail(mailFolder, ada.email, 'new password', 2)
  await mailer.send(ada.email, message, 'z-older')
  await mailer.send(grace.email, message, 'other')
  clock.advance(1)
  await mailer.send(ada.email, { ...message, subject: 'Your new password' }, 'a-newer')
  const { subject, links } = await waiting
  assert.equal(subject, 'Your new password')
  assert.deepEqual(links, [LINK])
  assert.equal((await mailsTo(mailFolder, ada.email)).length, 2)
})

test('without a server and without a folder, a mail is refused and the operator told why', async () => {
  const error = await failureOf(mailerFor({}).send(ada.email, message, 'nowhere'))
  assert.ok(error instanceof MailRefused)
  assert.equal(error.message, 'SMTP_URL is not set, so no mail leaves')
})

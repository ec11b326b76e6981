import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { disableIdentity, findIdentity, findIdentityByLogin } from '../../domain/identities/identities.ts'
import { listMailFolder } from '../../mail/mail-folder.ts'
import { problemIn } from '../../testing/portal/answers.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Authenticator } from '../../testing/browser/authenticator.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { connect } from '../../testing/portal/connections.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { addPasskey, answerTo } from '../../testing/portal/factors.ts'
import { flood } from '../../testing/network/flood.ts'
import { lastMail, linkFor, linkInLast, queuedMails } from '../../testing/mail/mails.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const NEW = 'a loom that weaves flowers and leaves'
const clock = createClock()
let server: TestServer
let notes: Client
let stranger: Browser
let count = 0
let asked = 0

before(async () => {
  server = await startTestServer({ clock, env: { TRUST_PROXY: '1' } })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())
beforeEach(() => {
  stranger = new Browser(server.url)
})

interface Person {
  id: string
  username: string
  email: string
  password: string
}

async function newUser(extra = { emailVerified: true }): Promise<Person> {
  const username = `forgetful${++count}`
  const person = { username, email: `${username}@example.test`, password: ada.password }
  return { ...person, id: await server.addIdentity(person, extra) }
}

/** Asks for a link on the web, as a user who has forgotten the password. */
async function forgotten(email: string): Promise<string> {
  assert.equal((await stranger.post('/forgot-password', { email }, fromAnywhere())).status, 200)
  return linkInLast(server, 'reset-password')
}

/** Only so many may be asked for from one address. */
function fromAnywhere(): Record<string, string> {
  return { 'x-forwarded-for': `192.0.2.${++asked}` }
}

function twice(password: string): Record<string, string> {
  return { password, password_confirmation: password }
}

async function signsIn(login: string, password: string): Promise<boolean> {
  return (await new Browser(server.url).post('/login', { login, password })).status === 303
}

test('who has forgotten the password asks for a link, chooses a new one and signs in with it', async () => {
  const person = await newUser()
  const form = await readPage(await stranger.get('/forgot-password'))
  assert.deepEqual(form.forms[0]?.fields, { email: '' })
  const link = await forgotten(person.email.toUpperCase())
  const page = await readPage(await stranger.get(link))
  assert.equal(page.status, 200)
  assert.deepEqual(page.forms[0], {
    method: 'post',
    action: link,
    buttons: ['Set the new password'],
    fields: { username: person.username, password: '', password_confirmation: '' },
  })
  const response = await stranger.post(link, twice(NEW))
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), '/login')
  assert.deepEqual(
    response.headers.getSetCookie().map((line) => line.split('=', 1)[0]),
    ['notice'],
  )
  const login = await readPage(await stranger.get('/login'))
  assert.match(login.notice ?? '', /Sign in with the new one/)
  assert.deepEqual(
    [await signsIn(person.username, NEW), await signsIn(person.username, person.password)],
    [true, false],
  )
})

test('no account enumeration: the answer and the work are the same for every name and address', async () => {
  const person = await newUser()
  const answers = []
  const queued = []
  for (const email of [
    person.email,
    'nobody@example.test',
    person.username,
    'nobody',
    wide(person.email),
    'ｎｏｂｏｄｙ',
  ]) {
    const before = (await queuedMails(server.services)).length
    const response = await new Browser(server.url).post('/forgot-password', { email })
    const { date: _date, 'x-request-id': _id, etag: _etag, ...headers } = Object.fromEntries(response.headers)
    answers.push({ status: response.status, headers, body: await response.text() })
    queued.push((await queuedMails(server.services)).slice(before).map((mail) => ({ ...mail, email: '' })))
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0])
  assert.match(answers[0]?.body ?? '', /If there is an account with this name or address, we have sent a link/)
  for (const mails of queued) assert.deepEqual(mails, queued[0])
  assert.deepEqual(
    queued[0]?.map(({ kind }) => kind),
    ['reset-password'],
  )
})

/** In full-width letters, as a Japanese keyboard writes them. */
function wide(text: string): string {
  return text.replaceAll(/[!-~]/g, (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xfee0))
}

test('what can be typed to sign in can be typed here, and reaches the same account', async () => {
  const { username, email } = await newUser()
  for (const typed of [wide(username), wide(email), `\u200b${username.toUpperCase()}\ufeff`]) {
    const before = (await queuedMails(server.services)).length
    assert.equal((await stranger.post('/forgot-password', { email: typed }, fromAnywhere())).status, 200)
    const [mail] = (await queuedMails(server.services)).slice(before)
    assert.ok(mail?.kind === 'reset-password' && mail.email === email)
  }
})

test('a user gets so many mails in an hour, and the answer stays the same', async () => {
  const { email, username } = await newUser()
  const before = (await queuedMails(server.services)).length
  const bodies = new Set<string>()
  for (let asking = 0; asking < 10; asking++) {
    const response = await stranger.post(
      '/forgot-password',
      { email: asking % 2 === 0 ? email : ` ${username.toUpperCase()}` },
      fromAnywhere(),
    )
    assert.equal(response.status, 200)
    bodies.add(await response.text())
  }
  assert.equal(bodies.size, 1)
  assert.equal((await queuedMails(server.services)).length, before + 3)
})

for (const [what, email, status] of [
  ['words', 'not an address', 422],
  ['a tag', '"<script>"@example.test', 422],
  ['300 letters before the @', `${'a'.repeat(300)}@example.test`, 422],
  ['a line break', 'ada@example.test\r\nBcc: grace@example.test', 400],
  ['two addresses', 'ada@example.test,grace@example.test', 422],
  ['far too much', `${'a'.repeat(3000)}@example.test`, 400],
] as const) {
  test(`${what} is no address to send a link to, and no mail leaves`, async () => {
    await newUser()
    await forgotten(`forgetful${count}@example.test`)
    const before = (await queuedMails(server.services)).length
    const page = await readPage(await stranger.post('/forgot-password', { email }, fromAnywhere()))
    assert.equal(page.status, status)
    if (status === 422) assert.deepEqual(page.problems, ['Enter an e-mail address like name@example.com.'])
    assert.equal(page.html.includes('<script>'), false)
    assert.equal((await queuedMails(server.services)).length, before)
  })
}

test('an empty form says what is missing, and is not counted', async () => {
  const from = fromAnywhere()
  for (let turn = 0; turn < 25; turn++) {
    const page = await readPage(await stranger.post('/forgot-password', { email: ' ' }, from))
    assert.deepEqual([page.status, page.problems], [422, ['Enter your user name or e-mail address.']])
  }
  assert.equal((await stranger.post('/forgot-password', { email: 'nobody' }, from)).status, 200)
})

test('a link comes for the user name, too, but not to an address that another account holds', async () => {
  const holder = await newUser()
  assert.equal((await stranger.post('/forgot-password', { email: holder.username }, fromAnywhere())).status, 200)
  const link = await linkInLast(server, 'reset-password')
  assert.equal((await stranger.post(link, twice(NEW))).status, 303)
  await stranger.signIn({ username: holder.username, password: NEW })

  const username = `claimant${count}`
  // Another one than the holder's, with which the claimant would be signed in to the account of the holder.
  const password = `${ada.password} of another`
  const claim = { username, email: holder.email, password, password_confirmation: password }
  assert.equal((await new Browser(server.url).post('/register', claim, fromAnywhere())).status, 303)
  await stranger.post('/forgot-password', { email: username }, fromAnywhere())
  // Mails are delivered in their order, so the one before this one would be there.
  await forgotten((await newUser()).email)
  const letters = await listMailFolder(server.mailFolder, Infinity)
  assert.equal(
    letters.some(({ text }) => text.includes(username) && text.includes('/reset-password/')),
    false,
  )
})

test('in a busy hour the form says how long to wait, and keeps the name', async () => {
  const from = fromAnywhere()
  await flood(5, 4, () => new Browser(server.url).post('/forgot-password', { email: 'nobody' }, from))
  const response = await stranger.post('/forgot-password', { email: 'nobody' }, from)
  assert.ok(Number(response.headers.get('retry-after')) > 3000)
  const page = await readPage(response)
  assert.deepEqual([page.status, page.forms[0]?.fields], [429, { email: 'nobody' }])
  assert.match(page.text, /Too many attempts ?There were .* then try again\./)
})

test('a reset ends every browser, every app, every other link and every known device, and says so', async () => {
  const person = await newUser()
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const plain = await notes.connect(elsewhere)
  const offline = await connect(server.services, person.id, 'notes', { scope: 'openid offline_access' })
  const holder = { identityId: person.id, email: person.email }
  const change = await linkFor(server.services, 'change-address', { ...holder, email: 'evil@example.test' })
  const link = await forgotten(person.email)
  assert.equal((await stranger.post(link, twice(NEW))).status, 303)

  assert.equal((await elsewhere.get('/dashboard')).headers.get('location'), '/login?return_to=%2Fdashboard')
  for (const token of [plain.refresh_token, offline.refreshToken]) {
    const { status, error, reason } = await problemIn(await notes.refresh(token))
    assert.deepEqual([status, error, reason], [400, 'invalid_grant', 'revoked'])
  }
  assert.equal((await stranger.post(change, {})).status, 404)
  const { rows } = await server.services.storage.pool.query(
    `SELECT (SELECT count(*)::int FROM devices WHERE identity_id = $1) AS devices,
       (SELECT count(*)::int FROM mail_links WHERE identity_id = $1) AS links`,
    [person.id],
  )
  assert.deepEqual(rows, [{ devices: 0, links: 0 }])
  const mail = await lastMail(server.services, 'password-changed')
  assert.equal(mail.identityId, person.id)

  await stranger.signIn({ ...person, password: NEW })
  const activity = (await readPage(await stranger.get('/activity'))).text
  assert.match(activity, /Your password was reset with a link from your e-mail\./)
  assert.match(activity, /Signed out of Notes[^:]*: your password was reset\./)
  assert.match(activity, /(was|were) signed out: your password was reset\./)
})

test('looking at the link changes nothing, however often', async () => {
  const person = await newUser()
  const link = await forgotten(person.email)
  const before = await dump(server.services.storage.pool)
  for (let look = 0; look < 3; look++) {
    assert.equal((await stranger.get(link)).status, 200)
    assert.equal((await fetch(`${server.url}${link}`, { method: 'HEAD' })).status, 200)
  }
  assert.deepEqual(await dump(server.services.storage.pool), before)
  assert.equal((await stranger.post(link, twice(NEW))).status, 303)
})

test('of ten who use a link at once one sets the password', async () => {
  const person = await newUser()
  const link = await forgotten(person.email)
  const passwords = Array.from({ length: 10 }, (_, index) => `${NEW} ${index}`)
  const answers = await Promise.all(passwords.map(async (each) => new Browser(server.url).post(link, twice(each))))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [303, ...Array.from({ length: 9 }, () => 404)])
  const winner = passwords[answers.findIndex(({ status }) => status === 303)] as string
  assert.equal(await signsIn(person.username, winner), true)
})

test('a link that is used, not the newest, too old, cut off, foreign or made up does nothing, and says so', async () => {
  const person = await newUser()
  const first = await forgotten(person.email)
  const used = await forgotten(person.email)
  assert.equal((await stranger.post(first, twice(NEW))).status, 404)
  assert.equal((await stranger.post(used, twice(NEW))).status, 303)
  const old = await forgotten(person.email)
  clock.advance(61 * 60)
  const holder = { identityId: person.id, email: person.email }
  const verify = (await linkFor(server.services, 'verify-address', holder)).replace('verify-email', 'reset-password')
  const gone = await linkFor(server.services, 'reset-password', { ...holder, email: 'before@example.test' })
  const bad = [first, used, old, verify, gone, old.slice(0, -1), `${old}A`, '/reset-password/x', '/reset-password/%00']
  for (const link of bad) {
    for (const answer of [await stranger.get(link), await stranger.post(link, twice('yet another long password'))]) {
      const page = await readPage(answer)
      assert.equal(page.status, 404)
      assert.equal(page.heading, 'This link does not work')
      assert.match(page.html, /href="\/forgot-password"/)
    }
  }
  assert.equal(await signsIn(person.username, NEW), true)
  assert.equal((await stranger.get('/reset-password')).headers.get('location'), '/forgot-password')
})

test('a password that will not do is refused in words, and the link still works', async () => {
  const person = await newUser()
  const link = await forgotten(person.email)
  for (const [fields, ...problems] of [
    [twice('short'), 'Use at least 15 characters.'],
    [twice(person.email), 'Use a password that is harder to guess from your name or address.'],
    [{ password: NEW, password_confirmation: `${NEW}!` }, 'The two passwords are not the same.'],
    [
      { password: 'short', password_confirmation: 'shorter' },
      'Use at least 15 characters.',
      'The two passwords are not the same.',
    ],
  ] as const) {
    const page = await readPage(await stranger.post(link, fields))
    assert.equal(page.status, 422)
    assert.deepEqual(page.problems, problems)
    assert.equal(page.html.includes(NEW), false)
  }
  assert.equal((await stranger.post(link, { password: NEW })).status, 400)
  assert.equal((await stranger.post(link, twice(NEW))).status, 303)
})

test('a disabled person may choose a new password, and stays disabled', async () => {
  const person = await newUser()
  const link = await forgotten(person.email)
  await disableIdentity(server.services, person.id)
  assert.equal((await stranger.post(link, twice(NEW))).status, 303)
  assert.equal(await signsIn(person.username, NEW), false)
  assert.notEqual((await findIdentity(server.services, person.id))?.disabledAt, null)
})

test('a user who registered another’s e-mail address is signed out once its owner resets the password', async () => {
  const mallory = new Browser(server.url)
  const email = 'bob@example.test'
  const registration = { username: 'mallory', email, ...twice(ada.password) }
  assert.equal((await mallory.post('/register', registration)).status, 303)
  const tokens = await notes.connect(mallory)

  assert.equal((await stranger.post(await forgotten('Bob@example.test'), twice(NEW))).status, 303)
  assert.equal((await mallory.get('/dashboard')).status, 303)
  assert.equal((await notes.refresh(tokens.refresh_token)).status, 400)
  assert.deepEqual([await signsIn(email, ada.password), await signsIn(email, NEW)], [false, true])
  const identity = await findIdentityByLogin(server.services, email)
  assert.deepEqual([identity?.username, identity?.emailVerified], ['mallory', true])
})

test('second factors outlive a reset, but not those of a user who had registered another’s e-mail address', async () => {
  for (const emailVerified of [true, false]) {
    const person = await newUser({ emailVerified })
    const browser = new Browser(server.url)
    await browser.signIn(person)
    const authenticator = new Authenticator(server.url)
    assert.equal((await addPasskey(browser, authenticator)).status, 200)
    const answer = await stranger.post(await forgotten(person.email), twice(NEW))
    assert.equal(answer.headers.get('location'), '/login')

    const withPassword = await new Browser(server.url).post('/login', { login: person.username, password: NEW })
    const next = emailVerified ? '/login/second-factor' : '/dashboard'
    assert.equal(withPassword.headers.get('location'), next)
    const page = await readPage(await stranger.get('/login'))
    const credential = answerTo(page, authenticator)
    assert.equal((await stranger.post('/login/passkey', { credential })).status, emailVerified ? 303 : 401)
    stranger = new Browser(server.url)
  }
})

test('a link for an e-mail address that another user has confirmed since is invalid', async () => {
  const claimed = await newUser({ emailVerified: false })
  const link = await forgotten(claimed.email)
  const registration = { username: `owner${count}`, email: claimed.email, ...twice(`${ada.password} of another`) }
  assert.equal((await new Browser(server.url).post('/register', registration)).status, 303)
  assert.equal((await stranger.post(await linkInLast(server, 'verify-address'), {})).status, 303)
  const again = await linkFor(server.services, 'reset-password', { identityId: claimed.id, email: claimed.email })
  for (const each of [link, again]) assert.equal((await stranger.post(each, twice(NEW))).status, 404)
  assert.equal(await signsIn(claimed.username, claimed.password), true)
})

test('who reads the sign-in page finds the way to a new password', async () => {
  assert.match((await readPage(await stranger.get('/login'))).html, /href="\/forgot-password"/)
  const person = await newUser()
  await stranger.signIn(person)
  assert.match((await readPage(await stranger.get('/reauthentication'))).html, /href="\/forgot-password"/)
})

test('no token of a link reaches the log, not even when everything is logged', async () => {
  const talkative = await startTestServer({ env: { LOG_LEVEL: 'trace' } })
  try {
    const id = await talkative.addIdentity(ada)
    const browser = new Browser(talkative.url)
    const holder = { identityId: id, email: ada.email }
    const links = [
      await linkFor(talkative.services, 'reset-password', holder),
      await linkFor(talkative.services, 'verify-address', holder),
    ]
    for (const link of [...links, ...links.map((each) => each.replace(/^\/[a-z-]+/, (name) => name.toUpperCase()))]) {
      await browser.get(link)
      await browser.get(`${link}/more`)
      await browser.post(link, { password: 'short', password_confirmation: 'short' })
      await browser.post(link, twice(NEW))
    }
    assert.match(talkative.log(), /"path":"\/reset-password\/:token"/)
    assert.match(talkative.log(), /"path":"\/verify-email\/:token"/)
    for (const link of links) assert.equal(talkative.log().includes((link.split('/')[2] as string).slice(0, 24)), false)
    assert.equal(talkative.log().includes(NEW), false)
  } finally {
    await talkative.close()
  }
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { LINK_LIVES } from '../../domain/identities/mail-links.ts'
import { disableIdentity, findIdentity, revokeEverything } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { linkFor, linkInLast, queuedMails } from '../../testing/mail/mails.ts'
import { mailsTo, waitForMail } from '../../testing/mail/outbox.ts'
import { flood } from '../../testing/network/flood.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { addTotp } from '../../testing/portal/factors.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'

const clock = createClock()
let server: TestServer
let notes: Client
let browser: Browser
let count = 0
let asked = 0

before(async () => {
  server = await startTestServer({ clock, env: { TRUST_PROXY: '1', MAIL_SIGN_IN: 'true' } })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())
beforeEach(() => {
  browser = new Browser(server.url)
})

interface Person {
  id: string
  username: string
  email: string
  password: string
}

async function newUser(extra = { emailVerified: true }): Promise<Person> {
  const username = `linked${++count}`
  const person = { username, email: `${username}@example.test`, password: ada.password }
  return { ...person, id: await server.addIdentity(person, extra) }
}

/** Only so many may be asked for from one IP address. */
function fromAnywhere(): Record<string, string> {
  return { 'x-forwarded-for': `192.0.2.${++asked}` }
}

/** Asks for a link on the web. @returns its path */
async function ask(login: string, from = browser, fields: Record<string, string> = {}): Promise<string> {
  assert.equal((await from.post('/login/mail', { login, ...fields }, fromAnywhere())).status, 200)
  return linkInLast(server, 'sign-in-link')
}

async function isSignedIn(from: Browser): Promise<boolean> {
  return (await from.get('/dashboard')).status === 200
}

test('a link in a mail signs in, once, in place of the password', async () => {
  const person = await newUser()
  const login = await readPage(await browser.get('/login'))
  assert.match(login.html, /<a [^>]*href="\/login\/mail">E-mail me a sign-in link<\/a>/)
  const form = await readPage(await browser.get('/login/mail'))
  assert.deepEqual(form.forms[0], {
    method: 'post',
    action: '/login/mail',
    buttons: ['Send the link'],
    fields: { login: '' },
  })
  const link = await ask(person.email.toUpperCase())
  assert.match(link, /^\/login\/mail\/[\w-]{48}$/)
  const page = await readPage(await browser.get(link))
  assert.match(page.text, new RegExp(`as ${person.username}`))
  assert.deepEqual(page.forms[0], {
    method: 'post',
    action: link,
    buttons: ['Sign in'],
    fields: { device_has_passkeys: '' },
  })
  assert.equal(await isSignedIn(browser), false)
  const response = await browser.post(link, {})
  assert.equal(`${response.status} ${response.headers.get('location')}`, '303 /dashboard')
  assert.equal(await isSignedIn(browser), true)
  assert.equal((await browser.post(link, {})).status, 404)
  const { rows } = await server.services.storage.pool.query(
    `SELECT detail FROM audit_events WHERE identity_id = $1 AND kind = 'signed_in'`,
    [person.id],
  )
  assert.deepEqual(rows, [{ detail: 'mail-link' }])
})

test('looking at the link changes nothing, however often', async () => {
  const link = await ask((await newUser()).username)
  const before = await dump(server.services.storage.pool)
  for (let look = 0; look < 3; look++) {
    assert.equal((await browser.get(link)).status, 200)
    assert.equal((await fetch(`${server.url}${link}`, { method: 'HEAD' })).status, 403)
  }
  assert.deepEqual(await dump(server.services.storage.pool), before)
  assert.equal((await browser.post(link, {})).status, 303)
})

test('of ten who use a link at once in one browser one is signed in', async () => {
  const link = await ask((await newUser()).username)
  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, index) =>
      (await browser.copy()).post(link, { nothing: String(index) }, fromAnywhere()),
    ),
  )
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [303, ...Array.from({ length: 9 }, () => 404)])
})

test('another browser is told where to open the link, signs no user in and does not use it up', async () => {
  const person = await newUser()
  const link = await ask(person.email)
  const plain = new Browser(server.url)
  const asker = new Browser(server.url)
  await ask((await newUser()).email, asker)
  const forger = new Browser(server.url)
  await forger.jar.setCookie('mail-sign-in=made-up.signature~1; Path=/', server.url)
  for (const other of [plain, asker, forger]) {
    for (const answer of [await other.get(link), await other.post(link, {})]) {
      const page = await readPage(answer)
      assert.equal(page.status, 403)
      assert.equal(page.heading, 'Open this link in the other browser')
      assert.match(page.html, /href="\/login\/mail"/)
      assert.equal(page.html.includes(person.username), false)
    }
    assert.equal(await isSignedIn(other), false)
  }
  assert.equal((await browser.post(link, {})).status, 303)
  assert.equal(await isSignedIn(browser), true)
})

test('no account enumeration: the answer and the work are the same for every name and address', async () => {
  const person = await newUser()
  const answers = []
  const queued = []
  for (const login of [person.email, 'nobody@example.test', person.username, 'nobody']) {
    const before = (await queuedMails(server.services)).length
    const response = await new Browser(server.url).post('/login/mail', { login }, fromAnywhere())
    const {
      date: _date,
      'x-request-id': _id,
      etag: _etag,
      'set-cookie': cookie,
      ...headers
    } = Object.fromEntries(response.headers)
    assert.match(cookie ?? '', /^mail-sign-in=.*; HttpOnly; SameSite=Lax$/)
    answers.push({ status: response.status, headers, body: await response.text() })
    queued.push(
      (await queuedMails(server.services, 'sign-in-link'))
        .slice(before - (await queuedMails(server.services)).length)
        .map(({ kind, deviceHash }) => ({ kind, deviceHash })),
    )
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0])
  assert.match(
    answers[0]?.body ?? '',
    /If there is an account with this name or address, an e-mail with a sign-in link is on its way/,
  )
  for (const mails of queued) assert.deepEqual(mails, [{ kind: 'sign-in-link', deviceHash: null }])
})

test('an account gets so many links in an hour from strangers, and still its own from a browser it knows', async () => {
  const person = await newUser()
  const known = new Browser(server.url)
  await known.signIn(person)
  await known.post('/logout', {})
  const links = async () => (await queuedMails(server.services, 'sign-in-link')).length
  const before = await links()
  const bodies = new Set<string>()
  for (let asking = 0; asking < 8; asking++) {
    const login = asking % 2 === 0 ? person.email : ` ${person.username.toUpperCase()}`
    const response = await browser.post('/login/mail', { login }, fromAnywhere())
    assert.equal(response.status, 200)
    bodies.add(await response.text())
  }
  assert.equal(bodies.size, 1)
  assert.equal(await links(), before + 3)
  const link = await ask(person.email, known)
  assert.equal(await links(), before + 4)
  assert.equal((await known.post(link, {})).status, 303)
})

test('in a busy hour the form says how long to wait, and keeps the name', async () => {
  const from = fromAnywhere()
  await flood(5, 4, () => new Browser(server.url).post('/login/mail', { login: 'nobody' }, from))
  const response = await browser.post('/login/mail', { login: 'nobody', return_to: '/settings' }, from)
  assert.ok(Number(response.headers.get('retry-after')) > 3000)
  const page = await readPage(response)
  assert.deepEqual([page.status, page.forms[0]?.fields], [429, { login: 'nobody', return_to: '/settings' }])
})

test('an empty form, and what no account can have, are told so and are not counted', async () => {
  const from = fromAnywhere()
  for (let turn = 0; turn < 25; turn++) {
    for (const login of [' ', 'not an address', '']) {
      const page = await readPage(await browser.post('/login/mail', { login }, from))
      assert.equal(page.status, 422)
      assert.equal(page.problems.length, 1)
    }
  }
  assert.equal((await browser.post('/login/mail', { login: 'nobody' }, from)).status, 200)
})

test('a link that is used, not the newest, too old, cut off, foreign or made up does nothing, and says so', async () => {
  const person = await newUser()
  const first = await ask(person.email)
  const used = await ask(person.email)
  assert.equal((await browser.post(first, {})).status, 404)
  assert.equal((await browser.post(used, {})).status, 303)
  const asker = new Browser(server.url)
  const old = await ask(person.email, asker)
  clock.advance(LINK_LIVES['sign-in'])
  const holder = { identityId: person.id, email: person.email }
  const reset = (await linkFor(server.services, 'reset-password', holder)).replace('reset-password', 'login/mail')
  const bad = [first, used, old, reset, old.slice(0, -1), `${old}A`, '/login/mail/x', '/login/mail/%00']
  for (const link of bad) {
    for (const answer of [await asker.get(link), await asker.post(link, {})]) {
      const page = await readPage(answer)
      assert.equal(page.status, 404, link)
      assert.equal(page.heading, 'This link does not work')
      assert.match(page.html, /href="\/login\/mail"/)
    }
  }
  assert.equal(await isSignedIn(asker), false)
})

for (const [what, end] of [
  ['signed out everywhere', ({ id }) => revokeEverything(server.services, id)],
  ['disabled', ({ id }) => disableIdentity(server.services, id)],
  [
    'given a new password',
    async ({ username, password }) => {
      const phone = new Browser(server.url)
      await phone.signIn({ username, password })
      const fields = { password: 'a new one for this account', password_confirmation: 'a new one for this account' }
      assert.equal((await phone.post('/settings/password', { current_password: password, ...fields })).status, 303)
    },
  ],
] as [string, (person: Person) => Promise<unknown>][]) {
  test(`a link of an account that is ${what} signs no user in`, async () => {
    const person = await newUser()
    const link = await ask(person.email)
    await end(person)
    assert.equal((await browser.get(link)).status, 404)
    assert.equal((await browser.post(link, {})).status, 404)
    assert.equal(await isSignedIn(browser), false)
  })
}

test('a disabled account gets no mail, and an address that another account holds gets none of a second', async () => {
  const disabled = await newUser()
  await disableIdentity(server.services, disabled.id)
  const holder = await newUser()
  const username = `second${count}`
  // With the password of the holder, a registration would sign in to the account of the holder.
  const password = `${ada.password} of another`
  const claim = { username, email: holder.email, password, password_confirmation: password }
  assert.equal((await new Browser(server.url).post('/register', claim, fromAnywhere())).status, 303)
  for (const login of [disabled.email, username]) await browser.post('/login/mail', { login }, fromAnywhere())
  // Mails are delivered in their order, so the ones before this one would be there.
  await ask((await newUser()).email)
  const subjects = [
    ...(await mailsTo(server.mailFolder, disabled.email)),
    ...(await mailsTo(server.mailFolder, holder.email)),
  ]
  assert.deepEqual(
    subjects.filter(({ subject }) => subject.includes('sign-in link')),
    [],
  )
})

test('two-step verification still follows, and then the page that was asked for', async () => {
  const person = await newUser()
  const phone = new Browser(server.url)
  await phone.signIn(person)
  const { key } = await addTotp(phone, clock())
  const response = await browser.post(await ask(person.email, browser, { return_to: '/settings' }), {})
  assert.equal(response.headers.get('location'), '/login/second-factor?return_to=%2Fsettings')
  assert.equal(await isSignedIn(browser), false)
  const code = codeOf(key, clock(), 1)
  const done = await browser.post('/login/second-factor', { code, return_to: '/settings' })
  assert.equal(done.headers.get('location'), '/settings')
  assert.deepEqual(claimsOf((await notes.connect(browser)).id_token)['amr'], ['email', 'otp', 'mfa'])
})

test('the link leads on to the app, which learns that it was neither a password nor a first assurance level', async () => {
  const person = await newUser()
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl()))
  const interaction = url.slice(server.url.length)
  const login = await readPage(await browser.get(interaction))
  const href = (/href="(\/login\/mail\?[^"]*)"/.exec(login.html)?.[1] ?? '').replaceAll('&amp;', '&')
  const form = await readPage(await browser.get(href))
  assert.match(form.text, /to continue to Notes/)
  const link = await ask(person.username, browser, { return_to: form.forms[0]?.fields['return_to'] ?? '' })
  assert.match((await readPage(await browser.get(link))).text, /to continue to Notes/)
  const { url: end } = await browser.follow(await browser.post(link, {}))
  const code = new URL(end).searchParams.get('code') as string
  const tokens = (await (await notes.exchange(code)).json()) as { id_token: string }
  const { amr, acr } = claimsOf(tokens.id_token)
  assert.deepEqual([amr, acr], [['email'], '0'])
})

test('a foreign address to lead back to is not followed', async () => {
  const link = await ask((await newUser()).email, browser, { return_to: 'https://evil.example.test/' })
  assert.equal((await browser.post(link, {})).headers.get('location'), '/dashboard')
})

test('a link confirms an address, in a browser of the account; elsewhere its owner gets a link to a new password', async () => {
  const person = await newUser({ emailVerified: false })
  const own = new Browser(server.url)
  await own.signIn(person)
  await own.post('/logout', {})
  const link = await ask(person.email, own)
  // A stranger may have registered the address, and would keep the password.
  await browser.post('/login/mail', { login: person.email }, fromAnywhere())
  const mail = await waitForMail(server.mailFolder, person.email, 'Choose a new')
  assert.match(mail.links[0] ?? '', /\/reset-password\//)
  assert.equal((await findIdentity(server.services, person.id))?.emailVerified, false)
  assert.equal((await own.post(link, {})).status, 303)
  assert.equal((await findIdentity(server.services, person.id))?.emailVerified, true)
})

test('the owner of a deleted account is asked whether to keep it', async () => {
  const person = await newUser()
  const phone = new Browser(server.url)
  await phone.signIn(person)
  assert.equal((await phone.post('/settings/deletion', { username: person.username })).status, 200)
  const response = await browser.post(await ask(person.email), {})
  assert.equal(response.headers.get('location'), '/account-restoration?return_to=%2Fdashboard')
})

test('the stores and the log contain no link and no secret of the browser', async () => {
  const person = await newUser()
  const link = await ask(person.email)
  await browser.get(link)
  await browser.get(`/login//mail/${link.split('/')[3]}`)
  const cookie = (await browser.jar.getCookies(server.url)).find(({ key }) => key === 'mail-sign-in')?.value ?? ''
  const secret = decodeURIComponent(cookie).split('.')[0] as string
  assert.ok(secret.length >= 32)
  const stored = JSON.stringify(await dump(server.services.storage.pool))
  for (const each of [link.split('/')[3] as string, secret]) {
    assert.equal(server.log().includes(each), false)
    assert.equal(stored.includes(each), false)
  }
})

test('without the setting there are no such pages, and the sign-in page offers none', async () => {
  const plain = await startTestServer()
  try {
    const stranger = new Browser(plain.url)
    assert.equal((await (await stranger.get('/login')).text()).includes('/login/mail'), false)
    for (const path of ['/login/mail', `/login/mail/${'a'.repeat(48)}`]) {
      assert.equal((await stranger.get(path)).status, 404)
      assert.equal((await stranger.post(path, { login: 'ada' })).status, 404)
    }
  } finally {
    await plain.close()
  }
})

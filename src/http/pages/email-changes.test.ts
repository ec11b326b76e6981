import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { expireIdentitySessions } from '../../domain/endings/expiry.ts'
import {
  disableIdentity,
  enableIdentity,
  findIdentity,
  findIdentityByLogin,
  revokeEverything,
} from '../../domain/identities/identities.ts'
import { deliverMail } from '../../domain/accounts/mail-delivery.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { claimsOf, Client } from '../../testing/browser/client.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { lastMail, linkFor, linkInLast, queuedMails } from '../../testing/mail/mails.ts'
import { actionOf, readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const clock = createClock()
let server: TestServer
let notes: Client
let count = 0

before(async () => {
  server = await startTestServer({ clock, env: { IDENTITY_SESSION_IDLE: '7200' } })
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
})
after(() => server.close())

interface Person {
  id: string
  username: string
  email: string
  browser: Browser
}

async function newUser(extra = { emailVerified: true }): Promise<Person> {
  const username = `mover${++count}`
  const person = { username, email: `${username}@example.test`, password: ada.password }
  const id = await server.addIdentity(person, extra)
  const browser = new Browser(server.url)
  await browser.signIn(person)
  return { id, username, email: person.email, browser }
}

async function ask({ browser }: Person, email: string): Promise<string> {
  const response = await browser.post('/settings/email', { email })
  assert.equal(response.headers.get('location'), '/settings')
  return linkInLast(server, 'change-address')
}

async function addressOf({ id }: Person): Promise<[string | undefined, boolean | undefined]> {
  const identity = await findIdentity(server.services, id)
  return [identity?.email, identity?.emailVerified]
}

test('a new address becomes the address once it is proved; until then the old one stays, in tokens too', async () => {
  const person = await newUser()
  const link = await ask(person, 'moved@example.test')
  const settings = await readPage(await person.browser.get('/settings'))
  assert.equal(settings.notice, 'We have sent an e-mail with a link to the new address.')
  assert.match(settings.text, /moved@example\.test Becomes your address once you open the link/)
  const before = claimsOf((await notes.connect(person.browser, { claims: CLAIMS })).id_token)
  assert.deepEqual([before['email'], before['email_verified']], [person.email, true])

  const stranger = new Browser(server.url)
  const page = await readPage(await stranger.get(link))
  assert.match(page.text, new RegExp(`moved@example.test becomes the e-mail address of the account ${person.username}`))
  assert.deepEqual(await addressOf(person), [person.email, true])
  const response = await stranger.post(actionOf(page, 'Use moved@example.test'), {})
  assert.equal(response.headers.get('location'), '/login')
  assert.equal((await stranger.post(link, {})).status, 404)

  assert.deepEqual(await addressOf(person), ['moved@example.test', true])
  assert.equal((await findIdentityByLogin(server.services, 'Moved@example.test'))?.id, person.id)
  assert.equal(await findIdentityByLogin(server.services, person.email), null)
  const later = claimsOf((await notes.connect(person.browser, { claims: CLAIMS })).id_token)
  assert.deepEqual([later['email'], later['email_verified']], ['moved@example.test', true])
  const mail = await lastMail(server.services, 'address-changed')
  assert.deepEqual([mail.identityId, mail.from, mail.to], [person.id, person.email, 'moved@example.test'])
  const activity = (await readPage(await person.browser.get('/activity'))).text
  assert.match(activity, /Your e-mail address was changed\..*You asked to change your e-mail address\./)
})

const CLAIMS = JSON.stringify({ id_token: { email: null, email_verified: null } })

test('asking for an e-mail address does not tell whether it has an account', async () => {
  const owner = await newUser()
  const asking = await newUser()
  const answers = []
  for (const email of [owner.email, 'nobodys@example.test']) {
    const before = (await queuedMails(server.services)).length
    const response = await asking.browser.post('/settings/email', { email })
    const { date: _date, 'x-request-id': _id, ...headers } = Object.fromEntries(response.headers)
    const settings = (await readPage(await asking.browser.get('/settings'))).text.replaceAll(email, 'X')
    const kinds = (await queuedMails(server.services)).slice(before).map(({ kind }) => kind)
    answers.push({ status: response.status, headers, body: await response.text(), settings, kinds })
  }
  assert.deepEqual(answers[0], answers[1])
  assert.deepEqual(answers[0]?.kinds, ['change-address'])
})

test('an e-mail address that another user has confirmed stays theirs, and the link says so', async () => {
  const owner = await newUser()
  const other = await newUser()
  const link = await ask(other, owner.email.toUpperCase())
  const page = await readPage(await other.browser.post(link, {}))
  assert.equal(page.status, 409)
  assert.match(page.text, /Another account has confirmed this e-mail address already/)
  assert.deepEqual(
    [await addressOf(owner), await addressOf(other)],
    [
      [owner.email, true],
      [other.email, true],
    ],
  )
  assert.equal((await findIdentityByLogin(server.services, owner.email))?.id, owner.id)
})

test('an e-mail address that a user only claimed goes to the one who confirms it', async () => {
  const claimant = await newUser({ emailVerified: false })
  const other = await newUser()
  const response = await other.browser.post(await ask(other, claimant.email), {})
  assert.equal(response.headers.get('location'), '/settings')
  assert.equal((await findIdentityByLogin(server.services, claimant.email))?.id, other.id)
})

test('another spelling of the own address is a change like any other; the same one is none', async () => {
  const person = await newUser()
  const spelled = person.email.replace('mover', 'Mover')
  assert.equal((await person.browser.post(await ask(person, spelled), {})).status, 303)
  assert.deepEqual(await addressOf(person), [spelled, true])
  const page = await readPage(await person.browser.post('/settings/email', { email: ` ${spelled} ` }))
  assert.deepEqual([page.status, page.problems], [422, ['This is your address already.']])
})

test('a change that waits can be withdrawn; only the newest counts', async () => {
  const person = await newUser()
  const first = await ask(person, 'first@example.test')
  const second = await ask(person, 'second@example.test')
  assert.equal((await person.browser.get(first)).status, 404)
  assert.match(
    (await readPage(await person.browser.get('/settings/email'))).text,
    /A change to second@example\.test is waiting to be confirmed/,
  )

  const settings = await readPage(await person.browser.get('/settings'))
  const keep = actionOf(settings, 'Keep the old one')
  assert.equal((await person.browser.post(keep, {})).headers.get('location'), '/settings')
  assert.equal((await person.browser.post(second, {})).status, 404)
  const after = await readPage(await person.browser.get('/settings'))
  assert.equal(after.text.includes('second@example.test'), false)
  const before = (await readPage(await person.browser.get('/activity'))).text
  await person.browser.follow(await person.browser.post(keep, {}))
  assert.equal((await readPage(await person.browser.get('/activity'))).text, before)
})

test('links that were sent to the old address are dead once it is the old one', async () => {
  const person = await newUser()
  const holder = { identityId: person.id, email: person.email }
  const old = [
    await linkFor(server.services, 'verify-address', holder),
    await linkFor(server.services, 'reset-password', holder),
  ]
  await person.browser.post(await ask(person, 'newer@example.test'), {})
  const later = await linkFor(server.services, 'reset-password', holder)
  for (const link of [...old, later]) assert.equal((await new Browser(server.url).get(link)).status, 404)
})

/** Every ending of the browser in which the change was asked for by its owner elsewhere, or by an operator. */
const ENDINGS: [string, (person: Person, phone: Browser) => Promise<unknown>][] = [
  ['that browser is ended', async (person, phone) => phone.post(`/sessions/${await sessionOf(person)}/revocation`, {})],
  ['all other browsers are signed out', (_, phone) => phone.post('/sessions/revocation', {})],
  ['everything is signed out', (_, phone) => phone.post('/logout', { everywhere: 'yes' })],
  ['everything is signed out in that browser', ({ browser }) => browser.post('/logout', { everywhere: 'yes' })],
  [
    'it was not the owner',
    async (person, phone) => {
      const { id: identityId, email } = person
      const holder = { identityId, email, identitySessionId: await sessionOf(person) }
      const link = await linkFor(server.services, 'disown-sign-in', holder)
      await phone.post(link.replace('/verify-email/', '/not-me/'), {})
    },
  ],
  [
    'the password is reset',
    async ({ id, email }, phone) => {
      const password = 'a difference engine of pewter'
      const link = await linkFor(server.services, 'reset-password', { identityId: id, email })
      await phone.post(link, { password, password_confirmation: password })
    },
  ],
  ['user revoke-all', ({ id }) => revokeEverything(server.services, id)],
  [
    'user disable, though enabled again',
    async ({ id }) => {
      await disableIdentity(server.services, id)
      await enableIdentity(server.services, id)
    },
  ],
]

/** Of the browser that asked: the first one the person signed in with. */
async function sessionOf({ id }: Person): Promise<string> {
  const { rows } = await server.services.storage.pool.query<{ id: string }>(
    'SELECT id FROM identity_sessions WHERE identity_id = $1 ORDER BY created_at LIMIT 1',
    [id],
  )
  return rows[0]?.id ?? assert.fail('no session is there')
}

async function withPhone(): Promise<{ person: Person; phone: Browser }> {
  const person = await newUser()
  const phone = new Browser(server.url)
  clock.advance(1)
  await phone.signIn({ ...person, password: ada.password })
  return { person, phone }
}

for (const [name, bringAbout] of ENDINGS) {
  test(`a change that a browser asked for is void: ${name}`, async () => {
    const { person, phone } = await withPhone()
    const link = await ask(person, `${person.username}-evil@example.test`)
    assert.equal((await new Browser(server.url).get(link)).status, 200)
    await bringAbout(person, phone)
    const stranger = new Browser(server.url)
    assert.equal((await stranger.get(link)).status, 404)
    assert.equal((await stranger.post(link, {})).status, 404)
    assert.equal((await addressOf(person))[0], person.email)
  })

  test(`its mail does not leave any more, nor a second one with a new link: ${name}`, async () => {
    const { person, phone } = await withPhone()
    const email = `${person.username}-late@example.test`
    await ask(person, email)
    await bringAbout(person, phone)
    const mailer = { send: async () => assert.fail('a mail left'), close: () => undefined }
    await deliverMail(server.services, mailer, { kind: 'change-address', identityId: person.id, email }, 'again')
  })
}

for (const [name, leave] of [
  ['signs out in that browser', async ({ browser }: Person) => void (await browser.post('/logout', {}))],
  [
    'is signed in there no more after a long time',
    async () => {
      clock.advance(server.services.lifetimes.identitySessionIdle + 1)
      assert.ok((await expireIdentitySessions(server.services)) > 0)
    },
  ],
  [
    'signs in there again',
    async ({ browser, ...person }: Person) => browser.signIn({ ...person, password: ada.password }),
  ],
] as const) {
  test(`a user who ${name} can still open the link`, async () => {
    const person = await newUser()
    const link = await ask(person, `${person.username}-kept@example.test`)
    await leave(person)
    assert.equal((await new Browser(server.url).post(link, {})).status, 303)
    assert.equal((await addressOf(person))[0], `${person.username}-kept@example.test`)
  })
}

test('a change goes with the browser that asked for it, also when a user signs in there again', async () => {
  const { person, phone } = await withPhone()
  const link = await ask(person, 'stays@example.test')
  await person.browser.signIn({ ...person, password: ada.password })
  assert.equal((await new Browser(server.url).get(link)).status, 200)
  await phone.post('/sessions/revocation', {})
  assert.equal((await new Browser(server.url).get(link)).status, 404)
})

test('a change that is asked for where all others are signed out stays', async () => {
  const { person } = await withPhone()
  const link = await ask(person, `${person.username}-own@example.test`)
  await person.browser.post('/sessions/revocation', {})
  assert.equal((await new Browser(server.url).post(link, {})).status, 303)
})

test('the change is asked for only soon after a sign-in, and what was typed is sent again after one', async () => {
  const person = await newUser()
  clock.advance(server.services.lifetimes.freshSignIn + 1)
  const before = (await queuedMails(server.services)).length
  const way = '/reauthentication?return_to=%2Fsettings%2Femail'
  assert.equal((await person.browser.get('/settings/email')).headers.get('location'), way)
  assert.equal((await person.browser.post('/settings/email', { email: 'x@example.test' })).headers.get('location'), way)
  assert.equal((await queuedMails(server.services)).length, before)

  const form = (await readPage(await person.browser.get(way))).forms[0]
  const again = await person.browser.post(form?.action ?? '', { ...form?.fields, password: ada.password })
  assert.equal(again.headers.get('location'), '/settings/email')
  await ask(person, 'x@example.test')
})

for (const [what, email, status] of [
  ['nothing', '', 422],
  ['words', 'not an address', 422],
  ['a tag', '"<script>"@example.test', 422],
  ['a line break', 'x@example.test\r\nBcc: y@example.test', 400],
] as const) {
  test(`${what} is no new address, and no mail leaves`, async () => {
    const person = await newUser()
    const before = (await queuedMails(server.services)).length
    const page = await readPage(await person.browser.post('/settings/email', { email }))
    assert.equal(page.status, status)
    assert.equal(page.html.includes('<script>'), false)
    assert.equal((await queuedMails(server.services)).length, before)
  })
}

test('strangers and other sites change no address', async () => {
  const person = await newUser()
  const email = 'evil@example.test'
  assert.equal((await new Browser(server.url).post('/settings/email', { email })).headers.get('location'), '/login')
  for (const path of ['/settings/email', '/settings/email/withdrawal']) {
    assert.equal((await person.browser.post(path, { email }, { origin: 'https://evil.test' })).status, 403)
  }
})

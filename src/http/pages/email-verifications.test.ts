import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { findIdentity, findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { linkFor, linkInLast, queuedMails } from '../../testing/mail/mails.ts'
import { readPage } from '../../testing/browser/page.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const clock = createClock()
let server: TestServer
let stranger: Browser
let count = 0

before(async () => {
  server = await startTestServer({ clock })
})
after(() => server.close())
beforeEach(() => {
  stranger = new Browser(server.url)
})

interface Person {
  id: string
  username: string
  email: string
  browser: Browser
  /** The path of the link in the mail that a registration brings. */
  link: string
}

/** A user who has just registered. */
async function newcomer(email = `newcomer${count + 1}@example.test`): Promise<Person> {
  const username = `newcomer${++count}`
  const browser = new Browser(server.url)
  // One of their own: an address and the password of its account would sign in.
  const password = `${ada.password} of ${username}`
  const sent = { username, email, password, password_confirmation: password }
  const response = await browser.post('/register', sent)
  assert.equal(response.status, 303)
  const link = await linkInLast(server, 'verify-address')
  return { id: (await findIdentityByLogin(server.services, username))?.id as string, username, email, browser, link }
}

/** Whether an address is confirmed, and whether signing in with it finds this person. */
async function standingOf({ id, email }: Person): Promise<{ verified: boolean; holds: boolean }> {
  const identity = await findIdentity(server.services, id)
  const holder = await findIdentityByLogin(server.services, email)
  return { verified: identity?.emailVerified === true, holds: holder?.id === id }
}

async function happenings(browser: Browser): Promise<string> {
  return (await readPage(await browser.get('/activity'))).text
}

test('who registers is sent a link, confirms with a button, without signing in, and once', async () => {
  const person = await newcomer()
  const { link } = person
  const page = await readPage(await stranger.get(link))
  assert.equal(page.status, 200)
  assert.match(page.text, new RegExp(`${person.email} is the e-mail address of the account ${person.username}`))
  assert.deepEqual(page.forms[0], {
    method: 'post',
    action: link,
    buttons: [`Confirm ${person.email}`],
    fields: {},
  })

  const response = await stranger.post(link, {})
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('location'), '/login')
  assert.equal((await readPage(await stranger.get('/login'))).notice, 'Your e-mail address is confirmed.')
  assert.deepEqual(await standingOf(person), { verified: true, holds: true })
  assert.match(await happenings(person.browser), /You confirmed your e-mail address\./)

  const again = await readPage(await stranger.post(link, {}))
  assert.equal(again.status, 404)
  assert.equal(again.heading, 'This link does not work')
})

test('opening the link changes nothing, however often, and with whichever method that only looks', async () => {
  const { link } = await newcomer()
  const before = await dump(server.services.storage.pool)
  for (let look = 0; look < 3; look++) {
    assert.equal((await stranger.get(link)).status, 200)
    assert.equal((await fetch(`${server.url}${link}`, { method: 'HEAD' })).status, 200)
  }
  assert.deepEqual(await dump(server.services.storage.pool), before)
  assert.equal((await stranger.post(link, {})).status, 303)
})

test('of ten who press the button at once one confirms, and the others read why not', async () => {
  const person = await newcomer()
  const { link } = person
  const answers = await Promise.all(Array.from({ length: 10 }, async () => new Browser(server.url).post(link, {})))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [303, ...Array.from({ length: 9 }, () => 404)])
  assert.deepEqual(await standingOf(person), { verified: true, holds: true })
})

test('a link of another purpose, of before, too late, cut off or made up does nothing and says so in words', async () => {
  const person = await newcomer()
  const holder = { identityId: person.id, email: person.email }
  const first = await linkFor(server.services, 'verify-address', holder)
  const newest = await linkFor(server.services, 'verify-address', holder)
  const reset = (await linkFor(server.services, 'reset-password', holder)).replace('reset-password', 'verify-email')
  const disown = await linkFor(server.services, 'disown-sign-in', holder)
  const flipped = newest.slice(0, -1) + (newest.endsWith('A') ? 'B' : 'A')
  const bad = [first, reset, disown, flipped, newest.slice(0, -1), `${newest}A`, '/verify-email/x', '/verify-email/%00']
  for (const link of [...bad, `/verify-email/${'x'.repeat(3000)}`, '/verify-email/%E0%A4%A']) {
    for (const answer of [await stranger.get(link), await stranger.post(link, {})]) {
      const page = await readPage(answer)
      assert.ok(page.status === 404 || page.status === 400, `${link}: ${page.status}`)
      if (page.status === 404) assert.equal(page.heading, 'This link does not work')
    }
  }
  assert.deepEqual(await standingOf(person), { verified: false, holds: true })

  clock.advance(24 * 3600 + 1)
  assert.equal((await stranger.get(newest)).status, 404)
  assert.equal((await stranger.post(newest, {})).status, 404)
  assert.equal((await standingOf(person)).verified, false)
})

test('a link that was sent to one address does not confirm another', async () => {
  const person = await newcomer()
  const link = await linkFor(server.services, 'verify-address', { identityId: person.id, email: 'before@example.test' })
  assert.equal((await stranger.get(link)).status, 404)
  assert.equal((await stranger.post(link, {})).status, 404)
  assert.equal((await standingOf(person)).verified, false)
})

test('an address that has had too many mails gets no more, and the page says so', async () => {
  const { browser } = await newcomer()
  const notices = []
  for (let i = 0; i < 12; i++) {
    const { response } = await browser.follow(await browser.post('/verify-email', {}))
    notices.push((await readPage(response)).notice)
  }
  assert.equal(notices[0], 'We have sent you an e-mail with a new link.')
  assert.equal(
    notices.at(-1),
    'Your address has been sent too many e-mails in the last hour. Use the link in the newest one, or try again in an hour.',
  )
})

test('the page of a dead link offers a new one, and says when none is needed', async () => {
  const person = await newcomer()
  const { link } = person
  const dead = '/verify-email/dead'
  assert.match((await readPage(await stranger.get(dead))).html, /href="\/login\?return_to=%2Fverify-email"/)

  const page = await readPage(await person.browser.get(dead))
  const before = (await queuedMails(server.services)).length
  const sent = await person.browser.follow(await person.browser.post(page.forms[0]?.action as string, {}))
  assert.equal((await readPage(sent.response)).notice, 'We have sent you an e-mail with a new link.')
  assert.deepEqual((await queuedMails(server.services)).slice(before), [
    { kind: 'verify-address', identityId: person.id, locale: 'en' },
  ])

  await stranger.post(link, {})
  const needless = await readPage(await person.browser.get(dead))
  assert.match(needless.text, /There is nothing for you to do/)
  await person.browser.post('/verify-email', {})
  assert.equal((await queuedMails(server.services)).length, before + 1)
  assert.match((await readPage(await person.browser.get('/verify-email'))).text, /is confirmed/)
})

test('strangers cannot ask for a link; they sign in first', async () => {
  assert.equal((await stranger.get('/verify-email')).headers.get('location'), '/login?return_to=%2Fverify-email')
  assert.equal((await stranger.post('/verify-email', {})).headers.get('location'), '/login')
})

test('the first to register an e-mail address loses it to the one who confirms it', async () => {
  const squatter = await newcomer('bob@example.test')
  const bob = await newcomer('Bob@Example.test')
  assert.deepEqual(await standingOf(squatter), { verified: false, holds: true })
  const squattersLink = await linkFor(server.services, 'verify-address', {
    identityId: squatter.id,
    email: squatter.email,
  })

  assert.equal((await stranger.post(bob.link, {})).status, 303)
  assert.deepEqual(await standingOf(bob), { verified: true, holds: true })
  assert.deepEqual(await standingOf(squatter), { verified: false, holds: false })
  assert.equal((await stranger.post(squattersLink, {})).status, 404)
  assert.match(
    await happenings(squatter.browser),
    /Your e-mail address now belongs to another account, which has confirmed it\./,
  )
  assert.equal((await squatter.browser.get('/dashboard')).status, 200)
})

test('the user who has confirmed an e-mail address keeps it; the link of another is refused', async () => {
  const owner = await newcomer('carol@example.test')
  await stranger.post(owner.link, {})
  const other = await newcomer('CAROL@example.test')
  assert.equal(other.link, '/login')
  const link = await linkFor(server.services, 'verify-address', { identityId: other.id, email: other.email })

  const page = await readPage(await stranger.post(link, {}))
  assert.equal(page.status, 409)
  assert.match(page.text, /Another account has confirmed this e-mail address already/)
  assert.deepEqual(await standingOf(owner), { verified: true, holds: true })
  assert.deepEqual(await standingOf(other), { verified: false, holds: false })
})

test('of two who prove one address at the same moment exactly one has it', async () => {
  const people = [
    await newcomer('both@example.test'),
    await newcomer('both@example.test'),
    await newcomer('both@example.test'),
  ]
  const links = await Promise.all(
    people.map(async ({ id, email }) => linkFor(server.services, 'verify-address', { identityId: id, email })),
  )
  const answers = await Promise.all(links.map(async (link) => new Browser(server.url).post(link, {})))
  assert.equal(answers.filter(({ status }) => status === 303).length, 1, answers.map(({ status }) => status).join())
  assert.ok(answers.every(({ status }) => [303, 404, 409].includes(status)))
  const standings = await Promise.all(people.map(standingOf))
  assert.equal(standings.filter(({ verified }) => verified).length, 1)
  assert.deepEqual(
    standings.filter(({ holds }) => holds),
    [{ verified: true, holds: true }],
  )
})

test('the pages of a link keep its URL secret, and nothing else may be loaded there', async () => {
  const { link } = await newcomer()
  for (const path of [link, '/verify-email/dead', link.replace('verify-email', 'reset-password')]) {
    const response = await stranger.get(path)
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'/)
    const { html } = await readPage(response)
    assert.deepEqual(html.match(/(?:src|href|action)="(?:[a-z]+:)?\/\/[^"]*"/g), null)
  }
})

test('another site cannot press the button', async () => {
  const person = await newcomer()
  const { link } = person
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.test' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of foreign) {
    for (const path of [link, '/verify-email']) {
      assert.equal((await person.browser.post(path, {}, headers)).status, 403)
    }
  }
  assert.equal((await person.browser.post('/verify-email', {}, { origin: 'null' })).status, 403)
  assert.equal((await standingOf(person)).verified, false)
})

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { Browser } from '../../testing/browser/browser.ts'
import { Client } from '../../testing/browser/client.ts'
import { readPage } from '../../testing/browser/page.ts'
import { linkInLast } from '../../testing/mail/mails.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { recordStatements, withoutPeriodic } from '../../testing/portal/statements.ts'
import { Refused } from '../refused.ts'
import { changeAllowedDomains, domainProblem, findAllowedDomains } from './open-registration.ts'

const CALLBACK = 'https://notes.example.test/callback'
let server: TestServer
let notes: Client
let count = 0

before(async () => {
  server = await startTestServer({ env: { REGISTRATIONS_PER_HOUR: '1000' } })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
})
after(() => server.close())
beforeEach(() => changeAllowedDomains(server.services, ['example.com', '*.example.com', 'BÜCHER.example']))

const sent = (email: string) => ({
  username: `person${++count}`,
  email,
  password: ada.password,
  password_confirmation: ada.password,
})

const ADDRESSES: [string, boolean][] = [
  ['a@example.com', true],
  ['a@EXAMPLE.com', true],
  ['a@sub.example.com', true],
  ['a@a.b.example.com', true],
  ['a@bücher.example', true],
  ['a@xn--bcher-kva.example', true],
  ['a@sub.bücher.example', false],
  ['a@notexample.com', false],
  ['a@example.com.evil.test', false],
  ['a@example.co', false],
  ['example.com@evil.test', false],
]

test('only addresses of the allowed domains may register, and of subdomains where that is said', async () => {
  for (const [email, isAllowed] of ADDRESSES)
    assert.equal((await domainProblem(server.services, email)) === null, isAllowed, email)
  const page = await readPage(await new Browser(server.url).post('/register', sent('eve@evil.test')))
  assert.deepEqual(
    [page.status, page.problems],
    [422, ['Use an e-mail address at one of these domains: *.example.com, example.com, xn--bcher-kva.example.']],
  )
  assert.equal((await new Browser(server.url).post('/register', sent('ann@example.com'))).status, 303)
  // It says the same of an address with an account, and without one.
  await server.addIdentity({ ...grace, email: 'ada@evil.test' })
  const known = await readPage(await new Browser(server.url).post('/register', sent('ada@evil.test')))
  assert.deepEqual(known.problems, page.problems)
})

test('without rules every address may register', async () => {
  assert.deepEqual(await changeAllowedDomains(server.services, []), [])
  assert.equal((await new Browser(server.url).post('/register', sent('free@evil.test'))).status, 303)
})

for (const domain of [
  '',
  ' ',
  '*',
  '*.',
  'com',
  '*.*.example.com',
  'a@example.com',
  'http://example.com',
  'ex ample.com',
  '127.0.0.1',
  'a\0.example',
  'x'.repeat(300),
]) {
  test(`${JSON.stringify(domain).slice(0, 30)} is no domain, and the rules stay`, async () => {
    const before = await findAllowedDomains(server.services)
    await assert.rejects(changeAllowedDomains(server.services, ['good.example', domain]), Refused)
    assert.deepEqual(await findAllowedDomains(server.services), before)
  })
}

test('changes that race end as one of them', async () => {
  const sets = Array.from({ length: 6 }, (_, turn) => [`a${turn}.example`, `b${turn}.example`])
  await Promise.all(sets.map((set) => changeAllowedDomains(server.services, set)))
  const left = await findAllowedDomains(server.services)
  assert.ok(
    sets.some((set) => set.join() === left.join()),
    left.join(),
  )
})

test('who only types an address of an allowed domain connects no app until it is confirmed', async () => {
  const browser = new Browser(server.url)
  assert.equal((await browser.post('/register', sent(`typed${count}@example.com`))).status, 303)
  const { response } = await browser.follow(await browser.get(notes.authorizeUrl()))
  assert.equal((await readPage(response)).heading, 'Confirm your e-mail address first')
  // Nor by changing to an address of one's own.
  const changed = await browser.post('/settings/email', { email: 'eve@evil.test' })
  assert.equal(changed.status, 422)

  await new Browser(server.url).post(await linkInLast(server, 'verify-address'), {})
  const reached = await browser.follow(await browser.get(notes.authorizeUrl()))
  assert.ok(reached.url.startsWith(`${CALLBACK}?code=`), reached.url)
})

test('who has confirmed a guest’s address may change it within its domain', async () => {
  const guest = { ...ada, username: `guest${++count}`, email: `guest${count}@partner.test` }
  await server.addIdentity(guest, { emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(guest)
  assert.equal((await browser.post('/settings/email', { email: 'guest@partner.test' })).status, 303)
  assert.equal((await browser.post('/settings/email', { email: 'guest@evil.test' })).status, 422)
})

test('the rules cost an authorization no statement', async () => {
  const person = { ...ada, username: `quick${++count}`, email: `quick${count}@example.com` }
  await server.addIdentity(person, { emailVerified: true })
  const browser = new Browser(server.url)
  await browser.signIn(person)
  await browser.get(notes.authorizeUrl())
  const numbers = []
  for (const domains of [['example.com'], []]) {
    await changeAllowedDomains(server.services, domains)
    const statements = await recordStatements(async () => {
      assert.ok((await browser.get(notes.authorizeUrl())).headers.get('location')?.startsWith(`${CALLBACK}?code=`))
    })
    numbers.push(
      withoutPeriodic(statements)
        .filter(({ name }) => name !== undefined && !/queue/.test(name))
        .map(({ name }) => name),
    )
  }
  assert.deepEqual(numbers[0], numbers[1])
  assert.equal(numbers[0]?.includes('registration-domains'), false)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Browser } from '../testing/browser/browser.ts'
import { createDatabase } from '../testing/portal/databases.ts'
import { standBefore } from '../testing/network/outage.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

/** Longer than the portal promises (two seconds), for a machine that has other things to do. */
const FREE = 2
/** So long a first wait that no machine is slow enough to be through with it in a test. */
const ENV = {
  LOGIN_ATTEMPTS_BEFORE_DELAY: String(FREE),
  LOGIN_DELAY_MIN: '300',
  IP_BLOCK_AFTER: '12',
  REGISTRATIONS_PER_HOUR: '4',
}

let server: TestServer

before(async () => {
  // Only what stands before it is trusted to say where a request comes from; the tests stand there.
  server = await startTestServer({ env: { ...ENV, TRUST_PROXY: '1' } })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
})
after(() => server.close())

function signIn(login: string, password: string, from: string, at = server): Promise<Response> {
  return new Browser(at.url).post('/login', { login, password }, { 'x-forwarded-for': from })
}

async function statuses(count: number, act: (turn: number) => Promise<Response>): Promise<number[]> {
  const found: number[] = []
  for (let turn = 0; turn < count; turn++) found.push((await act(turn)).status)
  return found
}

test('a client that guesses too often is told how long to wait, on a page and for programs', async () => {
  assert.deepEqual(await statuses(FREE + 1, () => signIn('ada', 'wrong', '192.0.2.1')), [401, 401, 401])
  for (const password of ['wrong', ada.password]) {
    const response = await signIn('ada', password, '192.0.2.1')
    assert.ok(Number(response.headers.get('retry-after')) > 270)
    assert.deepEqual(response.headers.getSetCookie(), [])
    const page = await readPage(response)
    assert.deepEqual([page.status, page.heading], [429, 'Sign in'])
    assert.match(page.text, /Too many attempts ?There were too many .* Wait 5 minutes, then try again\./)
    assert.equal(page.forms[0]?.fields['login'], 'ada')
  }
  assert.match(server.log(), /"event":"too_many_guesses"[^\n]*"address":"192\.0\.2\.1"[^\n]*"suspended":false/)
  assert.equal((await signIn('grace', grace.password, '192.0.2.1')).status, 303)
  assert.equal((await signIn('ada', ada.password, '192.0.2.2')).status, 303)
})

test('an address that a gateway writes with a port, another each time, is limited as one', async () => {
  const from = (turn: number) => (turn % 2 === 0 ? `192.0.2.77:${50_000 + turn}` : `[::ffff:192.0.2.77]:${turn}`)
  const found = await statuses(FREE + 2, (turn) => signIn('ada', 'wrong', from(turn)))
  assert.deepEqual(found, [401, 401, 401, 429])
})

test('a user name without an account gets the same answers', async () => {
  const found = await statuses(FREE + 2, () => signIn('nobody', 'wrong', '192.0.2.3'))
  assert.deepEqual(found, [401, 401, 401, 429])
})

test('a hundred guesses at once are not looked at', async () => {
  const responses = await Promise.all(Array.from({ length: 100 }, () => signIn('ada', 'wrong', '192.0.2.4')))
  const counts = Object.groupBy(responses, ({ status }) => String(status))
  assert.deepEqual([counts['401']?.length, counts['429']?.length], [FREE + 1, 100 - FREE - 1])
})

test('a network that guesses at many accounts is blocked, for signing in and registering, until the block is lifted', async () => {
  const from = (turn: number) => `2001:db8:7:7::${turn + 1}`
  const found = await statuses(40, (turn) => signIn(`person-${turn}`, 'password1234567', from(turn)))
  assert.deepEqual(found, [...Array.from({ length: 12 }, () => 401), ...Array.from({ length: 28 }, () => 429)])
  assert.match(server.log(), /"event":"address_suspended"[^\n]*"until":/)

  const form = {
    username: 'mallory',
    email: 'm@example.test',
    password: 'x'.repeat(20),
    password_confirmation: 'x'.repeat(20),
  }
  for (const response of [
    await signIn('ada', ada.password, from(99)),
    await new Browser(server.url).post('/register', form, { 'x-forwarded-for': from(98) }),
  ]) {
    assert.ok(Number(response.headers.get('retry-after')) > 890)
    const page = await readPage(response)
    assert.equal(page.status, 429)
    assert.match(page.text, /Sign-in is paused ?Sign-in from your network is paused until .*\d\d:\d\d UTC, because/)
  }
  assert.equal((await signIn('ada', ada.password, '2001:db8:7:8::1')).status, 303)
})

test('so many accounts come from one address in an hour', async () => {
  const register = (turn: number) => {
    const password = `a long enough password ${turn}`
    const form = { username: `p${turn}x`, email: `p${turn}@example.test`, password, password_confirmation: password }
    return new Browser(server.url).post('/register', form, { 'x-forwarded-for': '192.0.2.6' })
  }
  assert.deepEqual(await statuses(5, register), [303, 303, 303, 303, 429])
  const refused = await register(6)
  assert.ok(Number(refused.headers.get('retry-after')) > 3500)
  const page = await readPage(refused)
  assert.match(page.text, /Wait one hour, then try again\./)
  const kept = { username: 'p6x', email: 'p6@example.test', password: '', password_confirmation: '' }
  assert.deepEqual(page.forms[0]?.fields, kept)
})

test('without a trusted proxy, X-Forwarded-For does not change the IP address', async () => {
  const bare = await startTestServer({ env: ENV })
  try {
    await bare.addIdentity(ada)
    const names = ['ada', 'ADA', ' ada ', 'ａｄａ', 'ada@example.test']
    const found = await statuses(8, (turn) =>
      new Browser(bare.url).post(
        '/login',
        { login: names[turn % 4] as string, password: 'wrong' },
        { 'x-forwarded-for': `192.0.2.${turn}`, forwarded: `for=192.0.2.${turn}`, 'x-real-ip': `192.0.2.${turn}` },
      ),
    )
    assert.deepEqual(found, [401, 401, 401, 429, 429, 429, 429, 429])
    // A dot behind it makes another name, which has no account.
    assert.equal((await signIn('ada.', ada.password, '192.0.2.1', bare)).status, 401)
    assert.equal((await signIn('ada@example.test.', ada.password, '192.0.2.1', bare)).status, 401)
  } finally {
    await bare.close()
  }
})

for (const [what, hangs] of [
  ['is gone', false],
  ['hangs', true],
] as const) {
  test(`while Redis ${what} the limit holds, and locks out no other user`, async () => {
    const database = await createDatabase('postgres+redis')
    const redis = await standBefore(database.redisUrl as string)
    const cut = await startTestServer({ database: { ...database, redisUrl: redis.url }, env: ENV })
    try {
      await cut.addIdentity(ada)
      assert.equal((await signIn('ada', ada.password, '', cut)).status, 303)
      if (hangs) redis.hang()
      else await redis.cut()

      const found: number[] = []
      for (let turn = 0; turn < FREE + 4; turn++) {
        found.push((await signIn('ada', 'wrong', '', cut)).status)
      }
      assert.deepEqual(found.slice(0, FREE + 1), [401, 401, 401])
      assert.ok(found.slice(FREE + 1).includes(429), String(found))
      assert.equal((await signIn('grace', 'wrong', '', cut)).status, 401)

      await redis.restore()
      while ((await signIn('ada', ada.password, '', cut)).status !== 303) await sleep(50)
    } finally {
      await cut.close()
      await redis.close()
      await database.drop()
    }
  })
}

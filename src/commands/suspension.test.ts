import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer

before(async () => {
  server = await startTestServer({ env: { IP_BLOCK_AFTER: '3' } })
  await server.addIdentity(ada)
})
after(() => server.close())

function suspension(args: string[]): Promise<Finished> {
  return runCommand(['ip-block', ...args], {
    DATABASE_URL: server.database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
  })
}

async function getSuspended(): Promise<void> {
  for (const login of ['one', 'two', 'three']) {
    assert.equal((await new Browser(server.url).post('/login', { login, password: 'wrong' })).status, 401)
  }
  assert.equal((await new Browser(server.url).post('/login', { login: 'ada', password: ada.password })).status, 429)
}

test('an operator sees who is suspended, and lifts it at once', async () => {
  assert.deepEqual(printed<unknown>(await suspension(['list', '--json'])), [])
  await getSuspended()
  const [row] = printed<Record<string, unknown>[]>(await suspension(['list', '--json']))
  assert.deepEqual([row?.['address'], row?.['failures']], ['127.0.0.1', 3])
  const [since, until] = [row?.['since'], row?.['until']].map((each) => Date.parse(each as string)) as [number, number]
  assert.equal(until - since, 900_000)
  assert.match((await suspension(['list'])).stdout, /^address +since +until +failures\n127\.0\.0\.1 +\S+Z +\S+Z +3\n$/)

  assert.deepEqual(printed(await suspension(['lift', '::ffff:127.0.0.1', '--json'])), {
    address: '127.0.0.1',
    state: 'lifted',
  })
  await new Browser(server.url).signIn(ada)
  assert.equal((await suspension(['list'])).stdout, 'none\n')
  // And it starts anew: two more failures are not too many.
  await getSuspended()
})

test('what cannot be lifted is said on one line', async () => {
  const [unknown, nonsense, help] = await Promise.all([
    suspension(['lift', '2001:db8::1']),
    suspension(['lift', 'ada']),
    suspension(['--help']),
  ])
  assert.deepEqual(unknown, { code: 1, stdout: '', stderr: '2001:db8::/64 is not blocked\n' })
  assert.deepEqual(nonsense, { code: 1, stdout: '', stderr: 'ada is not an IP address\n' })
  assert.match(help.stdout, /^Usage: gatehouse ip-block\|suspension [\s\S]*list[\s\S]*lift/)
})

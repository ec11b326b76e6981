import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { firstAdministratorLink } from '../../domain/accounts/first-administrator.ts'
import { changeAllowedDomains } from '../../domain/identities/open-registration.ts'
import { changeRoles, findIdentityByLogin } from '../../domain/identities/identities.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { readPage } from '../../testing/browser/page.ts'
import { createClock } from '../../testing/portal/clock.ts'
import { dump } from '../../testing/portal/dump.ts'
import { ada } from '../../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

const PASSWORD = 'seven wet umbrellas in a row'
const clock = createClock()
let server: TestServer

before(async () => {
  server = await startTestServer({ clock, env: { REGISTRATION: 'closed' } })
})
after(() => server.close())

const fields = (username: string) => ({
  username,
  email: `${username}@example.test`,
  password: PASSWORD,
  password_confirmation: PASSWORD,
})

async function newPath(): Promise<string> {
  return new URL((await firstAdministratorLink(server.services)) as string).pathname
}

async function administrators(): Promise<string[]> {
  const { rows } = await server.services.storage.pool.query<{ username: string }>(
    `SELECT username FROM identities WHERE 'admin' = ANY (roles) ORDER BY username`,
  )
  return rows.map(({ username }) => username)
}

test('a link that is forged or older than a day is not found, and changes nothing', async () => {
  const [old, path] = [await newPath(), await newPath()]
  clock.advance(86_401)
  const before = await dump(server.services.storage.pool)
  // The time in the link is under its tag.
  const later = Buffer.from(path.split('/').at(-1) as string, 'base64url')
  later.writeUIntBE(later.readUIntBE(0, 6) + 86_400, 0, 6)
  const paths = [old, `/first-administrator/${later.toString('base64url')}`, '/first-administrator/x']
  for (const each of paths) {
    assert.equal((await new Browser(server.url).get(each)).status, 404, each)
    assert.equal((await new Browser(server.url).post(each, fields('late'))).status, 404, each)
  }
  assert.deepEqual(await dump(server.services.storage.pool), before)
})

test('ten who race with several links make one administrator, after whom every link is dead', async () => {
  // It does not matter who may register otherwise.
  await changeAllowedDomains(server.services, ['example.com'])
  const paths = [await newPath(), await newPath()]
  const browser = new Browser(server.url)
  const page = await readPage(await browser.get(paths[0] as string))
  assert.deepEqual([page.status, page.heading], [200, 'Create the first administrator'])
  assert.equal((await readPage(await browser.post(paths[0] as string, fields('')))).status, 422)

  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, turn) =>
      new Browser(server.url).post(paths[turn % 2] as string, fields(`root${turn}`)),
    ),
  )
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [303, ...Array.from({ length: 9 }, () => 404)])
  const all = await server.services.storage.pool.query('SELECT FROM identities')
  assert.deepEqual([(await administrators()).length, all.rowCount], [1, 1])
  for (const path of paths) assert.equal((await new Browser(server.url).get(path)).status, 404)
  assert.equal(await firstAdministratorLink(server.services), null)
})

test('the first administrator is signed in and led to the administration; the log has no link', async () => {
  // As in a portal that was never administered.
  await server.services.storage.pool.query(`DELETE FROM identities`)
  const path = await newPath()
  const browser = new Browser(server.url)
  const answer = await browser.post(path, fields('chief'))
  assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/admin'])
  assert.deepEqual(await administrators(), ['chief'])
  const identity = await findIdentityByLogin(server.services, 'chief')
  assert.deepEqual([identity?.assignedRoles, identity?.emailVerified], [['admin'], false])
  assert.equal(server.log().includes(path), false)
  assert.ok(server.log().includes('/first-administrator/:token'))
  // Also once the role has gone to another one.
  const other = await server.addIdentity(ada)
  await changeRoles(server.services, other, ['admin'])
  await changeRoles(server.services, identity?.id as string, [])
  assert.equal((await new Browser(server.url).get(path)).status, 404)
})

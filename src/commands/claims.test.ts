import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://wiki.example.test/callback'

let server: TestServer
let browser: Browser
let wiki: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada, { roles: ['staff'] })
  browser = new Browser(server.url)
  await browser.signIn(ada)
  const created = printed<Record<string, string>>(
    await gatehouse('app', 'create', 'wiki', '--name', 'Wiki', '--redirect-uri', CALLBACK, '--json'),
  )
  wiki = new Client(server.url, 'wiki', created['client_secret'] as string, CALLBACK)
})
after(() => server.close())

async function gatehouse(...args: string[]): Promise<Finished> {
  const env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  return runCommand(args, env)
}

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await gatehouse(...args)
  assert.deepEqual([code, stdout], [1, ''])
  return stderr
}

test('an operator gives an app claims, roles and attributes, and its tokens have them', async () => {
  const claims = ['--claim', 'department=dept', 'cost_center=center']
  const wanted = ['--id-token-claims', 'email,roles,department', '--application-token-claims', 'email,username']
  const updated = printed(await gatehouse('app', 'update', 'wiki', ...claims, ...wanted, '--json'))
  assert.deepEqual(
    [updated['id_token_claims'], updated['application_token_claims'], updated['claims']],
    [['email', 'roles', 'department'], ['email', 'username'], { department: 'dept', cost_center: 'center' }],
  )
  assert.deepEqual(printed(await gatehouse('app', 'role', 'add', 'wiki', 'author', '--json'))['roles'], ['author'])
  assert.deepEqual(printed(await gatehouse('app', 'role', 'list', 'wiki', '--json'))['roles'], ['author'])
  const given = printed(await gatehouse('user', 'set-roles', 'ada', '--app', 'wiki', 'author', '--json'))
  assert.deepEqual([given['roles'], given['app_roles']], [['staff'], { wiki: ['author'] }])
  const set = printed(await gatehouse('user', 'set-attribute', 'ada', 'dept', 'Engines', '--json'))
  assert.deepEqual(set['attributes'], { dept: 'Engines' })

  const { id_token: idToken, access_token: token } = await wiki.connect(browser, { scope: 'openid' })
  const id = claimsOf(idToken)
  assert.deepEqual([id['email'], id['roles'], id['department']], [ada.email, ['staff', 'author'], 'Engines'])
  const { email, username, roles, department } = claimsOf(token)
  assert.deepEqual([email, username, roles, department], [ada.email, 'ada', ['staff', 'author'], undefined])

  const shown = printed(await gatehouse('user', 'show', 'ada', '--json'))
  assert.deepEqual(
    [shown['app_roles'], (shown['claims'] as Record<string, unknown>)['preferred_username']],
    [{ wiki: ['author'] }, 'ada'],
  )
  assert.doesNotMatch(JSON.stringify(shown), /argon2|password/)
  assert.deepEqual(printed(await gatehouse('app', 'role', 'remove', 'wiki', 'author', '--json'))['roles'], [])
  const emptied = printed(await gatehouse('user', 'set-attribute', 'ada', 'dept', '--remove', '--json'))
  assert.deepEqual([emptied['attributes'], emptied['app_roles']], [{}, {}])
})

test('what an operator mistypes is refused with words, and changes nothing', async () => {
  const before = (await gatehouse('app', 'show', 'wiki', '--json')).stdout
  for (const [args, words] of [
    [['--id-token-claims', 'sub'], /sub belongs to the protocol/],
    [['--application-token-claims', 'email,exp'], /exp belongs to the protocol/],
    [['--application-token-claims', 'favourite_colour'], /there is no claim "favourite_colour"/],
    [['--claim', 'aud=dept'], /belongs to the protocol/],
    [['--claim', 'email=dept'], /of the account itself/],
    [['--claim', 'department'], /written as claim=attribute/],
    [['--claim', 'department=Not A Name'], /an attribute has/],
    [['--pairwise', '--redirect-uri', 'https://a.example/cb', '--redirect-uri', 'https://b.example/cb'], /of one host/],
  ] as [string[], RegExp][])
    assert.match(await refused('app', 'update', 'wiki', ...args), words, args.join(' '))
  assert.equal((await gatehouse('app', 'show', 'wiki', '--json')).stdout, before)

  assert.match(await refused('user', 'set-roles', 'ada', '--app', 'wiki', 'editr'), /wiki has no role editr/)
  assert.match(await refused('user', 'set-roles', 'ada', '--app', 'nowhere', 'x'), /there is no app nowhere/)
  assert.match(await refused('app', 'role', 'add', 'wiki', 'admin'), /of the portal itself/)
  assert.match(await refused('app', 'role', 'add', 'wiki', 'staff'), /a global role that users have/)
  assert.match(await refused('user', 'set-attribute', 'ada', 'Dept', 'x'), /the name of an attribute/)
  assert.match(await refused('user', 'set-attribute', 'ada', 'dept', 'a\u0007b'), /control characters/)
  assert.match(await refused('user', 'set-attribute', 'ada', 'dept', 'x'.repeat(501)), /1 to 500 characters/)
  assert.match(await refused('user', 'set-attribute', 'ada', 'dept'), /--remove/)
})

test('an operator finds the user behind a pairwise sub', async () => {
  const args = ['--name', 'Sealed', '--redirect-uri', CALLBACK, '--pairwise', '--json']
  const created = printed<Record<string, string>>(await gatehouse('app', 'create', 'sealed', ...args))
  const sealed = new Client(server.url, 'sealed', created['client_secret'] as string, CALLBACK)
  const { sub } = claimsOf((await sealed.connect(browser)).id_token)
  const found = printed(await gatehouse('user', 'find-subject', 'sealed', sub as string, '--json'))
  assert.equal(found['username'], 'ada')
  assert.notEqual(found['id'], sub)
  assert.match(await refused('user', 'find-subject', 'wiki', sub as string), /knows no identity/)
  assert.match(await refused('app', 'update', 'sealed', '--no-pairwise'), /end its families first/)
})

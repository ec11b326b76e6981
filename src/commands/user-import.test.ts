import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Browser } from '../testing/browser/browser.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, gatehouse, printed, startGatehouse } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

interface Report {
  created: number
  updated: number
  unchanged: number
  skipped: number
  refused: number
  problems: { line: number; problem: string }[]
}

let server: TestServer
let folder: TemporaryFolder
let local: Record<string, string>
let remote: Record<string, string>

before(async () => {
  folder = await makeTemporaryFolder('imports')
  server = await startTestServer()
  local = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
  const args = ['app', 'create', 'ops', '--name', 'Ops', '--service', '--api-scope', 'admin:identities:write', '--json']
  const { client_secret: secret } = printed<{ client_secret: string }>(await runCommand(args, local))
  remote = { GATEHOUSE_URL: server.url, GATEHOUSE_CLIENT_ID: 'ops', GATEHOUSE_CLIENT_SECRET: secret }
  await runCommand(['group', 'create', 'Team; A', '--role', 'tester'], local)
})
after(async () => {
  await server.close()
  await folder.remove()
})

async function fileOf(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder.path, name)
  await writeFile(path, content)
  return path
}

async function importFile(file: string, env: Record<string, string>, ...options: string[]): Promise<Finished> {
  return runCommand(['user', 'import', file, '--json', ...options], env)
}

function reportIn({ stdout }: Finished): Report {
  return JSON.parse(stdout) as Report
}

async function count(): Promise<number> {
  const { rows } = await server.services.storage.pool.query('SELECT count(*)::int AS count FROM identities')
  return rows[0].count as number
}

test('people who are exported and imported again are who they were, with their passwords', async () => {
  await server.addIdentity(ada, { roles: ['editor'], emailVerified: true })
  await runCommand(['group', 'add', 'Team; A', 'ada'], local)
  await runCommand(['user', 'set-attribute', 'ada', 'phone', '+49 "1", 2'], local)
  await runCommand(['user', 'update', 'ada', '--name', '=HYPERLINK("x"); Ada'], local)
  const withHashes = ['user', 'export', '--with-password-hashes']
  for (const format of ['csv', 'jsonl']) {
    const { stdout } = await runCommand([...withHashes, '--format', format], local)
    const file = await fileOf(`all.${format}`, stdout)
    await runCommand(['user', 'delete', 'ada', '--now'], local)
    assert.deepEqual(
      { ...reportIn(await importFile(file, local)) },
      { dry_run: false, created: 1, updated: 0, unchanged: 0, skipped: 0, refused: 0, problems: [] },
    )
    assert.equal((await runCommand([...withHashes, '--format', format], local)).stdout, stdout)
    const shown = printed(await runCommand(['user', 'show', 'ada', '--json'], local))
    assert.deepEqual(
      [shown['roles'], shown['email_verified'], shown['attributes']],
      [['editor', 'tester'], true, { phone: '+49 "1", 2' }],
    )
    await new Browser(server.url).signIn(ada)
  }
  const plain = await runCommand(['user', 'export'], remote)
  assert.deepEqual([plain.stdout, plain.code], [(await runCommand(['user', 'export'], local)).stdout, 0])
  assert.doesNotMatch(plain.stdout, /argon2|hash/)
  assert.match((await runCommand(withHashes, remote)).stderr, /exported where the portal runs/)
})

const WRONG = [
  'username,email,roles,groups,attributes.dept,password_hash,disabled',
  'fine,fine@example.test,a;b,,R&D,,',
  '"quoted","quoted@example.test",,,"two\r\nlines",,',
  'FINE,other@example.test,,,,,',
  'other,Fine@example.test,,,,,',
  'pauline,pauline@example.test,,,,,',
  'pauIine,pauiine@example.test,,,,,',
  'x,nothing,a b,Nobody,,,',
  'nul\0,nul@example.test,,,,,',
  'short,short@example.test',
  `bcrypt,bcrypt@example.test,,,,$2b$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy,`,
  'costly,costly@example.test,,,,"$argon2id$v=19$m=9999999,p=1,t=2$UOkZ6ECO/ByODaYthNMUwg$xFi6QnBTcI/aFRjfb87jCs/KvGQiQA5pb8lKPAbNTBs",',
  'maybe,maybe@example.test,,,,,perhaps',
  '',
]

test('what is wrong with a line is said with its number, in both places, and keeps no other line out', async () => {
  const latin1 = Buffer.from('m\xfcller,mueller@example.test,,,,,\r\n', 'latin1')
  const file = await fileOf('wrong.csv', Buffer.concat([Buffer.from(`\ufeff${WRONG.join('\r\n')}`), latin1]))
  const before = await count()
  const dry = await importFile(file, local, '--dry-run')
  assert.deepEqual([dry.code, dry.stderr], [1, '11 lines were refused\n'])
  assert.deepEqual(await importFile(file, remote, '--dry-run'), dry)
  assert.equal(await count(), before)
  const { problems, created } = reportIn(dry)
  assert.equal(created, 2)
  for (const [line, words] of [
    [2, null],
    [4, /^attributes: dept: .*control characters/],
    [5, /^username: the same as in line 2$/],
    [6, /^email: the same as in line 2$/],
    [8, /^username: looks like that of line 7$/],
    [9, /^username: /],
    [9, /^email: /],
    [9, /^roles: a role has/],
    [9, /^groups: there is no group Nobody$/],
    [10, /^username: contains a character that cannot be stored$/],
    [11, /^has 2 values for 7 columns$/],
    [12, /^password_hash: has a bcrypt cost of 31/],
    [13, /^password_hash: has an Argon2 cost of m=9999999/],
    [14, /^disabled: /],
    [15, /^is not UTF-8$/],
  ] as const) {
    const found = problems.filter((each) => each.line === line).map(({ problem }) => problem)
    assert.ok(words === null ? found.length === 0 : found.some((each) => words.test(each)), `${line}: ${found.join()}`)
  }
  assert.equal(reportIn(await importFile(file, remote)).created, 2)
  const again = reportIn(await importFile(file, local))
  assert.deepEqual([again.created, again.skipped], [0, 2])
})

test('a file of JSON lines is read line by line, however odd they are', async () => {
  const good = (name: string, more = {}) => JSON.stringify({ username: name, email: `${name}@example.test`, ...more })
  const lines = [
    `\ufeff${good('jane')}`,
    '',
    good('joan', { name: 'J\u2028o', disabled: true, groups: ['Team; A'] }),
    'nonsense',
    '[1]',
    '{"username":1,"email":null}',
    good('john', { password: 'secret' }),
    `{"username":"big","email":"big@example.test","name":"${'x'.repeat(1024 * 1024)}"}`,
    good('nul\0'),
    good('half\ud800'),
    good('jim'),
  ]
  const report = await importFile(await fileOf('odd.jsonl', lines.join('\r\n')), remote)
  const { created, refused, problems } = reportIn(report)
  assert.deepEqual([created, refused, report.code], [3, 7, 1])
  assert.deepEqual([...new Set(problems.map(({ line }) => line))], [4, 5, 6, 7, 8, 9, 10])
  assert.match(problems.find(({ line }) => line === 8)?.problem ?? '', /^is longer than/)
  assert.ok(!report.stdout.includes('secret'))
  const joan = printed(await runCommand(['user', 'show', 'joan', '--json'], local))
  assert.deepEqual([joan['state'], joan['roles']], ['disabled', ['tester']])
})

test('an identity that exists is changed with --update alone', async () => {
  const change = {
    username: 'jane',
    email: 'jane@example.test',
    roles: ['boss'],
    attributes: { floor: '2' },
    name: 'Jane',
  }
  const file = await fileOf('update.jsonl', JSON.stringify(change))
  const { updated_at: unchanged } = printed(await runCommand(['user', 'show', 'jane', '--json'], local))[
    'claims'
  ] as Record<string, unknown>
  assert.ok(unchanged)
  assert.equal(reportIn(await importFile(file, local)).skipped, 1)
  assert.deepEqual(printed(await runCommand(['user', 'show', 'jane', '--json'], local))['roles'], [])
  assert.equal(reportIn(await importFile(file, remote, '--update')).updated, 1)
  const shown = printed(await runCommand(['user', 'show', 'jane', '--json'], local))
  assert.deepEqual([shown['roles'], shown['attributes']], [['boss'], { floor: '2' }])
  assert.equal(reportIn(await importFile(file, local, '--update')).unchanged, 1)
  const torn = await fileOf('torn.jsonl', JSON.stringify({ ...change, email: 'jim@example.test' }))
  assert.match(
    reportIn(await importFile(torn, local, '--update')).problems[0]?.problem ?? '',
    /^the user name is that of one/,
  )
})

test('a file that cannot be read as one says why, and a line of columns is needed', async () => {
  for (const [name, content, words] of [
    ['open.csv', 'username,email\nada2,"ada2@example.test\n', /not closed/],
    ['colour.csv', 'username,email,colour\n', /the column "colour"/],
    ['bare.csv', 'ada2,ada2@example.test\n', /the column "ada2"/],
    ['twice.csv', 'username,email,email\n', /a column twice/],
  ] as const) {
    const report = await importFile(await fileOf(name, content), local)
    assert.match(reportIn(report).problems[0]?.problem ?? '', words, name)
  }
  const missing = await importFile(join(folder.path, 'nothing.csv'), local)
  assert.deepEqual([missing.code, missing.stdout], [1, ''])
  assert.match(missing.stderr, /cannot be read \(ENOENT\)/)
  assert.equal(reportIn(await importFile(await fileOf('empty.csv', ''), local)).created, 0)
})

test('an export whose reader leaves ends quietly', async () => {
  const many = Array.from({ length: 700 }, (_, number) => `many${number},many${number}@example.test`)
  const input = ['username,email', ...many].join('\n')
  const imported = await gatehouse(['user', 'import', '-', '--format', 'csv', '--json'], local, input)
  assert.equal(printed<Report>(imported).created, 700)
  for (const [command, env] of [
    ['user', local],
    ['user', remote],
    ['audit', local],
  ] as const) {
    const running = startGatehouse([command, 'export'], env)
    await once(running.child.stdout as NodeJS.ReadableStream, 'data')
    running.child.stdout?.destroy()
    const { code, stderr } = await running.finished
    assert.deepEqual([code, stderr.replace(/^gatehouse: .*\n/, '')], [0, ''])
  }
})

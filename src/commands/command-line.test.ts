// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Browser } from '../testing/browser/browser.ts'
import { createDatabase } from '../testing/portal/databases.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, gatehouse, printed, type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

const COMMANDS = [
  'serve',
  'migrate',
  'doctor',
  'app create',
  'app list',
  'app show',
  'app update',
  'app disable',
  'app enable',
  'app rotate-secret',
  'user create',
  'user list',
  'user disable',
  'user enable',
  'user revoke-all',
  'family list',
  'family show',
  'family end',
  'keys list',
  'keys rotate',
  'keys revoke',
  'ip-block list',
  'ip-block lift',
  'notification list',
  'notification resend',
  'worker',
]

let folder: TemporaryFolder
let portal: Running
let url: string
let env: Record<string, string>

before(async () => {
  folder = await makeTemporaryFolder('commands')
  const port = await findFreePort()
  url = `http://localhost:${port}`
  env = { DATA_DIR: join(folder.path, 'data'), PORT: String(port) }
  portal = startGatehouse(['serve'], env)
  await portal.says(`Gatehouse is ready at ${url}\n`)
})
after(async () => {
  portal.child.kill('SIGTERM')
  await portal.finished
  await folder.remove()
})

async function inTurn<T, R>(things: T[], act: (thing: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < things.length; start += 4) {
    results.push(...(await Promise.all(things.slice(start, start + 4).map(act))))
  }
  return results
}

test('every command explains itself', async () => {
  // One process for all of them: starting is what takes long.
  const program = `const { runCommandLine } = await import(${JSON.stringify(join(import.meta.dirname, 'command-line.ts'))})
    for (const command of ${JSON.stringify(COMMANDS)})
      console.log('code ' + (await runCommandLine(['', '', ...command.split(' '), '--help'])))`
  const args = ['--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env['PATH'] ?? '' } })
  for (const command of COMMANDS) assert.match(stdout, new RegExp(`^Usage: gatehouse ${command} `, 'm'))
  assert.equal(stdout.match(/^code 0$/gm)?.length, COMMANDS.length)
  assert.match((await gatehouse(['app', 'create', '--help'], {})).stdout, /^Usage: gatehouse app create /)
})

test('--version prints the version of package.json', async () => {
  const manifest = await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')
  const { code, stdout } = await gatehouse(['--version'], {})
  assert.equal(code, 0)
  assert.equal(stdout, `${(JSON.parse(manifest) as { version: string }).version}\n`)
})

test('an unknown command, or one without what it needs, ends with 1 and the help', async () => {
  const answers = await Promise.all([
    gatehouse(['nonsense'], env),
    gatehouse(['app', 'show'], env),
    gatehouse(['user', 'create', '--json'], env),
  ])
  for (const { code, stdout, stderr } of answers) {
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^error: [^\n]+\n\nUsage: gatehouse /)
  }
})

const run = (...args: string[]): Promise<Finished> => gatehouse(args, env)

test('beside a portal on the embedded database every command works, and the portal sees what it did', async () => {
  const input = `${ada.password}\n`
  const user = ['user', 'create', '--username', 'ada', '--email', ada.email, '--password-stdin', '--json']
  assert.equal(printed(await gatehouse(user, env, input))['username'], 'ada')
  const browser = new Browser(url)
  await browser.signIn(ada)
  const app = ['--name', 'Wiki', '--redirect-uri', 'https://wiki.example.test/callback']
  const created = printed(await run('app', 'create', 'wiki', ...app, '--json'))
  assert.match(String(created['client_secret']), /^[\w-]{43}$/)

  const answers = await inTurn(
    ['migrate', 'app list', 'app show wiki', 'app update wiki --name W', 'user list', 'keys list'],
    (command) => run(...command.split(' '), '--json'),
  )
  for (const answer of answers) assert.equal(typeof printed(answer), 'object')
  assert.deepEqual(printed(answers[0] as Finished), { applied: [] })
  for (const command of ['app rotate-secret wiki', 'app disable wiki', 'app enable wiki', 'user revoke-all ada']) {
    assert.equal((await run(...command.split(' '))).code, 0, command)
  }
  assert.equal((await browser.get('/dashboard')).status, 303)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
})

test('the secret made for development is kept for its owner alone', async () => {
  const { mode } = await stat(join(env['DATA_DIR'] as string, 'secret'))
  assert.equal(mode & 0o777, 0o600)
})

test('rotated keys are published before they sign', async () => {
  const next = printed<Record<string, string>[]>(await run('keys', 'rotate', '--json'))
  assert.ok(next.length > 0 && next.every((key) => key['state'] === 'next'))
  const listed = printed<Record<string, string>[]>(await run('keys', 'list', '--json'))
  for (const { alg } of next) {
    const states = listed.filter((key) => key['alg'] === alg).map((key) => key['state'])
    assert.deepEqual(states.toSorted(), ['next', 'signing'])
  }
  assert.doesNotMatch(JSON.stringify(listed), /private|"d"/)
  assert.match((await run('keys', 'list')).stdout, /^kid +alg +state +signs_from +tokens_until +rotates_at\n/)
})

test('a command says on standard error which store and issuer it works on', async () => {
  const list = startGatehouse(['app', 'list', '--json'], env)
  assert.ok(Array.isArray(printed<unknown>(await list.finished)))
  assert.equal(list.complained(), `gatehouse: embedded database in ${env['DATA_DIR']}, issuer ${url}\n`)
})

test('a command where no portal was started refuses, and makes nothing', async () => {
  const elsewhere = join(folder.path, 'elsewhere')
  await mkdir(elsewhere)
  for (const [command, given] of [
    ['app create ghost --name Ghost --redirect-uri https://ghost.example.test/', {}],
    ['migrate', { DATA_DIR: 'mine' }],
    ['app list', { GATEHOUSE_SECRET: TEST_SECRET }],
    ['worker', {}],
  ] as const) {
    const { code, stdout, stderr } = await gatehouse(command.split(' '), given, '', elsewhere)
    assert.deepEqual([code, stdout], [1, ''], command)
    assert.match(stderr, /^gatehouse: no portal has been started in \/.*"gatehouse serve" makes a new one\n$/)
  }
  assert.deepEqual(await readdir(elsewhere), [])
})

test('a command reads .env in its folder, and what the environment says counts more', async () => {
  const place = join(folder.path, 'with-env')
  await mkdir(place)
  await writeFile(join(place, '.env'), `DATA_DIR=${env['DATA_DIR']}\nPUBLIC_URL=${url}\n`)
  const list = startGatehouse(['app', 'list'], {}, '', place)
  assert.equal((await list.finished).code, 0)
  assert.equal(list.complained(), `gatehouse: embedded database in ${env['DATA_DIR']}, issuer ${url}\n`)
  const other = startGatehouse(['app', 'list'], { PUBLIC_URL: 'http://localhost:1' }, '', place)
  await other.finished
  assert.match(other.complained(), /issuer http:\/\/localhost:1\n$/)
})

test('several URIs go behind one option, and the client id behind them', async () => {
  const uris = ['https://one.example.test/', 'https://two.example.test/']
  const [one, two] = uris as [string, string]
  for (const [id, args] of [
    ['last', ['--redirect-uri', one, 'last', '--name', 'A']],
    ['row', ['--name', 'A', '--redirect-uri', one, two, 'row']],
    ['first', ['first', '--redirect-uri', one, two, '--name', 'A']],
    ['repeated', ['--redirect-uri', one, '--name', 'A', '--redirect-uri', two, 'repeated']],
    ['equals', [`--redirect-uri=${one}`, '--name', 'A', 'equals']],
  ] as const) {
    assert.equal(printed(await runCommand(['app', 'create', ...args, '--json'], env))['client_id'], id)
    const shown = printed(await runCommand(['app', 'show', id, '--json'], env))
    assert.deepEqual(shown['redirect_uris'], ['last', 'equals'].includes(id) ? [one] : uris)
  }
})

test('output that is read no further ends a command quietly', async () => {
  const list = startGatehouse(['app', 'list'], env)
  list.child.stdout?.destroy()
  const { code, stderr } = await list.finished
  assert.equal(code, 0)
  assert.doesNotMatch(stderr, /EPIPE/)
})

test('settings that resemble ours are named at the start', async () => {
  const started = startGatehouse(['serve'], {
    ...env,
    PORT: '0',
    SMTP_URI: 'smtp://secret',
    APPLICATION_TOKEN_TLL: '60',
    HOSTNAME: 'machine',
    HOME: '/root',
    npm_config_yes: 'true',
  })
  await started.says('Gatehouse is ready')
  started.child.kill('SIGTERM')
  const { stdout } = await started.finished
  assert.match(stdout, /the setting SMTP_URI is not known and has no effect; did you mean SMTP_URL\?/)
  assert.match(stdout, /did you mean APPLICATION_TOKEN_TTL\?/)
  assert.equal(stdout.match(/did you mean/g)?.length, 2)
  assert.doesNotMatch(stdout, /smtp:\/\/secret/)
})

test('migrate brings an empty database up to date, once, and twice at the same moment', async () => {
  const database = await createDatabase()
  try {
    const given = { DATABASE_URL: database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
    const answers = await Promise.all([
      gatehouse(['migrate', '--json'], given),
      gatehouse(['migrate', '--json'], given),
    ])
    const applied = answers.map((answer) => printed<{ applied: string[] }>(answer).applied.length)
    assert.ok(Math.max(...applied) > 0)
    assert.equal(Math.min(...applied), 0)
    const running = startGatehouse(['migrate'], given)
    const again = await running.finished
    assert.deepEqual([again.code, again.stdout, again.stderr], [0, 'applied  -\n', ''])
    const { host, pathname } = new URL(database.databaseUrl)
    assert.equal(running.complained(), `gatehouse: PostgreSQL ${host}${pathname}, issuer http://localhost:3000\n`)
  } finally {
    await database.drop()
  }
})

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ScureBase32Plugin } from 'otplib'
import { Browser } from '../../testing/browser/browser.ts'
import { runCommand } from '../../testing/portal/commands.ts'
import { type Finished, printed } from '../../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../../testing/portal/open-portal.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { codeOf } from '../../testing/portal/totp.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../../testing/services/temporary-folder.ts'

let server: TestServer
let folder: TemporaryFolder
let env: Record<string, string>

before(async () => {
  folder = await makeTemporaryFolder('user-sources')
  server = await startTestServer()
  env = { PUBLIC_URL: server.url, DATABASE_URL: server.database.databaseUrl, GATEHOUSE_SECRET: TEST_SECRET }
})
after(async () => {
  await server.close()
  await folder.remove()
})

interface Report {
  created: number
  skipped: number
  refused: number
  ignored?: number
  partial?: number
  without_password?: number
  groups_created?: number
  left_out?: Record<string, number>
  refused_by?: Record<string, number>
  problems: { record: number; external_id?: string; problem: string }[]
}

function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
}

async function importFiles(files: string[], ...options: string[]): Promise<Report & { finished: Finished }> {
  const finished = await runCommand(['user', 'import', ...files, '--json', ...options], env)
  return { ...(JSON.parse(finished.stdout) as Report), finished }
}

async function shown(username: string): Promise<Record<string, unknown>> {
  return printed(await runCommand(['user', 'show', username, '--json'], env))
}

async function columnOf(username: string, column: string): Promise<unknown> {
  const { pool } = server.services.storage
  const result = await pool.query(`SELECT ${column} AS value FROM identities WHERE username = $1`, [username])
  return result.rows[0].value
}

async function hashOf(email: string): Promise<string> {
  const result = await server.services.storage.pool.query(
    'SELECT password_hash AS hash FROM identities WHERE email = $1',
    [email],
  )
  return result.rows[0].hash as string
}

/** Signs in with the old password as a user does, after a wrong one, and finds the hash replaced. */
async function signsIn(email: string, password: string, location = '/'): Promise<Browser> {
  const old = await hashOf(email)
  const browser = new Browser(server.url)
  const wrong = await browser.post('/login', { login: email, password: `${password}!` })
  assert.equal(wrong.status, 401, email)
  assert.equal(await hashOf(email), old)
  const right = await browser.post('/login', { login: email, password })
  assert.equal(right.status, 303, `${email}: ${old}`)
  assert.ok(new URL(right.headers.get('location') ?? '', server.url).pathname.startsWith(location), email)
  const now = await hashOf(email)
  assert.match(now, /^\$argon2id\$v=19\$/, email)
  assert.ok(!now.includes(old))
  const again = await new Browser(server.url).post('/login', { login: email, password: `${password}!` })
  assert.equal(again.status, 401)
  return browser
}

test('a realm of Keycloak comes along with what it has, and a dry run says what does not', async () => {
  const reportFile = join(folder.path, 'keycloak.jsonl')
  const files = [fixture('keycloak-realm.json'), fixture('keycloak-users-1.json')]
  const dry = await importFiles(files, '--dry-run', '--create-groups', '--report', reportFile)
  const { finished, problems, ...counts } = await importFiles(files, '--create-groups')
  assert.deepEqual({ ...counts, dry_run: true, problems, finished }, { ...dry, finished })
  assert.equal(finished.code, 1)
  assert.deepEqual(counts, {
    dry_run: false,
    created: 8,
    updated: 0,
    unchanged: 0,
    skipped: 0,
    refused: 1,
    ignored: 1,
    without_password: 2,
    groups_created: 2,
    partial: 5,
    left_out: {
      credentials: 2,
      password_hash: 2,
      roles: 1,
      attributes: 1,
      client_roles: 1,
      federated_identities: 1,
      required_actions: 1,
    },
    refused_by: { email: 1 },
  })
  assert.deepEqual([problems.length, problems[0]?.record, problems[0]?.problem], [1, 7, 'email: has none'])
  const lines = (await readFile(reportFile, 'utf8')).trimEnd().split('\n')
  const reported = lines.map((line) => JSON.parse(line) as { username?: string; outcome: string; left_out: object[] })
  assert.equal(reported.length, 6)
  const costly = reported.find(({ username }) => username === 'costly')
  assert.match(JSON.stringify(costly), /1000000000 iterations of PBKDF2; a sign-in bears 2000000 at most/)
  assert.ok(!lines.join().includes('argon2id'))

  const kaya = await shown('kaya')
  assert.deepEqual(
    [
      kaya['roles'],
      kaya['attributes'],
      kaya['email_verified'],
      (kaya['claims'] as { name: string }).name,
      kaya['created_at'],
    ],
    [['editor'], { cost_centre: '42', locale: 'tr' }, true, 'Kaya Keys', '2020-09-13T12:26:40.001Z'],
  )
  assert.deepEqual(await columnOf('kaya', 'groups'), ['Staff', 'Staff/Engineering'])
  assert.equal(await columnOf('kaya', 'password_stands_alone'), false)
  await signsIn('kaya@keycloak.test', 'kaya keeps her password')
  // How long it is, is known now.
  assert.equal(await columnOf('kaya', 'password_stands_alone'), true)
  await signsIn('argo@keycloak.test', 'password')
  await signsIn('old.one@keycloak.test', 'old one of long ago')
  await signsIn('mail.only@keycloak.test', 'mail only signs in')
  await signsIn('second.file@keycloak.test', 'in the second file')
  assert.equal((await shown('old.one'))['email_verified'], false)
  assert.equal((await shown('temp'))['state'], 'disabled')
  assert.equal((await shown('mail.only'))['email'], 'mail.only@keycloak.test')

  const { created, skipped } = await importFiles(files)
  assert.deepEqual([created, skipped], [0, 8])
})

test('the authenticator app of Keycloak is asked for, and its codes work', async () => {
  const browser = await signsIn('otto@keycloak.test', 'otto hashed by Keycloak 25', '/login/second-factor')
  const key = new ScureBase32Plugin().encode(Buffer.from('q7Wv0Gz3sXnK2bYtLm5e'))
  const answer = await browser.post('/login/second-factor', { code: codeOf(key, server.services.clock()) })
  assert.equal(answer.status, 303, await answer.text())
  assert.equal((await browser.get('/dashboard')).status, 200)
})

test('users of Auth0 get their passwords from the second file, and a file for its bulk import works too', async () => {
  const users = fixture('auth0-users.ndjson')
  const report = await importFiles([users], '--passwords', fixture('auth0-passwords.ndjson'))
  assert.deepEqual([report.created, report.refused, report.without_password, report.partial], [3, 0, 1, 2])
  assert.deepEqual(report.left_out, { attributes: 1, multifactor: 1, identities: 1 })
  const aida = await shown('aida')
  assert.deepEqual(
    [aida['attributes'], aida['email_verified'], aida['created_at']],
    [{ favourite_colour: 'red', plan: 'pro' }, true, '2021-03-05T16:32:20.921Z'],
  )
  await signsIn('aida@auth0.test', 'aida at auth zero')
  assert.equal((await shown('abel'))['state'], 'disabled')
  await runCommand(['user', 'enable', 'abel'], env)
  await signsIn('abel@auth0.test', 'abel at auth zero')

  const bulk = await importFiles([fixture('auth0-bulk-import.json')])
  assert.deepEqual([bulk.created, bulk.left_out], [4, { mfa_factors: 1, password_hash: 1 }])
  await signsIn('bulk.one@auth0.test', 'bulk of bcrypt', '/login/second-factor')
  await signsIn('bulk.two@auth0.test', 'bulk of scrypt')
  await signsIn('bulk.three@auth0.test', 'bulk of pbkdf')
  const fast = await new Browser(server.url).post('/login', { login: 'bulk.four', password: 'x' })
  assert.equal(fast.status, 401)
})

test('users of Logto come along from its database', async () => {
  const report = await importFiles([fixture('logto-users.ndjson')])
  assert.deepEqual([report.created, report.refused, report.refused_by], [3, 1, { email: 1 }])
  assert.deepEqual(report.left_out, { roles: 1, identities: 1, attributes: 1, mfa_verifications: 1, password_hash: 1 })
  const lena = await shown('lena')
  assert.deepEqual([lena['roles'], lena['attributes'], lena['email_verified']], [['editor'], { plan: 'pro' }, true])
  const browser = await signsIn('lena@logto.test', 'lena of legacy', '/login/second-factor')
  const answer = await browser.post('/login/second-factor', {
    code: codeOf('JBSWY3DPEHPK3PXP', server.services.clock()),
  })
  assert.equal(answer.status, 303)
  await runCommand(['user', 'enable', 'liam'], env)
  await signsIn('liam@logto.test', 'password')
  assert.equal((await shown('lou'))['email'], 'lou@logto.test')
})

test('users of Firebase come along with the parameters of their project', async () => {
  const users = fixture('firebase-users.json')
  const without = await importFiles([users], '--dry-run')
  assert.deepEqual(without.left_out, { password_hash: 1, providers: 1, mfa_info: 1 })
  const report = await importFiles([users], '--hash-config', fixture('firebase-hash-config.txt'))
  assert.deepEqual([report.created, report.refused, report.left_out], [2, 1, { providers: 1, mfa_info: 1 }])
  await signsIn('fay@firebase.test', 'user1password')
  assert.deepEqual((await shown('fay'))['attributes'], { level: '3' })
  assert.equal((await shown('finn'))['state'], 'disabled')
  const config = join(folder.path, 'config.txt')
  await writeFile(config, 'hash_config { algorithm: SCRYPT, rounds: 8 }')
  const broken = await runCommand(['user', 'import', users, '--hash-config', config], env)
  assert.match(broken.stderr, /config\.txt lacks base64_signer_key, base64_salt_separator, mem_cost/)
})

const HASH = '$2y$06$9ZwhQQ7mOSvgI.NAZvTHwOBgVrjmpDjJt5BpmhI6Rrn/13Rm9yAdm'

test('an imported hash changes no password that there is, and two sign-ins at once replace it once', async () => {
  const row = { username: 'race', email: 'race@example.test', password_hash: HASH, totp_secrets: ['JBSWY3DPEHPK3PXP'] }
  const file = join(folder.path, 'race.jsonl')
  await writeFile(file, JSON.stringify({ ...row, totp_secrets: [] }))
  assert.equal((await importFiles([file])).created, 1)
  const answers = await Promise.all(
    [1, 2, 3].map(() => new Browser(server.url).post('/login', { login: 'race', password: 'pleaseletmein' })),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    [303, 303, 303],
  )
  // It has 13 characters, and 15 are asked for.
  assert.equal(await columnOf('race', 'password_stands_alone'), false)
  const replaced = await hashOf('race@example.test')
  await writeFile(file, JSON.stringify({ ...row, password_hash: HASH.replace('9Zwh', 'AZwh'), name: 'Race' }))
  const { finished } = await importFiles([file], '--update')
  assert.match(finished.stdout, /"updated":1/)
  assert.equal(await hashOf('race@example.test'), replaced)
  await new Browser(server.url).signIn({ username: 'race', password: 'pleaseletmein' })
})

test('a user name is derived where there is none that can be one, and never the name of another', async () => {
  const users = [
    { user_id: 'a', email: 'race+shop@auth0.test' },
    { user_id: 'b', email: 'race@auth0.test', username: 'no name at all' },
    { user_id: 'c', email: '.@auth0.test' },
    { user_id: 'd', email: 'new.one@auth0.test', username: 'other@auth0.test' },
  ]
  const file = join(folder.path, 'names.json')
  await writeFile(file, JSON.stringify(users))
  const report = await importFiles([file])
  assert.deepEqual([report.created, report.refused, report.left_out], [3, 1, { username: 2 }])
  assert.equal((await shown('new.one'))['email'], 'new.one@auth0.test')
  const { rows } = await server.services.storage.pool.query(
    `SELECT username FROM identities WHERE email LIKE 'race%@auth0.test' ORDER BY email`,
  )
  assert.equal(rows.length, 2)
  assert.ok(rows.every(({ username }) => /^race-[a-z\d]{6}$/.test(username as string)))
  assert.deepEqual((await importFiles([file])).skipped, 3)
})

test('a file whose system is not clear, or that the report would replace, is refused', async () => {
  const file = join(folder.path, 'unclear.json')
  await writeFile(file, JSON.stringify([{ user_id: 'a', localId: 'b', email: 'x@example.test' }]))
  for (const [options, words] of [
    [[], /may be an export of auth0 or firebase: say which one with --from/],
    [['--from', 'keycloak'], /is an export of auth0 or firebase, and not of keycloak/],
    [['--from', 'firebase', '--report', file], /the report must not replace it/],
    [['--from', 'firebase', '--report', join(folder.path, 'nowhere', 'x')], /cannot be written \(ENOENT\)/],
    [['--from', 'auth0', '--passwords', join(folder.path, 'nowhere')], /cannot be read \(ENOENT\)/],
  ] as const) {
    const { code, stderr, stdout } = await runCommand(['user', 'import', file, '--json', ...options], env)
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, words)
  }
})

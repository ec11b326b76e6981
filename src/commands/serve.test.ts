import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { createMigratedDatabase } from '../testing/portal/databases.ts'
import { gatehouse, startGatehouse, startOnTerminal } from '../testing/portal/gatehouse.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'

const SECRET = 'CANARY-secret-that-is-long-enough-for-anything'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-serve-'))
})
after(() => rm(folder, { recursive: true }))

test('a wrong environment is told in one message with every fault and no value, and nothing starts', async () => {
  await writeFile(join(folder, 'secret.txt'), SECRET)
  const { code, stdout, stderr } = await gatehouse(['serve'], {
    NODE_ENV: 'CANARY',
    PORT: '70000',
    PUBLIC_URL: 'http://CANARY.test/path',
    GATEHOUSE_SECRET: 'CANARY-short',
    DATABASE_URL: 'mysql://user:CANARY@localhost/db',
    REDIS_URL: 'http://:CANARY@localhost',
    SMTP_URL_FILE: join(folder, 'missing'),
    TRUST_PROXY: 'CANARY',
    LOG_LEVEL: 'CANARY',
    FAMILY_IDLE: 'CANARY',
    ROTATION_GRACE: '301',
    IDENTITY_SESSION_MAX: '-1',
    DATA_DIR: folder,
  })
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /^Gatehouse cannot start: some settings are wrong\.\n(?: {2}[^\n]+\n){12}$/)
  for (const name of [
    'NODE_ENV',
    'PORT',
    'PUBLIC_URL',
    'GATEHOUSE_SECRET',
    'DATABASE_URL',
    'REDIS_URL',
    'SMTP_URL_FILE',
    'TRUST_PROXY',
    'LOG_LEVEL',
    'FAMILY_IDLE',
    'ROTATION_GRACE',
    'IDENTITY_SESSION_MAX',
  ]) {
    assert.match(stderr, new RegExp(`^ {2}${name}: `, 'm'))
  }
  assert.doesNotMatch(stderr, /CANARY|70000|301(?! |\d)/)
})

test('production has no address and no secret of its own, and leaves nothing behind when it is not told', async () => {
  const { code, stderr } = await gatehouse(['serve'], { NODE_ENV: 'production', DATA_DIR: folder })
  assert.equal(code, 1)
  assert.match(stderr, /^ {2}PUBLIC_URL: must be set in production$/m)
  assert.match(stderr, /^ {2}GATEHOUSE_SECRET: must be set in production$/m)
  await assert.rejects(stat(join(folder, 'postgres')))
  await assert.rejects(stat(join(folder, 'secret')))
})

test('a database that does not answer is said on one line, without its password', async () => {
  const env = { DATABASE_URL: 'postgresql://user:CANARY@127.0.0.1:1/db', GATEHOUSE_SECRET: SECRET, DATA_DIR: folder }
  const { code, stdout, stderr } = await gatehouse(['serve'], env)
  assert.equal(code, 1)
  assert.match(stderr, /^gatehouse: [^\n]*ECONNREFUSED[^\n]*\n$/)
  assert.doesNotMatch(stdout + stderr, /CANARY/)
})

test('a terminal shows the link of the first administrator once, whatever the number of workers, and no other output does', async () => {
  const database = await createMigratedDatabase()
  const env = { NODE_ENV: 'test', GATEHOUSE_SECRET: TEST_SECRET, DATABASE_URL: database.databaseUrl, DATA_DIR: folder }
  const port = await findFreePort()
  const onTerminal = startOnTerminal(['serve'], { ...env, PORT: String(port), WORKERS: '2' })
  try {
    await onTerminal.says('/first-administrator/')
    await onTerminal.says('\r\n')
    const links = onTerminal.printed().match(/\S*\/first-administrator\/[\w-]{48}(?=\r)/g) ?? []
    assert.deepEqual([links.length, links[0]?.startsWith(`http://localhost:${port}/`)], [1, true])
    assert.equal((await fetch(links[0] as string)).status, 200)
    onTerminal.child.stdin?.write('\u0003')
    await onTerminal.finished
    assert.equal(onTerminal.printed().match(/first-administrator\/[\w-]{48}/g)?.length, 1)

    const piped = startGatehouse(['serve'], { ...env, PORT: String(port) })
    await piped.says('Apps discover it at')
    piped.child.kill('SIGTERM')
    assert.doesNotMatch((await piped.finished).stdout, /first-administrator/)
  } finally {
    await onTerminal.kill()
    await database.drop()
  }
})

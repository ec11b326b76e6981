import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseEnv } from 'node:util'
import { namesOf, SETTING_NAMES } from '../../src/settings/names.ts'
import { installPackages } from '../../src/testing/services/apt.ts'
import { run } from '../../src/testing/services/command.ts'
import { findProgram, thisMachine } from '../../src/testing/services/machine.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../../src/testing/services/temporary-folder.ts'

const LIMIT = 20_000
const UNITS = globSync('*.service', { cwd: import.meta.dirname })
/** 100 is a service that may do everything; about 90 is one that says nothing. */
const EXPOSURE_IN_TENTHS = '16'

const skip = process.platform === 'linux' ? false : 'systemd is for Linux'

let analyze: string
let temporary: TemporaryFolder | null = null
let folder: string

before(async () => {
  if (skip !== false) return
  const find = () => findProgram(thisMachine, 'systemd-analyze')
  if (find() === null) await installPackages(thisMachine, 'systemd')
  analyze = find() as string
  temporary = await makeTemporaryFolder('units')
  folder = temporary.path
  // It looks whether the program that is started exists.
  for (const unit of UNITS) await writeFile(join(folder, unit), file(unit).replace('/usr/bin/node', process.execPath))
})
after(() => temporary?.remove())

test('systemd accepts the units', { skip }, async () => {
  const output = await run(analyze, ['verify', '--man=no', ...UNITS.map((unit) => join(folder, unit))], {
    limit: LIMIT,
  })
  assert.doesNotMatch(output, /gatehouse/)
  await writeFile(join(folder, 'wrong.service'), '[Service]\nExecStart=/bin/true\nProtectSistem=strict\n')
  assert.match(
    await run(analyze, ['verify', '--man=no', join(folder, 'wrong.service')], { limit: LIMIT }),
    /ProtectSistem/,
  )
})

test('the services are confined, by the measure of systemd', { skip }, async () => {
  const args = ['security', '--offline=true', `--threshold=${EXPOSURE_IN_TENTHS}`]
  for (const unit of UNITS) await run(analyze, [...args, join(folder, unit)], { limit: LIMIT })
  await assert.rejects(run(analyze, [...args, join(folder, 'wrong.service')], { limit: LIMIT }))
})

test('each unit reads the secrets that it is given, and only the migrations have the role that owns the tables', () => {
  for (const unit of UNITS) {
    const given = [...file(unit).matchAll(/^LoadCredential=(.+):\/etc\/gatehouse\/credentials\/\1$/gm)].map(
      ([, name]) => name,
    )
    const named = [...file(unit).matchAll(/^Environment=(\w+)_FILE=%d\/(.+)$/gm)]
    assert.deepEqual(
      named.map(([, , name]) => name),
      given,
    )
    for (const [, setting = '', name = ''] of named) {
      assert.ok(
        SETTING_NAMES.some((each) => namesOf(each).ofFile.includes(`${setting}_FILE`)),
        setting,
      )
      assert.equal(
        name.replace(/^gatehouse-/, ''),
        setting
          .toLowerCase()
          .replaceAll('_', '-')
          .replace(/^gatehouse-/, ''),
      )
    }
    assert.equal(given.includes('database-migration-url'), basename(unit) === 'gatehouse-migrate.service')
  }
  const credentialsOf = (text: string) =>
    [...text.matchAll(/(\w+_FILE)=\S*?\/([\w-]+)"?/g)].map(([, a, b]) => `${a} ${b}`)
  const ofPortal = credentialsOf(file('gatehouse.service'))
  assert.ok(ofPortal.length >= 4)
  assert.deepEqual(credentialsOf(file('gatehouse-worker.service')), ofPortal)
  assert.deepEqual(
    credentialsOf(file('gatehouse')).filter((each) => !each.startsWith('ENV_FILE')),
    ofPortal,
  )
})

test('the settings are settings, none of them secret, and fit the proxies', () => {
  const settings = parseEnv(file('gatehouse.env')) as Record<string, string>
  const known = new Set<string>(SETTING_NAMES.filter((name) => namesOf(name).ofFile.length === 0))
  assert.deepEqual(
    Object.keys(settings).filter((name) => !known.has(name)),
    [],
  )
  const { PORT = '', TRUST_PROXY, IN_PROCESS_WORKER } = settings
  assert.deepEqual([TRUST_PROXY, IN_PROCESS_WORKER], ['1', 'false'])
  assert.ok(file('../nginx/gatehouse.conf').includes(`server 127.0.0.1:${PORT};`))
  assert.ok(file('../Caddyfile').includes(`reverse_proxy 127.0.0.1:${PORT}\n`))
  for (const path of ['healthz', 'readyz', 'metrics'])
    assert.ok(file('../nginx/locations.conf').includes(path) && file('../Caddyfile').includes(`/${path}`))
})

test('a command reads copies of the secrets as the user of the portal, and leaves none behind', async (context) => {
  if (!thisMachine.isRoot) return context.skip('only root can become another user')
  const credentials = join(folder, 'credentials')
  await mkdir(credentials, { mode: 0o700 })
  for (const name of ['gatehouse-secret', 'database-url', 'redis-url', 'smtp-url'])
    await writeFile(join(credentials, name), `${name} of root`, { mode: 0o600 })
  const shown = join(folder, 'node')
  await writeFile(
    shown,
    `id -un\ncat "$GATEHOUSE_SECRET_FILE" "$DATABASE_URL_FILE" "$REDIS_URL_FILE" "$SMTP_URL_FILE"\necho "" "$@"\nexit 3\n`,
  )
  const script = join(folder, 'gatehouse')
  const here = file('gatehouse')
    .replaceAll('/etc/gatehouse', folder)
    .replaceAll('/run/', `${folder}/`)
    .replaceAll(/-([uo]) gatehouse /g, '-$1 nobody ')
    .replace('/usr/bin/node /opt/gatehouse/src/gatehouse.ts', `sh ${shown}`)
  await writeFile(script, here)
  await assert.rejects(run('sh', [script, 'user', 'create', 'two words'], { limit: LIMIT }), {
    message:
      /ended with 3:\s+nobody\s+gatehouse-secret of rootdatabase-url of rootredis-url of rootsmtp-url of root user create two words$/,
  })
  assert.deepEqual(globSync('gatehouse-command*', { cwd: folder }), [])
})

test('Caddy accepts its configuration', async (context) => {
  const program = findProgram(thisMachine, 'caddy')
  if (program === null) return context.skip('there is no caddy')
  await run(program, ['validate', '--adapter', 'caddyfile', '--config', join(import.meta.dirname, '../Caddyfile')], {
    limit: LIMIT,
  })
})

test('the scripts are shell', async () => {
  for (const name of ['backup.sh', 'gatehouse'])
    await run('sh', ['-n', join(import.meta.dirname, name)], { limit: LIMIT })
})

function file(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
}

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError, readConfig } from '../config.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { runSecretCommand } from './secret-command.ts'

const SECRET = 'CANARY-secret-that-is-long-enough-for-anything'
const OTHER = 'CANARY-another-secret-long-enough-for-anything'
const PRODUCTION = { NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.test', PATH: process.env['PATH'] }

let folder: TemporaryFolder

before(async () => {
  folder = await makeTemporaryFolder('secret-command')
  await writeFile(join(folder.path, 'secret'), `${SECRET}\n`)
})
after(() => folder.remove())

function secretsOf(command: string, env: Record<string, string> = {}): readonly string[] {
  return readConfig({ ...PRODUCTION, GATEHOUSE_SECRET_COMMAND: command, ...env }).secrets
}

function refusalOf(command: string, env: Record<string, string> = {}): string {
  try {
    secretsOf(command, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.doesNotMatch(error.message, /CANARY/)
    return error.message
  }
  return assert.fail('it was taken')
}

for (const [printed, expected] of [
  [SECRET, [SECRET]],
  [`${SECRET}\\n`, [SECRET]],
  [`${SECRET},${OTHER}\\n`, [SECRET, OTHER]],
  [`\\n${SECRET}\\r\\n${OTHER}\\r\\n`, [SECRET, OTHER]],
] as const) {
  test(`a command that prints ${JSON.stringify(printed)} gives ${expected.length} of the secrets`, () => {
    assert.deepEqual(secretsOf(`printf '${printed}'`), expected)
  })
}

test('the command is one of the shell, and reads the environment without the other secrets of the portal', async () => {
  const secret = join(folder.path, 'secret')
  assert.deepEqual(
    secretsOf(`test -z "$DATABASE_URL" && cat "$WHERE" | head -c 100`, { WHERE: secret, DATABASE_URL: '' }),
    [SECRET],
  )
  const env = { DATABASE_URL: 'postgresql://u:CANARY@h/d', SMTP_URL: 'smtp://u:CANARY@h', WHERE: secret }
  assert.deepEqual(secretsOf(`env > '${folder.path}/seen'; cat "$WHERE" | head -c 100`, env), [SECRET])
  const seen = await readFile(join(folder.path, 'seen'), 'utf8')
  assert.match(seen, /^WHERE=/m)
  assert.doesNotMatch(seen, /CANARY/)
})

for (const [command, problem] of [
  ['printf ""', 'the command printed nothing'],
  [`printf ' \\n,'`, 'the command printed nothing'],
  ['no-such-command-here', /the command ended with exit code 127: .*not found/],
  [
    `echo ${SECRET}; echo 'access denied by the KMS' >&2; exit 3`,
    'the command ended with exit code 3: access denied by the KMS',
  ],
  [
    `echo ${SECRET}; printf 'got ${SECRET}\\nand failed' >&2; exit 1`,
    'the command ended with exit code 1: got … and failed',
  ],
  [`echo ${SECRET}; kill -9 $$`, 'the command was ended by SIGKILL'],
  ['head -c 100000 /dev/zero', 'the command printed far more than a secret'],
  ['echo 0123456789abcdef', 'each secret must have at least 32 bytes (printed by the command)'],
  [`echo ${'x'.repeat(64)}`, 'must be random: try `openssl rand -base64 48` (printed by the command)'],
] as const) {
  test(`a start with GATEHOUSE_SECRET_COMMAND=${command.slice(0, 40)} is refused`, () => {
    const [, line, ...others] = refusalOf(command).split('\n')
    assert.deepEqual(others, [])
    const said = (line as string).replace('  GATEHOUSE_SECRET_COMMAND: ', '')
    if (typeof problem === 'string') assert.equal(said, problem)
    else assert.match(said, problem)
  })
}

test('a command that does not end is ended, and what it has begun does not keep the portal waiting', () => {
  assert.deepEqual(runSecretCommand('sleep 5 | cat', { PATH: process.env['PATH'] }, 200), {
    kind: 'failed',
    problem: 'the command did not end within 0.2 seconds',
  })
})

test('the command stands in place of the secret and its file, and is told of beside other mistakes', () => {
  const second = { GATEHOUSE_SECRET: SECRET }
  assert.match(
    refusalOf('echo', second),
    /GATEHOUSE_SECRET_COMMAND: is set beside GATEHOUSE_SECRET; remove one of them$/,
  )
  const file = { GATEHOUSE_SECRET_FILE: join(folder.path, 'secret') }
  assert.match(refusalOf('echo', file), /is set beside GATEHOUSE_SECRET_FILE; remove one of them$/)
  assert.match(
    refusalOf('exit 2', { PORT: 'x' }),
    /PORT: .+\n {2}GATEHOUSE_SECRET_COMMAND: the command ended with exit code 2$/,
  )
})

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError } from '../config.ts'
import { gatehouse } from '../testing/portal/gatehouse.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'
import { loadEnvironmentFile } from './environment-file.ts'

let folder: TemporaryFolder
before(async () => {
  folder = await makeTemporaryFolder('environment-file')
})
after(() => folder.remove())

/** The environment with what this file adds. */
async function withFile(text: string, env: Record<string, string> = {}): Promise<NodeJS.ProcessEnv> {
  const path = join(folder.path, 'settings.env')
  await writeFile(path, text)
  const all: NodeJS.ProcessEnv = { ENV_FILE: path, ...env }
  loadEnvironmentFile(all)
  delete all['ENV_FILE']
  return all
}

test('the file adds what the environment does not say', async () => {
  assert.deepEqual(await withFile('# a comment\nPORT=1\nMAIL_FROM="Ada <ada@example.test>"\n', { HOST: '::1' }), {
    HOST: '::1',
    PORT: '1',
    MAIL_FROM: 'Ada <ada@example.test>',
  })
})

for (const [inFile, inEnvironment] of [
  ['PORT', 'PORT'],
  ['STORE_PATIENCE', 'STORE_TIMEOUT_MS'],
  ['STORE_TIMEOUT_MS', 'STORE_PATIENCE'],
  ['SMTP_URL', 'SMTP_URL_FILE'],
  ['SMTP_URL_FILE', 'SMTP_URL'],
] as const)
  test(`${inEnvironment} in the environment takes precedence over ${inFile} in the file`, async () => {
    assert.deepEqual(await withFile(`${inFile}=file\n`, { [inEnvironment]: 'real' }), { [inEnvironment]: 'real' })
  })

test('a file that was asked for must be there', () => {
  const missing = join(folder.path, 'missing.env')
  assert.throws(() => loadEnvironmentFile({ ENV_FILE: missing }), {
    constructor: ConfigError,
    message: 'Gatehouse cannot start: the file that ENV_FILE names cannot be read (ENOENT).',
  })
})

test('.env is read in development, in production only where ENV_FILE names it, and then says so', async () => {
  const place = join(folder.path, 'place')
  await mkdir(place)
  // One fault in the file, so that a start ends at once, with it or without it.
  await writeFile(join(place, '.env'), 'PORT=wrong\n')
  const stderrOf = async (env: Record<string, string>) =>
    (await gatehouse(['serve'], { DATA_DIR: place, ...env }, '', place)).stderr
  const fault = 'Gatehouse cannot start: one setting is wrong.\n  PORT: must be a port number\n'
  assert.equal(await stderrOf({}), fault)
  assert.equal(await stderrOf({ NODE_ENV: 'development' }), fault)

  const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.test', LOG_LEVEL: 'wrong' }
  const secret = { GATEHOUSE_SECRET: 'one root secret of more than 32 bytes' }
  const unread = await stderrOf({ ...production, ...secret })
  assert.match(unread, /^gatehouse: \.env is not read in production; to have it read, set ENV_FILE=\.env\n/)
  assert.match(unread, /^ {2}LOG_LEVEL: /m)
  assert.doesNotMatch(unread, /PORT/)
  const asked = await stderrOf({ ...production, ...secret, ENV_FILE: '.env' })
  assert.match(asked, /^Gatehouse cannot start: some settings are wrong\.\n(?: {2}(?:PORT|LOG_LEVEL): .*\n){2}$/)
})

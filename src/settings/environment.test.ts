import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError, readConfig } from '../config.ts'
import { makeTemporaryFolder } from '../testing/services/temporary-folder.ts'
import { readEnvironment } from './environment.ts'
import { SETTING_NAMES } from './names.ts'
import type { Setting } from './setting.ts'
import { SETTINGS } from './settings.ts'

const OLDER = SETTING_NAMES.flatMap((name) => {
  const { aliases = [], example }: Setting = SETTINGS[name]
  return aliases.map((alias) => ({ name, alias, example }))
})

test('the older names are still known', () => {
  assert.deepEqual(
    OLDER.map(({ name, alias }) => [alias, name]),
    [
      ['STORE_PATIENCE', 'STORE_TIMEOUT_MS'],
      ['PLACE_DATABASE', 'GEOIP_DATABASE'],
      ['FREE_GUESSES', 'LOGIN_ATTEMPTS_BEFORE_DELAY'],
      ['FIRST_GUESS_DELAY', 'LOGIN_DELAY_MIN'],
      ['LONGEST_GUESS_DELAY', 'LOGIN_DELAY_MAX'],
      ['SUSPENSION_AFTER', 'IP_BLOCK_AFTER'],
      ['SUSPENSION', 'IP_BLOCK_DURATION'],
    ],
  )
})

for (const { name, alias, example } of OLDER) {
  test(`${alias} means ${name}`, () => {
    const expected = readEnvironment({ [name]: example }).values[name]
    assert.notEqual(expected, readEnvironment({}).values[name])
    assert.equal(readEnvironment({ [alias]: example }).values[name], expected)
    assert.equal(readEnvironment({ [alias]: example, [name]: '' }).values[name], expected)
    assert.equal(readEnvironment({ [alias]: '', [name]: example }).values[name], expected)
    assert.deepEqual(readEnvironment({ [alias]: example, [name]: example }), readEnvironment({ [name]: example }))
  })

  test(`${alias} and ${name} with different values are refused, without the values`, () => {
    assert.deepEqual(readEnvironment({ [alias]: 'v-one', [name]: 'v-two' }).faults, [
      `${name}: is set to another value as ${alias}, an older name of the same setting; remove ${alias}`,
    ])
  })
}

test('what is wrong under an older name is told under the new one, with both names', () => {
  assert.deepEqual(readEnvironment({ SUSPENSION: 'v-forever', STORE_PATIENCE: '99' }).faults, [
    'STORE_TIMEOUT_MS: must be between 100 and 600000 milliseconds (set by its older name, STORE_PATIENCE)',
    'IP_BLOCK_DURATION: must be a whole number of seconds, or of another unit, as in 15m, 12h or 90d (set by its older name, SUSPENSION)',
  ])
})

test('a wrong secret from a file is told with the variable that names the file', async () => {
  const folder = await makeTemporaryFolder('secret')
  try {
    const file = join(folder.path, 'secret')
    await writeFile(file, 'too short')
    const { faults } = readEnvironment({ GATEHOUSE_SECRET_FILE: file })
    assert.ok(faults.length > 0)
    for (const fault of faults)
      assert.match(fault, /^GATEHOUSE_SECRET: .+ \(read from the file that GATEHOUSE_SECRET_FILE names\)$/)
  } finally {
    await folder.remove()
  }
})

test('every setting that is wrong is in one message, each on a line of its own, and no value is', () => {
  const env = Object.fromEntries(SETTING_NAMES.map((name) => [name, '\u0000v-wrong']))
  const { message } = refusal(env)
  const free = [
    'HOST',
    'DATA_DIR',
    'ENV_FILE',
    'GEOIP_DATABASE',
    'IDENTITY_SOURCE_SECRET',
    'LDAP_BIND_DN',
    'LDAP_CA_FILE',
    'GATEHOUSE_CLIENT_ID',
    'GATEHOUSE_CLIENT_SECRET',
    'GATEHOUSE_EXPORT_PASSPHRASE',
  ]
  for (const name of SETTING_NAMES.filter((each) => !free.includes(each)))
    assert.match(message, new RegExp(`^  ${name}: `, 'm'))
  assert.doesNotMatch(message, /v-wrong/)
})

function refusal(env: NodeJS.ProcessEnv): ConfigError {
  try {
    readConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error
  }
  return assert.fail('it was taken')
}

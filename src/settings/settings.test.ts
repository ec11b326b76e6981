import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configOf, readConfig } from '../config.ts'
import { readEnvironment } from './environment.ts'
import { SETTING_NAMES } from './names.ts'
import type { Setting } from './setting.ts'
import { SECTIONS, SETTINGS, type SettingName } from './settings.ts'

const SOURCES = join(import.meta.dirname, '..')

/** Not a part of the configuration of a portal, or read before it. */
const READ_ELSEWHERE = [
  'GATEHOUSE_SECRET_COMMAND',
  'ENV_FILE',
  'GATEHOUSE_URL',
  'GATEHOUSE_CLIENT_ID',
  'GATEHOUSE_CLIENT_SECRET',
  'GATEHOUSE_EXPORT_PASSPHRASE',
]

for (const [name, each] of Object.entries<Setting>(SETTINGS)) {
  test(`${name} says what it means, with an example and a default that it takes`, () => {
    const { type, meaning, example, default: preset, defaultInWords } = each
    assert.match(meaning, /^[`A-Z].*\.$/)
    assert.notEqual(preset ?? defaultInWords, undefined)
    if (each.isSecret !== true) assert.notEqual(example, '')
    for (const text of [example, preset ?? ''])
      assert.equal(text === '' || type.schema.safeParse(text).success, true, text)
  })
}

test('every setting stands in one section and has its names to itself', () => {
  assert.deepEqual(
    Object.values(SECTIONS).flatMap((section) => Object.keys(section)),
    SETTING_NAMES,
  )
  const names = Object.entries<Setting>(SETTINGS).flatMap(([name, { aliases = [] }]) => [name, ...aliases])
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  )
})

test('every setting becomes a part of the configuration', () => {
  const read = new Set<string>()
  const { values } = readEnvironment({})
  const watched = new Proxy(values, {
    get(target, name) {
      read.add(String(name))
      return target[name as SettingName]
    },
  })
  configOf(watched, () => 'a secret')
  const unread = SETTING_NAMES.filter((name) => !read.has(name))
  assert.deepEqual(unread, READ_ELSEWHERE)
})

test('every part of the configuration is read by something', () => {
  const { lifetimes, policy, ...rest } = readConfig({ NODE_ENV: 'test', GATEHOUSE_SECRET: 'x0123456789'.repeat(4) })
  const sources = globSync('{http,oidc,backchannel,domain,storage,mail,main,commands}/**/*.ts', { cwd: SOURCES })
    .filter((file) => !file.endsWith('.test.ts') && !file.startsWith('storage/client/'))
    .map((file) => readFileSync(join(SOURCES, file), 'utf8'))
    .join('\n')
  const parts = [lifetimes, policy, rest].flatMap((part) => Object.keys(part))
  assert.deepEqual(
    parts.filter((part) => !new RegExp(`\\b${part}\\b`).test(sources)),
    [],
  )
})

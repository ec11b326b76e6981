import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { readEnvironment } from '../../src/settings/environment.ts'
import { allNames, SETTING_NAMES } from '../../src/settings/names.ts'
import { toolEnvironment } from '../tool.ts'
import { describeSettings } from './configuration-page.ts'
import { exampleSettings } from './environment-example.ts'

test('.env.example lists every setting, with values that the portal takes', () => {
  const lines = exampleSettings().split('\n')
  const settings = lines.flatMap((line) => /^#([A-Z_]+=.*)$/.exec(line)?.[1] ?? [])
  const env = parseEnv(settings.join('\n'))
  assert.deepEqual(Object.keys(env).toSorted(), SETTING_NAMES.toSorted())
  assert.deepEqual(readEnvironment(env).faults, [])
})

test('docs/configuration.md has every name of every setting', () => {
  const page = describeSettings()
  for (const name of allNames().keys()) assert.ok(page.includes(`\`${name}\``), name)
})

test('no setting of a developer reaches a test', () => {
  const outer = Object.fromEntries([...allNames().keys()].map((name) => [name, 'x']))
  assert.deepEqual(Object.keys(toolEnvironment({ ...outer, PATH: '/bin', EDITOR: 'vi' })).toSorted(), [
    'EDITOR',
    'PATH',
  ])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStat } from './processes.ts'

test('a process may be named like anything', () => {
  const line = '4242 (a (b) c) S 17 4242 4242 0 -1 4194560 1 2 3 4 250 31 7 8 20 0 11 0 123456 1 2'
  assert.deepEqual(parseStat(line), { name: 'a (b) c', parent: 17, cpuMicros: 2_810_000, endedMicros: 150_000 })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeShard, readShard, shardOf, WHOLE } from './shards.ts'

const names = ['c', 'a', 'e', 'd', 'b']

test('the shards of a run have every test file, and each once', () => {
  const parts = [1, 2, 3].map((part) => shardOf(names, { part, of: 3 }))
  assert.deepEqual(parts, [['a', 'd'], ['b', 'e'], ['c']])
  assert.deepEqual(shardOf(names, WHOLE), ['a', 'b', 'c', 'd', 'e'])
})

test('a shard is named by its part and how many there are', () => {
  assert.deepEqual(readShard('2/3'), { part: 2, of: 3 })
  assert.equal(describeShard(readShard('10/10')), '10/10')
  for (const wrong of ['', '1', '0/3', '4/3', '1/0', '1/3/2', 'a/b', '-1/3', '1.5/3']) {
    assert.throws(() => readShard(wrong), /should be like 1\/3/, wrong)
  }
})

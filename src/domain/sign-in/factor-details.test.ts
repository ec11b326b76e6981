import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFactorDetail } from './factor-details.ts'
import { FACTOR_WORDS, type FactorKind } from './second-factors.ts'

for (const kind of Object.keys(FACTOR_WORDS) as FactorKind[])
  for (const name of ['Laptop', '“quoted”', 'two\nlines', '”'])
    test(`${kind} ${JSON.stringify(name)} is read as it was written`, () => {
      assert.deepEqual(readFactorDetail(`${FACTOR_WORDS[kind]} “${name}”`), { kind, name })
    })

test('what is not known is no kind that is', () => {
  assert.deepEqual(readFactorDetail('recovery codes'), { kind: 'other', name: 'recovery codes' })
  assert.deepEqual(readFactorDetail('ring “Gold”'), { kind: 'other', name: 'Gold' })
  assert.deepEqual(readFactorDetail(null), { kind: 'other', name: '' })
})

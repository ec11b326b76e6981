import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRecoveryCode, plainCode } from './typed-codes.ts'

for (const typed of [
  '123456',
  '１２３４５６',
  '١٢٣٤٥٦',
  '۱۲۳۴۵۶',
  '१२३४५६',
  '123 456',
  '123-456',
  '123\u2011456',
  '123–456',
  '\ufeff123\u00a0456\u200b',
  '\t1 2 3\u30004 5 6 ',
  '12\u00ad3456',
]) {
  test(`${JSON.stringify(typed)} is the code 123456`, () => {
    assert.equal(plainCode(typed), '123456')
    assert.equal(isRecoveryCode(typed), false)
  })
}

test('a recovery code is one in whatever way it is written', () => {
  for (const typed of ['abcd-efgh-jkmn-pqrs', 'ABCD EFGH', '0123-4567-8901-2345', '٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥']) {
    assert.equal(isRecoveryCode(typed), true, typed)
  }
})

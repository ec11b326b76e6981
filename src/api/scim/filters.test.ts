import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Condition, meets, readFilter, writeFilter } from './filters.ts'
import { ScimError } from './scim-errors.ts'

for (const [filter, conditions] of [
  ['userName eq "ada@example.test"', [['userName', 'eq', 'ada@example.test']]],
  ['USERNAME EQ "x"', [['USERNAME', 'eq', 'x']]],
  ['userName eq "a\\"b\\\\c\\u00e9"', [['userName', 'eq', 'a"b\\cé']]],
  ['active eq true', [['active', 'eq', true]]],
  ['active eq True', [['active', 'eq', true]]],
  ['active eq "False"', [['active', 'eq', 'False']]],
  ['externalId eq null', [['externalId', 'eq', null]]],
  ['x eq -1.5e3', [['x', 'eq', -1500]]],
  ['title pr', [['title', 'pr']]],
  [
    'userName sw "J" and active eq true',
    [
      ['userName', 'sw', 'J'],
      ['active', 'eq', true],
    ],
  ],
  [
    '(userName eq "a") and ((active eq true and title pr))',
    [
      ['userName', 'eq', 'a'],
      ['active', 'eq', true],
      ['title', 'pr'],
    ],
  ],
  [
    'emails[type eq "work" and value eq "a@b"]',
    [
      ['emails.type', 'eq', 'work'],
      ['emails.value', 'eq', 'a@b'],
    ],
  ],
  [
    'emails[type eq "work"].value eq "a@b"',
    [
      ['emails.type', 'eq', 'work'],
      ['emails.value', 'eq', 'a@b'],
    ],
  ],
  ['  userName   eq   "x"  ', [['userName', 'eq', 'x']]],
  [
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    [['urn:ietf:params:scim:schemas:core:2.0:User:userName', 'sw', 'J']],
  ],
] as const) {
  test(`${filter} is understood`, () => {
    const expected = conditions.map(([attribute, operator, ...value]) => ({
      attribute,
      operator,
      ...(operator === 'pr' ? {} : { value: value[0] }),
    }))
    assert.deepEqual(readFilter(filter), expected)
  })
}

for (const filter of [
  '',
  ' ',
  'userName',
  'userName eq',
  'userName eq ada',
  "userName eq 'ada'",
  'userName eq "ada',
  'userName eq "a" or active eq true',
  'not (userName eq "a")',
  'userName ne "a"',
  'userName co "a"',
  'meta.lastModified gt "2020-01-01T00:00:00Z"',
  'userName sw true',
  'userName eq "a" and',
  'and userName eq "a"',
  '(userName eq "a"',
  'userName eq "a")',
  'emails[type eq "work"',
  'emails[]',
  'emails[addresses[type eq "x"]]',
  '.value eq "x"',
  'userName eq "\\u0000"',
  'userName eq "\\ud800"',
  'userName eq "\\x"',
  'userName eq 1.2.3',
  'userName eq "a" active eq true',
  '"userName" eq "a"',
  'userName eq "a"; DROP TABLE identities',
  `userName eq "${'x'.repeat(4000)}"`,
  Array.from({ length: 11 }, () => 'userName pr').join(' and '),
  `${'('.repeat(100)}userName pr${')'.repeat(100)}`,
]) {
  test(`${filter.slice(0, 50)} is refused`, () => {
    assert.throws(() => readFilter(filter), { status: 400, scimType: 'invalidFilter' })
  })
}

const PLAIN = { noNullPrototype: true } as const
const name = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,10}(\.[A-Za-z][A-Za-z0-9]{0,5})?$/)
  .filter((each) => each.toLowerCase() !== 'not')
const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((each) => !each.includes('\0'))
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record(
    {
      attribute: name,
      operator: fc.constant('eq' as const),
      value: fc.oneof(text, fc.boolean(), fc.integer(), fc.constant(null)),
    },
    PLAIN,
  ),
  fc.record({ attribute: name, operator: fc.constant('sw' as const), value: text }, PLAIN),
  fc.record({ attribute: name, operator: fc.constant('pr' as const) }, PLAIN),
)

test('what is written as a filter is read as the same conditions', () => {
  fc.assert(
    fc.property(fc.array(condition, { minLength: 1, maxLength: 10 }), (conditions) => {
      assert.deepEqual(readFilter(writeFilter(conditions)), conditions)
      assert.deepEqual(readFilter(`( ${writeFilter(conditions)} )`), conditions)
    }),
  )
})

test('any text is a filter or is refused, and never anything else', () => {
  const pieces = fc.constantFrom(
    'userName',
    'eq',
    'sw',
    'pr',
    'and',
    'or',
    'not',
    '(',
    ')',
    '[',
    ']',
    '.value',
    '"x"',
    '"',
    '\\',
    ' ',
    'true',
    '1',
    'é',
    '\0',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 20 }).map((all) => all.join(' ')),
      ),
      (filter) => {
        try {
          assert.ok(readFilter(filter).length > 0)
        } catch (error) {
          assert.ok(error instanceof ScimError)
          assert.equal(error.scimType, 'invalidFilter')
        }
      },
    ),
  )
})

test('strings are compared with their capitals where the attribute says so, and booleans also with text', () => {
  const eq = (value: string | boolean) => ({ attribute: 'x', operator: 'eq', value }) as Condition
  assert.equal(meets('Work', eq('work'), false), true)
  assert.equal(meets('Work', eq('work'), true), false)
  assert.equal(meets('Work', { attribute: 'x', operator: 'sw', value: 'w' }, false), true)
  assert.equal(meets(true, eq('True'), false), true)
  assert.equal(meets(false, eq(false), false), true)
  assert.equal(meets(undefined, eq('work'), false), false)
  assert.equal(meets(undefined, { attribute: 'x', operator: 'eq', value: null }, false), true)
  assert.deepEqual(
    ['x', '', undefined, false].map((value) => meets(value, { attribute: 'x', operator: 'pr' }, false)),
    [true, false, false, true],
  )
})

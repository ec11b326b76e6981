import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PATCH_SCHEMA, patched, readPatch } from './patches.ts'
import { readResource, selectAttributes, type Values } from './resources.ts'
import { ENTERPRISE_SCHEMA, USER } from './schemas.ts'
import { ScimError } from './scim-errors.ts'

const work = { type: 'work', value: 'ada@example.test', primary: true }
const home = { type: 'home', value: 'ada@home.test' }
const ada: Values = {
  userName: 'ada@example.test',
  name: { givenName: 'Ada', familyName: 'Lovelace' },
  active: true,
  emails: [work, home],
  [ENTERPRISE_SCHEMA]: { department: 'Engines' },
}

function patch(operations: unknown[], resource = ada): Values {
  return patched(resource, readPatch(USER, { schemas: [PATCH_SCHEMA], Operations: operations }))
}

for (const [what, operation, changed] of [
  ['replace of a value', { op: 'replace', path: 'title', value: 'Countess' }, { title: 'Countess' }],
  ['an operation in capitals', { op: 'Replace', path: 'ACTIVE', value: 'False' }, { active: false }],
  [
    'add of a part',
    { op: 'add', path: 'name.middleName', value: 'King' },
    { name: { givenName: 'Ada', familyName: 'Lovelace', middleName: 'King' } },
  ],
  [
    'replace of a complex value',
    { op: 'replace', path: 'name', value: { givenName: 'A.' } },
    { name: { givenName: 'A.', familyName: 'Lovelace' } },
  ],
  [
    'null for a part',
    { op: 'replace', path: 'name', value: { givenName: null } },
    { name: { familyName: 'Lovelace' } },
  ],
  ['remove of a part', { op: 'remove', path: 'name.givenName' }, { name: { familyName: 'Lovelace' } }],
  ['remove of an attribute', { op: 'remove', path: 'name' }, { name: undefined }],
  ['remove of what is not there', { op: 'remove', path: 'nickName' }, {}],
  [
    'add to a list',
    { op: 'add', path: 'emails', value: [{ type: 'other', value: 'x@y.test' }] },
    { emails: [work, home, { type: 'other', value: 'x@y.test' }] },
  ],
  ['add of what is in the list', { op: 'add', path: 'emails', value: [{ value: 'ada@home.test' }] }, {}],
  ['replace of a list', { op: 'replace', path: 'emails', value: [home] }, { emails: [home] }],
  [
    'replace by a value path',
    { op: 'replace', path: 'emails[type eq "work"].value', value: 'new@example.test' },
    { emails: [{ ...work, value: 'new@example.test' }, home] },
  ],
  [
    'add by a value path that leads nowhere',
    { op: 'Add', path: 'emails[type eq "other"].value', value: 'o@x.test' },
    { emails: [work, home, { type: 'other', value: 'o@x.test' }] },
  ],
  [
    'add by a value path to a missing list',
    { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+1 5550100' },
    { phoneNumbers: [{ type: 'mobile', value: '+1 5550100' }] },
  ],
  [
    'another primary value',
    { op: 'add', path: 'emails[type eq "home"].primary', value: 'True' },
    {
      emails: [
        { ...work, primary: false },
        { ...home, primary: true },
      ],
    },
  ],
  ['remove by a value path', { op: 'remove', path: 'emails[type eq "home"]' }, { emails: [work] }],
  ['remove by a value path that leads nowhere', { op: 'remove', path: 'emails[type eq "fax"]' }, {}],
  ['remove with a value', { op: 'Remove', path: 'emails', value: [{ value: 'ada@home.test' }] }, { emails: [work] }],
  ['remove of the last value', { op: 'remove', path: 'emails[value pr]' }, { emails: undefined }],
  [
    'an extension by path',
    { op: 'add', path: `${ENTERPRISE_SCHEMA}:employeeNumber`, value: '7' },
    { [ENTERPRISE_SCHEMA]: { department: 'Engines', employeeNumber: '7' } },
  ],
  [
    'the manager as a text',
    { op: 'Add', path: `${ENTERPRISE_SCHEMA}:manager`, value: 'id-of-grace' },
    { [ENTERPRISE_SCHEMA]: { department: 'Engines', manager: { value: 'id-of-grace' } } },
  ],
  ['remove of an extension', { op: 'remove', path: ENTERPRISE_SCHEMA }, { [ENTERPRISE_SCHEMA]: undefined }],
  [
    'the URN of the core schema',
    { op: 'replace', path: 'urn:ietf:params:scim:schemas:core:2.0:User:name.givenName', value: 'A.' },
    { name: { givenName: 'A.', familyName: 'Lovelace' } },
  ],
  ['a password', { op: 'replace', path: 'password', value: 'secret' }, {}],
  ['an empty list', { op: 'replace', path: 'emails', value: [] }, { emails: undefined }],
] as const) {
  test(`${what} does what it says`, () => {
    const expected = JSON.parse(JSON.stringify({ ...ada, ...changed })) as Values
    assert.deepEqual(patch([operation]), expected)
  })
}

test('an operation without a path takes attributes, paths and extensions as names, and leaves out the rest', () => {
  const value = {
    id: 'x',
    schemas: [],
    unknown: 1,
    password: 'secret',
    displayName: 'Countess',
    'name.givenName': 'Augusta',
    'emails[type eq "work"].value': 'augusta@example.test',
    [`${ENTERPRISE_SCHEMA}:department`]: 'Mathematics',
    [ENTERPRISE_SCHEMA]: { employeeNumber: '7', manager: null },
  }
  assert.deepEqual(patch([{ op: 'replace', value }]), {
    ...ada,
    displayName: 'Countess',
    name: { givenName: 'Augusta', familyName: 'Lovelace' },
    emails: [{ ...work, value: 'augusta@example.test' }, home],
    [ENTERPRISE_SCHEMA]: { department: 'Mathematics', employeeNumber: '7' },
  })
})

for (const [what, operation, scimType] of [
  ['a remove without a path', { op: 'remove' }, 'noTarget'],
  ['a replace that leads nowhere', { op: 'replace', path: 'emails[type eq "fax"].value', value: 'x' }, 'noTarget'],
  ['an unknown operation', { op: 'move', path: 'title', value: 'x' }, 'invalidSyntax'],
  ['an operation that is a text', 'add', 'invalidSyntax'],
  ['an unknown attribute', { op: 'add', path: 'shoeSize', value: '38' }, 'invalidPath'],
  ['an unknown part', { op: 'add', path: 'name.first', value: 'x' }, 'invalidPath'],
  ['an unknown schema', { op: 'add', path: 'urn:example:Shoe:size', value: '38' }, 'invalidPath'],
  ['a path that is a number', { op: 'add', path: 7, value: 'x' }, 'invalidPath'],
  ['a path with a bracket too few', { op: 'add', path: 'emails[type eq "work".value', value: 'x' }, 'invalidPath'],
  ['a filter on one value', { op: 'add', path: 'name[givenName eq "Ada"].familyName', value: 'x' }, 'invalidPath'],
  ['a filter on an unknown part', { op: 'add', path: 'emails[size eq "1"].value', value: 'x' }, 'invalidPath'],
  ['a filter that is none', { op: 'remove', path: 'emails[type]' }, 'invalidFilter'],
  ['the id', { op: 'replace', path: 'id', value: 'x' }, 'mutability'],
  ['the groups', { op: 'add', path: 'groups', value: [] }, 'mutability'],
  ['the version', { op: 'replace', path: 'meta.version', value: 'x' }, 'mutability'],
  ['no userName', { op: 'remove', path: 'userName' }, 'mutability'],
  ['no value', { op: 'add', path: 'title' }, 'invalidValue'],
  ['a number for a text', { op: 'add', path: 'title', value: 7 }, 'invalidValue'],
  ['a word for a boolean', { op: 'replace', path: 'active', value: 'maybe' }, 'invalidValue'],
  ['a text without a path', { op: 'add', value: 'x' }, 'invalidValue'],
  ['a list for a complex value', { op: 'add', path: 'name', value: [] }, 'invalidValue'],
  [
    '51 values',
    { op: 'add', path: 'emails', value: Array.from({ length: 51 }, (_, index) => ({ value: `${index}@x.test` })) },
    'invalidValue',
  ],
  ['two primary values', { op: 'add', path: 'emails', value: [{ ...work, value: 'a@b' }, work] }, 'invalidValue'],
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(() => patch([operation]), { status: 400, scimType })
  })
}

for (const sent of [null, [], 'x', {}, { Operations: [] }, { Operations: 'x' }, { schemas: ['x'], Operations: [{}] }]) {
  test(`${JSON.stringify(sent)} is no PATCH`, () => {
    assert.throws(() => readPatch(USER, sent), { status: 400, scimType: 'invalidSyntax' })
  })
}

const value = fc.oneof(
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.record({ value: fc.string(), type: fc.constant('work') }),
  fc.array(fc.record({ value: fc.string(), primary: fc.boolean() }), { maxLength: 3 }),
)
const operation = fc.record({
  op: fc.constantFrom('add', 'Replace', 'remove'),
  path: fc.constantFrom(
    'title',
    'active',
    'name',
    'name.givenName',
    'emails',
    'emails.value',
    'emails[type eq "work"]',
    'emails[type eq "fax"].value',
    'emails[primary eq true].value',
    `${ENTERPRISE_SCHEMA}:department`,
    'addresses[type eq "work"].locality',
  ),
  value,
})

test('a patch that is applied twice does no more than once, or is refused', () => {
  fc.assert(
    fc.property(operation, (each) => {
      let once: Values
      try {
        once = patch([each])
      } catch (error) {
        assert.ok(error instanceof ScimError, String(error))
        return
      }
      // What the first one has left in place of a filter may be gone by the second.
      if (each.op === 'Replace' && each.path.includes('[')) return
      assert.deepEqual(patch([each], once), once)
    }),
    { numRuns: 500 },
  )
})

test('what a patch makes is a resource as its schema has it', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 5 }), (operations) => {
      try {
        const result = operations.length === 0 ? ada : patch(operations)
        assert.deepEqual(readResource(USER, result), result)
      } catch (error) {
        assert.ok(error instanceof ScimError, String(error))
      }
    }),
  )
})

test('a resource is read in the spelling of its schema, without what is read-only, unknown or null', () => {
  assert.deepEqual(
    readResource(USER, {
      schemas: [USER.schema.id.toUpperCase()],
      USERNAME: 'ada',
      ID: 'x',
      meta: {},
      groups: [{ value: 'x' }],
      Name: { GIVENNAME: 'Ada', familyName: null },
      active: 'True',
      emails: { value: 'ada@example.test' },
      ims: [null],
      title: null,
      password: 'secret',
      [ENTERPRISE_SCHEMA.toLowerCase()]: { Department: 'Engines' },
    }),
    {
      userName: 'ada',
      name: { givenName: 'Ada' },
      active: true,
      emails: [{ value: 'ada@example.test' }],
      [ENTERPRISE_SCHEMA]: { department: 'Engines' },
    },
  )
})

test('attributes and excludedAttributes choose what is answered, and id and schemas are always there', () => {
  const resource: Values = { schemas: ['x'], id: '1', ...ada, meta: { version: 'v', location: 'l' } }
  const chosen = (attributes: string[], excludedAttributes: string[] = []) =>
    selectAttributes(USER, resource, { attributes, excludedAttributes })
  assert.deepEqual(
    chosen(['USERNAME', 'name.givenName', `${ENTERPRISE_SCHEMA}:department`, 'unknown', 'emails.type']),
    {
      schemas: ['x'],
      id: '1',
      userName: ada['userName'],
      name: { givenName: 'Ada' },
      emails: [{ type: 'work' }, { type: 'home' }],
      [ENTERPRISE_SCHEMA]: { department: 'Engines' },
    },
  )
  const { emails: _, meta: __, ...rest } = resource
  assert.deepEqual(chosen([], ['emails', 'id', 'meta.version', 'schemas']), { ...rest, meta: { location: 'l' } })
  assert.deepEqual(chosen([]), resource)
})

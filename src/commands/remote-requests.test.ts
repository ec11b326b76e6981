import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPERATIONS } from '../administration/operations.ts'
import { CommandRefused } from './command-refused.ts'
import { requestFor } from './remote-requests.ts'

const { addGroupMembers, listGroupMembers, removeGroupMember, updateGroup } = OPERATIONS

test('fields go into the path, the query of a read or delete, or the body', () => {
  assert.deepEqual(requestFor(listGroupMembers, { group: 'a b/ä?#%', limit: 5, cursor: 'x+/=' }), {
    method: 'get',
    path: '/groups/a%20b%2F%C3%A4%3F%23%25/members?limit=5&cursor=x%2B%2F%3D',
    body: null,
  })
  assert.deepEqual(requestFor(removeGroupMember, { group: 'g', identity: 'ada@example.test' }), {
    method: 'delete',
    path: '/groups/g/members/ada%40example.test',
    body: null,
  })
  assert.deepEqual(requestFor(addGroupMembers, { group: 'g', identities: ['ada', 'grace'] }), {
    method: 'post',
    path: '/groups/g/members',
    body: { identities: ['ada', 'grace'] },
  })
})

test('what is not given is not sent, and null is', () => {
  assert.deepEqual(requestFor(updateGroup, { group: 'g', description: null, name: undefined }).body, {
    description: null,
  })
  assert.equal(requestFor(listGroupMembers, { group: 'g', cursor: undefined }).path, '/groups/g/members')
})

test('what would lead to another path is refused', () => {
  for (const group of ['.', '..', 'a\0b', '\ud800'])
    assert.throws(() => requestFor(updateGroup, { group }), CommandRefused, group)
  assert.throws(() => requestFor(updateGroup, { group: '' }), TypeError)
  assert.equal(requestFor(updateGroup, { group: '../x' }).path, '/groups/..%2Fx')
})

test('every operation has a request, with each of its path parameters in it', () => {
  for (const asked of Object.values(OPERATIONS)) {
    const names = Array.from(asked.path.matchAll(/\{(\w+)\}/g), ([, name]) => name as string)
    const { path } = requestFor(asked, Object.fromEntries(names.map((name) => [name, `its ${name}`])))
    assert.doesNotMatch(path, /[{}]/)
    for (const name of names) assert.ok(path.includes(`/its%20${name}`), asked.name)
  }
})

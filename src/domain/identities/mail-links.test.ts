import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { transaction } from '../../storage/postgres.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { LINK_LIVES, type LinkPurpose, lookAtMailLink, makeMailLink, useMailLink } from './mail-links.ts'
import { deriveSecrets } from '../keys/secrets.ts'

let portal: TestPortal
let adaId: string
let graceId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  graceId = await addIdentity(portal, grace)
})
after(() => portal.close())

function make(purpose: LinkPurpose, identityId = adaId, email = ada.email): Promise<string> {
  return transaction(portal.storage.pool, (db) => makeMailLink(portal, db, purpose, { identityId, email }))
}

test('looking at a link, however often, does not use it up; using it does', async () => {
  const token = await make('verify-address')
  for (let looks = 0; looks < 3; looks++) {
    const link = await lookAtMailLink(portal, 'verify-address', token)
    assert.deepEqual([link?.identityId, link?.email], [adaId, ada.email])
  }
  assert.equal((await useMailLink(portal, portal.storage.pool, 'verify-address', token))?.identityId, adaId)
  assert.equal(await useMailLink(portal, portal.storage.pool, 'verify-address', token), null)
  assert.equal(await lookAtMailLink(portal, 'verify-address', token), null)
})

test('of ten requests that use a link at once one gets it', async () => {
  const token = await make('reset-password')
  const uses = await Promise.all(
    Array.from({ length: 10 }, () => useMailLink(portal, portal.storage.pool, 'reset-password', token)),
  )
  assert.equal(uses.filter((link) => link !== null).length, 1)
})

test('a link that is used in something that fails can be used again', async () => {
  const token = await make('reset-password')
  const failing = transaction(portal.storage.pool, async (db) => {
    await useMailLink(portal, db, 'reset-password', token)
    throw new Error('it did not happen')
  })
  await assert.rejects(failing, /it did not happen/)
  assert.notEqual(await lookAtMailLink(portal, 'reset-password', token), null)
})

for (const [purpose, seconds] of Object.entries(LINK_LIVES) as [LinkPurpose, number][]) {
  test(`a link to ${purpose} works until its time is over`, async () => {
    const token = await make(purpose)
    portal.clock.advance(seconds - 1)
    assert.notEqual(await lookAtMailLink(portal, purpose, token), null)
    portal.clock.advance(2)
    assert.equal(await lookAtMailLink(portal, purpose, token), null)
    assert.equal(await useMailLink(portal, portal.storage.pool, purpose, token), null)
  })
}

test('the newest link of a person for a purpose is the only one, and leaves those of others alone', async () => {
  const first = await make('reset-password')
  const other = await make('verify-address')
  const hers = await make('reset-password', graceId, grace.email)
  const second = await make('reset-password')
  const isLiving = async (purpose: LinkPurpose, token: string) =>
    (await lookAtMailLink(portal, purpose, token)) !== null
  assert.equal(await isLiving('reset-password', first), false)
  assert.equal(await isLiving('reset-password', second), true)
  assert.equal(await isLiving('verify-address', other), true)
  assert.equal(await isLiving('reset-password', hers), true)
})

test('of links that are made at once one works', async () => {
  const tokens = await Promise.all(Array.from({ length: 8 }, () => make('change-address')))
  const found = await Promise.all(tokens.map((token) => lookAtMailLink(portal, 'change-address', token)))
  assert.equal(found.filter((link) => link !== null).length, 1)
})

test('each sign-in has a link of its own to disown it', async () => {
  const [first, second] = [await make('disown-sign-in'), await make('disown-sign-in')]
  assert.notEqual(await lookAtMailLink(portal, 'disown-sign-in', first), null)
  assert.notEqual(await lookAtMailLink(portal, 'disown-sign-in', second), null)
})

test('what is cut short, changed, made up or for something else is nothing', async () => {
  const token = await make('verify-address')
  const flipped = `${token[0] === 'A' ? 'B' : 'A'}${token.slice(1)}`
  const lastFlipped = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const strange = [
    '',
    'x',
    token.slice(0, -1),
    `${token}A`,
    `${token}=`,
    flipped,
    lastFlipped,
    ' '.repeat(48),
    'ä'.repeat(48),
  ]
  for (const each of [...strange, randomBytes(36).toString('base64url')]) {
    assert.equal(await lookAtMailLink(portal, 'verify-address', each), null, each)
  }
  assert.equal(await lookAtMailLink(portal, 'reset-password', token), null)
})

test('a link made under the secret before works while that is still there, and not after', async () => {
  const token = await make('verify-address')
  const fresh = deriveSecrets(['another root secret of thirty-two bytes'])
  const rotated = { ...portal, secrets: [...fresh, ...portal.secrets] as const }
  assert.notEqual(await lookAtMailLink(rotated, 'verify-address', token), null)
  const replaced = { ...portal, secrets: fresh }
  assert.equal(await lookAtMailLink(replaced, 'verify-address', token), null)
})

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { recordStatements, withoutPeriodic } from '../../testing/portal/statements.ts'
import { createIdentityProvider, identityProvidersOffered, setIdentityProviderDisabled } from './identity-providers.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

test('pages read the providers once in five seconds, and at once after a change of this process', async () => {
  const offered = async () => (await identityProvidersOffered(portal)).map(({ id }) => id)
  assert.deepEqual(await offered(), [])
  await createIdentityProvider(portal, 'google', {
    name: 'Google',
    issuer: 'https://accounts.google.com',
    clientId: 'gatehouse',
  })
  assert.deepEqual(await offered(), ['google'])
  const again = await recordStatements(async () => Promise.all(Array.from({ length: 20 }, offered)))
  assert.deepEqual(withoutPeriodic(again), [])

  // As another process does it.
  await portal.storage.pool.query('UPDATE identity_providers SET disabled_at = now()')
  portal.clock.advance(4)
  assert.deepEqual(await offered(), ['google'])
  portal.clock.advance(1)
  assert.deepEqual(await offered(), [])

  await setIdentityProviderDisabled(portal, 'google', false)
  assert.deepEqual(await offered(), ['google'])
  await portal.storage.pool.query('DELETE FROM identity_providers')
  portal.clock.advance(-3600)
  assert.deepEqual(await offered(), [])
})

test('a failed read is not remembered', async () => {
  portal.clock.advance(60)
  const { pool } = portal.storage
  await pool.query('ALTER TABLE identity_providers RENAME TO away')
  await assert.rejects(identityProvidersOffered(portal))
  await pool.query('ALTER TABLE away RENAME TO identity_providers')
  assert.deepEqual(await identityProvidersOffered(portal), [])
})

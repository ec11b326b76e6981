import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../../src/testing/portal/open-portal.ts'
import { LIFETIMES_ENV, simulate } from './simulation.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal('postgres', LIFETIMES_ENV)
})
after(() => portal.close())

test('honest apps lose no family but by the documented window, and every thief that gains a token is seen', async () => {
  const { honest, stolen } = await simulate(portal, { clients: 48, refreshes: 2400, thefts: 60 })
  for (const row of honest) {
    assert.ok(row.refreshes >= 50 * row.clients, JSON.stringify(row))
    assert.equal(row.ended, row.isProven ? 0 : row.excluded, JSON.stringify(row))
  }
  for (const row of stolen) {
    assert.equal(row.missed, 0, JSON.stringify(row))
    // Without the key a copy is worth nothing, so nobody need be signed out for it.
    assert.equal(row.gained > 0, !row.isProven && row.order !== 'after', JSON.stringify(row))
  }
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { awaitReloads } from './reloads.ts'
import { noteRunning } from './root-secrets.ts'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
})
after(() => portal.close())

async function revokeOne(): Promise<void> {
  const signing = (await portal.keys.list(null)).find(({ state }) => state === 'signing')
  await portal.keys.revoke(signing?.kid ?? '')
}

test('a revocation is known everywhere once each running process has said that it loaded the keys', async () => {
  const processes = [1, 2].map(() => ({ id: randomUUID(), signingKeysId: portal.keys.id() }))
  for (const process of processes) await noteRunning(portal, process)
  assert.equal(await awaitReloads(portal, 1), 0)

  await revokeOne()
  assert.equal(await awaitReloads(portal, 1), 2)
  const [one, other] = processes.map(({ id }) => ({ id, signingKeysId: portal.keys.id() }))
  if (one) await noteRunning(portal, one)
  assert.equal(await awaitReloads(portal, 2), 1)
  const waiting = awaitReloads(portal)
  if (other) await noteRunning(portal, other)
  assert.equal(await waiting, 0)
})

test('a process that was killed is waited for no longer than it counts as running', async () => {
  portal.clock.advance(91)
  await noteRunning(portal, { id: randomUUID(), signingKeysId: portal.keys.id() })
  await revokeOne()
  assert.equal(await awaitReloads(portal, 1), 1)
  portal.clock.advance(91)
  assert.equal(await awaitReloads(portal, 1), 0)
})

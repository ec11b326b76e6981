import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pruneAuditCheckpoint } from '../../storage/audit-retention.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { signatureOf } from './checkpoints.ts'
import { pruneAuditLog } from './retention.ts'
import { sealAuditLog } from './sealing.ts'
import { verifyAuditLog } from './verification.ts'

const DAY = 86_400

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
  await portal.storage.pool.query('TRUNCATE audit_events, audit_checkpoints RESTART IDENTITY')
})
after(() => portal.close())

async function kinds(): Promise<string[]> {
  const { rows } = await portal.storage.pool.query<{ kind: string }>('SELECT kind FROM audit_events ORDER BY id')
  return rows.map(({ kind }) => kind)
}

test('the retention deletes the events of whole checkpoints, and what is left can be verified', async () => {
  const auditRetention = 100 * DAY
  // The database has its own clock.
  for (const [daysAgo, kind] of [
    [300, 'registered'],
    [200, 'signed_in'],
    [2, 'signed_out'],
  ] as const) {
    const at = new Date(Date.now() - daysAgo * DAY * 1000)
    await insertAuditEvents(portal.storage.pool, [{ kind }, { kind }], at)
    await sealAuditLog({ ...portal, clock: () => at })
  }
  await insertAuditEvents(portal.storage.pool, [{ kind: 'data_exported' }], new Date(Date.now() - 300 * DAY * 1000))
  const all = ['registered', 'registered', 'signed_in', 'signed_in', 'signed_out', 'signed_out', 'data_exported']
  const keeping = { ...portal, lifetimes: { ...portal.lifetimes, auditRetention } }

  // Nothing is deleted before the owner of the tables has said how long events are kept, also with a valid signature.
  const { rows } = await portal.storage.pool.query<{ hash: Buffer }>(
    'SELECT hash FROM audit_checkpoints ORDER BY number',
  )
  const proof = signatureOf('pruned', rows[0]?.hash as Buffer, portal.auditKeys)
  assert.equal(await pruneAuditCheckpoint(portal.storage.pool, '1', proof), false)
  assert.equal(await pruneAuditLog(portal, undefined, 0), 0)
  assert.deepEqual(await kinds(), all)

  assert.equal(await pruneAuditLog(keeping, undefined, 0), 2)
  assert.deepEqual(await kinds(), all.slice(4))
  const after = await verifyAuditLog(portal, null, 0)
  assert.deepEqual([after.findings, after.checkpoints, after.events], [[], 2, 2])
  // One that was deleted is no witness against the log, and one that is left is.
  const hash = rows[0]?.hash.toString('hex') as string
  assert.equal((await verifyAuditLog(portal, { number: '1', hash }, 0)).total, 0)
  assert.equal((await verifyAuditLog(portal, { number: '3', hash }, 0)).total, 1)

  await portal.storage.pool.query(`INSERT INTO audit_events (id, at, kind) VALUES (2, now(), 'signed_in')`)
  assert.deepEqual((await verifyAuditLog(portal, null, 0)).findings, [
    { about: 'event', id: '2', problem: 'added', checkpoint: null },
  ])
})

import { insertAuditEvents } from '../../storage/audit.ts'
import { transaction } from '../../storage/postgres.ts'
import {
  deleteSuspension,
  findSuspension as findRow,
  insertSuspension,
  listSuspensions as listRows,
  type SuspensionRow,
} from '../../storage/ip-blocks.ts'
import { addressKey } from './ip-keys.ts'
import type { Portal } from '../services.ts'
import { addressTally, reset } from './attempt-counters.ts'
import { addSeconds } from '../time.ts'

export type Suspension = SuspensionRow

/** Refuses an address for a while. Null when it was refused already. What was counted of it is forgotten, so that it starts anew. */
export async function suspend(portal: Portal, address: string, failures: number): Promise<Suspension | null> {
  const since = portal.clock()
  const suspension = {
    address: addressKey(address),
    since,
    until: addSeconds(since, portal.policy.suspension),
    failures,
  }
  const isNew = await insertSuspension(portal.storage.pool, suspension)
  await reset(portal, [addressTally(portal, address)])
  return isNew ? suspension : null
}

/** The suspension of this address, or of the /64 it lies in. */
export async function findSuspension(portal: Portal, address: string): Promise<Suspension | null> {
  return findRow(portal.storage.pool, addressKey(address), portal.clock())
}

/** Those that are not over, the oldest first. */
export async function listSuspensions(portal: Portal): Promise<Suspension[]> {
  return listRows(portal.storage.pool, portal.clock())
}

/** Lets an address guess again at once, in every process. False when it was not suspended. */
export async function liftSuspension(portal: Portal, address: string): Promise<boolean> {
  const now = portal.clock()
  const key = addressKey(address)
  await reset(portal, [addressTally(portal, address)])
  return transaction(portal.storage.pool, async (db) => {
    const lifted = await deleteSuspension(db, key, now)
    const event = { kind: 'suspension_lifted', address: key, actor: portal.operator }
    if (lifted) await insertAuditEvents(db, [event], now)
    return lifted
  })
}

import { insertAuditEvents } from '../../storage/audit.ts'
import { transaction } from '../../storage/postgres.ts'
import {
  deleteIpBlock,
  findIpBlock as findRow,
  insertIpBlock,
  listIpBlocks as listRows,
  type IpBlockRow,
} from '../../storage/ip-blocks.ts'
import { ipKey } from './ip-keys.ts'
import type { Services } from '../services.ts'
import { ipCounter, reset } from './attempt-counters.ts'
import { addSeconds } from '../time.ts'

export type IpBlock = IpBlockRow

/** Refuses an address for a while. Null when it was refused already. What was counted of it is forgotten, so that it starts anew. */
export async function blockIp(services: Services, address: string, failures: number): Promise<IpBlock | null> {
  const since = services.clock()
  const suspension = {
    address: ipKey(address),
    since,
    until: addSeconds(since, services.policy.suspension),
    failures,
  }
  const isNew = await insertIpBlock(services.storage.pool, suspension)
  await reset(services, [ipCounter(services, address)])
  return isNew ? suspension : null
}

/** The suspension of this address, or of the /64 it lies in. */
export async function findIpBlock(services: Services, address: string): Promise<IpBlock | null> {
  return findRow(services.storage.pool, ipKey(address), services.clock())
}

/** Those that are not over, the oldest first. */
export async function listIpBlocks(services: Services): Promise<IpBlock[]> {
  return listRows(services.storage.pool, services.clock())
}

/** Lets an address guess again at once, in every process. False when it was not suspended. */
export async function liftIpBlock(services: Services, address: string): Promise<boolean> {
  const now = services.clock()
  const key = ipKey(address)
  await reset(services, [ipCounter(services, address)])
  return transaction(services.storage.pool, async (db) => {
    const lifted = await deleteIpBlock(db, key, now)
    const event = { kind: 'suspension_lifted', address: key, actor: services.operator }
    if (lifted) await insertAuditEvents(db, [event], now)
    return lifted
  })
}

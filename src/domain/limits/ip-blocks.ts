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

/**
 * Blocks an IP address (IPv6: its /64) for a while, and sets its counter to zero, so that it starts anew afterwards. Null when
 * it was blocked already.
 */
export async function blockIp(services: Services, ipAddress: string, failures: number): Promise<IpBlock | null> {
  const since = services.clock()
  const ipBlock = {
    address: ipKey(ipAddress),
    since,
    until: addSeconds(since, services.policy.ipBlockDuration),
    failures,
  }
  const isNew = await insertIpBlock(services.storage.pool, ipBlock)
  await reset(services, [ipCounter(services, ipAddress)])
  return isNew ? ipBlock : null
}

/** The block of this IP address, or of its /64. Null when there is none. */
export async function findIpBlock(services: Services, ipAddress: string): Promise<IpBlock | null> {
  return findRow(services.storage.pool, ipKey(ipAddress), services.clock())
}

/** The IP blocks that are not over, by address: those that begin with the prefix, after the address `after`. */
export async function listIpBlocks(
  services: Services,
  choice: { prefix: string; after: string | null; limit: number },
): Promise<IpBlock[]> {
  return listRows(services.storage.pool, choice, services.clock())
}

/** Lifts the block of an IP address at once, in every process. False when it was not blocked. */
export async function liftIpBlock(services: Services, ipAddress: string): Promise<boolean> {
  const now = services.clock()
  const key = ipKey(ipAddress)
  await reset(services, [ipCounter(services, ipAddress)])
  return transaction(services.storage.pool, async (db) => {
    const lifted = await deleteIpBlock(db, key, now)
    const event = { kind: 'suspension_lifted' as const, address: key, actor: services.operator }
    if (lifted) await insertAuditEvents(db, [event], now)
    return lifted
  })
}

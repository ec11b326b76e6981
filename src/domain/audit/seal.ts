import { findEventAfter, findNewestCheckpoint } from '../../storage/audit-seals.ts'
import type { Services } from '../services.ts'

/** How far the audit log is sealed. Whether it is as it was sealed, only its verification says. */
export interface AuditSeal {
  /** Null before the first checkpoint. */
  newest: { number: string; hash: string; at: Date; upTo: string } | null
  /** When the first event was written that is not sealed yet; null where there is none. */
  unsealedSince: Date | null
}

export async function readAuditSeal({ storage }: Services): Promise<AuditSeal> {
  const newest = await findNewestCheckpoint(storage.pool)
  return {
    newest: newest && { number: newest.number, hash: newest.hash.toString('hex'), at: newest.at, upTo: newest.toId },
    unsealedSince: await findEventAfter(storage.pool, newest?.toId ?? '0'),
  }
}

import {
  findAuditRetention,
  findOldestCheckpoint,
  pruneAuditCheckpoint,
  writeAuditRetention,
} from '../../storage/audit-retention.ts'
import { inBatches } from '../batches.ts'
import type { Services } from '../services.ts'
import { signatureOf } from './checkpoints.ts'

const PAUSE_MS = 40

/**
 * Deletes audit events that are older than AUDIT_RETENTION, a checkpoint at a time: what is not sealed yet stays. The log stays
 * verifiable from there on. @returns how many checkpoints' events were deleted
 */
export async function pruneAuditLog(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const { pool } = services.storage
  const { auditRetention } = services.lifetimes
  if (auditRetention === null) return 0
  // A portal with a role of its own may not write it: the function that deletes goes by what the owner of the tables wrote.
  await writeAuditRetention(pool, auditRetention)
  const allowed = await findAuditRetention(pool)
  if (allowed !== auditRetention)
    services.logger.warn(
      { event: 'audit_retention_differs', setting: auditRetention, database: allowed },
      'AUDIT_RETENTION is not what the database has: run "gatehouse migrate" with it as the owner of the tables',
    )
  return inBatches(
    async () => {
      const oldest = await findOldestCheckpoint(pool)
      if (oldest === null) return 0
      const proof = signatureOf('pruned', oldest.hash, services.auditKeys)
      return (await pruneAuditCheckpoint(pool, oldest.number, proof)) ? 1 : 0
    },
    { size: 1, pauseMs, signal },
  )
}

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import {
  findCheckpointHash,
  findNewestCheckpoint,
  findSettledId,
  insertCheckpoint,
  listSealedRows,
  lockSealing,
  type SealedRow,
} from '../../storage/audit-seals.ts'
import { transaction } from '../../storage/postgres.ts'
import type { Services } from '../services.ts'
import { type Leaf, leafOf, makeCheckpoint } from './checkpoints.ts'

/** Events in one checkpoint: a few milliseconds of work, so that requests hardly wait for it. */
const MOST_EVENTS = 500
/** Events that are hashed at once. */
const AT_ONCE = 25
/** Checkpoints of one round, and the time between two (ms). */
const MOST_CHECKPOINTS = 1000
const PAUSE_MS = 20

/** The newest checkpoint, as an auditor keeps it beside the portal. */
export interface Witness {
  number: string
  /** In hexadecimal digits. */
  hash: string
}

/**
 * Seals the audit events that were written since the last checkpoint. One process at a time does it; the others do nothing.
 * @returns how many events were sealed
 */
export async function sealAuditLog(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  await compareWithSeen(services)
  const settled = await findSettledId(services.storage.pool, signal)
  if (settled === null) return 0
  let count = 0
  let newest: Witness | null = null
  for (let round = 0; round < MOST_CHECKPOINTS && signal?.aborted !== true; round++) {
    const sealed = await sealNext(services, settled)
    if (sealed === null) break
    count += sealed.count
    newest = sealed.witness
    if (sealed.count < MOST_EVENTS) break
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
  if (newest !== null) {
    seen.set(services.storage, newest)
    // Outside the database, so that cutting off the newest checkpoints leaves a trace.
    services.logger.info(
      { event: 'audit_sealed', checkpoint: newest.number, hash: newest.hash, events: count },
      'the audit log was sealed',
    )
  }
  return count
}

async function sealNext(services: Services, settled: string): Promise<{ count: number; witness: Witness } | null> {
  return transaction(services.storage.pool, async (db) => {
    if (!(await lockSealing(db))) return null
    const newest = await findNewestCheckpoint(db)
    const rows = await listSealedRows(db, { after: newest?.toId ?? '0', to: settled }, MOST_EVENTS)
    const [first, ...others] = await leavesOf(rows, services)
    if (first === undefined) return null
    const leaves: [Leaf, ...Leaf[]] = [first, ...others]
    const checkpoint = makeCheckpoint(newest, leaves, services.clock(), services.auditKeys)
    await insertCheckpoint(db, checkpoint)
    return { count: rows.length, witness: { number: checkpoint.number, hash: checkpoint.hash.toString('hex') } }
  })
}

/** A few at a time, so that requests of this process hardly wait for them. */
async function leavesOf(rows: SealedRow[], { auditKeys }: Services): Promise<Leaf[]> {
  const leaves: Leaf[] = []
  for (const row of rows) {
    leaves.push(leafOf(row, auditKeys))
    if (leaves.length % AT_ONCE === 0) await setImmediate()
  }
  return leaves
}

/** The newest checkpoint that this process has written, by its store. */
const seen = new WeakMap<object, Witness>()

/** Logs an error when a checkpoint that this process has written is another one by now, or gone. */
async function compareWithSeen({ storage, logger }: Services): Promise<void> {
  const witness = seen.get(storage)
  if (witness === undefined) return
  const hash = await findCheckpointHash(storage.pool, witness.number)
  if (hash?.toString('hex') === witness.hash) return
  const newest = await findNewestCheckpoint(storage.pool)
  // The retention deletes old checkpoints, and never the newest.
  if (hash === null && newest !== null && BigInt(newest.number) > BigInt(witness.number)) return
  logger.error(
    { event: 'audit_log_changed', checkpoint: witness.number, hash: witness.hash },
    'a checkpoint of the audit log was changed or removed: run "gatehouse audit verify"',
  )
}

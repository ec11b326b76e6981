import { listAuditEventsAfter, type SearchedAuditRow } from '../../storage/audit-search.ts'
import { findSettledId } from '../../storage/audit-seals.ts'
import {
  type AuditStreamRow,
  claimAuditStream,
  hasAuditStream,
  insertAuditStream,
  updateAuditStream,
} from '../../storage/audit-streams.ts'
import type { Services } from '../services.ts'

/** Where the audit log is sent as it is written. */
export interface AuditReceiver {
  name: string
  /** Events of one batch. */
  size: number
  /** @param id the same whenever this batch is sent. @returns why it did not arrive; null when it did */
  send(id: string, events: SearchedAuditRow[]): Promise<string | null>
}

/** Longer than any attempt to send (ms): a process that dies is followed by another after this time. */
const LEASE_MS = 60_000
/** The wait after the first failure, which doubles, and the longest (ms). */
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 300_000
/** Batches of one round. */
const MOST_BATCHES = 1000

/**
 * Sends what the receiver does not have yet: in the order of the ids, each event at least once, by one process at a time. It
 * begins with what happens after the first call, and goes on there after any pause. What does not arrive is sent again until it
 * does. @param holder names this process. @returns how many events arrived
 */
export async function streamAuditLog(
  services: Services,
  receiver: AuditReceiver,
  holder: string,
  signal?: AbortSignal,
): Promise<number> {
  const { pool } = services.storage
  const { name, size } = receiver
  const settled = await findSettledId(pool, signal)
  if (settled === null) return 0
  if (!(await hasAuditStream(pool, name))) await insertAuditStream(pool, name, settled, services.clock())
  let count = 0
  for (let batch = 0; batch < MOST_BATCHES && signal?.aborted !== true; batch++) {
    const now = services.clock()
    const claimed = await claimAuditStream(pool, name, holder, { now, until: after(now, LEASE_MS) })
    if (claimed === null) break
    const events = await listAuditEventsAfter(pool, claimed.lastId, claimed.batchTo ?? settled, size)
    const to = claimed.batchTo ?? events.at(-1)?.id ?? null
    if (to === null) {
      await finish(services, name, holder, claimed)
      break
    }
    // The same events whenever it is sent, so that the receiver knows a batch that arrived twice.
    const begun = { ...claimed, batchTo: to, problem: null, holder, leasedUntil: after(now, LEASE_MS) }
    if (claimed.batchTo === null && !(await updateAuditStream(pool, name, holder, begun))) break
    // The retention may have deleted all of a batch that could not be sent for so long.
    const problem = events.length === 0 ? null : await receiver.send(`audit-${claimed.lastId}-${to}`, events)
    if (problem !== null) {
      await postpone(services, name, holder, begun, problem)
      break
    }
    const isOurs = await finish(services, name, holder, { ...begun, lastId: to, batchTo: null, failures: 0 })
    if (!isOurs) break
    count += events.length
  }
  return count
}

/** Gives the lease back. */
async function finish(services: Services, name: string, holder: string, state: AuditStreamRow): Promise<boolean> {
  const given = { ...state, problem: null, holder: null, leasedUntil: services.clock() }
  return updateAuditStream(services.storage.pool, name, holder, given)
}

async function postpone(
  services: Services,
  name: string,
  holder: string,
  state: AuditStreamRow,
  problem: string,
): Promise<void> {
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(state.failures, 20))
  const failures = state.failures + 1
  const leasedUntil = after(services.clock(), waitMs)
  await updateAuditStream(services.storage.pool, name, holder, {
    ...state,
    failures,
    problem,
    holder: null,
    leasedUntil,
  })
  services.logger.warn(
    { event: 'audit_stream_failed', receiver: name, problem, failures, retryAt: leasedUntil },
    'audit events were not taken',
  )
}

function after(time: Date, ms: number): Date {
  return new Date(time.getTime() + ms)
}

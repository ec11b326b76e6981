import { anonymizeAuditEvents, listAuditEventIds } from '../../storage/audit.ts'
import { eraseFamiliesOf } from '../../storage/erased-families.ts'
import { deleteIdentity, listErasable, lockErasable } from '../../storage/identities.ts'
import { deleteNotificationsOf } from '../../storage/notifications.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { erasureProofOf } from '../audit/checkpoints.ts'
import { queueMail } from '../mail-jobs.ts'
import type { Services } from '../services.ts'
import { LONGEST_LISTED } from '../families/revocations.ts'
import { addSeconds } from '../time.ts'

/** Identities in one round. */
const ROUND = 100
/** Rows in one statement: a user whose apps authorize every few minutes has hundreds of thousands. */
const BATCH = 2000

/**
 * Erases the accounts whose grace is over; any number of processes share the work. @returns how many this call erased
 * @throws AggregateError when some could not be erased, after all the others
 */
export async function eraseDeletedAccounts(services: Services, signal?: AbortSignal): Promise<number> {
  let count = 0
  const failures: unknown[] = []
  for (const id of await listErasable(services.storage, services.clock(), ROUND)) {
    if (signal?.aborted === true) break
    try {
      if (await eraseAccount(services, id)) count++
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some accounts could not be erased')
  return count
}

/**
 * Erases a deleted account whose grace is over: no personal data remains, and its user name and e-mail address are free. The
 * user gets one mail. False when the grace is not over, or another process is erasing it.
 */
export async function eraseAccount(services: Services, id: string): Promise<boolean> {
  return transaction(services.storage.pool, async (db) => {
    const now = services.clock()
    const identity = await lockErasable(db, id, now)
    if (identity === null) return false
    await anonymizeAll(services, db, id)
    // Notifications that wait are still sent, and deleted after that.
    await inBatches((limit) => deleteNotificationsOf(db, id, limit))
    await inBatches((limit) => eraseFamiliesOf(db, id, addSeconds(now, -LONGEST_LISTED), limit))
    await deleteIdentity(db, id)
    const { email, username, locale, zoneinfo } = identity
    await queueMail(services, { kind: 'erased', email, username, at: now.toISOString(), locale, zoneinfo }, db)
    return true
  })
}

/** Each event gets the proof that it was emptied by an erasure. */
async function anonymizeAll({ auditKeys }: Services, db: Queryable, identityId: string): Promise<void> {
  let ids: string[] = []
  do {
    ids = await listAuditEventIds(db, identityId, ids.at(-1) ?? null, BATCH)
    const proofs = ids.map((id) => erasureProofOf(id, auditKeys))
    await anonymizeAuditEvents(db, identityId, ids, proofs)
  } while (ids.length === BATCH)
}

async function inBatches(deleteBatch: (limit: number) => Promise<number>): Promise<void> {
  while ((await deleteBatch(BATCH)) === BATCH);
}

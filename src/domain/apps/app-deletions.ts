import { deleteApp, deleteFamiliesOfApp, deleteRolesInApp, listSettledDeletions } from '../../storage/app-deletions.ts'
import { LONGEST_TOKEN } from '../keys/signing-keys.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'

/** How long the row of a deleted app stays at least (seconds): every token must have expired, and be in no revocation feed. */
const ROW_STAYS = LONGEST_TOKEN + 300

/** Families that are looked at in one statement, and identities that lose their roles in one: some milliseconds of work. */
const LOOKED_AT = 5000
const CHANGED_AT_ONCE = 250

/**
 * Removes what is left of deleted apps, once their tokens have expired and they have been notified of every end. It can be
 * interrupted, and goes on the next time. @returns how many apps are gone
 */
export async function clearDeletedApps(services: Services, signal?: AbortSignal): Promise<number> {
  const { pool } = services.storage
  let count = 0
  for (const clientId of await listSettledDeletions(pool, addSeconds(services.clock(), -ROW_STAYS))) {
    // A new app with this client id must let in no user because of a role in the one before.
    let taken
    do taken = await deleteRolesInApp(pool, clientId, CHANGED_AT_ONCE)
    while (taken > 0 && signal?.aborted !== true)
    let last: string | null = null
    do last = await deleteFamiliesOfApp(pool, clientId, last, LOOKED_AT)
    while (last !== null && signal?.aborted !== true)
    if (signal?.aborted === true) break
    if (await deleteApp(pool, clientId)) count += 1
  }
  return count
}

import { setTimeout as sleep } from 'node:timers/promises'
import { reviewFamilies } from '../storage/families.ts'
import { reviewIdentitySessions } from '../storage/identity-sessions.ts'
import { transaction } from '../storage/postgres.ts'
import { endIn } from './endings.ts'
import type { Portal } from './portal.ts'

/** Rows in one transaction, and such transactions in one round, so that it ends. */
const BATCH = 100
const BATCHES = 400
const PAUSE_MS = 20

/** Ends families whose time has come, so that their apps are told although nobody asks for them. @returns how many. */
export async function expireFamilies(portal: Portal, signal?: AbortSignal): Promise<number> {
  return inBatches(signal, () =>
    transaction(portal.storage.pool, async (db) => {
      const now = portal.clock()
      const { reviewed, expired, idle } = await reviewFamilies(db, now, BATCH)
      await endIn(portal, db, { families: { ids: expired } }, { cause: 'expired', place: null }, now)
      await endIn(portal, db, { families: { ids: idle } }, { cause: 'idle_expired', place: null }, now)
      return { reviewed, ended: expired.length + idle.length }
    }),
  )
}

/** Ends identity sessions that are too old or were not seen for too long, and the families that follow them. @returns how many. */
export async function expireIdentitySessions(portal: Portal, signal?: AbortSignal): Promise<number> {
  const idleSeconds = portal.lifetimes.identitySessionIdle
  return inBatches(signal, () =>
    transaction(portal.storage.pool, async (db) => {
      const now = portal.clock()
      const over = await reviewIdentitySessions(db, now, idleSeconds, BATCH)
      for (const { id, identityId, expiresAt } of over.expired) {
        const cause = expiresAt <= now ? 'expired' : 'idle_expired'
        const sessions = { identityId, id }
        await endIn(portal, db, { sessions, families: 'following' }, { cause, place: null }, now)
      }
      return { reviewed: over.reviewed, ended: over.expired.length }
    }),
  )
}

/** Until a batch comes back short, the round is full, or somebody wants to stop. */
async function inBatches(
  signal: AbortSignal | undefined,
  reviewBatch: () => Promise<{ reviewed: number; ended: number }>,
): Promise<number> {
  let count = 0
  for (let batch = 0; batch < BATCHES && signal?.aborted !== true; batch++) {
    const { reviewed, ended } = await reviewBatch()
    count += ended
    if (reviewed < BATCH) break
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {})
  }
  return count
}

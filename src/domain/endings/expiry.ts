import { reviewFamilies } from '../../storage/families.ts'
import { reviewIdentitySessions } from '../../storage/identity-sessions.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { inBatches } from '../batches.ts'
import { endIn } from './endings.ts'
import type { Portal } from '../services.ts'

/** Smaller than where rows are only deleted: each that ends is written down, and its app is to be told. */
const PACE = { size: 100, pauseMs: 20 }

/** Ends families whose time has come, so that their apps are told although nobody asks for them. @returns how many. */
export async function expireFamilies(portal: Portal, signal?: AbortSignal): Promise<number> {
  return endInBatches(portal, signal, async (db, limit) => {
    const now = portal.clock()
    const { reviewed, expired, idle } = await reviewFamilies(db, now, limit)
    await endIn(portal, db, { families: { ids: expired } }, { cause: 'expired', place: null }, now)
    await endIn(portal, db, { families: { ids: idle } }, { cause: 'idle_expired', place: null }, now)
    return { reviewed, ended: expired.length + idle.length }
  })
}

/** Ends identity sessions that are too old or were not seen for too long, and the families that follow them. @returns how many. */
export async function expireIdentitySessions(portal: Portal, signal?: AbortSignal): Promise<number> {
  const idleSeconds = portal.lifetimes.identitySessionIdle
  return endInBatches(portal, signal, async (db, limit) => {
    const now = portal.clock()
    const over = await reviewIdentitySessions(db, now, idleSeconds, limit)
    for (const { id, identityId, expiresAt } of over.expired) {
      const cause = expiresAt <= now ? 'expired' : 'idle_expired'
      const sessions = { identityId, id }
      await endIn(portal, db, { sessions, families: 'following' }, { cause, place: null }, now)
    }
    return { reviewed: over.reviewed, ended: over.expired.length }
  })
}

/** What is looked at fills a batch, whether it ends or not. @returns how many ended */
async function endInBatches(
  portal: Portal,
  signal: AbortSignal | undefined,
  review: (db: Queryable, limit: number) => Promise<{ reviewed: number; ended: number }>,
): Promise<number> {
  let count = 0
  await inBatches(
    async (limit) => {
      const { reviewed, ended } = await transaction(portal.storage.pool, (db) => review(db, limit))
      count += ended
      return reviewed
    },
    { ...PACE, signal },
  )
  return count
}

import { reviewFamilies } from '../../storage/family-lifetimes.ts'
import { reviewIdentitySessions } from '../../storage/identity-sessions.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { inBatches } from '../batches.ts'
import { endIn } from './endings.ts'
import type { Services } from '../services.ts'

/** Smaller batches than for plain deletions: each ending has an audit event and may queue a notification. */
const PACE = { size: 100, pauseMs: 20 }

/** Ends families that have expired, so that their apps are notified without a request for them. @returns how many. */
export async function expireFamilies(services: Services, signal?: AbortSignal): Promise<number> {
  return endInBatches(services, signal, async (db, limit) => {
    const now = services.clock()
    const { reviewed, expired, idle } = await reviewFamilies(db, now, limit)
    await endIn(services, db, { families: { ids: expired } }, { cause: 'expired', clientInfo: null }, now)
    await endIn(services, db, { families: { ids: idle } }, { cause: 'idle_expired', clientInfo: null }, now)
    return { reviewed, ended: expired.length + idle.length }
  })
}

/** Ends identity sessions that are too old or were not seen for too long, and the families that follow them. @returns how many. */
export async function expireIdentitySessions(services: Services, signal?: AbortSignal): Promise<number> {
  const idleSeconds = services.lifetimes.identitySessionIdle
  return endInBatches(services, signal, async (db, limit) => {
    const now = services.clock()
    const over = await reviewIdentitySessions(db, now, idleSeconds, limit)
    for (const { id, identityId, expiresAt } of over.expired) {
      const cause = expiresAt <= now ? 'expired' : 'idle_expired'
      const sessions = { identityId, id }
      await endIn(services, db, { sessions, families: 'following' }, { cause, clientInfo: null }, now)
    }
    return { reviewed: over.reviewed, ended: over.expired.length }
  })
}

/** A batch counts the rows that are examined, whether they end or not. @returns how many ended */
async function endInBatches(
  services: Services,
  signal: AbortSignal | undefined,
  review: (db: Queryable, limit: number) => Promise<{ reviewed: number; ended: number }>,
): Promise<number> {
  let count = 0
  await inBatches(
    async (limit) => {
      const { reviewed, ended } = await transaction(services.storage.pool, (db) => review(db, limit))
      count += ended
      return reviewed
    },
    { ...PACE, signal },
  )
  return count
}

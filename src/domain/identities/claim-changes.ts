import { lockFamiliesOf } from '../../storage/family-ends.ts'
import { countClaimsChange } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { type ChangedClaims, markCarryingFamiliesStale } from '../../storage/revocations.ts'
import { announceStale } from '../endings/notifications.ts'
import type { Services } from '../services.ts'

export type { ChangedClaims }

/**
 * Claims of an identity have changed, in this transaction, which has locked it: the application tokens that contain one of them
 * are stale from now on, and their apps are notified. Families of apps whose tokens contain none of them are left alone.
 * @returns the time of the change, which is read under the lock: no token is signed with the old claims after it
 */
export async function announceClaims(
  services: Services,
  db: Queryable,
  identityId: string,
  changed: ChangedClaims,
): Promise<Date> {
  await lockFamiliesOf(db, identityId)
  const now = services.clock()
  const version = await countClaimsChange(db, identityId)
  const stale = await markCarryingFamiliesStale(db, identityId, version, changed, now)
  await announceStale(services, db, stale, now)
  return now
}

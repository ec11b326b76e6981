import type { AppRow } from '../../storage/apps.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { lockFamiliesOfAll, lockWithdrawnFamilies } from '../../storage/family-ends.ts'
import { settleIdentities } from '../../storage/groups.ts'
import { type IdentityRow, lockIdentities } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { markFamiliesStale } from '../../storage/revocations.ts'
import { endIn } from '../endings/endings.ts'
import { announceStale } from '../endings/notifications.ts'
import type { Services } from '../services.ts'
import { keepAnAdministrator, refuseNarrowOperator } from './administrators.ts'

/**
 * The assigned roles or the groups of these identities have changed, in this transaction. What tokens carry of them is computed
 * anew: application tokens that were issued before are stale from then on, families of apps that a user may no longer enter end,
 * and the apps are notified of both.
 * @returns the time of the change @throws Refused when the last administrator would be none any more
 */
export async function settleEntitlements(services: Services, db: Queryable, identityIds: string[]): Promise<Date> {
  await lockIdentities(db, identityIds)
  // The clock is read under the lock: from then on neither a refresh nor a new family gets a token with the old roles.
  await lockFamiliesOfAll(db, identityIds)
  const now = services.clock()
  const settled = await settleIdentities(db, identityIds, now)
  const ids = settled.map(({ id }) => id)
  for (const { roles } of settled) refuseNarrowOperator(services, roles)
  await announceStale(services, db, await markFamiliesStale(db, ids, now), now)
  await endWithdrawn(services, db, ids, now)
  if (settled.some(({ lostAdmin }) => lostAdmin)) await keepAnAdministrator(db)
  return now
}

/** Ends the families of these identities in apps that they may no longer enter. */
export async function endWithdrawn(services: Services, db: Queryable, identityIds: string[], now: Date): Promise<void> {
  const ids = await lockWithdrawnFamilies(db, identityIds)
  if (ids.length > 0)
    await endIn(services, db, { families: { ids } }, { cause: 'access_withdrawn', clientInfo: null }, now)
}

/** The audit events of identities whose groups have changed. */
export async function writeGroupsChanged(
  { operator: actor }: Services,
  db: Queryable,
  identityIds: string[],
  detail: string,
  now: Date,
): Promise<void> {
  await insertAuditEvents(
    db,
    identityIds.map((identityId) => ({ kind: 'groups_changed', identityId, detail, actor })),
    now,
  )
}

/** What of an app decides who may enter it. */
export type Access = Pick<AppRow, 'clientId' | 'access' | 'allowedRoles' | 'allowedGroups'>

/** What of a user decides which apps they may enter. */
export type Entitlements = Pick<IdentityRow, 'roles' | 'groupIds' | 'appRoles'>

/** Whether the user may enter the app; in SQL that is `MAY_ENTER` (storage/liveness.ts). */
export function mayEnter(app: Access, { roles, groupIds, appRoles }: Entitlements): boolean {
  return (
    app.access === 'everyone' ||
    app.allowedRoles.some((role) => roles.includes(role)) ||
    app.allowedGroups.some((id) => groupIds.includes(id)) ||
    Object.hasOwn(appRoles as object, app.clientId)
  )
}

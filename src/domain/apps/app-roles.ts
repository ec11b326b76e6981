import { holdAppRoles, lockApp, updateApp } from '../../storage/apps.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import {
  isRoleUsed,
  lockHoldersOfAppRole,
  lockIdentity,
  removeAppRole,
  updateAppRoles,
} from '../../storage/identities.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { lockFamiliesOfHolders, markFamiliesOfHoldersStale } from '../../storage/revocations.ts'
import { announceStale } from '../endings/notifications.ts'
import { announceClaims } from '../identities/claim-changes.ts'
import { rolesOfApp } from '../identities/claims.ts'
import { endWithdrawn } from '../identities/entitlements.ts'
import type { Services } from '../services.ts'
import { AppRefused } from './app-refused.ts'

/** Global roles that have a meaning for the portal itself. */
const RESERVED_ROLES = ['admin', 'support']
const MOST_ROLES = 100

/**
 * Adds a role to those that users can have in an app. It must not be a global role of any identity: the tokens of the app name
 * both in one list, and the app could not tell them apart. @throws AppRefused
 */
export async function addAppRole(services: Services, clientId: string, role: string): Promise<string[]> {
  if (!/^[\w.:-]{1,64}$/.test(role))
    throw new AppRefused('a role has 1 to 64 letters, digits, dots, colons, dashes or underscores')
  if (RESERVED_ROLES.includes(role))
    throw new AppRefused(`${role} is a role of the portal itself; give the role of the app another name`)
  return transaction(services.storage.pool, async (db) => {
    const known = await rolesUnderLock(db, clientId)
    if (known.includes(role)) return known
    if (known.length >= MOST_ROLES) throw new AppRefused(`an app has at most ${MOST_ROLES} roles`)
    if (await isRoleUsed(db, role))
      throw new AppRefused(`${role} is a global role that users have; give the role of the app another name`)
    return changeRegistry(services, db, clientId, [...known, role], `+${role}`)
  })
}

/** Holders whom one transaction takes a role from. */
const TAKEN_AT_ONCE = 250

/**
 * Removes a role of an app, and takes it from everyone who has it there; application tokens that contain it become stale, and
 * users who may no longer enter the app are signed out of it. It can be called again when it was interrupted. @throws AppRefused
 */
export async function removeAppRoleFromAll(services: Services, clientId: string, role: string): Promise<string[]> {
  const { pool } = services.storage
  // First from the registry: from then on it is given to no one else.
  const known = await transaction(pool, async (db) => {
    const roles = await rolesUnderLock(db, clientId)
    if (!roles.includes(role)) return roles
    const others = roles.filter((each) => each !== role)
    await changeRegistry(services, db, clientId, others, `-${role}`)
    return roles
  })
  let taken = 0
  let count
  do {
    count = await transaction(pool, async (db) => takeFromSome(services, db, clientId, role))
    taken += count
  } while (count === TAKEN_AT_ONCE)
  if (!known.includes(role) && taken === 0) throw new AppRefused(unknownRole(clientId, [role], known))
  return known.filter((each) => each !== role)
}

async function takeFromSome(services: Services, db: Queryable, clientId: string, role: string): Promise<number> {
  const ids = await lockHoldersOfAppRole(db, clientId, role, TAKEN_AT_ONCE)
  if (ids.length === 0) return 0
  await lockFamiliesOfHolders(db, clientId, ids)
  // Read under the lock, as for `announceClaims`.
  const now = services.clock()
  await removeAppRole(db, ids, clientId, role, now)
  const events = ids.map((identityId) => ({
    kind: 'app_roles_changed' as const,
    identityId,
    clientId,
    detail: `-${role}`,
    actor: services.operator,
  }))
  await insertAuditEvents(db, events, now)
  await announceStale(services, db, await markFamiliesOfHoldersStale(db, clientId, ids, now), now)
  await endWithdrawn(services, db, ids, now)
  return ids.length
}

/**
 * Replaces the roles that an identity has in one app. Its application tokens of that app are stale from then on, and the app is
 * notified. @throws AppRefused for a role that the app does not have
 */
export async function changeAppRoles(services: Services, id: string, clientId: string, roles: string[]): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const known = await holdAppRoles(db, clientId)
    if (known === null) throw new AppRefused(`there is no app ${clientId}`)
    const unknown = roles.filter((role) => !known.includes(role))
    if (unknown.length > 0) throw new AppRefused(unknownRole(clientId, unknown, known))
    const identity = await lockIdentity(db, id)
    if (identity === null || isSame(rolesOfApp(identity, clientId) ?? [], roles)) return
    await updateAppRoles(db, id, clientId, roles, services.clock())
    const now = await announceClaims(services, db, id, { rolesIn: clientId })
    await endWithdrawn(services, db, [id], now)
    const detail = roles.join(', ')
    await insertAuditEvents(
      db,
      [{ kind: 'app_roles_changed', identityId: id, clientId, detail, actor: services.operator }],
      now,
    )
  })
}

async function rolesUnderLock(db: Queryable, clientId: string): Promise<string[]> {
  const app = await lockApp(db, clientId)
  if (app === null) throw new AppRefused(`there is no app ${clientId}`)
  return app.roles
}

async function changeRegistry(
  { clock, operator: actor }: Services,
  db: Queryable,
  clientId: string,
  roles: string[],
  change: string,
): Promise<string[]> {
  const now = clock()
  await insertAuditEvents(db, [{ kind: 'app_changed', clientId, detail: `roles ${change}`, actor }], now)
  return (await updateApp(db, clientId, { roles }, now)).roles
}

function unknownRole(clientId: string, unknown: string[], known: string[]): string {
  return `${clientId} has no role ${unknown.join(', ')}; its roles are ${known.join(', ') || 'none (gatehouse app role add)'}`
}

function isSame(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((role) => b.includes(role))
}

import { type AppRow, clearAccessChange, listAppsWithAccessChange } from '../../storage/apps.ts'
import { listWithdrawnIdentities } from '../../storage/family-ends.ts'
import { holdGroups } from '../../storage/groups.ts'
import { lockIdentities } from '../../storage/identities.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { endWithdrawn } from '../identities/entitlements.ts'
import { findGroup } from '../identities/groups.ts'
import { isRoleName } from '../identities/roles.ts'
import type { Services } from '../services.ts'
import { refuse } from './app-refused.ts'
import { at, type Fault } from './setting-faults.ts'

/** Who may enter an app: all users, or those with a role in it, one of its roles or one of its groups. */
export const ACCESS_KINDS = ['everyone', 'assigned'] as const

/** The settings that say who may enter an app. */
export type AccessSettings = Pick<AppRow, 'access' | 'allowedRoles' | 'allowedGroups'>

const MOST_ALLOWED = 100

/** What is wrong with these settings. */
export function accessFaults({
  isService,
  access,
  allowedRoles,
  allowedGroups,
}: AccessSettings & Pick<AppRow, 'isService'>): Fault[] {
  const faults: Fault[] = []
  if (!(ACCESS_KINDS as readonly string[]).includes(access))
    faults.push(...at('access', [`access must be ${ACCESS_KINDS.join(' or ')}`]))
  if (isService && (access !== 'everyone' || allowedRoles.length + allowedGroups.length > 0))
    faults.push(...at('access', ['a service has no users, and so no access to give']))
  if (!allowedRoles.every(isRoleName))
    faults.push(...at('allowedRoles', ['a role has 1 to 64 letters, digits, dots, colons, dashes or underscores']))
  if (allowedRoles.length > MOST_ALLOWED || allowedGroups.length > MOST_ALLOWED)
    faults.push(...at('allowedRoles', [`an app lets in at most ${MOST_ALLOWED} roles and ${MOST_ALLOWED} groups`]))
  return faults
}

/** The ids of these groups, which are named by name or id. @throws AppRefused for an unknown one */
export async function groupIdsOf(services: Services, namesOrIds: string[]): Promise<string[]> {
  const groups = await Promise.all(namesOrIds.map(async (each) => findGroup(services, each)))
  const unknown = namesOrIds.filter((_, index) => groups[index] === null)
  refuse(at('allowedGroups', unknown.length > 0 ? [`there is no group ${unknown.join(', ')}`] : []))
  return [...new Set(groups.flatMap((group) => group?.id ?? []))]
}

/** Holds the groups that an app is to let in: none is deleted before this transaction ends. @throws AppRefused */
export async function holdAllowedGroups(db: Queryable, ids: string[]): Promise<void> {
  const known = ids.length === 0 ? [] : await holdGroups(db, ids.toSorted())
  const unknown = ids.filter((id) => !known.includes(id))
  refuse(at('allowedGroups', unknown.length > 0 ? [`there is no group ${unknown.join(', ')}`] : []))
}

/** Users whose families one transaction ends: few enough that other transactions hardly wait. */
const ENDED_AT_ONCE = 250

/** Users that one search finds: a search reads the families of all users of the app. */
const FOUND_AT_ONCE = 10_000

/**
 * Ends the families of users who may not enter an app, in apps whose access has changed: at once after a change, and later what was
 * interrupted. They are refused from the change on.
 */
export async function endWithdrawnFamilies(services: Services, signal?: AbortSignal): Promise<void> {
  for (const { clientId, accessChangedAt } of await listAppsWithAccessChange(services.storage.pool))
    await endWithdrawnFamiliesOf(services, clientId, accessChangedAt, signal)
}

async function endWithdrawnFamiliesOf(
  services: Services,
  clientId: string,
  changedAt: Date,
  signal?: AbortSignal,
): Promise<void> {
  const { pool } = services.storage
  let found
  do {
    found = await listWithdrawnIdentities(pool, clientId, FOUND_AT_ONCE)
    for (let start = 0; start < found.length; start += ENDED_AT_ONCE) {
      if (signal?.aborted === true) return
      const ids = found.slice(start, start + ENDED_AT_ONCE)
      await transaction(pool, async (db) => {
        // Whoever is given access meanwhile waits, or keeps it.
        await lockIdentities(db, ids)
        await endWithdrawn(services, db, ids, services.clock())
      })
    }
  } while (found.length === FOUND_AT_ONCE)
  await clearAccessChange(pool, clientId, changedAt)
}

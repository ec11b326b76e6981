import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import {
  countMembers,
  deleteMembers,
  deleteSettledGroups,
  findGroup as findRow,
  findGroupByKey,
  type GroupRow,
  holdGroups,
  insertGroup,
  insertMembers,
  listGroups as listRows,
  listGroupsById,
  listMembers as listMemberRows,
  listOutdatedGroups,
  listOutdatedMembers,
  lockGroup,
  markGroupDeleted,
  markMembersOutdated,
  type MemberRow,
  updateGroup,
} from '../../storage/groups.ts'
import { lockIdentities } from '../../storage/identities.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import type { AuditKind } from '../audit-events.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { isUuid } from '../uuid.ts'
import { keepAnAssignedAdministrator, refuseNarrowOperator } from './administrators.ts'
import { settleEntitlements, writeGroupsChanged } from './entitlements.ts'
import { ADMIN, readRoles } from './roles.ts'

export type { GroupRow, MemberRow }

/** What operators decide of a group. */
export type GroupSettings = Pick<GroupRow, 'name' | 'description' | 'roles' | 'externalId'>

/** How many identities one transaction changes: few enough that other transactions hardly wait. */
const AT_ONCE = 250

/** The group with this id or name; null when there is none. */
export async function findGroup({ storage }: Services, idOrName: string): Promise<GroupRow | null> {
  const byId = isUuid(idOrName) ? await findRow(storage, idOrName) : null
  return byId ?? findGroupByKey(storage, groupKeyOf(idOrName))
}

/** The groups whose names begin with `prefix`, by name, `limit` at most; `after` is the key of the last one before. */
export async function listGroups(
  { storage }: Services,
  { prefix = '', after = null, limit }: { prefix?: string; after?: string | null; limit: number },
): Promise<GroupRow[]> {
  return listRows(storage, { prefix: groupKeyOf(prefix), after, limit })
}

export async function findGroups({ storage }: Services, ids: string[]): Promise<GroupRow[]> {
  return listGroupsById(storage.pool, ids)
}

export async function countMembersOf({ storage }: Services, groupId: string): Promise<number> {
  return countMembers(storage, groupId)
}

/** The members of a group, by the ids of their identities; `after` is the id of the last one before. */
export async function listMembers(
  { storage }: Services,
  groupId: string,
  { after = null, limit }: { after?: string | null; limit: number },
): Promise<MemberRow[]> {
  return listMemberRows(storage, groupId, after, limit)
}

/** @throws Refused */
export async function createGroup(
  services: Services,
  { name, description = null, roles = [], externalId = null }: Partial<GroupSettings> & Pick<GroupSettings, 'name'>,
): Promise<GroupRow> {
  const settings = checked({ name, description, roles, externalId })
  const now = services.clock()
  const group = { id: randomUUID(), nameKey: groupKeyOf(settings.name), createdAt: now, updatedAt: now, ...settings }
  await unlessTaken(group.name, () =>
    transaction(services.storage.pool, async (db) => {
      await insertGroup(db, group)
      await writeDown(services, db, 'group_created', group.name, now)
    }),
  )
  return group
}

/**
 * Changes a group. Its members get its new roles or name with their next refresh; when the group is large, some of them a moment
 * later than others. @throws Refused
 */
export async function changeGroup(services: Services, id: string, change: Partial<GroupSettings>): Promise<GroupRow> {
  const changed = await unlessTaken(change.name ?? '', () =>
    transaction(services.storage.pool, async (db) => {
      const group = await lockGroup(db, id)
      if (group === null) throw noGroup(id)
      const next = checked({ ...group, ...change })
      const now = services.clock()
      const row = await updateGroup(db, id, { ...next, nameKey: groupKeyOf(next.name) }, now)
      await writeDown(services, db, 'group_changed', `${next.name}: ${Object.keys(change).join(', ')}`, now)
      if (next.name !== group.name || next.roles.join(' ') !== group.roles.join(' ')) await markMembersOutdated(db, id)
      await keepOperators(services, db, group.roles, next.roles)
      return row as GroupRow
    }),
  )
  await settleGroup(services, id)
  return changed
}

/** Deletes a group: its members lose its roles, and apps that let it in let them in no more. @throws Refused */
export async function deleteGroup(services: Services, id: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const group = await lockGroup(db, id)
    if (group === null) throw noGroup(id)
    const now = services.clock()
    await markGroupDeleted(db, id, now)
    await markMembersOutdated(db, id)
    await writeDown(services, db, 'group_deleted', group.name, now)
    await keepOperators(services, db, group.roles, [])
  })
  await settleGroup(services, id)
}

/**
 * Its members have the new roles only after this transaction, when it is too late to refuse them. @throws Refused, and the
 * transaction is rolled back
 */
async function keepOperators(services: Services, db: Queryable, before: string[], after: string[]): Promise<void> {
  refuseNarrowOperator(services, [...before, ...after])
  if (before.includes(ADMIN) && !after.includes(ADMIN)) await keepAnAssignedAdministrator(db)
}

/** Makes identities members of a group. @returns how many were none before @throws Refused */
export async function addMembers(services: Services, id: string, identityIds: string[]): Promise<number> {
  return changeMembers(services, id, identityIds, '+', insertMembers)
}

/** Ends the membership of identities. @returns how many were members @throws Refused */
export async function removeMembers(services: Services, id: string, identityIds: string[]): Promise<number> {
  return changeMembers(services, id, identityIds, '-', deleteMembers)
}

async function changeMembers(
  services: Services,
  id: string,
  identityIds: string[],
  sign: '+' | '-',
  change: (db: Queryable, id: string, identityIds: string[], now: Date) => Promise<number>,
): Promise<number> {
  let count = 0
  for (let start = 0; start < identityIds.length; start += AT_ONCE) {
    const some = identityIds.slice(start, start + AT_ONCE)
    count += await transaction(services.storage.pool, async (db) => {
      // The group before its members, as everywhere: its roles stay as they are until this transaction ends.
      if ((await holdGroups(db, [id])).length === 0) throw noGroup(id)
      const [group] = await listGroupsById(db, [id])
      const known = await lockIdentities(db, some)
      const missing = some.find((each) => !known.includes(each))
      if (missing !== undefined) throw new Refused(`there is no identity ${missing}`, 'not_found')
      const changed = await change(db, id, some, services.clock())
      if (changed === 0) return 0
      const now = await settleEntitlements(services, db, some)
      await writeGroupsChanged(services, db, some, `${sign}${group?.name ?? id}`, now)
      return changed
    })
  }
  return count
}

/** Brings the members of groups up to date that were changed by a process that has ended since. @returns how many */
export async function settleGroups(services: Services, signal?: AbortSignal): Promise<number> {
  let count = 0
  for (const id of await listOutdatedGroups(services.storage.pool)) count += await settleGroup(services, id, signal)
  await deleteSettledGroups(services.storage.pool)
  return count
}

async function settleGroup(services: Services, id: string, signal?: AbortSignal): Promise<number> {
  let count = 0
  while (signal?.aborted !== true) {
    const settled = await transaction(services.storage.pool, async (db) => {
      const ids = await listOutdatedMembers(db, id, AT_ONCE)
      if (ids.length > 0) await settleEntitlements(services, db, ids)
      return ids.length
    })
    count += settled
    if (settled < AT_ONCE) break
  }
  await deleteSettledGroups(services.storage.pool)
  return count
}

function checked({ name, description, roles, externalId }: GroupSettings): GroupSettings {
  const trimmed = name.trim()
  if (trimmed === '' || trimmed.length > 100 || /\p{Cc}|\p{Bidi_Control}/u.test(trimmed) || isUuid(trimmed))
    throw new Refused('the name of a group has 1 to 100 characters, and is no UUID')
  if (description !== null && (description.length > 500 || /\p{Cc}/u.test(description)))
    throw new Refused('the description of a group has at most 500 characters, in one line')
  if (externalId !== null && (externalId.length > 255 || /\p{Cc}/u.test(externalId)))
    throw new Refused('the external id of a group has at most 255 characters')
  return { name: trimmed, description, roles: readRoles(roles), externalId }
}

/** Capitals, accents composed or not, and width make no difference. */
export function groupKeyOf(name: string): string {
  return name.trim().normalize('NFKC').toLowerCase()
}

function noGroup(id: string): Refused {
  return new Refused(`there is no group ${id}`, 'not_found')
}

async function unlessTaken<T>(name: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (isUniqueViolation(error)) throw new Refused(`there is a group ${name.trim()} already`, 'conflict')
    throw error
  }
}

async function writeDown(
  { operator: actor }: Services,
  db: Queryable,
  kind: AuditKind,
  detail: string,
  now: Date,
): Promise<void> {
  await insertAuditEvents(db, [{ kind, detail, actor }], now)
}

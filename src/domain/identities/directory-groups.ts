import {
  countDirectoryGroups,
  digestMemberships,
  type GroupCondition,
  listDirectoryGroups as listRows,
  listMemberIds,
  listMemberships as listMembershipRows,
  listMissingIdentities,
  type MembershipRow,
} from '../../storage/directory-groups.ts'
import type { DirectoryPage } from '../../storage/directory-users.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { isUuid } from '../uuid.ts'
import {
  addMembers,
  changeGroup,
  createGroup,
  findGroup,
  type GroupRow,
  type GroupSettings,
  groupKeyOf,
  removeMembers,
} from './groups.ts'

export type { GroupCondition, MembershipRow }

/** How a directory changes the members of a group: those that are added after all others are gone, or added and removed. */
export interface MemberChange {
  isReplaced: boolean
  added: string[]
  removed: string[]
}

/** The groups that meet every condition, by id, and how many there are in all. */
export async function listDirectoryGroups(
  { storage }: Services,
  conditions: GroupCondition[],
  page: DirectoryPage,
): Promise<{ groups: GroupRow[]; total: number }> {
  const keyed = conditions.map((each) => (each.field === 'name' ? { ...each, value: groupKeyOf(each.value) } : each))
  const [groups, total] = await Promise.all([listRows(storage, keyed, page), countDirectoryGroups(storage, keyed)])
  return { groups, total }
}

/** The members of these groups, by group and id; null when there are more than `most`. */
export async function listMemberships(
  { storage }: Services,
  groupIds: string[],
  most: number,
): Promise<MembershipRow[] | null> {
  const rows = groupIds.length === 0 ? [] : await listMembershipRows(storage, groupIds, most + 1)
  return rows.length > most ? null : rows
}

/** What is another text once the members of a group are others, by group; null for groups of more than `most` members. */
export async function memberVersions(
  { storage }: Services,
  groupIds: string[],
  most: number,
): Promise<Map<string, string | null>> {
  return groupIds.length === 0 ? new Map() : digestMemberships(storage, groupIds, most)
}

/** Creates a group with these members. @throws Refused */
export async function createDirectoryGroup(
  services: Services,
  settings: Pick<GroupSettings, 'name' | 'externalId'>,
  members: string[],
): Promise<GroupRow> {
  await refuseMissing(services, members)
  const group = await createGroup(services, settings)
  await addMembers(services, group.id, members)
  return group
}

/** Changes a group and its members. Everything is checked first; a large change of members is several transactions. @throws Refused */
export async function changeDirectoryGroup(
  services: Services,
  group: GroupRow,
  settings: Partial<Pick<GroupSettings, 'name' | 'externalId'>>,
  { isReplaced, added, removed }: MemberChange,
): Promise<GroupRow> {
  await refuseMissing(services, added)
  const { id } = group
  const isSame = Object.entries(settings).every(([name, value]) => group[name as keyof GroupRow] === value)
  const changed = isSame ? group : await changeGroup(services, id, settings)
  const known = isReplaced ? await listMemberIds(services.storage, id) : []
  const kept = new Set(added)
  await removeMembers(services, id, isReplaced ? known.filter((each) => !kept.has(each)) : removed.filter(isUuid))
  const members = new Set(known)
  await addMembers(
    services,
    id,
    added.filter((each) => !members.has(each)),
  )
  return (await findGroup(services, id)) ?? changed
}

/** @throws Refused for an id that no identity has */
async function refuseMissing({ storage }: Services, ids: string[]): Promise<void> {
  const missing =
    ids.find((id) => !isUuid(id)) ?? (ids.length === 0 ? [] : await listMissingIdentities(storage, ids))[0]
  if (missing !== undefined) throw new Refused(`members: there is no user ${missing.slice(0, 100)}`)
}

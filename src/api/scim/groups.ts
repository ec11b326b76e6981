import {
  changeDirectoryGroup,
  createDirectoryGroup,
  type GroupCondition,
  listDirectoryGroups,
  listMemberships,
  type MemberChange,
  memberVersions,
} from '../../domain/identities/directory-groups.ts'
import { deleteGroup, findGroup, type GroupRow } from '../../domain/identities/groups.ts'
import type { Services } from '../../domain/services.ts'
import { isUuid } from '../../domain/uuid.ts'
import type { Condition } from './filters.ts'
import { listAnswer, pageOf } from './list-answers.ts'
import { type PatchOperation, readPatch } from './patches.ts'
import { checkVersion, type Precondition } from './preconditions.ts'
import type { ListQuery, Selection } from './queries.ts'
import { isObject, readAttribute, readResource, selectAttributes, type Values } from './resources.ts'
import { GROUP, GROUP_SCHEMA } from './schemas.ts'
import { invalidFilter, invalidPath, invalidValue, ScimError } from './scim-errors.ts'
import { versionOf } from './user-resources.ts'

/** How many members one answer has at most, and one request. */
const MOST_MEMBERS = 20_000

/** @throws ScimError */
export async function listGroups(services: Services, query: ListQuery): Promise<Values> {
  const conditions = query.conditions.flatMap(conditionOf)
  const isImpossible = conditions.some(
    (each) => each.operator === 'eq' && (each.field === 'id' || each.field === 'member') && !isUuid(each.value),
  )
  if (isImpossible) return listAnswer(GROUP, query, { resources: [], total: 0 })
  const { groups, total } = await listDirectoryGroups(services, conditions, pageOf(query))
  return listAnswer(GROUP, query, { resources: await resourcesOf(services, groups, query), total })
}

/** @throws ScimError */
export async function showGroup(services: Services, id: string, selection: Selection): Promise<Values> {
  return resourceOf(services, await find(services, id), selection)
}

/** @throws ScimError, Refused */
export async function createGroup(services: Services, sent: unknown, selection: Selection): Promise<Values> {
  const { name, externalId, members } = writeIn(sent)
  return resourceOf(services, await createDirectoryGroup(services, { name, externalId }, members), selection)
}

/** @throws ScimError, Refused */
export async function replaceGroup(
  services: Services,
  id: string,
  sent: unknown,
  precondition: Precondition,
  selection: Selection,
): Promise<Values> {
  const { members, ...settings } = writeIn(sent)
  const group = await findVersion(services, id, precondition)
  const change = { isReplaced: true, added: members, removed: [] }
  return resourceOf(services, await changeDirectoryGroup(services, group, settings, change), selection)
}

/** @throws ScimError, Refused */
export async function patchGroup(
  services: Services,
  id: string,
  sent: unknown,
  precondition: Precondition,
): Promise<void> {
  const { settings, members } = changeIn(readPatch(GROUP, sent))
  const group = await findVersion(services, id, precondition)
  await changeDirectoryGroup(services, group, settings, members)
}

/** @throws ScimError, Refused */
export async function removeGroup(services: Services, id: string, precondition: Precondition): Promise<void> {
  await deleteGroup(services, (await findVersion(services, id, precondition)).id)
}

async function find(services: Services, id: string): Promise<GroupRow> {
  const group = isUuid(id) ? await findGroup(services, id) : null
  if (group === null) throw new ScimError(404, `there is no group ${id.slice(0, 100)}`)
  return group
}

async function findVersion(services: Services, id: string, precondition: Precondition): Promise<GroupRow> {
  const group = await find(services, id)
  if (precondition !== null) {
    const digests = await memberVersions(services, [group.id], MOST_MEMBERS)
    checkVersion(precondition, versionOfGroup(group, digests.get(group.id) ?? null))
  }
  return group
}

async function resourceOf(services: Services, group: GroupRow, selection: Selection): Promise<Values> {
  return (await resourcesOf(services, [group], selection))[0] as Values
}

/** Groups as a directory reads them (RFC 7643 §4.2), with members only where they are asked for. @throws ScimError tooMany */
async function resourcesOf(services: Services, groups: GroupRow[], selection: Selection): Promise<Values[]> {
  const ids = groups.map(({ id }) => id)
  const hasMembers = Object.hasOwn(selectAttributes(GROUP, { members: [] }, selection), 'members')
  const [digests, memberships] = await Promise.all([
    memberVersions(services, ids, MOST_MEMBERS),
    hasMembers ? listMemberships(services, ids, MOST_MEMBERS) : [],
  ])
  if (memberships === null) {
    const words = `these groups have more than ${MOST_MEMBERS} members: ask with excludedAttributes=members, or for fewer groups`
    throw new ScimError(400, words, 'tooMany')
  }
  const byGroup = Map.groupBy(memberships, ({ groupId }) => groupId)
  const base = `${services.publicUrl}/scim/v2`
  return groups.map((group) => {
    const members = (byGroup.get(group.id) ?? []).map(({ identityId }) => ({
      value: identityId,
      $ref: `${base}/Users/${identityId}`,
      type: 'User',
    }))
    const version = versionOfGroup(group, digests.get(group.id) ?? null)
    return {
      schemas: [GROUP_SCHEMA],
      id: group.id,
      ...(group.externalId === null ? {} : { externalId: group.externalId }),
      displayName: group.name,
      ...(members.length === 0 ? {} : { members }),
      meta: {
        resourceType: 'Group',
        created: group.createdAt.toISOString(),
        lastModified: group.updatedAt.toISOString(),
        location: `${base}/Groups/${group.id}`,
        ...(version === null ? {} : { version }),
      },
    }
  })
}

/** Null for a group that has too many members to compare. */
function versionOfGroup({ id, name, externalId, updatedAt }: GroupRow, digest: string | null): string | null {
  return digest === null ? null : versionOf({ id, name, externalId, updatedAt, digest })
}

/** What a directory sends of a whole group. @throws ScimError */
function writeIn(sent: unknown): { name: string; externalId: string | null; members: string[] } {
  const { displayName, externalId, members } = readResource(GROUP, sent, MOST_MEMBERS)
  if (typeof displayName !== 'string') throw invalidValue('displayName is missing')
  return {
    name: displayName,
    externalId: typeof externalId === 'string' ? externalId : null,
    members: idsIn(members),
  }
}

/** What a PATCH changes of a group, whatever its members are. @throws ScimError */
function changeIn(operations: PatchOperation[]) {
  const settings: { name?: string; externalId?: string | null } = {}
  const [added, removed] = [new Set<string>(), new Set<string>()]
  let isReplaced = false
  for (const { op, target, value } of operations) {
    const { attribute, subAttribute, conditions, name } = target
    const isRemoval = op === 'remove' || value === null
    switch (attribute?.name) {
      case 'displayName': {
        const given = readAttribute(attribute, value, name)
        if (isRemoval || typeof given !== 'string') throw new ScimError(400, 'displayName is required', 'mutability')
        settings.name = given
        break
      }
      case 'externalId':
        settings.externalId = isRemoval ? null : (readAttribute(attribute, value, name) as string)
        break
      case 'members': {
        if (subAttribute !== null) throw invalidPath('members are added and removed as a whole')
        if (conditions !== null) {
          if (op !== 'remove') throw invalidPath('members[…] can be removed; add members by their value')
          for (const id of conditions.map(idIn)) {
            added.delete(id)
            removed.add(id)
          }
          break
        }
        const ids = idsIn(readAttribute(attribute, value, name, MOST_MEMBERS))
        const isWhole = op === 'replace' || (op === 'remove' && (value === undefined || value === null))
        if (isWhole) {
          isReplaced = true
          added.clear()
          removed.clear()
        }
        const [into, outOf] = op === 'remove' ? [removed, added] : [added, removed]
        for (const id of ids) {
          outOf.delete(id)
          into.add(id)
        }
        break
      }
      default:
        throw invalidPath(`${name} cannot be changed`)
    }
  }
  // After a replacement, what is removed is not there.
  return { settings, members: { isReplaced, added: [...added], removed: [...removed] } satisfies MemberChange }
}

/** The ids of members, each once. @throws ScimError for a group */
function idsIn(members: unknown): string[] {
  const values = Array.isArray(members) ? members.filter(isObject) : []
  const ids = values.map(({ value, type }) => {
    if (typeof type === 'string' && type.toLowerCase() === 'group')
      throw invalidValue('a group is no member of a group')
    if (typeof value !== 'string') throw invalidValue('a member has no value')
    return value
  })
  return [...new Set(ids)]
}

/** The id in `members[value eq "…"]`. @throws ScimError */
function idIn(condition: Condition): string {
  if (condition.attribute !== 'value' || condition.operator !== 'eq' || typeof condition.value !== 'string')
    throw invalidFilter('members are chosen by value eq')
  return condition.value
}

/** What the stores can be asked; nothing for what is true of every group. @throws ScimError */
function conditionOf(condition: Condition): GroupCondition[] {
  const field = FIELDS[condition.attribute]
  if (field === undefined)
    throw invalidFilter(`groups cannot be found by ${condition.attribute}, only by ${FILTERABLE}`)
  const { operator } = condition
  if (operator === 'pr') {
    if (field === 'member') throw invalidFilter('members.value is compared with eq')
    return field === 'externalId' ? [{ field, operator }] : []
  }
  const { value } = condition
  if (typeof value !== 'string') throw invalidFilter(`${condition.attribute} is compared with a string`)
  if (field === 'name' || field === 'externalId') return [{ field, operator, value }]
  if (operator !== 'eq') throw invalidFilter(`${condition.attribute} is compared with eq`)
  return [{ field, operator, value }]
}

const FIELDS: Record<string, GroupCondition['field']> = {
  id: 'id',
  displayname: 'name',
  externalid: 'externalId',
  members: 'member',
  'members.value': 'member',
}
const FILTERABLE = 'id, displayName, externalId and members.value'

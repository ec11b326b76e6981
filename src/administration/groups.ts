import { z } from 'zod'
import {
  addMembers,
  changeGroup,
  countMembersOf,
  createGroup,
  deleteGroup,
  findGroup,
  type GroupRow,
  listGroups,
  listMembers,
  removeMembers,
} from '../domain/identities/groups.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { isUuid } from '../domain/uuid.ts'
import { theIdentity } from './found-identities.ts'
import { operation } from './operation.ts'
import { keyIn, listOf, PAGE, pageOf } from './pages-of-lists.ts'

const group = z
  .object({
    id: z.uuid(),
    name: z.string(),
    description: z.string().nullable(),
    roles: z.array(z.string()).describe('The roles that its members have.'),
    external_id: z.string().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Group' })

const member = z
  .object({ identity_id: z.uuid(), username: z.string(), email: z.string(), added_at: z.iso.datetime() })
  .meta({ id: 'GroupMember' })

/** A group by its id or name. */
const which = { group: z.string().min(1).max(200).describe('The id or the name of the group.') }
const settings = {
  description: z.string().max(500).nullable().optional(),
  roles: z.array(z.string()).max(100).optional(),
  external_id: z.string().max(255).nullable().optional(),
}
const identities = z.array(z.string().min(1).max(254)).min(1).max(1000)

const about = { resource: 'groups', forSupport: true } as const
const change = { resource: 'groups', kind: 'write', forSupport: false } as const

export const GROUP_OPERATIONS = {
  listGroups: operation({
    name: 'listGroups',
    summary: 'List the groups by name.',
    method: 'get',
    path: '/groups',
    ...about,
    kind: 'read',
    input: z.strictObject({ search: z.string().max(100).optional().describe('The beginning of the name.'), ...PAGE }),
    output: listOf(group),
    async act(services, { search, limit, cursor }) {
      const after = keyIn(cursor, 1)?.[0] ?? null
      const rows = await listGroups(services, { prefix: search ?? '', after, limit: limit + 1 })
      return pageOf(rows, limit, describe, ({ nameKey }) => [nameKey])
    },
  }),

  createGroup: operation({
    name: 'createGroup',
    summary: 'Create a group.',
    method: 'post',
    path: '/groups',
    ...change,
    status: 201,
    input: z.strictObject({ name: z.string().min(1).max(100), ...settings }),
    output: group,
    async act(services, { name, ...rest }) {
      return describe(await createGroup(services, { name, ...settingsOf(rest) }))
    },
  }),

  showGroup: operation({
    name: 'showGroup',
    summary: 'Show a group, and how many members it has.',
    method: 'get',
    path: '/groups/{group}',
    ...about,
    kind: 'read',
    input: z.strictObject(which),
    output: group.extend({ members: z.number().int() }).meta({ id: 'GroupWithCount' }),
    async act(services, { group: id }) {
      const found = await find(services, id)
      return { ...describe(found), members: await countMembersOf(services, found.id) }
    },
  }),

  updateGroup: operation({
    name: 'updateGroup',
    summary: 'Change a group; its members get its new roles with their next refresh.',
    method: 'patch',
    path: '/groups/{group}',
    ...change,
    input: z.strictObject({ ...which, name: z.string().min(1).max(100).optional(), ...settings }),
    output: group,
    async act(services, { group: id, name, ...rest }) {
      const { id: found } = await find(services, id)
      return describe(
        await changeGroup(services, found, { ...(name === undefined ? {} : { name }), ...settingsOf(rest) }),
      )
    },
  }),

  deleteGroup: operation({
    name: 'deleteGroup',
    summary: 'Delete a group; its members lose its roles.',
    method: 'delete',
    path: '/groups/{group}',
    ...change,
    input: z.strictObject(which),
    output: null,
    async act(services, { group: id }) {
      await deleteGroup(services, (await find(services, id)).id)
      return null
    },
  }),

  listGroupMembers: operation({
    name: 'listGroupMembers',
    summary: 'List the members of a group.',
    method: 'get',
    path: '/groups/{group}/members',
    ...about,
    kind: 'read',
    input: z.strictObject({ ...which, ...PAGE }),
    output: listOf(member),
    async act(services, { group: id, limit, cursor }) {
      const { id: found } = await find(services, id)
      const after = keyIn(cursor, 1)?.[0] ?? null
      if (after !== null && !isUuid(after)) throw new Refused('cursor: is not the next_cursor of an answer')
      const rows = await listMembers(services, found, { after, limit: limit + 1 })
      const shape = ({ identityId, addedAt, ...row }: (typeof rows)[number]) => ({
        identity_id: identityId,
        ...row,
        added_at: addedAt.toISOString(),
      })
      return pageOf(rows, limit, shape, ({ identityId }) => [identityId])
    },
  }),

  addGroupMembers: operation({
    name: 'addGroupMembers',
    summary: 'Make identities members of a group: ids, user names or e-mail addresses.',
    method: 'post',
    path: '/groups/{group}/members',
    ...change,
    input: z.strictObject({ ...which, identities }),
    output: z.object({ added: z.number().int() }),
    async act(services, { group: id, identities: logins }) {
      const { id: found } = await find(services, id)
      return { added: await addMembers(services, found, await idsOf(services, logins)) }
    },
  }),

  removeGroupMember: operation({
    name: 'removeGroupMember',
    summary: 'End the membership of an identity.',
    method: 'delete',
    path: '/groups/{group}/members/{identity}',
    ...change,
    input: z.strictObject({ ...which, identity: z.string().min(1).max(254) }),
    output: null,
    async act(services, { group: id, identity }) {
      const { id: found, name } = await find(services, id)
      const removed = await removeMembers(services, found, await idsOf(services, [identity]))
      if (removed === 0) throw new Refused(`${identity} is no member of ${name}`, 'not_found')
      return null
    },
  }),
}

async function find(services: Services, idOrName: string): Promise<GroupRow> {
  const found = await findGroup(services, idOrName)
  if (found === null) throw new Refused(`there is no group ${idOrName}`, 'not_found')
  return found
}

async function idsOf(services: Services, logins: string[]): Promise<string[]> {
  const found = await Promise.all(logins.map(async (login) => theIdentity(services, login)))
  return [...new Set(found.map(({ id }) => id))]
}

function settingsOf(given: {
  description?: string | null | undefined
  roles?: string[] | undefined
  external_id?: string | null | undefined
}) {
  const { description, roles, external_id: externalId } = given
  return {
    ...(description === undefined ? {} : { description }),
    ...(roles === undefined ? {} : { roles }),
    ...(externalId === undefined ? {} : { externalId }),
  }
}

function describe(row: GroupRow): z.output<typeof group> {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    roles: row.roles,
    external_id: row.externalId,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

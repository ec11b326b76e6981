import { GROUP_COLUMNS, type GroupRow } from './groups.ts'
import { hasPrefix } from './prefixes.ts'
import type { Database } from './postgres.ts'
import type { DirectoryPage } from './directory-users.ts'

/** What groups can be found by; each has an index. */
export type GroupCondition =
  | { field: 'id' | 'member'; operator: 'eq'; value: string }
  | { field: 'name' | 'externalId'; operator: 'eq' | 'sw'; value: string }
  | { field: 'externalId'; operator: 'pr' }

/** The groups that meet every condition, by id. `name` is compared with the key of the name. */
export async function listDirectoryGroups(
  { pool }: Database,
  conditions: GroupCondition[],
  { after, offset, limit }: DirectoryPage,
): Promise<GroupRow[]> {
  const values: unknown[] = [limit, offset]
  const where = whereOf(conditions, values)
  if (after !== null) where.push(`id > $${values.push(after)}`)
  const result = await pool.query<GroupRow>(
    `SELECT ${GROUP_COLUMNS} FROM groups WHERE ${where.join(' AND ')} ORDER BY id LIMIT $1 OFFSET $2`,
    values,
  )
  return result.rows
}

export async function countDirectoryGroups({ pool }: Database, conditions: GroupCondition[]): Promise<number> {
  const values: unknown[] = []
  const where = whereOf(conditions, values)
  const result = await pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM groups WHERE ${where.join(' AND ')}`,
    values,
  )
  return result.rows[0]?.count ?? 0
}

/** A member, and the group it belongs to. */
export interface MembershipRow {
  groupId: string
  identityId: string
}

/** The members of these groups, `limit` at most, by group and id. */
export async function listMemberships({ pool }: Database, groupIds: string[], limit: number): Promise<MembershipRow[]> {
  const result = await pool.query<MembershipRow>(
    `SELECT group_id AS "groupId", identity_id AS "identityId" FROM group_members WHERE group_id = ANY ($1)
     ORDER BY group_id, identity_id LIMIT $2`,
    [groupIds, limit],
  )
  return result.rows
}

/** What tells whether other identities are members than before, by group; null for a group of more than `limit`. */
export async function digestMemberships(
  { pool }: Database,
  groupIds: string[],
  limit: number,
): Promise<Map<string, string | null>> {
  const result = await pool.query<{ groupId: string; count: number; digest: string }>(
    `SELECT g.id AS "groupId", m.count, m.digest FROM unnest($1::uuid[]) AS g (id), LATERAL (
       SELECT count(*)::int AS count, coalesce(sum(hashtextextended(identity_id::text, 0)::numeric), 0)::text AS digest
       FROM (SELECT identity_id FROM group_members WHERE group_id = g.id LIMIT $2) few) m`,
    [groupIds, limit + 1],
  )
  return new Map(
    result.rows.map(({ groupId, count, digest }) => [groupId, count > limit ? null : `${count} ${digest}`]),
  )
}

/** The ids of every member of a group. */
export async function listMemberIds({ pool }: Database, groupId: string): Promise<string[]> {
  const result = await pool.query<{ id: string }>('SELECT identity_id AS id FROM group_members WHERE group_id = $1', [
    groupId,
  ])
  return result.rows.map(({ id }) => id)
}

/** Those of these ids that no identity has. */
export async function listMissingIdentities({ pool }: Database, ids: string[]): Promise<string[]> {
  const result = await pool.query<{ id: string }>(
    'SELECT id FROM unnest($1::uuid[]) AS asked (id) WHERE NOT EXISTS (SELECT FROM identities i WHERE i.id = asked.id)',
    [ids],
  )
  return result.rows.map(({ id }) => id)
}

/** `values` gets what the conditions compare with. */
function whereOf(conditions: GroupCondition[], values: unknown[]): string[] {
  const each = conditions.map((condition) => {
    if (condition.operator === 'pr') return 'external_id IS NOT NULL'
    const place = `$${values.push(condition.value)}`
    const isPrefix = condition.operator === 'sw'
    switch (condition.field) {
      case 'id':
        return `id = ${place}`
      case 'member':
        return `id IN (SELECT group_id FROM group_members WHERE identity_id = ${place})`
      case 'name':
        return isPrefix ? hasPrefix('name_key', place) : `name_key = ${place}`
      case 'externalId':
        return isPrefix ? hasPrefix('external_id', place) : `external_id COLLATE "C" = ${place}`
    }
  })
  return ['NOT is_deleted', ...each]
}

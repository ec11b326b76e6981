import type { Group } from './client/client.ts'
import { hasPrefix } from './prefixes.ts'
import type { Database, Queryable } from './postgres.ts'
import { insertRow, updateRow } from './rows.ts'

export type GroupRow = Omit<Group, 'isDeleted'>

export const GROUP_COLUMNS = `id, name, name_key AS "nameKey", description, roles, external_id AS "externalId", created_at AS "createdAt",
  updated_at AS "updatedAt"`

/** @throws a unique violation when the name is taken */
export async function insertGroup(db: Queryable, group: GroupRow): Promise<void> {
  await insertRow(db, 'groups', group)
}

export async function findGroup({ pool }: Database, id: string): Promise<GroupRow | null> {
  const result = await pool.query<GroupRow>(`SELECT ${GROUP_COLUMNS} FROM groups WHERE id = $1 AND NOT is_deleted`, [
    id,
  ])
  return result.rows[0] ?? null
}

export async function findGroupByKey({ pool }: Database, key: string): Promise<GroupRow | null> {
  const result = await pool.query<GroupRow>(
    `SELECT ${GROUP_COLUMNS} FROM groups WHERE name_key = $1 AND NOT is_deleted`,
    [key],
  )
  return result.rows[0] ?? null
}

/** By name, from after the key `after` on. */
export async function listGroups(
  { pool }: Database,
  { prefix, after, limit }: { prefix: string; after: string | null; limit: number },
): Promise<GroupRow[]> {
  const result = await pool.query<GroupRow>(
    `SELECT ${GROUP_COLUMNS} FROM groups WHERE NOT is_deleted AND ${hasPrefix('name_key', '$1')} AND ($2::text IS NULL OR name_key COLLATE "C" > $2)
     ORDER BY name_key COLLATE "C" LIMIT $3`,
    [prefix, after, limit],
  )
  return result.rows
}

/** The groups with these ids, by name. */
export async function listGroupsById(db: Queryable, ids: string[]): Promise<GroupRow[]> {
  const result = await db.query<GroupRow>(
    `SELECT ${GROUP_COLUMNS} FROM groups WHERE id = ANY ($1) AND NOT is_deleted ORDER BY name_key`,
    [ids],
  )
  return result.rows
}

/** Locks a group: one transaction at a time changes it, and no member is added or removed meanwhile. */
export async function lockGroup(db: Queryable, id: string): Promise<GroupRow | null> {
  const result = await db.query<GroupRow>(
    `SELECT ${GROUP_COLUMNS} FROM groups WHERE id = $1 AND NOT is_deleted FOR NO KEY UPDATE`,
    [id],
  )
  return result.rows[0] ?? null
}

/** Locks these groups as they are, for a change of members. @returns the ids of those that there are */
export async function holdGroups(db: Queryable, ids: string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    'SELECT id FROM groups WHERE id = ANY ($1) AND NOT is_deleted ORDER BY id FOR SHARE',
    [ids],
  )
  return result.rows.map(({ id }) => id)
}

/** @throws a unique violation when the name is taken */
export async function updateGroup(
  db: Queryable,
  id: string,
  change: Partial<GroupRow>,
  now: Date,
): Promise<GroupRow | null> {
  return updateRow<GroupRow>(db, 'groups', ['id', id], { ...change, updatedAt: now }, GROUP_COLUMNS)
}

/** From now on the group has no effect, its name is free, and no app lets it in. */
export async function markGroupDeleted(db: Queryable, id: string, now: Date): Promise<void> {
  await db.query('UPDATE groups SET is_deleted = true, name_key = id::text, updated_at = $2 WHERE id = $1', [id, now])
  await db.query(
    `UPDATE apps SET allowed_groups = array_remove(allowed_groups, $1::uuid), access_changed_at = $2 WHERE $1 = ANY (allowed_groups)`,
    [id, now],
  )
}

/** Removes the groups that are deleted and have no effect on any member any more. */
export async function deleteSettledGroups(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM groups g WHERE g.is_deleted
       AND NOT EXISTS (SELECT FROM group_members m WHERE m.group_id = g.id AND m.is_outdated)`,
  )
}

/** @returns how many became members */
export async function insertMembers(db: Queryable, groupId: string, identityIds: string[], now: Date): Promise<number> {
  const result = await db.query(
    `INSERT INTO group_members (group_id, identity_id, added_at) SELECT $1, id, $3 FROM unnest($2::uuid[]) AS id
     ON CONFLICT DO NOTHING`,
    [groupId, identityIds, now],
  )
  return result.rowCount ?? 0
}

/** @returns how many were members */
export async function deleteMembers(db: Queryable, groupId: string, identityIds: string[]): Promise<number> {
  const result = await db.query('DELETE FROM group_members WHERE group_id = $1 AND identity_id = ANY ($2)', [
    groupId,
    identityIds,
  ])
  return result.rowCount ?? 0
}

export async function countMembers({ pool }: Database, groupId: string): Promise<number> {
  const result = await pool.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM group_members WHERE group_id = $1',
    [groupId],
  )
  return result.rows[0]?.count ?? 0
}

/** A member of a group. */
export interface MemberRow {
  identityId: string
  username: string
  email: string
  addedAt: Date
}

/** By the id of the identity, from after `after` on. */
export async function listMembers(
  { pool }: Database,
  groupId: string,
  after: string | null,
  limit: number,
): Promise<MemberRow[]> {
  const result = await pool.query<MemberRow>(
    `SELECT m.identity_id AS "identityId", i.username, i.email, m.added_at AS "addedAt"
     FROM group_members m JOIN identities i ON i.id = m.identity_id
     WHERE m.group_id = $1 AND ($2::uuid IS NULL OR m.identity_id > $2) ORDER BY m.identity_id LIMIT $3`,
    [groupId, after, limit],
  )
  return result.rows
}

/** The group has changed: what its members have of it is outdated. */
export async function markMembersOutdated(db: Queryable, groupId: string): Promise<void> {
  await db.query('UPDATE group_members SET is_outdated = true WHERE group_id = $1', [groupId])
}

/** Groups that have members whose roles are outdated. */
export async function listOutdatedGroups(db: Queryable): Promise<string[]> {
  const result = await db.query<{ id: string }>('SELECT DISTINCT group_id AS id FROM group_members WHERE is_outdated')
  return result.rows.map(({ id }) => id)
}

/** Up to `limit` members whose roles are outdated. */
export async function listOutdatedMembers(db: Queryable, groupId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    'SELECT identity_id AS id FROM group_members WHERE group_id = $1 AND is_outdated ORDER BY identity_id LIMIT $2',
    [groupId, limit],
  )
  return result.rows.map(({ id }) => id)
}

/** An identity whose roles or groups have changed. */
export interface SettledIdentity {
  id: string
  rolesChanged: boolean
  /** It was an administrator, and is none any more. */
  lostAdmin: boolean
  /** Those before the change, and those after it. */
  roles: string[]
}

/**
 * Computes what these identities, which are locked, have of their groups: roles, names and ids. Only those that change get a new
 * version of their claims. @returns those
 */
export async function settleIdentities(db: Queryable, ids: string[], now: Date): Promise<SettledIdentity[]> {
  const result = await db.query<SettledIdentity>(
    `WITH due AS (
       SELECT i.id, i.roles, i.groups, i.group_ids AS ids, i.assigned_roles || coalesce((
           SELECT array_agg(DISTINCT role ORDER BY role) FROM group_members m JOIN groups g ON g.id = m.group_id AND NOT g.is_deleted, unnest(g.roles) role
           WHERE m.identity_id = i.id AND role <> ALL (i.assigned_roles)), '{}') AS new_roles,
         coalesce(joined.names, '{}') AS new_groups, coalesce(joined.ids, '{}') AS new_ids
       FROM identities i, LATERAL (
         SELECT array_agg(g.name ORDER BY g.name_key) AS names, array_agg(g.id ORDER BY g.name_key) AS ids
         FROM group_members m JOIN groups g ON g.id = m.group_id AND NOT g.is_deleted WHERE m.identity_id = i.id) joined
       WHERE i.id = ANY ($1)),
     cleared AS (UPDATE group_members SET is_outdated = false WHERE identity_id = ANY ($1) AND is_outdated)
     UPDATE identities i SET roles = new_roles, groups = new_groups, group_ids = new_ids, claims_version = claims_version + 1, updated_at = $2
     FROM due WHERE i.id = due.id AND (due.roles, due.groups, due.ids) IS DISTINCT FROM (new_roles, new_groups, new_ids)
     RETURNING i.id, due.roles IS DISTINCT FROM new_roles AS "rolesChanged",
       'admin' = ANY (due.roles) AND 'admin' <> ALL (new_roles) AS "lostAdmin", due.roles || i.roles AS roles`,
    [ids, now],
  )
  return result.rows
}

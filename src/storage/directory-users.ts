import { IDENTITY_COLUMNS, type IdentityRow } from './identities.ts'
import type { Database, Queryable } from './postgres.ts'
import { hasPrefix } from './prefixes.ts'

/** What a directory has written about an identity. */
export interface DirectoryEntry {
  /** The name of the user there, as it was written. */
  userName: string
  /** The identifier of the user there. */
  externalId: string | null
  /** Everything else, under the names of SCIM. */
  attributes: Record<string, unknown>
  updatedAt: Date
}

/** An identity, as a directory sees it. */
export interface DirectoryUserRow extends IdentityRow {
  /** Null while no directory has written about it. */
  directory: DirectoryEntry | null
}

/** What users can be found by; each has an index. */
export type DirectoryCondition =
  | { field: 'id'; operator: 'eq'; value: string }
  | { field: 'userName'; operator: 'eq' | 'sw'; value: string }
  | { field: 'email'; operator: 'eq' | 'sw'; value: string }
  | { field: 'externalId'; operator: 'eq' | 'sw'; value: string }
  | { field: 'externalId'; operator: 'pr' }
  | { field: 'displayName'; operator: 'eq' | 'sw'; value: string }
  | { field: 'active'; operator: 'eq'; value: boolean }

/** A part of a list: from after the id `after` on, and `offset` further. */
export interface DirectoryPage {
  after: string | null
  offset: number
  limit: number
}

export async function findDirectoryUser(db: Queryable, id: string, now: Date): Promise<DirectoryUserRow | null> {
  const result = await db.query<StoredUser>(`SELECT ${COLUMNS} FROM identities i WHERE id = $1 AND ${exists('$2')}`, [
    id,
    now,
  ])
  return result.rows.map(rowOf)[0] ?? null
}

/** The users that meet every condition, by id. */
export async function listDirectoryUsers(
  { pool }: Database,
  conditions: DirectoryCondition[],
  { after, offset, limit }: DirectoryPage,
  now: Date,
): Promise<DirectoryUserRow[]> {
  if (limit === 0) return []
  const values: unknown[] = [now, limit, offset]
  const where = whereOf(conditions, values)
  if (after !== null) where.push(`i.id > $${values.push(after)}`)
  // The ids alone are counted off, so that a page far from the beginning is found in the index.
  const ids = `SELECT i.id FROM identities i ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY i.id LIMIT $2 OFFSET $3`
  const result = await pool.query<StoredUser>(
    `SELECT ${COLUMNS} FROM identities i WHERE id = ANY (ARRAY(${ids})) AND ${exists('$1')} ORDER BY id`,
    values,
  )
  return result.rows.map(rowOf)
}

/** How many users meet every condition. */
export async function countDirectoryUsers(
  { pool }: Database,
  conditions: DirectoryCondition[],
  now: Date,
): Promise<number> {
  const values: unknown[] = [now]
  // Of what nearly every identity meets, the others are counted, which are few.
  const isUsual = (each: DirectoryCondition) => each.field === 'active' && each.value
  const where = conditions.every(isUsual) ? null : [exists('$1'), ...whereOf(conditions, values)].join(' AND ')
  const unusual = conditions.length === 0 ? GONE : `(${INACTIVE} OR ${GONE})`
  const query =
    where === null
      ? `SELECT ((SELECT count(*) FROM identities) - (SELECT count(*) FROM identities i WHERE ${unusual}))::int AS count`
      : `SELECT count(*)::int AS count FROM identities i WHERE ${where}`
  const result = await pool.query<{ count: number }>(query, values)
  return result.rows[0]?.count ?? 0
}

/** @throws a unique violation when another identity has the name in a directory */
export async function writeDirectoryEntry(
  db: Queryable,
  identityId: string,
  { userName, externalId, attributes }: Omit<DirectoryEntry, 'updatedAt'>,
  key: string,
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO directory_users (identity_id, user_name, user_name_key, external_id, attributes, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (identity_id) DO UPDATE SET user_name = $2, user_name_key = $3, external_id = $4, attributes = $5, updated_at = $6`,
    [identityId, userName, key, externalId, JSON.stringify(attributes), now],
  )
}

/** Whether an identity other than `except` has this name in a directory. */
export async function isDirectoryNameTaken(db: Queryable, key: string, except: string | null): Promise<boolean> {
  const { rowCount } = await db.query(
    'SELECT FROM directory_users WHERE user_name_key = $1 AND identity_id IS DISTINCT FROM $2',
    [key, except],
  )
  return rowCount === 1
}

/** The database has times in JSON as text. */
type StoredUser = IdentityRow & { directory: (Omit<DirectoryEntry, 'updatedAt'> & { updatedAt: string }) | null }

const COLUMNS = `${IDENTITY_COLUMNS}, (SELECT jsonb_build_object('userName', d.user_name, 'externalId', d.external_id,
  'attributes', d.attributes, 'updatedAt', d.updated_at) FROM directory_users d WHERE d.identity_id = i.id) AS directory`

const INACTIVE = '(i.disabled_at IS NOT NULL OR i.erased_from IS NOT NULL)'
const GONE = '(i.erased_from <= $1)'

/** Not one that is being erased. */
const exists = (now: string) => `(i.erased_from IS NULL OR i.erased_from > ${now})`

const UNWRITTEN = 'NOT EXISTS (SELECT FROM directory_users d WHERE d.identity_id = u.id)'

/** `values` gets what the conditions compare with. */
function whereOf(conditions: DirectoryCondition[], values: unknown[]): string[] {
  return conditions.map((condition) => {
    if (condition.field === 'active') return condition.value ? `NOT ${INACTIVE}` : INACTIVE
    if (condition.operator === 'pr')
      return 'i.id IN (SELECT identity_id FROM directory_users WHERE external_id IS NOT NULL)'
    const place = `$${values.push(condition.value)}`
    const isPrefix = condition.operator === 'sw'
    const compare = (column: string, value = place, equals = `${column} COLLATE "C" = ${value}`) =>
      isPrefix ? hasPrefix(column, value) : equals
    switch (condition.field) {
      case 'id':
        return `i.id = ${place}`
      case 'externalId':
        return `i.id IN (SELECT identity_id FROM directory_users WHERE ${compare('external_id')})`
      case 'displayName':
        return compare('lower(i.name)', `lower(${place})`)
      case 'email':
        return isPrefix ? compare('lower(i.email)', `lower(${place})`) : `i.email_key = ${place}`
      case 'userName': {
        const ways = [
          `SELECT identity_id FROM directory_users WHERE ${compare('user_name_key', place, `user_name_key = ${place}`)}`,
          `SELECT u.id FROM identities u WHERE ${compare('u.username_key', place, `u.username_key = ${place}`)} AND ${UNWRITTEN}`,
          // As at sign-in, the e-mail address stands for the name, too, once it is confirmed.
          ...(isPrefix
            ? []
            : [`SELECT u.id FROM identities u WHERE u.email_key = ${place} AND u.email_verified AND ${UNWRITTEN}`]),
        ]
        return `i.id IN (${ways.join(' UNION ALL ')})`
      }
    }
  })
}

function rowOf({ directory, ...row }: StoredUser): DirectoryUserRow {
  return { ...row, directory: directory && { ...directory, updatedAt: new Date(directory.updatedAt) } }
}

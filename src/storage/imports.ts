import type { Database, Queryable } from './postgres.ts'

/** Who has one of these keys or skeletons. */
export interface KeyHolder {
  key: string
  identityId: string
}

/** The identities that have one of these user names or e-mail addresses, by key. */
export async function listHoldersOfKeys({ pool }: Database, keys: string[]): Promise<KeyHolder[]> {
  const result = await pool.query<KeyHolder>(
    `SELECT username_key AS key, id AS "identityId" FROM identities WHERE username_key = ANY ($1)
     UNION ALL SELECT email_key, id FROM identities WHERE email_key = ANY ($1)`,
    [keys],
  )
  return result.rows
}

/** The identities whose user names have one of these skeletons. */
export async function listHoldersOfSkeletons({ pool }: Database, skeletons: string[]): Promise<KeyHolder[]> {
  const result = await pool.query<KeyHolder>(
    'SELECT skeleton AS key, identity_id AS "identityId" FROM user_name_skeletons WHERE skeleton = ANY ($1)',
    [skeletons],
  )
  return result.rows
}

/** What new identities have beside names and roles, in their transaction. */
export async function fillImported(
  db: Queryable,
  rows: { id: string; name: string | null; attributes: Record<string, string>; disabledAt: Date | null }[],
): Promise<void> {
  await db.query(
    `UPDATE identities i SET name = r.name, attributes = r.attributes, disabled_at = r.disabled_at
     FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::timestamptz[]) AS r (id, name, attributes, disabled_at) WHERE i.id = r.id`,
    [
      rows.map(({ id }) => id),
      rows.map(({ name }) => name),
      rows.map(({ attributes }) => JSON.stringify(attributes)),
      rows.map(({ disabledAt }) => disabledAt),
    ],
  )
}

/** The hashes of the passwords of these identities. */
export async function listPasswordHashes(
  { pool }: Database,
  ids: string[],
): Promise<{ id: string; passwordHash: string }[]> {
  const result = await pool.query<{ id: string; passwordHash: string }>(
    'SELECT id, password_hash AS "passwordHash" FROM identities WHERE id = ANY ($1)',
    [ids],
  )
  return result.rows
}

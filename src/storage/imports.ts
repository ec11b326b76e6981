import type { IdentityRow, ProfileRow } from './identities.ts'
import type { Database, Queryable } from './postgres.ts'
import type { NewTotpKey } from './totp-keys.ts'

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

/** A new identity with all that it has, but for its groups. */
export type ImportedRow = ProfileRow &
  Pick<
    IdentityRow,
    | 'id'
    | 'username'
    | 'usernameKey'
    | 'email'
    | 'emailVerified'
    | 'passwordHash'
    | 'passwordStandsAlone'
    | 'roles'
    | 'createdAt'
    | 'updatedAt'
    | 'disabledAt'
  > & { emailKey: string; skeletons: string[]; attributes: Record<string, string> }

/** Inserts many identities with one statement. @throws a unique violation when a name, its skeleton or an address is taken */
export async function insertImported(db: Queryable, rows: ImportedRow[]): Promise<void> {
  await db.query(
    `INSERT INTO identities (id, username, username_key, email, email_key, email_verified, password_hash, password_stands_alone,
       roles, assigned_roles, created_at, updated_at, disabled_at, has_skeletons, attributes, name, given_name, family_name, name_key,
       family_name_key, nickname, picture, phone_number)
     SELECT id, username, "usernameKey", email, "emailKey", "emailVerified", "passwordHash", "passwordStandsAlone", roles, roles,
       "createdAt", "updatedAt", "disabledAt", true, attributes, name, "givenName", "familyName", "nameKey", "familyNameKey",
       nickname, picture, "phoneNumber"
     FROM jsonb_to_recordset($1::jsonb) AS r (id uuid, username text, "usernameKey" text, email text, "emailKey" text,
       "emailVerified" boolean, "passwordHash" text, "passwordStandsAlone" boolean, roles text[], "createdAt" timestamptz,
       "updatedAt" timestamptz, "disabledAt" timestamptz, attributes jsonb, name text, "givenName" text, "familyName" text,
       "nameKey" text, "familyNameKey" text, nickname text, picture text, "phoneNumber" text)`,
    [JSON.stringify(rows)],
  )
  // In one order, so that two transactions with the same skeletons cannot deadlock.
  const filed = rows
    .flatMap(({ id, skeletons }) => skeletons.map((skeleton) => ({ id, skeleton })))
    .toSorted((a, b) => (a.skeleton < b.skeleton ? -1 : 1))
  await db.query(
    'INSERT INTO user_name_skeletons (skeleton, identity_id) SELECT * FROM unnest($1::text[], $2::uuid[])',
    [filed.map(({ skeleton }) => skeleton), filed.map(({ id }) => id)],
  )
}

/** Makes new identities members of groups, which are held. */
export async function insertMemberships(
  db: Queryable,
  memberships: { groupId: string; identityId: string }[],
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO group_members (group_id, identity_id, added_at)
     SELECT group_id, identity_id, $3 FROM unnest($1::uuid[], $2::uuid[]) AS m (group_id, identity_id)`,
    [memberships.map(({ groupId }) => groupId), memberships.map(({ identityId }) => identityId), now],
  )
}

export async function insertTotpKeys(db: Queryable, keys: NewTotpKey[]): Promise<void> {
  if (keys.length === 0) return
  await db.query(
    `INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at)
     SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::timestamptz[])`,
    [
      keys.map(({ id }) => id),
      keys.map(({ identityId }) => identityId),
      keys.map(({ name }) => name),
      keys.map(({ encryptedSecret }) => encryptedSecret),
      keys.map(({ lastStep }) => lastStep),
      keys.map(({ createdAt }) => createdAt),
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

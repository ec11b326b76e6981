import type { Identity as IdentityRow } from './client/client.ts'
import { IDENTITY_LIVES } from './liveness.ts'
import type { Database, Queryable } from './postgres.ts'
import { hasPrefix } from './prefixes.ts'

export type { IdentityRow }

export type NewIdentity = Omit<
  IdentityRow,
  | 'disabledAt'
  | 'erasedFrom'
  | 'emailKey'
  | 'hasSkeletons'
  | 'claimsVersion'
  | 'signOuts'
  | 'declinesPasskeys'
  | 'locale'
  | 'zoneinfo'
  | 'termsVersion'
  | 'termsAcceptedAt'
  | 'name'
  | 'givenName'
  | 'familyName'
  | 'nameKey'
  | 'familyNameKey'
  | 'nickname'
  | 'picture'
  | 'phoneNumber'
  | 'address'
  | 'attributes'
  | 'appRoles'
  | 'assignedRoles'
  | 'groups'
  | 'groupIds'
  | 'sourceId'
  | 'disabledBySource'
> & {
  emailKey: string
  /** Of its user name. */
  skeletons: string[]
}

/**
 * Null when the user name is taken, or the e-mail address belongs to another identity. With `sharesEmail` the row is inserted
 * in the latter case, too: the key of the address stays with the other identity. @throws a unique violation when the name looks
 * like one that is taken
 */
export async function insertIdentity(
  db: Queryable,
  identity: NewIdentity,
  sharesEmail: boolean,
): Promise<IdentityRow | null> {
  const result = await db.query<IdentityRow>({
    name: 'identity-insert',
    text: `WITH fresh AS (
             INSERT INTO identities (id, username, username_key, email, email_key, email_verified, password_hash, password_stands_alone, roles,
               assigned_roles, created_at, updated_at, has_skeletons)
             VALUES ($1, $2, $3, $4, CASE WHEN $12 AND EXISTS (SELECT 1 FROM identities WHERE email_key = $5) THEN NULL ELSE $5 END,
               $6, $7, $8, $9, $9, $10, $11, true)
             ON CONFLICT DO NOTHING RETURNING ${IDENTITY_COLUMNS}),
           filed AS (
             INSERT INTO user_name_skeletons (skeleton, identity_id) SELECT skeleton, fresh.id FROM fresh, unnest($13::text[]) AS skeleton)
           SELECT * FROM fresh`,
    values: [
      identity.id,
      identity.username,
      identity.usernameKey,
      identity.email,
      identity.emailKey,
      identity.emailVerified,
      identity.passwordHash,
      identity.passwordStandsAlone,
      identity.roles,
      identity.createdAt,
      identity.updatedAt,
      sharesEmail,
      // In one order, so that two transactions with the same skeletons cannot deadlock.
      identity.skeletons.toSorted(),
    ],
  })
  return result.rows[0] ?? null
}

export async function findIdentity({ pool }: Database, id: string): Promise<IdentityRow | null> {
  const result = await pool.query<IdentityRow>({
    name: 'identity-find',
    text: `SELECT ${IDENTITY_COLUMNS} FROM identities WHERE id = $1`,
    values: [id],
  })
  return result.rows[0] ?? null
}

/** `key` is a canonical user name or e-mail address; a user name has no @, so it is never both. */
export async function findIdentityByKey({ pool }: Database, key: string): Promise<IdentityRow | null> {
  const [name, column] = key.includes('@') ? ['email', 'email_key'] : ['username', 'username_key']
  const result = await pool.query<IdentityRow>({
    name: `identity-find-by-${name}`,
    text: `SELECT ${IDENTITY_COLUMNS} FROM identities WHERE ${column} = $1`,
    values: [key],
  })
  return result.rows[0] ?? null
}

/** True when a user name with one of these skeletons is taken, by an identity other than `except`. */
export async function isSkeletonTaken(
  { pool }: Database,
  skeletons: string[],
  except: string | null,
): Promise<boolean> {
  const result = await pool.query(
    'SELECT FROM user_name_skeletons WHERE skeleton = ANY ($1::text[]) AND identity_id IS DISTINCT FROM $2 LIMIT 1',
    [skeletons, except],
  )
  return result.rowCount === 1
}

/** Identities whose user name was chosen before skeletons were kept, the oldest first. */
export async function listWithoutSkeletons(
  { pool }: Database,
  limit: number,
): Promise<Pick<IdentityRow, 'id' | 'username'>[]> {
  const result = await pool.query<Pick<IdentityRow, 'id' | 'username'>>(
    'SELECT id, username FROM identities WHERE NOT has_skeletons ORDER BY created_at LIMIT $1',
    [limit],
  )
  return result.rows
}

/** Gives an identity those of the skeletons that no other identity has. */
export async function fillSkeletonsOf({ pool }: Database, id: string, skeletons: string[]): Promise<void> {
  await pool.query(
    `WITH unfilled AS (UPDATE identities SET has_skeletons = true WHERE id = $1 AND NOT has_skeletons RETURNING id)
     INSERT INTO user_name_skeletons (skeleton, identity_id)
       SELECT skeleton, unfilled.id FROM unfilled, unnest($2::text[]) AS skeleton ON CONFLICT DO NOTHING`,
    [id, skeletons.toSorted()],
  )
}

/** Locks an identity: one transaction at a time changes what belongs to it. Reads and foreign keys do not wait. */
export async function lockIdentity(db: Queryable, id: string): Promise<IdentityRow | null> {
  const result = await db.query<IdentityRow>(
    `SELECT ${IDENTITY_COLUMNS} FROM identities WHERE id = $1 FOR NO KEY UPDATE`,
    [id],
  )
  return result.rows[0] ?? null
}

/** Locks several identities, in one order, so that two such transactions cannot deadlock. @returns the ids that there are */
export async function lockIdentities(db: Queryable, ids: string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    'SELECT id FROM identities WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE',
    [ids],
  )
  return result.rows.map(({ id }) => id)
}

/** The ids of every identity, the oldest first. */
export async function listIdentityIds({ pool }: Database): Promise<string[]> {
  const result = await pool.query<{ id: string }>('SELECT id FROM identities ORDER BY created_at')
  return result.rows.map(({ id }) => id)
}

export type IdentityState = 'enabled' | 'disabled' | 'deleted'

/** An identity in a list, by the key in whose order it is, which is one of its own. */
export interface IdentityPlace {
  key: string
  id: string
}

export interface FoundIdentity extends IdentityRow {
  /** The key in whose order it is listed, and the first of its keys in that order. */
  foundBy: string
  firstFoundBy: string
}

/** What an identity is found by; each has an index with COLLATE "C". */
const SEARCHED = ['username_key', 'lower(email)', 'name_key', 'family_name_key']

const STATES: Record<IdentityState, string> = {
  enabled: 'disabled_at IS NULL AND erased_from IS NULL',
  disabled: 'disabled_at IS NOT NULL AND erased_from IS NULL',
  deleted: 'erased_from IS NOT NULL',
}

/**
 * By user name, or with a prefix by the key that begins with it: an identity that several of its keys find comes once for each.
 * Each key is read in the order of its index, and no further than `limit`.
 */
export async function listIdentities(
  { pool }: Database,
  {
    prefix,
    state,
    role,
    groupId,
    after,
    limit,
  }: {
    prefix: string
    state: IdentityState | null
    role: string | null
    groupId: string | null
    after: IdentityPlace | null
    limit: number
  },
): Promise<FoundIdentity[]> {
  const values: unknown[] = [limit]
  const place = (value: unknown) => `$${values.push(value)}`
  const conditions = state === null ? [] : [STATES[state]]
  if (role !== null) {
    const holds = `roles @> ARRAY[${place(role)}::text]`
    conditions.push((await isRare(pool, role)) ? `id = ANY (ARRAY(SELECT id FROM identities WHERE ${holds}))` : holds)
  }
  if (groupId !== null) conditions.push(`group_ids @> ARRAY[${place(groupId)}::uuid]`)
  const begins = prefix === '' ? null : `${place(prefix)}::text`
  const from = after && `(${place(after.key)}::text, ${place(after.id)}::uuid)`
  const found = (key: string) => (begins === null ? 'true' : hasPrefix(key, begins))
  const by = (key: string) => {
    const all = [...conditions, found(key), ...(from === null ? [] : [`(${key} COLLATE "C", id) > ${from}`])]
    return `(SELECT *, ${key} COLLATE "C" AS found_by FROM identities WHERE ${all.join(' AND ')} ORDER BY ${key} COLLATE "C", id LIMIT $1)`
  }
  const keys = begins === null ? SEARCHED.slice(0, 1) : SEARCHED
  const first = keys.map((key) => `CASE WHEN ${found(key)} THEN ${key} COLLATE "C" END`)
  const result = await pool.query<FoundIdentity>(
    `SELECT ${IDENTITY_COLUMNS}, found_by AS "foundBy", least(${first.join(', ')}) AS "firstFoundBy"
     FROM (${keys.map(by).join(' UNION ALL ')}) found ORDER BY found_by, id LIMIT $1`,
    values,
  )
  return result.rows
}

/**
 * Whether PostgreSQL takes a role for rare. Its holders are then found by the role, and sorted. Those of a common role are found on the
 * way through all identities in order, which would be read to the end for a role that nearly no identity has.
 */
async function isRare(pool: Queryable, role: string): Promise<boolean> {
  const rowsOf = async (condition: string, values: string[]) => {
    const explain = `EXPLAIN (FORMAT JSON) SELECT FROM identities WHERE ${condition}`
    const { rows } = await pool.query<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(explain, values)
    return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
  }
  const all = await rowsOf('true', [])
  return (await rowsOf('roles @> ARRAY[$1::text]', [role])) < all * RARE
}

const RARE = 1 / 100

/** Another user name, with its skeletons. @throws a unique violation when it is taken, or looks like one that is */
export async function updateUserName(
  db: Queryable,
  id: string,
  { username, usernameKey, skeletons }: Pick<NewIdentity, 'username' | 'usernameKey' | 'skeletons'>,
  now: Date,
): Promise<void> {
  await db.query('DELETE FROM user_name_skeletons WHERE identity_id = $1 AND skeleton <> ALL ($2::text[])', [
    id,
    skeletons,
  ])
  await db.query(
    `INSERT INTO user_name_skeletons (skeleton, identity_id) SELECT skeleton, $1 FROM unnest($2::text[]) AS mine (skeleton)
     WHERE NOT EXISTS (SELECT FROM user_name_skeletons own WHERE own.skeleton = mine.skeleton AND own.identity_id = $1)`,
    [id, skeletons.toSorted()],
  )
  await db.query(
    'UPDATE identities SET username = $2, username_key = $3, has_skeletons = true, updated_at = $4 WHERE id = $1',
    [id, username, usernameKey, now],
  )
}

/** Gives an identity an e-mail address that is not confirmed. @throws a unique violation when another one has its key */
export async function updateUnconfirmedEmail(
  db: Queryable,
  id: string,
  { email, key }: { email: string; key: string },
  now: Date,
): Promise<void> {
  await db.query(
    'UPDATE identities SET email = $2, email_key = $3, email_verified = false, updated_at = $4 WHERE id = $1',
    [id, email, key, now],
  )
}

/** False when `from` is no longer the hash: another transaction has changed it, and a proof by the old password is void. */
export async function updatePasswordHash(
  db: Queryable,
  id: string,
  { from, to, standsAlone }: { from: string; to: string; standsAlone: boolean },
  now: Date,
): Promise<boolean> {
  const result = await db.query(
    `UPDATE identities SET password_hash = $3, password_stands_alone = $4, updated_at = $5 WHERE id = $1 AND password_hash = $2`,
    [id, from, to, standsAlone, now],
  )
  return result.rowCount === 1
}

/** Takes the key of an e-mail address from another identity that has not proved the address. @returns which one that was */
export async function releaseEmail(db: Queryable, key: string, except: string, now: Date): Promise<string | null> {
  const result = await db.query<{ id: string }>(
    `UPDATE identities SET email_key = NULL, updated_at = $3 WHERE email_key = $1 AND id <> $2 AND NOT email_verified RETURNING id`,
    [key, except, now],
  )
  return result.rows[0]?.id ?? null
}

/** Gives a proved e-mail address to an identity. False when another one has its key. @throws a unique violation when two race */
export async function assignEmail(
  db: Queryable,
  id: string,
  { email, key }: { email: string; key: string },
  now: Date,
): Promise<boolean> {
  const result = await db.query(
    `UPDATE identities SET email = $2, email_key = $3, email_verified = true, updated_at = $4
     WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM identities other WHERE other.email_key = $3 AND other.id <> $1)`,
    [id, email, key, now],
  )
  return result.rowCount === 1
}

/** The roles that an identity has whatever its groups are. */
export async function updateAssignedRoles(db: Queryable, id: string, roles: string[]): Promise<void> {
  await db.query('UPDATE identities SET assigned_roles = $2 WHERE id = $1', [id, roles])
}

/** Whether an enabled identity has this role. */
export async function hasLivingHolder(db: Queryable, role: 'admin'): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM identities i WHERE i.roles && ARRAY['admin', 'support'] AND $1 = ANY (i.roles) AND ${IDENTITY_LIVES} LIMIT 1`,
    [role],
  )
  return rowCount === 1
}

/** How many living identities have a role of the portal itself, `limit` at most. */
export async function countHolders(db: Queryable, role: 'admin', limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `SELECT FROM identities i WHERE i.roles && ARRAY['admin', 'support'] AND $1 = ANY (i.roles) AND ${IDENTITY_LIVES} LIMIT $2`,
    [role, limit],
  )
  return rowCount ?? 0
}

/** The claims of an identity have changed. @returns the new version of its claims */
export async function countClaimsChange(db: Queryable, id: string): Promise<number> {
  const result = await db.query<{ version: number }>(
    'UPDATE identities SET claims_version = claims_version + 1 WHERE id = $1 RETURNING claims_version AS version',
    [id],
  )
  return (result.rows[0] as { version: number }).version
}

/** Whether an enabled identity is an administrator by its own roles or those of its groups, as they are in this transaction. */
export async function hasAssignedAdministrator(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM identities i WHERE i.roles && ARRAY['admin', 'support'] AND ${IDENTITY_LIVES} AND ('admin' = ANY (i.assigned_roles)
       OR EXISTS (SELECT FROM group_members m JOIN groups g ON g.id = m.group_id
         WHERE m.identity_id = i.id AND NOT g.is_deleted AND 'admin' = ANY (g.roles))) LIMIT 1`,
  )
  return rowCount === 1
}

export async function updateAttributes(
  db: Queryable,
  id: string,
  attributes: Record<string, string>,
  now: Date,
): Promise<void> {
  await db.query('UPDATE identities SET attributes = $2, updated_at = $3 WHERE id = $1', [id, attributes, now])
}

/** Replaces the roles of an identity in one app; none removes the app. */
export async function updateAppRoles(
  db: Queryable,
  id: string,
  clientId: string,
  roles: string[],
  now: Date,
): Promise<void> {
  await db.query(
    `UPDATE identities SET updated_at = $4, app_roles = CASE WHEN cardinality($3::text[]) = 0 THEN app_roles - $2::text
       ELSE app_roles || jsonb_build_object($2::text, $3::text[]) END WHERE id = $1`,
    [id, clientId, roles, now],
  )
}

/** Locks up to `limit` identities that have this role in this app, in one order, so that two such changes cannot deadlock. */
export async function lockHoldersOfAppRole(
  db: Queryable,
  clientId: string,
  role: string,
  limit: number,
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    'SELECT id FROM identities WHERE app_roles -> $1 ? $2 ORDER BY id LIMIT $3 FOR NO KEY UPDATE',
    [clientId, role, limit],
  )
  return result.rows.map(({ id }) => id)
}

/** Takes a role in an app from these identities, which gives their claims a new version. */
export async function removeAppRole(
  db: Queryable,
  ids: string[],
  clientId: string,
  role: string,
  now: Date,
): Promise<void> {
  await db.query(
    `UPDATE identities SET claims_version = claims_version + 1, updated_at = $4,
       app_roles = CASE WHEN jsonb_array_length(app_roles -> $2) = 1 THEN app_roles - $2::text
         ELSE jsonb_set(app_roles, ARRAY[$2], (app_roles -> $2) - $3::text) END
     WHERE id = ANY ($1)`,
    [ids, clientId, role, now],
  )
}

/** Whether any identity has this global role. */
export async function isRoleUsed(db: Queryable, role: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT FROM identities WHERE $1 = ANY (roles) LIMIT 1', [role])
  return rowCount === 1
}

/** What users say about themselves. */
export type ProfileRow = Pick<
  IdentityRow,
  'name' | 'givenName' | 'familyName' | 'nameKey' | 'familyNameKey' | 'nickname' | 'picture' | 'phoneNumber' | 'address'
>

export async function updateProfile(db: Queryable, id: string, profile: ProfileRow, now: Date): Promise<void> {
  await db.query(
    `UPDATE identities SET name = $2, given_name = $3, family_name = $4, nickname = $5, picture = $6, phone_number = $7, address = $8,
       updated_at = $9, name_key = $10, family_name_key = $11 WHERE id = $1`,
    [
      id,
      profile.name,
      profile.givenName,
      profile.familyName,
      profile.nickname,
      profile.picture,
      profile.phoneNumber,
      profile.address,
      now,
      profile.nameKey,
      profile.familyNameKey,
    ],
  )
}

/** The language and time zone a user has chosen; null for those of their browser. */
export async function updateRegion(
  db: Queryable,
  id: string,
  { locale, zoneinfo }: Pick<IdentityRow, 'locale' | 'zoneinfo'>,
  now: Date,
): Promise<void> {
  await db.query('UPDATE identities SET locale = $2, zoneinfo = $3, updated_at = $4 WHERE id = $1', [
    id,
    locale,
    zoneinfo,
    now,
  ])
}

export async function updateAcceptedTerms(db: Queryable, id: string, version: string, now: Date): Promise<void> {
  await db.query('UPDATE identities SET terms_version = $2, terms_accepted_at = $3, updated_at = $3 WHERE id = $1', [
    id,
    version,
    now,
  ])
}

/** Null enables. */
export async function updateDisabledAt(db: Queryable, id: string, disabledAt: Date | null, now: Date): Promise<void> {
  await db.query('UPDATE identities SET disabled_at = $2, updated_at = $3 WHERE id = $1', [id, disabledAt, now])
}

/** True for the one call that deleted it, however many race, and for one that has it erased sooner. */
export async function markDeleted(db: Queryable, id: string, erasedFrom: Date, now: Date): Promise<boolean> {
  const result = await db.query(
    'UPDATE identities SET erased_from = $2, updated_at = $3 WHERE id = $1 AND (erased_from IS NULL OR erased_from > $2)',
    [id, erasedFrom, now],
  )
  return result.rowCount === 1
}

/** What must still be true of an identity for a sign-in that was begun earlier; null is no condition. */
export interface SignInTerms {
  /** Of its password: SHA-256 of its hash, in hex. */
  passwordMark: string | null
  /** How often it has been signed out everywhere. */
  signOuts: number | null
}

/** The condition on an identity `i`; the parameters are the terms. */
export const meetsTerms = (passwordMark: string, signOuts: string) =>
  `(${passwordMark}::text IS NULL OR encode(sha256(convert_to(i.password_hash, 'UTF8')), 'hex') = ${passwordMark})
     AND (${signOuts}::int IS NULL OR i.sign_outs = ${signOuts})`

/** Counts a sign-out everywhere: every sign-in that is half done becomes void. */
export async function countSignOut(db: Queryable, id: string): Promise<void> {
  await db.query('UPDATE identities SET sign_outs = sign_outs + 1 WHERE id = $1', [id])
}

/** False when there is nothing to keep (not deleted, or its time is over), an operator has disabled it, or it does not meet the terms. */
export async function markKept(
  db: Queryable,
  id: string,
  { passwordMark, signOuts }: SignInTerms,
  now: Date,
): Promise<boolean> {
  const result = await db.query(
    `UPDATE identities i SET erased_from = NULL, updated_at = $2
     WHERE i.id = $1 AND i.erased_from > $2 AND i.disabled_at IS NULL AND ${meetsTerms('$3', '$4')}`,
    [id, now, passwordMark, signOuts],
  )
  return result.rowCount === 1
}

/** Ids of deleted identities whose grace is over, the oldest first. */
export async function listErasable({ pool }: Database, now: Date, limit: number): Promise<string[]> {
  const result = await pool.query<{ id: string }>(
    'SELECT id FROM identities WHERE erased_from <= $1 ORDER BY erased_from LIMIT $2',
    [now, limit],
  )
  return result.rows.map((row) => row.id)
}

/** Locks a deleted identity whose grace is over until the transaction ends. Null when it is not over, or the row is locked. */
export async function lockErasable(db: Queryable, id: string, now: Date): Promise<IdentityRow | null> {
  const result = await db.query<IdentityRow>(
    `SELECT ${IDENTITY_COLUMNS} FROM identities WHERE id = $1 AND erased_from <= $2 FOR UPDATE SKIP LOCKED`,
    [id, now],
  )
  return result.rows[0] ?? null
}

/** Everything that belongs to it goes with it. */
export async function deleteIdentity(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM identities WHERE id = $1', [id])
}

export const IDENTITY_COLUMNS = `id, username, username_key AS "usernameKey", has_skeletons AS "hasSkeletons", email, email_key AS "emailKey", email_verified AS "emailVerified",
  password_hash AS "passwordHash", password_stands_alone AS "passwordStandsAlone", roles, claims_version AS "claimsVersion",
  sign_outs AS "signOuts", declines_passkeys AS "declinesPasskeys",
  created_at AS "createdAt", updated_at AS "updatedAt", disabled_at AS "disabledAt", erased_from AS "erasedFrom", locale, zoneinfo,
  terms_version AS "termsVersion", terms_accepted_at AS "termsAcceptedAt", name, given_name AS "givenName", family_name AS "familyName", name_key AS "nameKey",
  family_name_key AS "familyNameKey", nickname,
  picture, phone_number AS "phoneNumber", address, attributes, app_roles AS "appRoles", assigned_roles AS "assignedRoles", groups,
  group_ids AS "groupIds", source_id AS "sourceId", disabled_by_source AS "disabledBySource"`

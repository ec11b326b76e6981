import type { Identity as IdentityRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'
import type { Storage } from './storage.ts'

export type { IdentityRow }

export async function insertIdentity(
  { prisma }: Storage,
  identity: Omit<IdentityRow, 'disabledAt' | 'erasedFrom' | 'passwordStandsAlone'>,
): Promise<IdentityRow> {
  return (await prisma()).identity.create({ data: identity })
}

export async function findIdentity({ pool }: Storage, id: string): Promise<IdentityRow | null> {
  const result = await pool.query<IdentityRow>({
    name: 'identity-find',
    text: `SELECT ${COLUMNS} FROM identities WHERE id = $1`,
    values: [id],
  })
  return result.rows[0] ?? null
}

/** `key` is a canonical user name or address; a user name has no @, so it is never both. */
export async function findIdentityByKey({ pool }: Storage, key: string): Promise<IdentityRow | null> {
  const [name, column] = key.includes('@') ? ['email', 'email_key'] : ['username', 'username_key']
  const result = await pool.query<IdentityRow>({
    name: `identity-find-by-${name}`,
    text: `SELECT ${COLUMNS} FROM identities WHERE ${column} = $1`,
    values: [key],
  })
  return result.rows[0] ?? null
}

/** Lets one transaction at a time change what belongs to an identity; nobody who only reads, or refers to it, waits. */
export async function lockIdentity(db: Queryable, id: string): Promise<void> {
  await db.query('SELECT 1 FROM identities WHERE id = $1 FOR NO KEY UPDATE', [id])
}

export async function listIdentities({ prisma }: Storage): Promise<IdentityRow[]> {
  return (await prisma()).identity.findMany({ orderBy: { createdAt: 'asc' } })
}

export async function updatePasswordHash(
  { prisma }: Storage,
  id: string,
  passwordHash: string,
  now: Date,
): Promise<void> {
  await (await prisma()).identity.update({ where: { id }, data: { passwordHash, updatedAt: now } })
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

/** False when there is nothing to keep: it was not deleted, its time is over, or an operator has disabled it. */
export async function markKept(db: Queryable, id: string, now: Date): Promise<boolean> {
  const result = await db.query(
    'UPDATE identities SET erased_from = NULL, updated_at = $2 WHERE id = $1 AND erased_from > $2 AND disabled_at IS NULL',
    [id, now],
  )
  return result.rowCount === 1
}

/** Ids of identities whose time is over, those that wait longest first. */
export async function listErasable({ pool }: Storage, now: Date, limit: number): Promise<string[]> {
  const result = await pool.query<{ id: string }>(
    'SELECT id FROM identities WHERE erased_from <= $1 ORDER BY erased_from LIMIT $2',
    [now, limit],
  )
  return result.rows.map((row) => row.id)
}

/** Holds an identity whose time is over until the transaction ends. Null when it is not, or somebody else holds it. */
export async function lockErasable(db: Queryable, id: string, now: Date): Promise<IdentityRow | null> {
  const result = await db.query<IdentityRow>(
    `SELECT ${COLUMNS} FROM identities WHERE id = $1 AND erased_from <= $2 FOR UPDATE SKIP LOCKED`,
    [id, now],
  )
  return result.rows[0] ?? null
}

/** Everything that belongs to it goes with it. */
export async function deleteIdentity(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM identities WHERE id = $1', [id])
}

const COLUMNS = `id, username, username_key AS "usernameKey", email, email_key AS "emailKey", email_verified AS "emailVerified",
  password_hash AS "passwordHash", password_stands_alone AS "passwordStandsAlone", roles, created_at AS "createdAt", updated_at AS "updatedAt", disabled_at AS "disabledAt", erased_from AS "erasedFrom"`

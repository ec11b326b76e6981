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

const COLUMNS = `id, username, username_key AS "usernameKey", email, email_key AS "emailKey", email_verified AS "emailVerified",
  password_hash AS "passwordHash", password_stands_alone AS "passwordStandsAlone", roles, created_at AS "createdAt", updated_at AS "updatedAt", disabled_at AS "disabledAt", erased_from AS "erasedFrom"`

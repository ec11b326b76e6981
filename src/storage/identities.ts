import type { Identity as IdentityRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'
import type { Storage } from './storage.ts'

export type { IdentityRow }

export async function insertIdentity(
  { prisma }: Storage,
  identity: Omit<IdentityRow, 'disabledAt'>,
): Promise<IdentityRow> {
  return prisma.identity.create({ data: identity })
}

export async function findIdentity({ prisma }: Storage, id: string): Promise<IdentityRow | null> {
  return prisma.identity.findUnique({ where: { id } })
}

/** `key` is a canonical user name or address; a user name has no @, so it is never both. */
export async function findIdentityByKey({ prisma }: Storage, key: string): Promise<IdentityRow | null> {
  return prisma.identity.findUnique({ where: key.includes('@') ? { emailKey: key } : { usernameKey: key } })
}

export async function listIdentities({ prisma }: Storage): Promise<IdentityRow[]> {
  return prisma.identity.findMany({ orderBy: { createdAt: 'asc' } })
}

export async function updatePasswordHash(
  { prisma }: Storage,
  id: string,
  passwordHash: string,
  now: Date,
): Promise<void> {
  await prisma.identity.update({ where: { id }, data: { passwordHash, updatedAt: now } })
}

/** Null enables. */
export async function updateDisabledAt(db: Queryable, id: string, disabledAt: Date | null, now: Date): Promise<void> {
  await db.query('UPDATE identities SET disabled_at = $2, updated_at = $3 WHERE id = $1', [id, disabledAt, now])
}

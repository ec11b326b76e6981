import type { SigningKey as SigningKeyRow } from './client/client.ts'
import type { Storage } from './storage.ts'

export type { SigningKeyRow }

export async function insertSigningKey({ prisma }: Storage, key: SigningKeyRow): Promise<void> {
  await prisma.signingKey.create({ data: key })
}

/** True when this call made the first keys; processes that start together agree on one set. */
export async function insertFirstSigningKeys({ prisma }: Storage, keys: SigningKeyRow[]): Promise<boolean> {
  return prisma.$transaction(async (db) => {
    await db.$executeRaw`LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE`
    if ((await db.signingKey.count()) > 0) return false
    await db.signingKey.createMany({ data: keys })
    return true
  })
}

export async function listSigningKeys({ prisma }: Storage): Promise<SigningKeyRow[]> {
  return prisma.signingKey.findMany({ orderBy: { signsFrom: 'asc' } })
}

export async function updateEncryptedPrivate(
  { prisma }: Storage,
  kid: string,
  encryptedPrivate: string,
): Promise<void> {
  await prisma.signingKey.update({ where: { kid }, data: { encryptedPrivate } })
}

export async function deleteSigningKeys({ prisma }: Storage, kids: string[]): Promise<void> {
  await prisma.signingKey.deleteMany({ where: { kid: { in: kids } } })
}

import type { SigningKey as SigningKeyRow } from './client/client.ts'
import { transaction } from './postgres.ts'
import type { Storage } from './storage.ts'

export type { SigningKeyRow }

export async function insertSigningKey({ prisma }: Storage, key: SigningKeyRow): Promise<void> {
  await (await prisma()).signingKey.create({ data: key })
}

/** Adds those whose algorithm has no key yet; processes that start together agree on one set. */
export async function insertMissingSigningKeys({ pool }: Storage, keys: SigningKeyRow[]): Promise<void> {
  await transaction(pool, async (db) => {
    await db.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE')
    const { rows: known } = await db.query<{ alg: string }>('SELECT DISTINCT alg FROM signing_keys')
    const missing = keys.filter(({ alg }) => !known.some((key) => key.alg === alg))
    for (const { kid, alg, publicJwk, encryptedPrivate, createdAt, signsFrom } of missing) {
      await db.query(
        `INSERT INTO signing_keys (kid, alg, public_jwk, encrypted_private, created_at, signs_from)
         VALUES ($1, $2, $3, $4, $5, $6)`,
        [kid, alg, publicJwk, encryptedPrivate, createdAt, signsFrom],
      )
    }
  })
}

/** In the order in which they sign. */
export async function listSigningKeys({ pool }: Storage): Promise<SigningKeyRow[]> {
  const result = await pool.query<SigningKeyRow>({
    name: 'signing-keys-list',
    text: `SELECT kid, alg, public_jwk AS "publicJwk", encrypted_private AS "encryptedPrivate", created_at AS "createdAt",
             signs_from AS "signsFrom" FROM signing_keys ORDER BY signs_from`,
  })
  return result.rows
}

export async function updateEncryptedPrivate(
  { prisma }: Storage,
  kid: string,
  encryptedPrivate: string,
): Promise<void> {
  await (await prisma()).signingKey.update({ where: { kid }, data: { encryptedPrivate } })
}

/** Keeps their public halves only, which are told from whole keys by this. */
export async function erasePrivateHalves({ prisma }: Storage, kids: string[]): Promise<void> {
  await (await prisma()).signingKey.updateMany({ where: { kid: { in: kids } }, data: { encryptedPrivate: ERASED } })
}

export const ERASED = ''

export async function deleteSigningKeys({ prisma }: Storage, kids: string[]): Promise<void> {
  await (await prisma()).signingKey.deleteMany({ where: { kid: { in: kids } } })
}

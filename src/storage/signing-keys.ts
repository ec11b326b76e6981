import type { SigningKey as SigningKeyRow } from './client/client.ts'
import { type Database, type Queryable, transaction } from './postgres.ts'

export type { SigningKeyRow }

export async function insertSigningKey(db: Queryable, key: SigningKeyRow): Promise<void> {
  await db.query(
    `INSERT INTO signing_keys (kid, alg, public_jwk, encrypted_private, created_at, signs_from) VALUES ($1, $2, $3, $4, $5, $6)`,
    [key.kid, key.alg, key.publicJwk, key.encryptedPrivate, key.createdAt, key.signsFrom],
  )
}

/** Locks the set of keys: one transaction at a time changes it. Reads do not wait. */
export async function lockSigningKeys(db: Queryable): Promise<void> {
  await db.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE')
}

/** Erases the private half of a key, so that no version of the portal signs with it, and marks the key revoked. */
export async function markRevoked(db: Queryable, kid: string, now: Date): Promise<void> {
  await db.query('UPDATE signing_keys SET revoked_at = $2, encrypted_private = $3 WHERE kid = $1', [kid, now, ERASED])
}

/** Adds those whose algorithm has no key yet; processes that start together agree on one set. */
export async function insertMissingSigningKeys({ pool }: Database, keys: SigningKeyRow[]): Promise<void> {
  await transaction(pool, async (db) => {
    await lockSigningKeys(db)
    const { rows: known } = await db.query<{ alg: string }>('SELECT DISTINCT alg FROM signing_keys')
    for (const key of keys) if (!known.some(({ alg }) => alg === key.alg)) await insertSigningKey(db, key)
  })
}

/** In the order in which they sign. */
export async function listSigningKeys(db: Queryable): Promise<SigningKeyRow[]> {
  const result = await db.query<SigningKeyRow>({
    name: 'signing-keys-list',
    text: `SELECT kid, alg, public_jwk AS "publicJwk", encrypted_private AS "encryptedPrivate", created_at AS "createdAt",
             signs_from AS "signsFrom", revoked_at AS "revokedAt" FROM signing_keys ORDER BY signs_from`,
  })
  return result.rows
}

/** Replaces the encryption of a private half, unless another process has done so, or erased it. True when it did. */
export async function updateEncryptedPrivate(
  db: Queryable,
  kid: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  const result = await db.query(
    'UPDATE signing_keys SET encrypted_private = $3 WHERE kid = $1 AND encrypted_private = $2',
    [kid, from, to],
  )
  return result.rowCount === 1
}

/** Erases the private halves of these keys; their public halves stay. */
export async function erasePrivateHalves({ prisma }: Database, kids: string[]): Promise<void> {
  await (await prisma()).signingKey.updateMany({ where: { kid: { in: kids } }, data: { encryptedPrivate: ERASED } })
}

export const ERASED = ''

export async function deleteSigningKeys({ prisma }: Database, kids: string[]): Promise<void> {
  await (await prisma()).signingKey.deleteMany({ where: { kid: { in: kids } } })
}

/** Deletes every key, in a transaction that inserts others. */
export async function deleteAllSigningKeys(db: Queryable): Promise<void> {
  await db.query('DELETE FROM signing_keys')
}

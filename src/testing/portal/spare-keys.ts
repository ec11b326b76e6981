import { insertSigningKey, listSigningKeys, type SigningKeyRow } from '../../storage/signing-keys.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { TestDatabase } from './databases.ts'
import { withClient } from './template-database.ts'

/** Sets of signing keys under the usual secret of tests, of portals that have closed. */
const spare: SigningKeyRow[][] = []

/**
 * Gives an empty database the signing keys of a portal that has closed, if there is one: an RSA key takes longer to make than
 * many a test. Portals that run at the same time never share a key.
 */
export async function takeSpareKeys({ databaseUrl }: TestDatabase, now: Date): Promise<void> {
  const keys = spare.pop()
  if (keys === undefined) return
  await withClient(databaseUrl, async (client) => {
    for (const key of keys) await insertSigningKey(client, { ...key, createdAt: now, signsFrom: now })
  })
}

/** Reads the keys with which a portal has begun. @returns leaves them for a later one */
export async function borrowKeys(db: Queryable): Promise<() => void> {
  const keys = await listSigningKeys(db)
  return () => void spare.push(keys)
}

import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { findLastingSecret, insertLastingSecret, updateLastingSecret } from '../../storage/lasting-secrets.ts'
import type { Storage } from '../../storage/storage.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import type { Secrets } from './secrets.ts'

/**
 * A secret of 32 bytes that stays the same when the root secret is rotated. It is made when it is first needed, and stored
 * encrypted under the root secret; processes that start together agree on one.
 * @param mayRewrap as of `everyProcessHas` @throws when no root secret opens it
 */
export async function openLastingSecret(
  { pool }: Storage,
  secrets: Secrets,
  name: string,
  mayRewrap = true,
): Promise<KeyObject> {
  const [encryptionKey] = secrets.map((keys) => keys.lastingSecretEncryption)
  const seal = (secret: string) => encrypt(secret, name, encryptionKey as KeyObject)
  let stored = await findLastingSecret(pool, name)
  if (stored === null) {
    await insertLastingSecret(pool, name, seal(randomBytes(32).toString('base64url')))
    stored = (await findLastingSecret(pool, name)) as string
  }
  const opened = decryptWithAny(
    stored,
    name,
    secrets.map((keys) => keys.lastingSecretEncryption),
  )
  if (opened === null)
    throw new Error(
      'GATEHOUSE_SECRET does not open the secrets in this database: put the secret they were made under back, after a comma',
    )
  // An older root secret may be taken away as soon as nothing is encrypted under it any more.
  if (opened.isOutdated && mayRewrap)
    await updateLastingSecret(pool, name, { from: stored, to: seal(opened.plaintext) })
  return createSecretKey(Buffer.from(opened.plaintext, 'base64url'))
}

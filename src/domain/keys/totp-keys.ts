import type { Queryable } from '../../storage/postgres.ts'
import { listEncryptedTotpKeys, updateEncryptedTotpKeys } from '../../storage/totp-keys.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import type { Secrets } from './secrets.ts'

/** Rows in one statement. */
const SIZE = 250

export interface TotpKeyCounts {
  /** Encrypted under another secret than the first. */
  outdated: number
  /** Opened by none. */
  unreadable: number
}

/**
 * Reads the keys of all authenticator apps, and with `isToRewrap` encrypts those under the first secret that are not. It can be
 * ended at any time and begun again, by several processes at once.
 */
export async function walkTotpKeys(db: Queryable, secrets: Secrets, isToRewrap: boolean): Promise<TotpKeyCounts> {
  const encryptionKeys = secrets.map(({ totpKeyEncryption }) => totpKeyEncryption)
  const counts = { outdated: 0, unreadable: 0 }
  for (let after: string | null = null; ;) {
    const rows = await listEncryptedTotpKeys(db, after, SIZE)
    const changes = rows.flatMap(({ id, encryptedSecret }) => {
      const opened = decryptWithAny(encryptedSecret, id, encryptionKeys)
      if (opened === null) counts.unreadable++
      if (opened?.isOutdated !== true) return []
      counts.outdated++
      return [{ id, from: encryptedSecret, to: encrypt(opened.plaintext, id, secrets[0].totpKeyEncryption) }]
    })
    if (isToRewrap && changes.length > 0) await updateEncryptedTotpKeys(db, changes)
    if (rows.length < SIZE) return counts
    after = rows.at(-1)?.id ?? null
  }
}

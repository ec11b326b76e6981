import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'

/** Encryption at rest: AES-256-GCM with `id`, the row it belongs to, as associated data. @returns `iv.tag.ciphertext` */
export function encrypt(plaintext: string, id: string, key: KeyObject): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(id))
  const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return [iv, cipher.getAuthTag(), ciphertext].map((part) => part.toString('base64url')).join('.')
}

/** Null when none of the keys decrypts it for this id. It is outdated unless the first key does, which encrypts from now on. */
export function decryptWithAny(
  encrypted: string,
  id: string,
  keys: readonly KeyObject[],
): { plaintext: string; isOutdated: boolean } | null {
  for (const [index, key] of keys.entries()) {
    const plaintext = decrypt(encrypted, id, key)
    if (plaintext !== null) return { plaintext, isOutdated: index > 0 }
  }
  return null
}

function decrypt(encrypted: string, id: string, key: KeyObject): string | null {
  const [iv, tag, ciphertext] = encrypted.split('.').map((part) => Buffer.from(part, 'base64url')) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  try {
    // What was not made by `encrypt` has no tag of the right length.
    const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(id)).setAuthTag(tag)
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}

import { createCipheriv, timingSafeEqual } from 'node:crypto'
import type { ReadHash } from './foreign-hash.ts'
import { base64Of, bytesOf, numberOf, readPhcString } from './phc-strings.ts'
import { deriveScrypt, scryptProblem } from './scrypt-hashes.ts'

/**
 * Firebase's scrypt: the key that scrypt derives from the password encrypts the signer key of the project (AES-256-CTR), and that
 * is the hash. So the signer key is stored with each hash, and goes with the last of them.
 */
export function readFirebaseHash(text: string): ReadHash | null {
  if (!text.startsWith('$firebase-scrypt$')) return null
  const phc = readPhcString(text)
  const [logN, r] = ['ln', 'r'].map((name) => (phc === null ? null : numberOf(phc, name)))
  const separator = bytesOf(phc?.parameters.get('ss') ?? '')
  const signerKey = bytesOf(phc?.parameters.get('sk') ?? '')
  if (phc === null || !logN || !r || separator === null || signerKey === null)
    return { problem: 'is no complete hash of Firebase scrypt ($firebase-scrypt$ln=…,r=…,ss=…,sk=…$salt$hash)' }
  const cost = { logN, r, p: 1 }
  const problem = scryptProblem(cost)
  if (problem !== null) return { problem }
  const { salt, hash } = phc
  if (salt.length === 0) return { problem: 'has no salt' }
  if (signerKey.length < 16 || hash.length !== signerKey.length)
    return { problem: 'is not as long as the signer key, which has 16 bytes at least (Firebase scrypt)' }
  const parameters = [`ln=${logN}`, `r=${r}`, ...(separator.length > 0 ? [`ss=${base64Of(separator)}`] : [])]
  return {
    text: `$firebase-scrypt$${parameters.join(',')},sk=${base64Of(signerKey)}$${base64Of(salt)}$${base64Of(hash)}`,
    async matches(password) {
      const key = await deriveScrypt(password, Buffer.concat([salt, separator]), 32, cost)
      const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
      return timingSafeEqual(Buffer.concat([cipher.update(signerKey), cipher.final()]), hash)
    },
  }
}

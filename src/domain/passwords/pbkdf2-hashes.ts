import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { ReadHash } from './foreign-hash.ts'
import { base64Of, bytesOf, numberOf, readPhcString } from './phc-strings.ts'

/** A second or so. */
const MOST_ITERATIONS = 2_000_000

const DIGEST_BYTES = { sha1: 20, sha256: 32, sha512: 64 } as const
type Digest = keyof typeof DIGEST_BYTES

/**
 * PBKDF2 (RFC 8018) with HMAC-SHA-1, -256 or -512. Of a longer hash only the first block is kept: each further one would cost the
 * iterations again, and proves nothing more.
 */
export function readPbkdf2Hash(text: string): ReadHash | null {
  const [, named] = /^\$pbkdf2(?:-([a-z\d]+))?\$/.exec(text) ?? []
  if (named === undefined && !text.startsWith('$pbkdf2$')) return null
  const digest = (named ?? 'sha1') as Digest
  if (!Object.hasOwn(DIGEST_BYTES, digest))
    return { problem: `is of PBKDF2 with ${digest}; known are ${Object.keys(DIGEST_BYTES).join(', ')}` }
  const found = readParts(text)
  if (found === null) return { problem: 'is no complete hash of PBKDF2 ($pbkdf2-sha256$i=…$salt$hash)' }
  const { iterations, salt } = found
  if (iterations > MOST_ITERATIONS)
    return { problem: `has ${iterations} iterations of PBKDF2; a sign-in bears ${MOST_ITERATIONS} at most` }
  if (salt.length === 0) return { problem: 'has no salt' }
  const hash = found.hash.subarray(0, DIGEST_BYTES[digest])
  if (hash.length < 16) return { problem: 'has fewer than 16 bytes of hash' }
  return {
    text: `$pbkdf2-${digest}$i=${iterations}$${base64Of(salt)}$${base64Of(hash)}`,
    matches: async (password) =>
      timingSafeEqual(await derive(Buffer.from(password), salt, iterations, hash.length, digest), hash),
  }
}

const derive = promisify(pbkdf2)

/** The PHC string, with or without the length of the hash, or Passlib's, which has no name before the iterations. */
function readParts(text: string): { iterations: number; salt: Buffer; hash: Buffer } | null {
  const [, rounds, salted, hashed] = /^\$[a-z\d-]+\$([1-9]\d{0,9})\$([^$]+)\$([^$]+)$/.exec(text) ?? []
  if (rounds !== undefined) {
    const [salt, hash] = [bytesOf(salted as string), bytesOf(hashed as string)]
    return salt === null || hash === null ? null : { iterations: Number(rounds), salt, hash }
  }
  const phc = readPhcString(text)
  const iterations = phc === null ? null : numberOf(phc, 'i')
  if (phc === null || !iterations || phc.version !== null) return null
  const length = numberOf(phc, 'l')
  const isComplete = phc.parameters.size === 1 || (phc.parameters.size === 2 && length === phc.hash.length)
  return isComplete ? { iterations, salt: phc.salt, hash: phc.hash } : null
}

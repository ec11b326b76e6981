import argon2 from 'argon2'
import type { ReadHash } from './foreign-hash.ts'
import { base64Of, numberOf, readPhcString } from './phc-strings.ts'

/** In KiB. */
const MOST_MEMORY = 128 * 1024
/** In KiB that are passed over: a second or so. */
const MOST_WORK = 20 * 64 * 1024
const MOST_LANES = 8
const VERSIONS = [0x10, 0x13]

/** Argon2 of any variant and parameters, but for a secret key or associated data (RFC 9106). */
export function readArgon2Hash(text: string): ReadHash | null {
  if (!/^\$argon2(?:id|i|d)\$/.test(text)) return null
  const phc = readPhcString(text)
  const [memory, passes, lanes] = ['m', 't', 'p'].map((name) => (phc === null ? null : numberOf(phc, name)))
  if (phc === null || !memory || !passes || !lanes || phc.parameters.size !== 3 || phc.salt.length < 8)
    return { problem: 'is no complete hash of Argon2 ($argon2id$v=19$m=…,t=…,p=…$salt$hash)' }
  const version = phc.version ?? 0x10
  if (!VERSIONS.includes(version)) return { problem: `is of version ${version} of Argon2; known are 16 and 19` }
  if (memory > MOST_MEMORY || memory * passes > MOST_WORK || lanes > MOST_LANES)
    return {
      problem: `has an Argon2 cost of m=${memory},t=${passes},p=${lanes}; a sign-in bears m=${MOST_MEMORY}, m × t=${MOST_WORK} and p=${MOST_LANES} at most`,
    }
  if (memory < 8 * lanes) return { problem: 'has less memory than its lanes need (Argon2)' }
  if (phc.hash.length < 16) return { problem: 'has fewer than 16 bytes of hash' }
  const canonical = `$${phc.id}$v=${version}$m=${memory},t=${passes},p=${lanes}$${base64Of(phc.salt)}$${base64Of(phc.hash)}`
  return { text: canonical, matches: async (password) => argon2.verify(canonical, password) }
}

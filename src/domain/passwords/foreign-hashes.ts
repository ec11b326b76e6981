import { readArgon2Hash } from './argon2-hashes.ts'
import { readBcryptHash } from './bcrypt-hashes.ts'
import type { ReadHash } from './foreign-hash.ts'
import { readFirebaseHash } from './firebase-hashes.ts'
import { readPbkdf2Hash } from './pbkdf2-hashes.ts'
import { readScryptHash } from './scrypt-hashes.ts'

/** Each answers null for what is not of its form. */
const FORMS = [readBcryptHash, readArgon2Hash, readPbkdf2Hash, readScryptHash, readFirebaseHash]

export function readForeignHash(text: string): ReadHash {
  if (text === '') return { problem: `is empty; ${LEAVE_IT_OUT}` }
  for (const read of FORMS) {
    const found = read(text)
    if (found !== null) return found
  }
  if (FAST.test(text)) return { problem: `is of a fast hash function, so it is guessed quickly; ${LEAVE_IT_OUT}` }
  return { problem: `is no hash of bcrypt, Argon2, PBKDF2, scrypt or Firebase scrypt; ${LEAVE_IT_OUT}` }
}

const LEAVE_IT_OUT = 'leave it out, and its user chooses a password by a reset'

/** MD5, SHA-1, SHA-2 in hex or as in LDAP, and the crypt(3) of MD5 and SHA-2. */
const FAST =
  /^(?:[\da-f]{32}|[\da-f]{40}|[\da-f]{56}|[\da-f]{64}|[\da-f]{96}|[\da-f]{128}|\{S?(?:MD5|SHA\d*)\}.*|\$(?:1|apr1|5|6|md5|sha1)\$.*)$/is

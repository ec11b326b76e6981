import { createHmac } from 'node:crypto'
import type { ReadHash } from './foreign-hash.ts'

/** 14 takes a second or so. */
const HIGHEST_COST = 14

/** bcrypt, of at most 72 bytes of the password, and Passlib's bcrypt-sha256, which has no such limit. */
export function readBcryptHash(text: string): ReadHash | null {
  const [, cost, saltAndHash] = BCRYPT.exec(text) ?? []
  if (cost !== undefined)
    // 2a, 2b and 2y are one algorithm, without the bugs of the libraries that gave the first its name.
    return read(text, Number(cost), `$2b$${cost}$${saltAndHash}`, (password) => password)
  const [, rounds, salt, hash] = BCRYPT_SHA256.exec(text) ?? []
  if (rounds !== undefined && salt !== undefined)
    return read(text, Number(rounds), `$2b$${rounds.padStart(2, '0')}$${salt}${hash}`, (password) =>
      createHmac('sha256', salt).update(password).digest('base64'),
    )
  if (text.startsWith('$2x$')) return { problem: 'is a $2x$ hash, of an early bcrypt with a bug' }
  return /^\$(?:2[a-z]?|bcrypt-sha256)\$/.test(text) ? { problem: 'is no complete hash of bcrypt' } : null
}

const BCRYPT = /^\$2[aby]\$(\d\d)\$([./A-Za-z\d]{53})$/
const BCRYPT_SHA256 = /^\$bcrypt-sha256\$v=2,t=2[ab],r=([1-9]\d?)\$([./A-Za-z\d]{22})\$([./A-Za-z\d]{31})$/

function read(text: string, cost: number, hash: string, prepare: (password: string) => string): ReadHash {
  if (cost < 4 || cost > HIGHEST_COST)
    return { problem: `has a bcrypt cost of ${cost}; a sign-in bears 4 to ${HIGHEST_COST}` }
  return {
    text,
    async matches(password) {
      // A native module that only portals with such hashes need.
      const { default: bcrypt } = await import('bcrypt')
      return bcrypt.compare(prepare(password), hash)
    },
  }
}

// passwords/: password hashing (Argon2id), strength, rules, and lists of stolen passwords.
//
// It owns whether a password is acceptable and what its hash costs, in a fair queue.
// It leaves the change of a password to `accounts/`, and how often one may be tried to `limits/`.

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import { FairQueue, type QueueLimits } from '../fair-queue.ts'
import { readForeignHash } from './foreign-hashes.ts'

export const MAXIMUM_PASSWORD_LENGTH = 200

/** What a hash costs: KiB of memory, and how often it is passed over. */
export interface PasswordCost {
  memoryCost: number
  timeCost: number
}

/** OWASP's floor for argon2id with one lane. */
const USUAL_COST: PasswordCost = { memoryCost: 19_456, timeCost: 2 }

/** Argon2id, and what other systems made their hashes with. `source` is the key of the caller in the fair queue. */
export interface PasswordHasher {
  /** @throws Overloaded */
  hash(password: string, source: string): Promise<string>
  /**
   * Costs the same for an account that does not exist (`null`), and never less for a hash of another system. What is no hash
   * matches no password. @throws Overloaded
   */
  matches(hash: string | null, password: string, source: string): Promise<boolean>
  /** Also for every hash that another system made. */
  needsRehash(hash: string): boolean
  /** A hash that no password matches, and that costs the same, for an account without a password. */
  unusable(): string
  /** How many passwords are hashed at this moment, and how many wait for it. */
  load(): { running: number; waiting: number }
}

/** A hash that no password matches, and that costs the same: what is in the place of the hash is random. */
export function unusableHash({ memoryCost, timeCost } = USUAL_COST): string {
  const random = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryCost},p=1,t=${timeCost}$${random(16)}$${random(32)}`
}

/**
 * Hashes a few at a time and never on every core: each takes memory and one of libuv's four threads, and requests of apps must
 * not wait behind sign-ins. `onError` learns of a stored hash that cannot be checked, but not the hash.
 */
export function createPasswordHasher(
  limits?: QueueLimits,
  cost = USUAL_COST,
  onError: (error: Error) => void = () => {},
): PasswordHasher {
  const parameters = { ...cost, type: argon2.argon2id, parallelism: 1 } as const
  // Compared when an account does not exist (no account enumeration by time).
  const unknown = unusableHash(cost)
  const queue = new FairQueue(limits)
  return {
    hash: (password, source) => queue.run(source, () => argon2.hash(normalize(password), parameters)),
    async matches(hash, password, source) {
      const isOwn = hash === null || isOwnHash(hash)
      // Beside a foreign hash the usual cost is paid too, in a turn of its own: at the same time where there is a second core.
      const [verified, matches] = await Promise.all([
        queue.run(source, () => argon2.verify(isOwn && hash !== null ? hash : unknown, normalize(password))),
        isOwn ? null : queue.run(source, () => matchesForeign(hash, password, onError)),
      ])
      return isOwn ? verified && hash !== null : matches === true
    },
    needsRehash: (hash) => !isOwnHash(hash) || argon2.needsRehash(hash, parameters),
    unusable: () => unusableHash(cost),
    load: () => queue.load,
  }
}

/** A system may have hashed the password as it was typed, so that is tried after its one normal form. */
async function matchesForeign(hash: string, password: string, onError: (error: Error) => void): Promise<boolean> {
  const foreign = readForeignHash(hash)
  if ('problem' in foreign) {
    onError(new Error(`a stored password hash ${foreign.problem}`))
    return false
  }
  try {
    for (const spelling of new Set([normalize(password), password])) if (await foreign.matches(spelling)) return true
  } catch (error) {
    onError(new Error('a stored password hash cannot be checked', { cause: error }))
  }
  return false
}

/**
 * A hash as it is stored, whether this hasher or another system made it, or why none is: a sign-in could not bear its cost, or
 * check it at all. One that is not as the hasher makes them now is made anew by the first sign-in.
 */
export function examineHash(hash: string): { text: string } | { problem: string } {
  const [, memory, time] = OWN_HASH.exec(hash) ?? []
  const isOwn = memory !== undefined && Number(memory) <= 16 * USUAL_COST.memoryCost && Number(time) <= 10
  return isOwn ? { text: hash } : readForeignHash(hash)
}

/** Whether this hasher made it, at any cost. */
export function isOwnHash(hash: string): boolean {
  return OWN_HASH.test(hash)
}

const OWN_HASH = /^\$argon2id\$v=19\$m=([1-9]\d{0,6}),p=1,t=([1-9]\d?)\$[A-Za-z\d+/]{22}\$[A-Za-z\d+/]{43}$/

/** How many passwords one of so many processes may hash at once: together they leave a core for everything else. */
export function hashingCores(processes: number, cores = availableParallelism()): number {
  return Math.min(3, Math.max(1, Math.floor((cores - 1) / processes)))
}

/** As a person counts them: one that takes two code units, or was composed of two, is one. */
export function characterCount(password: string): number {
  return [...normalize(password)].length
}

/** No account has such a password, so it is refused without hashing. */
export function isPasswordTooLong(password: string): boolean {
  return characterCount(password) > MAXIMUM_PASSWORD_LENGTH
}

/** One password, however a keyboard composed its accents (NIST SP 800-63B-4 §3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFC')
}

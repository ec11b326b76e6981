import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import argon2 from 'argon2'
import pLimit from 'p-limit'

export const MAXIMUM_PASSWORD_LENGTH = 200

/** argon2id at OWASP's floor: 19 MiB, two passes, one lane. */
const PARAMETERS = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

export interface PasswordHasher {
  hash(password: string): Promise<string>
  /** Costs the same for an account that does not exist (`null`). @throws HasherBusy */
  matches(hash: string | null, password: string): Promise<boolean>
  needsRehash(hash: string): boolean
}

/** The hash of a password that nobody knows, with the same parameters: what an account that does not exist is compared with. */
const UNMATCHABLE = '$argon2id$v=19$m=19456,p=1,t=2$UOkZ6ECO/ByODaYthNMUwg$xFi6QnBTcI/aFRjfb87jCs/KvGQiQA5pb8lKPAbNTBs'

/** More people are signing in than this machine can hash for; the same request may succeed a little later. */
export class HasherBusy extends Error {}

export interface HasherLimits {
  /** How many passwords are hashed at once. */
  atOnce?: number
  /** How many more may wait for their turn. */
  waiting?: number
  /** How many of those that are refused may be held back at a time. */
  heldBack?: number
  /** Holds one of them back. */
  pause?: () => Promise<unknown>
}

/**
 * Hashes a few at a time and never on every core: each takes memory and one of libuv's four threads, and what apps ask must
 * not wait behind what people type. What would have to wait longer than a person does is refused instead of queued, and not
 * at once, so that programs that try again without a pause cannot fill the time of everybody else with refusals.
 */
export function createPasswordHasher({
  atOnce = 1,
  waiting = 100,
  heldBack = 1000,
  pause = () => sleep(REFUSAL_DELAY_MS * (1 + 2 * Math.random())),
}: HasherLimits = {}): PasswordHasher {
  const limit = pLimit(atOnce)
  let held = 0
  const bounded = async <T>(work: () => Promise<T>): Promise<T> => {
    if (limit.pendingCount < waiting) return limit(work)
    if (held < heldBack) {
      held++
      await pause()
      held--
    }
    throw new HasherBusy('too many passwords wait to be hashed')
  }

  return {
    hash: (password) => bounded(() => argon2.hash(normalize(password), PARAMETERS)),
    async matches(hash, password) {
      const verified = await bounded(() => argon2.verify(hash ?? UNMATCHABLE, normalize(password)))
      return verified && hash !== null
    },
    needsRehash: (hash) => argon2.needsRehash(hash, PARAMETERS),
  }
}

/** How many passwords one of so many processes may hash at once: together they leave a core for everything else. */
export function hashingCores(processes: number, cores = availableParallelism()): number {
  return Math.min(3, Math.max(1, Math.floor((cores - 1) / processes)))
}

/** At the least, and three times this at the most, so that those who were refused together do not come back together. */
const REFUSAL_DELAY_MS = 2000

/** As a person counts them: one that takes two code units, or was composed of two, is one. */
export function characterCount(password: string): number {
  return [...normalize(password)].length
}

/** Nobody has such a password, so it is not worth hashing. */
export function isTooLong(password: string): boolean {
  return characterCount(password) > MAXIMUM_PASSWORD_LENGTH
}

/** One password, however a keyboard composed its accents (NIST SP 800-63B-4 §3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFC')
}

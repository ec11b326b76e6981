import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { DerivedKeys, Secrets } from '../keys/secrets.ts'
import { uuidOf } from '../uuid.ts'

/**
 * A refresh token: `family id (16) | generation (4) | random (32) | tag (16)`, base64url. The tag is an HMAC, and each token is
 * computed from the one before (refresh token rotation), so a token is verified before any store is asked.
 */
export interface RefreshToken {
  familyId: string
  generation: number
  random: Buffer
}

const BYTES = 68
const LENGTH = 91
const TAG_BYTES = 16

export function mintRefreshToken(familyId: string, secrets: Secrets): string {
  return encode({ familyId, generation: 0, random: randomBytes(32) }, secrets[0])
}

/** Null for anything that this portal has not tagged. No store is asked, so a forged token costs no query and ends no family. */
export function parseRefreshToken(value: string, secrets: Secrets): RefreshToken | null {
  if (value.length !== LENGTH) return null
  const bytes = Buffer.from(value, 'base64url')
  if (bytes.length !== BYTES || bytes.toString('base64url') !== value) return null

  const body = bytes.subarray(0, BYTES - TAG_BYTES)
  const tag = bytes.subarray(BYTES - TAG_BYTES)
  if (!secrets.some((keys) => timingSafeEqual(tagOf(body, keys), tag))) return null
  return { familyId: uuidOf(body.subarray(0, 16)), generation: body.readUInt32BE(16), random: body.subarray(20) }
}

/** The one token that may follow this one. Every process with the key computes the same from the token. */
export function successorOf(token: RefreshToken, keys: DerivedKeys): string {
  const random = nextRandom(token.random, keys)
  return encode({ familyId: token.familyId, generation: token.generation + 1, random }, keys)
}

function nextRandom(random: Buffer, keys: DerivedKeys): Buffer {
  return createHmac('sha256', keys.refreshTokenSuccessor).update(random).digest()
}

/**
 * The token of this chain, `steps` rotations later, that has this hash. A change of secret in between leaves a chain that was
 * made with more than one key, so chains with few changes are tried first, and a bounded number of others.
 * @returns null when no chain of these keys leads there
 */
export function descendantOf(token: RefreshToken, steps: number, hash: Buffer, secrets: Secrets): string | null {
  const generation = token.generation + steps
  let triesLeft = MOST_TRIES
  const isSpent = () => triesLeft <= 0

  for (let changes = 0; changes < steps && !isSpent(); changes++) {
    for (const keys of secrets) {
      const found = walk(token.random, steps, keys, changes)
      if (found !== null) return found
    }
    if (secrets.length === 1) break
  }
  return null

  /** The next step is made with these keys, and among those after it there are exactly so many changes of keys. */
  function walk(before: Buffer, stepsLeft: number, keys: DerivedKeys, changes: number): string | null {
    if (isSpent() || changes >= stepsLeft) return null
    triesLeft--
    const random = nextRandom(before, keys)
    if (stepsLeft === 1) {
      const candidate = encode({ familyId: token.familyId, generation, random }, keys)
      return hashRefreshToken(candidate).equals(hash) ? candidate : null
    }
    for (const following of changes === 0 ? [keys] : secrets) {
      const found = walk(random, stepsLeft - 1, following, following === keys ? changes : changes - 1)
      if (found !== null) return found
    }
    return null
  }
}

/** Steps, some microseconds each: enough for one change of two secrets, or several changes of a short chain. */
const MOST_TRIES = 10_000

/** The hash of a refresh token, which the family's row keeps in its place. */
export function hashRefreshToken(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}

function encode(token: RefreshToken, keys: DerivedKeys): string {
  const body = Buffer.alloc(BYTES - TAG_BYTES)
  body.write(token.familyId.replaceAll('-', ''), 0, 'hex')
  body.writeUInt32BE(token.generation, 16)
  token.random.copy(body, 20)
  return Buffer.concat([body, tagOf(body, keys)]).toString('base64url')
}

function tagOf(body: Buffer, keys: DerivedKeys): Buffer {
  return createHmac('sha256', keys.refreshTokenTag).update(body).digest().subarray(0, TAG_BYTES)
}

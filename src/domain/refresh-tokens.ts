import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { DerivedKeys, Secrets } from './secrets.ts'
import { uuidOf } from './uuid.ts'

/** `family id (16) | generation (4) | random (32) | tag (16)`, base64url: computed, never looked up. */
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

/** Null for anything that no key of ours has tagged; no store is asked, so garbage can neither cost nor end anything. */
export function parseRefreshToken(value: string, secrets: Secrets): RefreshToken | null {
  if (value.length !== LENGTH) return null
  const bytes = Buffer.from(value, 'base64url')
  if (bytes.length !== BYTES || bytes.toString('base64url') !== value) return null

  const body = bytes.subarray(0, BYTES - TAG_BYTES)
  const tag = bytes.subarray(BYTES - TAG_BYTES)
  if (!secrets.some((keys) => timingSafeEqual(tagOf(body, keys), tag))) return null
  return { familyId: uuidOf(body.subarray(0, 16)), generation: body.readUInt32BE(16), random: body.subarray(20) }
}

/** The one token that may follow this one; whoever holds the key and the token computes the same. */
export function successorOf(token: RefreshToken, keys: DerivedKeys): string {
  const random = createHmac('sha256', keys.refreshTokenSuccessor).update(token.random).digest()
  return encode({ familyId: token.familyId, generation: token.generation + 1, random }, keys)
}

/** What the family's row keeps of a token. */
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

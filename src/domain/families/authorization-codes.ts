import { hash, randomBytes } from 'node:crypto'
import type { AppProof } from '../../storage/apps.ts'
import { CODE_KIND, type RedeemedCode } from '../../storage/authorization-codes.ts'
import { noteOpened } from '../endings/endings.ts'
import type { Services } from '../services.ts'
import { type FamilyFuture, futureOf } from './family-lifetimes.ts'
import { hashRefreshToken, mintRefreshToken } from './refresh-tokens.ts'
import { epochSeconds } from '../time.ts'
import { bytesOfUuid, uuidOf } from '../uuid.ts'

export { CODE_KIND }

const RANDOM_BYTES = 28
const LENGTH = 64
/** Seconds. An older time stands in random bytes, not in a code. */
const REMEMBERED = 30 * 24 * 3600

/**
 * `family id (16) | seconds since 1970 (4) | random (28)`, base64url: the family that a code may become is known before its
 * record is read, and its age when the record has gone.
 */
export function mintCode(familyId: string, now: Date): string {
  const time = Buffer.alloc(4)
  time.writeUInt32BE(epochSeconds(now))
  return Buffer.concat([bytesOfUuid(familyId), time, randomBytes(RANDOM_BYTES)]).toString('base64url')
}

/** Whether the time in the code is older than this (seconds). It is not authenticated, so only error messages may depend on it. */
export function saysOlderThan(code: string, seconds: number, now: Date): boolean {
  const age = epochSeconds(now) - (bytesIn(code)?.readUInt32BE(16) ?? Infinity)
  return age >= seconds && age < REMEMBERED
}

/** Null for what this portal has not minted. */
function familyIdIn(code: string): string | null {
  const bytes = bytesIn(code)
  return bytes && uuidOf(bytes.subarray(0, 16))
}

function bytesIn(code: string): Buffer | null {
  const bytes = code.length === LENGTH ? Buffer.from(code, 'base64url') : null
  return bytes?.toString('base64url') === code ? bytes : null
}

/** A token request of an app that is not authenticated yet (RFC 6749 §4.1.3, RFC 7636 §4.5). */
export interface PresentedCode {
  code: string
  clientId: string
  proof: AppProof
  redirectUri: string
  verifier: string
}

export interface Redeemed extends RedeemedCode {
  future: FamilyFuture
  familyId: string
  refreshToken: string
  issuedAt: Date
  /** The code may have been presented twice before its family stood. */
  mayBeReused: boolean
}

/** Redeems the code and opens its family, in one statement. Null when any condition fails. */
export async function redeemCode(
  services: Services,
  { code, verifier, ...presented }: PresentedCode,
): Promise<Redeemed | null> {
  const familyId = familyIdIn(code)
  if (familyId === null) return null
  const { storage, policy, lifetimes, secrets } = services
  const refreshToken = mintRefreshToken(familyId, secrets)
  const issuedAt = services.clock()
  const redeemed = await storage.codes.redeem(
    {
      ...presented,
      code,
      challenge: hash('sha256', verifier, 'base64url'),
      familyId,
      currentHash: hashRefreshToken(refreshToken),
      preset: {
        lifetime: policy.familyLifetime,
        familyIdle: lifetimes.familyIdle,
        familyMax: lifetimes.familyMax,
        applicationToken: lifetimes.applicationToken,
      },
    },
    issuedAt,
  )
  if (redeemed === null) return null
  const owner = { clientId: presented.clientId, identityId: redeemed.record['accountId'] as string }
  noteOpened(services, owner, redeemed.replaced)
  const future = futureOf(services, redeemed, issuedAt, issuedAt)
  return { ...redeemed, familyId, refreshToken, issuedAt, future, mayBeReused: storage.codes.opensLater }
}

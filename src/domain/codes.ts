import { hash, randomBytes } from 'node:crypto'
import type { AppProof } from '../storage/apps.ts'
import { CODE_KIND, type RedeemedCode } from '../storage/codes.ts'
import type { Portal } from './portal.ts'
import { hashRefreshToken, mintRefreshToken } from './refresh-tokens.ts'
import { bytesOfUuid, uuidOf } from './uuid.ts'

export { CODE_KIND }

const RANDOM_BYTES = 32
const LENGTH = 64

/** `family id (16) | random (32)`, base64url: the family that a code may become is known before its record is read. */
export function mintCode(familyId: string): string {
  return Buffer.concat([bytesOfUuid(familyId), randomBytes(RANDOM_BYTES)]).toString('base64url')
}

/** Null for what is no code of ours. */
function familyIdIn(code: string): string | null {
  const bytes = code.length === LENGTH ? Buffer.from(code, 'base64url') : null
  return bytes?.toString('base64url') === code ? uuidOf(bytes.subarray(0, 16)) : null
}

/** What an app that has yet to prove who it is presents (RFC 6749 §4.1.3, RFC 7636 §4.5). */
export interface PresentedCode {
  code: string
  clientId: string
  proof: AppProof
  redirectUri: string
  verifier: string
}

export interface Redeemed extends RedeemedCode {
  familyId: string
  refreshToken: string
  issuedAt: Date
  /** The code may have been presented twice before its family stood. */
  mayBeReused: boolean
}

/** Takes the code and opens its family. Null when anything at all is in the way. */
export async function redeemCode(
  portal: Portal,
  { code, verifier, ...presented }: PresentedCode,
): Promise<Redeemed | null> {
  const familyId = familyIdIn(code)
  if (familyId === null) return null
  const { storage, policy, lifetimes, secrets } = portal
  const refreshToken = mintRefreshToken(familyId, secrets)
  const issuedAt = portal.clock()
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
      },
    },
    issuedAt,
  )
  return redeemed && { ...redeemed, familyId, refreshToken, issuedAt, mayBeReused: storage.codes.opensLater }
}

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { addSeconds } from '../time.ts'

/** After a rotation the previous secret stays valid for this long (seconds), so that a deployment can follow. */
const SECRET_OVERLAP = 24 * 3600

/** The hashes of a client secret and of the one before, as the row of an app or an API has them. */
export interface SecretHashes {
  secretHash: string | null
  previousSecretHash: string | null
  previousSecretUntil: Date | null
}

/** A new client secret: 256 random bits. */
export function makeSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** The hash of a client secret, which is stored in its place. A plain SHA-256 protects 256 random bits; a slow hash is for what people choose. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

/** The hashes of a new secret. */
export function hashesOf(secret: string | null): SecretHashes {
  return { secretHash: secret && hashSecret(secret), previousSecretHash: null, previousSecretUntil: null }
}

/** The hashes of a new secret beside which the one before stays valid for a day. */
export function rotatedHashes({ secretHash }: SecretHashes, secret: string, now: Date): SecretHashes {
  return {
    secretHash: hashSecret(secret),
    previousSecretHash: secretHash,
    previousSecretUntil: addSeconds(now, SECRET_OVERLAP),
  }
}

/** Until when the secret before is valid beside the current one; null when it is valid no more. */
export function validPreviousSecret({ previousSecretHash, previousSecretUntil }: SecretHashes, now: Date): Date | null {
  const isValid = previousSecretHash !== null && previousSecretUntil !== null && previousSecretUntil > now
  return isValid ? previousSecretUntil : null
}

/** Whether this is the secret, or the one before while it is valid. */
export function secretMatches(hashes: SecretHashes, secret: string, now: Date): boolean {
  const hash = Buffer.from(hashSecret(secret))
  const { secretHash, previousSecretHash } = hashes
  const valid = [secretHash, validPreviousSecret(hashes, now) === null ? null : previousSecretHash]
  return valid.some((candidate) => candidate !== null && timingSafeEqual(Buffer.from(candidate), hash))
}

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Services } from '../services.ts'
import type { DerivedKeys } from '../keys/secrets.ts'
import { epochSeconds } from '../time.ts'

/** How long a WebAuthn challenge may be answered (seconds). */
export const CHALLENGE_LIFE = 300
const USED_KIND = 'PasskeyChallenge'
const RANDOM_BYTES = 24
const TAG_BYTES = 16
const BYTES = RANDOM_BYTES + 4 + TAG_BYTES

/**
 * `random (24) | end (4) | tag (16)`, base64url (WebAuthn §13.4.3). It is not stored, so a stranger who only loads the sign-in
 * page writes nothing. `subject` says who may answer it, and for what.
 */
export function issueChallenge(services: Services, subject: string): string {
  const body = Buffer.alloc(RANDOM_BYTES + 4)
  randomBytes(RANDOM_BYTES).copy(body)
  body.writeUInt32BE(epochSeconds(services.clock()) + CHALLENGE_LIFE, RANDOM_BYTES)
  return Buffer.concat([body, tagOf(body, subject, services.secrets[0])]).toString('base64url')
}

/** Whether this portal issued the challenge for this subject, and it has not expired. It may have been answered already. */
export function isLivingChallenge(services: Services, challenge: string, subject: string): boolean {
  const bytes = Buffer.from(challenge, 'base64url')
  if (bytes.length !== BYTES || bytes.toString('base64url') !== challenge) return false
  const body = bytes.subarray(0, BYTES - TAG_BYTES)
  const tag = bytes.subarray(BYTES - TAG_BYTES)
  return (
    services.secrets.some((keys) => timingSafeEqual(tagOf(body, subject, keys), tag)) &&
    body.readUInt32BE(RANDOM_BYTES) > epochSeconds(services.clock())
  )
}

/** True for the first answer to a challenge, in any process (replay protection). */
export async function markChallengeAnswered(services: Services, challenge: string): Promise<boolean> {
  return services.storage.protocolRecords.putOnce(USED_KIND, challenge, {}, CHALLENGE_LIFE)
}

function tagOf(body: Buffer, subject: string, keys: DerivedKeys): Buffer {
  return createHmac('sha256', keys.passkeyChallenge).update(body).update(subject).digest().subarray(0, TAG_BYTES)
}

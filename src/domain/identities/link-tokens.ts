import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { Services } from '../services.ts'

const ID_BYTES = 16
const TAG_BYTES = 20

/** The secret of a link: these 16 bytes with an HMAC tag, which holds for this purpose alone. */
export function makeLinkToken({ secrets }: Services, purpose: string, id: Buffer): string {
  return Buffer.concat([id, tagOf(secrets[0].mailLink, purpose, id)]).toString('base64url')
}

/** The bytes in the secret of a link for this purpose; null for a forged or an incomplete one. */
export function readLinkToken({ secrets }: Services, purpose: string, token: string): Buffer | null {
  if (!/^[\w-]{48}$/.test(token)) return null
  const bytes = Buffer.from(token, 'base64url')
  const id = bytes.subarray(0, ID_BYTES)
  const tag = bytes.subarray(ID_BYTES)
  return secrets.some((keys) => timingSafeEqual(tagOf(keys.mailLink, purpose, id), tag)) ? id : null
}

function tagOf(key: KeyObject, purpose: string, id: Buffer): Buffer {
  return createHmac('sha256', key).update(purpose).update(id).digest().subarray(0, TAG_BYTES)
}

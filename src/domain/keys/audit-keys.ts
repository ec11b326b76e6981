import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

/** The keys of the audit log. They last: what was sealed with them is verified for as long as it is kept. */
export interface AuditKeys {
  /** Signs checkpoints (Ed25519). */
  signing: KeyObject
  verification: KeyObject
  /** Of the keyed hashes, so that an erased IP address cannot be found again by trying all of them. */
  hashing: KeyObject
}

/** Derives the keys of the audit log from its lasting secret. */
export function deriveAuditKeys(secret: KeyObject): AuditKeys {
  const key = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, 'gatehouse', purpose, 32))
  const signing = createPrivateKey({
    key: Buffer.concat([ED25519_PREFIX, key('audit-checkpoint-signature')]),
    format: 'der',
    type: 'pkcs8',
  })
  return { signing, verification: createPublicKey(signing), hashing: createSecretKey(key('audit-event-hash')) }
}

/** What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410 §7). */
const ED25519_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

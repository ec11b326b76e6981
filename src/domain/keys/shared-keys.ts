import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { AppRow } from '../../storage/apps.ts'
import type { KeyRing, SigningAlg, SigningKey } from './signing-keys.ts'

/** HMAC with SHA-256 (RFC 7518 §3.2): who verifies a token with its key can forge one. */
export const SHARED_ALG = 'HS256'

/** The key that one app shares with the portal, for an app whose library verifies nothing but HS256. */
export interface SharedKey {
  kid: string
  alg: typeof SHARED_ALG
  secret: KeyObject
}

/** What signs tokens of apps: the published keys, and the root of the shared ones. */
export interface TokenKeys {
  keys: KeyRing
  tokenKeyRoot: KeyObject
}

/** The app of a shared key, and which of its keys it is. */
export type KeyOwner = Pick<AppRow, 'clientId' | 'tokenKeyId'>

/** Names a new shared key; the key is derived from it, and nothing secret is stored. */
export function makeTokenKeyId(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * The text of the key that an app shares with the portal, as the app is configured with it: 256 bits, of its own and not its client
 * secret. Its bytes are the key, because libraries take the text of a secret as it is.
 */
export function tokenKeyOf({ tokenKeyRoot }: Pick<TokenKeys, 'tokenKeyRoot'>, owner: KeyOwner): string | null {
  if (owner.tokenKeyId === null) return null
  return createHmac('sha256', tokenKeyRoot).update(`${owner.clientId} ${owner.tokenKeyId}`).digest('base64url')
}

/** The key that an app shares with the portal; null for an app without one. */
export function sharedKeyOf(root: Pick<TokenKeys, 'tokenKeyRoot'>, owner: KeyOwner): SharedKey | null {
  const text = tokenKeyOf(root, owner)
  if (text === null || owner.tokenKeyId === null) return null
  return { kid: owner.tokenKeyId, alg: SHARED_ALG, secret: createSecretKey(Buffer.from(text)) }
}

/** The key that signs with an algorithm what only this app verifies. @throws for HS256 when the app has no shared key */
export function signerFor(keys: TokenKeys, alg: string, owner: KeyOwner): SigningKey | SharedKey {
  if (alg !== SHARED_ALG) return keys.keys.signer(alg as SigningAlg)
  const shared = sharedKeyOf(keys, owner)
  if (shared === null) throw new Error(`${owner.clientId} has no shared key`)
  return shared
}

/** The signature of a shared key (RFC 7518 §3.2). */
export function authenticateWith({ secret }: SharedKey, data: string): Buffer {
  return createHmac('sha256', secret).update(data).digest()
}

import type { KeyObject } from 'node:crypto'
import { ExternalSigningKey } from 'oidc-provider'
import { nameSigningKey } from './library-internals.ts'
import { signInBackground, type SigningKey } from '../domain/keys/signing-keys.ts'

/** Lets the library sign with a key it never sees, so that one function makes all signatures. */
export class PortalSigningKey extends ExternalSigningKey {
  readonly #key: SigningKey

  constructor(key: SigningKey) {
    super()
    this.#key = key
    nameSigningKey(this, key)
  }

  override keyObject(): KeyObject {
    return this.#key.publicKey
  }

  override async sign(data: Uint8Array): Promise<Uint8Array> {
    return signInBackground(this.#key, data)
  }
}

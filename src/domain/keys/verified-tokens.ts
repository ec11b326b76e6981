import { hash } from 'node:crypto'

/** Verified tokens in the cache; some 4 MB. */
const KEPT = 4096
/** Cached tokens that are checked for expiry each time one is added. */
const LOOKED_AT = 2

/**
 * A cache of tokens whose signature has been verified, by their hash, until they expire. A signature does not change, so it need
 * not be verified twice. The caller checks each time that the key is not revoked and the family lives.
 */
export class VerifiedTokens<Claims extends { exp: number }> {
  /** Those that were verified first come first. */
  readonly #kept = new Map<string, Claims>()

  /** The claims of this token, which are shared and must not be changed; null when it is not known. */
  find(token: string): Claims | null {
    return this.#kept.get(keyOf(token)) ?? null
  }

  /** @param now seconds since 1970 */
  keep(token: string, claims: Claims, now: number): void {
    this.#kept.set(keyOf(token), claims)
    const oldest = this.#kept.entries()
    for (let turn = 0; turn < LOOKED_AT; turn++) {
      const [hashed, { exp }] = oldest.next().value ?? ['', claims]
      if (exp <= now || this.#kept.size > KEPT) this.#kept.delete(hashed)
    }
  }

  get size(): number {
    return this.#kept.size
  }
}

function keyOf(token: string): string {
  return hash('sha256', token, 'base64url')
}

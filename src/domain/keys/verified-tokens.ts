import { hash } from 'node:crypto'

/** Of how many tokens it is remembered that their signature holds; some 4 MB. */
const KEPT = 4096
/** How many are looked at, whether they have expired, each time that one is added. */
const LOOKED_AT = 2

/**
 * Tokens whose signature has been verified, by their hash, until they expire. A signature does not change, so it need not be
 * verified twice. Whether its key and its family still hold is asked each time, and not here.
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

import { isIdTokenAlgUsed } from '../domain/apps/apps.ts'
import { isUnavailable } from '../domain/errors.ts'
import type { Services } from '../domain/services.ts'

/** How often the apps are looked at while no app has asked for EdDSA (milliseconds). */
const LOOK_EVERY = 1000

/**
 * Which keys are published. An Ed25519 key is, once an app has asked for EdDSA: some verifiers refuse a whole set for one key
 * type they do not know, and so would refuse every application token.
 */
export class OfferedKeys {
  readonly #services: Services
  #offersEd25519 = false
  #lookedAt: number | null = null

  constructor(services: Services) {
    this.#services = services
  }

  /** Looks at the apps, at most once a second. True when there is more to publish than before. */
  async haveGrown(): Promise<boolean> {
    const now = this.#services.clock().getTime()
    const isRecent = this.#lookedAt !== null && Math.abs(now - this.#lookedAt) < LOOK_EVERY
    if (this.#offersEd25519 || isRecent) return false
    this.#lookedAt = now
    try {
      this.#offersEd25519 = await isIdTokenAlgUsed(this.#services.storage, 'EdDSA')
    } catch (error) {
      // What was published before is still true.
      if (!isUnavailable(error)) throw error
    }
    return this.#offersEd25519
  }

  /** Of a JSON Web Key Set (RFC 7517 §5), what is published. */
  of({ keys }: { keys: { kty: string }[] }): object {
    return { keys: keys.filter(({ kty }) => kty !== 'OKP' || this.#offersEd25519) }
  }
}

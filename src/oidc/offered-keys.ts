import { isSigningAlgUsed } from '../domain/apps/apps.ts'
import { isUnavailable } from '../domain/errors.ts'
import type { Services } from '../domain/services.ts'

/** How often the apps are checked while no app has asked for EdDSA (milliseconds). */
const LOOK_EVERY = 1000

/**
 * Which keys are published. The Ed25519 key is, once an app or an API has asked for EdDSA: some verifiers reject a whole key set for one
 * unknown key type, and so would reject every application token.
 */
export class OfferedKeys {
  readonly #services: Services
  #offersEd25519 = false
  #lookedAt: number | null = null

  constructor(services: Services) {
    this.#services = services
  }

  /** Checks the apps, at most once a second. True when there is more to publish than before. */
  async haveGrown(): Promise<boolean> {
    const now = this.#services.clock().getTime()
    const isRecent = this.#lookedAt !== null && Math.abs(now - this.#lookedAt) < LOOK_EVERY
    if (this.#offersEd25519 || isRecent) return false
    this.#lookedAt = now
    try {
      this.#offersEd25519 = await isSigningAlgUsed(this.#services, 'EdDSA')
    } catch (error) {
      // The keys published before are still valid.
      if (!isUnavailable(error)) throw error
    }
    return this.#offersEd25519
  }

  /** The published part of a JSON Web Key Set (RFC 7517 §5). */
  of({ keys }: { keys: { kty: string }[] }): object {
    return { keys: keys.filter(({ kty }) => kty !== 'OKP' || this.#offersEd25519) }
  }
}

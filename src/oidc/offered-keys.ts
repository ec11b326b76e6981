import { isSigningAlgUsed } from '../domain/apps/apps.ts'
import { SHARED_ALG } from '../domain/keys/shared-keys.ts'
import { isUnavailable } from '../domain/errors.ts'
import type { Services } from '../domain/services.ts'

/** How often the apps are checked while no app has asked for EdDSA (milliseconds). */
const LOOK_EVERY = 1000

/**
 * Which keys and algorithms are published. The Ed25519 key is, once an app or an API has asked for EdDSA: some verifiers reject a
 * whole key set for one unknown key type, and so would reject every application token. HS256 is named once an app has asked for it.
 */
export class OfferedKeys {
  readonly #services: Services
  readonly #asked = new Set<string>()
  #lookedAt: number | null = null

  constructor(services: Services) {
    this.#services = services
  }

  /** Checks the apps, at most once a second. True when there is more to publish than before. */
  async haveGrown(): Promise<boolean> {
    const now = this.#services.clock().getTime()
    const isRecent = this.#lookedAt !== null && Math.abs(now - this.#lookedAt) < LOOK_EVERY
    const missing = ON_DEMAND.filter((alg) => !this.#asked.has(alg))
    if (missing.length === 0 || isRecent) return false
    this.#lookedAt = now
    try {
      for (const alg of missing) if (await isSigningAlgUsed(this.#services, alg)) this.#asked.add(alg)
    } catch (error) {
      // The keys published before are still valid.
      if (!isUnavailable(error)) throw error
    }
    return missing.some((alg) => this.#asked.has(alg))
  }

  /** The published part of a JSON Web Key Set (RFC 7517 §5). */
  of({ keys }: { keys: { kty: string }[] }): object {
    return { keys: keys.filter(({ kty }) => kty !== 'OKP' || this.#asked.has('EdDSA')) }
  }

  /** The metadata with all algorithms of ID tokens (OpenID Connect Discovery 1.0 §3); the library knows those of its keys. */
  named(metadata: Record<string, unknown>): object {
    if (!this.#asked.has(SHARED_ALG)) return metadata
    const algs = [ID_TOKEN_ALGS, INTROSPECTION_ALGS].map((name) => [
      name,
      [...(metadata[name] as string[]), SHARED_ALG],
    ])
    return { ...metadata, ...Object.fromEntries(algs) }
  }
}

/** The algorithms that are published when an app asks for them. */
const ON_DEMAND = ['EdDSA', SHARED_ALG]
const ID_TOKEN_ALGS = 'id_token_signing_alg_values_supported'
const INTROSPECTION_ALGS = 'introspection_signing_alg_values_supported'

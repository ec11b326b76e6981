import { setTimeout as sleep } from 'node:timers/promises'
import { jwtVerify } from 'jose'
import type { JWTVerifyGetKey } from 'jose'

/** `unknown` while nothing has been heard for so long that no token can be trusted to be in order. */
export type Standing = 'good' | 'ended' | 'stale' | 'revoked key' | 'unknown'

/** What is read of an application token, whose signature and times have been verified. */
export interface VerifiedToken {
  fam: string
  iat: number
  claims_version?: number
  /** Of its header. */
  kid?: string
}

/** Where the feed is, and who signs it. */
export interface Feed {
  url: string
  issuer: string
  keys: JWTVerifyGetKey
}

/** Proxies tend to cut what is silent for a minute. */
const WAIT_SECONDS = 30
const PATIENCE_MS = (WAIT_SECONDS + 15) * 1000
const LONGEST_PAUSE_MS = 10_000

/**
 * Follows the portal's revocation feed: which families have ended, and which have newer claims than their tokens say, while
 * such a token may still look good to whoever only verifies it.
 */
export class Revocations {
  readonly #locate: () => Promise<Feed>
  readonly #ended = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  /** The same families as in `#versions`. */
  readonly #stale = new Map<string, number>()
  #revokedKeys = new Set<string>()
  #version: string | null = null
  /** On the portal's clock, in seconds since 1970. */
  #toldAt = 0
  /** How long to remember (seconds); no application token lives longer. */
  #window = 0
  #heardAt = Number.NEGATIVE_INFINITY

  constructor(locate: () => Promise<Feed>) {
    this.#locate = locate
  }

  /** How it stands with a token. Asks nobody. */
  standingOf(token: VerifiedToken): Standing {
    // Every token that is alive after such a silence was issued in it.
    if (performance.now() - this.#heardAt > this.#window * 1000) return 'unknown'
    if (token.kid !== undefined && this.#revokedKeys.has(token.kid)) return 'revoked key'
    if (this.#ended.has(token.fam)) return 'ended'
    const oldest = this.#versions.get(token.fam)
    // A portal that was just upgraded has issued tokens without a version; those are judged by their time.
    const isStale =
      oldest !== undefined && token.claims_version !== undefined
        ? token.claims_version < oldest
        : token.iat < (this.#stale.get(token.fam) ?? 0)
    return isStale ? 'stale' : 'good'
  }

  /** Never settles. What is known stays known while the portal is away, which is asked less and less often. */
  async follow(): Promise<never> {
    for (let failures = 0; ;) {
      try {
        const isPatient = await this.hear()
        failures = 0
        // A portal that lets nobody wait must not be asked all the time.
        if (!isPatient) await sleep(1000)
      } catch (problem) {
        if (failures === 0) console.warn('The revocation feed cannot be read; it is tried again.', problem)
        failures++
        await sleep(Math.min(LONGEST_PAUSE_MS, 250 * 2 ** failures) * (0.5 + Math.random() / 2))
      }
    }
  }

  /** Asks for news, and waits for them. False when the portal would not let us wait. */
  async hear(): Promise<boolean> {
    const { url, issuer, keys } = await this.#locate()
    const address = new URL(url)
    if (this.#toldAt > 0) address.searchParams.set('since', String(this.#toldAt))
    const condition = this.#version === null ? null : { 'If-None-Match': this.#version, Prefer: `wait=${WAIT_SECONDS}` }
    const answer = await fetch(address, { headers: condition ?? {}, signal: AbortSignal.timeout(PATIENCE_MS) })

    if (answer.status === 200) {
      const { payload } = await jwtVerify(await answer.text(), keys, {
        issuer,
        // Without this any other thing the portal signs would do.
        typ: 'revocations+jwt',
        algorithms: ['ES256'],
        // An old document must not pass for the present one, whatever cache it comes from.
        maxTokenAge: 60,
        clockTolerance: 60,
      })
      this.#remember(payload)
      this.#version = answer.headers.get('ETag')
    } else if (answer.status !== 304) throw new Error(`the portal answered ${answer.status}`)
    this.#heardAt = performance.now()
    return condition === null || answer.headers.has('Preference-Applied')
  }

  #remember(document: Record<string, unknown>): void {
    const {
      iat,
      window,
      ended,
      stale,
      claims_version: versions = {},
      revoked_keys: keys = [],
    } = document as {
      iat: number
      window: number
      ended: Record<string, number>
      stale: Record<string, number>
      claims_version?: Record<string, number>
      revoked_keys?: string[]
    }
    this.#revokedKeys = new Set(keys)
    this.#toldAt = iat
    this.#window = window
    for (const [known, told] of [
      [this.#ended, ended],
      [this.#stale, stale],
    ] as const) {
      for (const [family, at] of Object.entries(told)) known.set(family, at)
      for (const [family, at] of known) if (at < iat - window) known.delete(family)
    }
    for (const [family, version] of Object.entries(versions)) this.#versions.set(family, version)
    for (const family of this.#versions.keys()) if (!this.#stale.has(family)) this.#versions.delete(family)
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { jwtVerify } from 'jose'
import type { JWTVerifyGetKey } from 'jose'

/** `unknown` when the feed has been silent for so long that no token can be trusted. */
export type Standing = 'good' | 'ended' | 'stale' | 'disabled app' | 'revoked key' | 'unknown'

/** The verified claims of an application token that matter here. */
export interface VerifiedToken {
  /** A token of a service has none. */
  fam?: string
  client_id: string
  /** The app that acts for the user, and the one before it (RFC 8693 §4.1). */
  act?: Actor
  iat: number
  claims_version?: number
  /** From its header. */
  kid?: string
}

interface Actor {
  sub: string
  act?: Actor
}

/** The URL of the feed, and its issuer. */
export interface Feed {
  url: string
  issuer: string
  keys: JWTVerifyGetKey
}

/** Proxies tend to cut a connection that is silent for a minute. */
const WAIT_SECONDS = 30
const PATIENCE_MS = (WAIT_SECONDS + 15) * 1000
const LONGEST_PAUSE_MS = 10_000

/**
 * Follows the portal's revocation feed: families that have ended, families with newer claims than their tokens, and apps that
 * were disabled. Such a token still passes offline verification.
 */
export class Revocations {
  readonly #locate: () => Promise<Feed>
  readonly #ended = new Map<string, number>()
  readonly #versions = new Map<string, number>()
  /** The same families as in `#versions`. */
  readonly #stale = new Map<string, number>()
  /** Apps that were disabled. */
  readonly #clients = new Map<string, number>()
  #revokedKeys = new Set<string>()
  #version: string | null = null
  /** On the portal's clock, in seconds since 1970. */
  #toldAt = 0
  /** How long to remember an entry (seconds); no application token lives longer. */
  #window = 0
  #heardAt = Number.NEGATIVE_INFINITY

  constructor(locate: () => Promise<Feed>) {
    this.#locate = locate
  }

  /** The status of a token. Makes no request. */
  standingOf(token: VerifiedToken): Standing {
    // Every token that is still valid after such a silence was issued during it.
    if (performance.now() - this.#heardAt > this.#window * 1000) return 'unknown'
    if (token.kid !== undefined && this.#revokedKeys.has(token.kid)) return 'revoked key'
    const callers = [token.client_id, ...actorsOf(token.act)]
    if (callers.some((caller) => token.iat < (this.#clients.get(caller) ?? 0))) return 'disabled app'
    if (token.fam === undefined) return 'good'
    if (this.#ended.has(token.fam)) return 'ended'
    const oldest = this.#versions.get(token.fam)
    // A portal that was just upgraded has issued tokens without a version; those are compared by time.
    const isStale =
      oldest !== undefined && token.claims_version !== undefined
        ? token.claims_version < oldest
        : token.iat < (this.#stale.get(token.fam) ?? 0)
    return isStale ? 'stale' : 'good'
  }

  /** Never settles. Entries stay known while the portal is unavailable, and requests become less frequent. */
  async follow(): Promise<never> {
    for (let failures = 0; ;) {
      try {
        const isPatient = await this.hear()
        failures = 0
        // A portal without long polling must not be asked all the time.
        if (!isPatient) await sleep(1000)
      } catch (problem) {
        if (failures === 0) console.warn('The revocation feed cannot be read; it is tried again.', problem)
        failures++
        await sleep(Math.min(LONGEST_PAUSE_MS, 250 * 2 ** failures) * (0.5 + Math.random() / 2))
      }
    }
  }

  /** Requests news, and waits for them (long polling). False when the portal did not wait. */
  async hear(): Promise<boolean> {
    const { url, issuer, keys } = await this.#locate()
    const address = new URL(url)
    if (this.#toldAt > 0) address.searchParams.set('since', String(this.#toldAt))
    const condition = this.#version === null ? null : { 'If-None-Match': this.#version, Prefer: `wait=${WAIT_SECONDS}` }
    const answer = await fetch(address, { headers: condition ?? {}, signal: AbortSignal.timeout(PATIENCE_MS) })

    if (answer.status === 200) {
      const { payload } = await jwtVerify(await answer.text(), keys, {
        issuer,
        // Without this check, any other JWT of the portal would pass.
        typ: 'revocations+jwt',
        algorithms: ['ES256'],
        // A cached old document must not pass for the current one.
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
      clients = {},
      claims_version: versions = {},
      revoked_keys: keys = [],
    } = document as {
      iat: number
      window: number
      ended: Record<string, number>
      stale: Record<string, number>
      clients?: Record<string, number>
      claims_version?: Record<string, number>
      revoked_keys?: string[]
    }
    this.#revokedKeys = new Set(keys)
    this.#toldAt = iat
    this.#window = window
    for (const [known, told] of [
      [this.#ended, ended],
      [this.#stale, stale],
      [this.#clients, clients],
    ] as const) {
      for (const [id, at] of Object.entries(told)) known.set(id, at)
      for (const [id, at] of known) if (at < iat - window) known.delete(id)
    }
    for (const [family, version] of Object.entries(versions)) this.#versions.set(family, version)
    for (const family of this.#versions.keys()) if (!this.#stale.has(family)) this.#versions.delete(family)
  }
}

function actorsOf(actor: Actor | undefined): string[] {
  return actor === undefined ? [] : [actor.sub, ...actorsOf(actor.act)]
}

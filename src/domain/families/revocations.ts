import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { findLongestTokenLife } from '../../storage/apps.ts'
import { listRevocations, type RevocationRow } from '../../storage/revocations.ts'
import type { Services } from '../services.ts'
import { LONGEST_TOKEN } from '../keys/signing-keys.ts'
import { addSeconds, epochSeconds } from '../time.ts'

/** Requests that wait for a change in one process; further requests are answered at once. */
export const MOST_WAITING = 1000
/** A family is listed this much longer than any token lives (seconds), because clocks differ. */
const MARGIN = 60
/**
 * How far back each read goes (seconds). The time of an ending is written before its transaction commits, and transactions do
 * not commit in the order of their times. A read from the newest known time on would miss the late ones.
 */
const OVERLAP = 120
/** How long (seconds) something may be known to one process and not yet to another that is asked next. */
const SLACK = 60
/** No family is listed for longer than this after its end (seconds). */
export const LONGEST_LISTED = LONGEST_TOKEN + MARGIN + 60

/** What has been revoked; times are seconds since 1970. */
export interface Listing {
  /** How long (seconds) a client must remember each entry. */
  window: number
  /** Families whose last application token may still be alive, and when they ended. */
  ended: Record<string, number>
  /** Families whose claims have changed, and the oldest version of the claims that is valid. */
  claims_version: Record<string, number>
  /** The same families, for tokens that have no version: those issued before this time are stale. */
  stale: Record<string, number>
  /** Apps that were disabled: tokens that they got before this time are revoked, also those without a family. */
  clients: Record<string, number>
  /** Ids of revoked keys: no token that they signed is valid. */
  revoked_keys: readonly string[]
}

interface Entry extends Omit<RevocationRow, 'at'> {
  /** Seconds since 1970, as is `learnedAt`: when this process read it. */
  at: number
  learnedAt: number
}

interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/**
 * The revocation feed: what an API that verifies application tokens offline must know beside the keys (like a CRL), as this
 * process has read it from the database. It polls: reading two indexes a few times a second costs less than notifications.
 */
export class Revocations {
  readonly #services: Services
  readonly #lookEvery: number
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Set<Waiter>()
  /** Of all entries; their order makes no difference. */
  readonly #digest = Buffer.alloc(16)
  #window = 0
  /** The version after the last read. */
  #seen = ''
  /** The last minute in which everything was read and the oldest entries were dropped, in seconds since 1970. */
  #minute = 0
  #look: Promise<void> | null = null
  #isFollowing = false
  #isStopped = false

  /** One process reads the database at most once in `lookEvery` ms, for any number of requests. */
  constructor(services: Services, lookEvery = 250) {
    this.#services = services
    this.#lookEvery = lookEvery
  }

  /** The same in every process with the same entries; it changes with every change. */
  get version(): string {
    return `${this.#window}.${this.#services.keys.revoked().length}.${this.#digest.toString('base64url')}`
  }

  /**
   * From when on (seconds since 1970) an entry may be new to a client that was answered at `since`. It is the same for all
   * clients of one minute, so that their answers are the same; 0 where every entry may be new.
   */
  newsFrom(since: number | null): number {
    const from = since === null ? 0 : Math.min(since - (since % 60), this.#minute) - SLACK
    return from < this.#minute - this.#window ? 0 : from
  }

  /**
   * The entries that this process has read from then on. The time of reading counts, not of the ending, so a transaction that
   * commits late is new.
   */
  list(from: number): Listing {
    const listing: Listing = {
      window: this.#window,
      ended: {},
      claims_version: {},
      stale: {},
      clients: {},
      revoked_keys: this.#services.keys.revoked(),
    }
    for (const { kind, id, at, version, learnedAt } of this.#entries.values()) {
      if (learnedAt < from) continue
      listing[kind][id] = at
      if (version !== null) listing.claims_version[id] = version
    }
    return listing
  }

  /** Reads from the database, unless that has just been done. @throws when the database is unavailable */
  async look(): Promise<void> {
    if (this.#look === null) {
      const forget = () => void (this.#look = null)
      this.#look = this.#read()
      this.#look.then(() => setTimeout(forget, this.#lookEvery).unref(), forget)
    }
    return this.#look
  }

  /**
   * Waits until the version changes, the time (ms) is over, the signal aborts or the portal stops. False when no further
   * request may wait. @throws when the database is unavailable
   */
  async waitForChange(version: string, ms: number, signal: AbortSignal): Promise<boolean> {
    if (this.#isStopped || this.#waiting.size >= MOST_WAITING) return false
    if (this.version !== version || signal.aborted) return true
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { resolve, reject }
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => resolve(), { once: true })
    this.#waiting.add(waiter)
    void this.#follow()
    try {
      await promise
      return true
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(waiter)
    }
  }

  /** Answers all requests that wait; no request waits from then on. */
  stop(): void {
    this.#isStopped = true
    for (const { resolve } of this.#waiting) resolve()
  }

  /** Reads the database for as long as a request waits. */
  async #follow(): Promise<void> {
    if (this.#isFollowing) return
    this.#isFollowing = true
    while (this.#waiting.size > 0) {
      await sleep(this.#lookEvery, undefined, { ref: false })
      try {
        await this.look()
      } catch (error) {
        for (const { reject } of this.#waiting) reject(error)
      }
    }
    this.#isFollowing = false
  }

  async #read(): Promise<void> {
    const { storage, lifetimes, clock } = this.#services
    const now = epochSeconds(clock())
    const minute = now - (now % 60)
    const isNewMinute = minute !== this.#minute
    // Every process drops the oldest entries at the start of a minute, so that this wakes waiting requests once a minute at
    // most. Transactions that committed later than the overlap are found then, too.
    if (isNewMinute) {
      const reach = { since: addSeconds(clock(), -LONGEST_TOKEN), most: LONGEST_TOKEN }
      this.#window = MARGIN + (await findLongestTokenLife(storage, lifetimes.applicationToken, reach))
    }
    const oldest = minute - this.#window
    const from = isNewMinute ? oldest : Math.max(oldest, now - OVERLAP)
    const rows = await listRevocations(storage.pool, new Date(from * 1000))

    for (const { at, ...row } of rows) {
      // In the second of a change there may be tokens from before it and from after it.
      const second = epochSeconds(at) + (row.kind === 'stale' ? 1 : 0)
      this.#learn({ ...row, at: second, learnedAt: now })
    }
    if (isNewMinute) this.#forgetBefore(oldest)
    this.#minute = minute
    // The keys may have changed since the last read, too.
    if (this.version !== this.#seen) for (const { resolve } of this.#waiting) resolve()
    this.#seen = this.version
  }

  #learn(entry: Entry): void {
    const key = `${entry.kind} ${entry.id}`
    const known = this.#entries.get(key)
    if (known?.at === entry.at && known.version === entry.version) return
    if (known !== undefined) this.#toggle(known)
    this.#entries.set(key, entry)
    this.#toggle(entry)
  }

  #forgetBefore(oldest: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.at >= oldest) continue
      this.#entries.delete(key)
      this.#toggle(entry)
    }
  }

  /** Adds an entry to the digest, or removes it: the XOR of all hashes, which does not depend on their order. */
  #toggle({ kind, id, at, version }: Entry): void {
    const hash = createHash('sha256').update(`${kind} ${id} ${at} ${version}`).digest()
    for (let index = 0; index < this.#digest.length; index++)
      this.#digest[index] = (this.#digest[index] as number) ^ (hash[index] as number)
  }
}

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { findLongestTokenLife } from '../../storage/apps.ts'
import { listRevocations, type RevocationRow } from '../../storage/families.ts'
import type { Services } from '../services.ts'
import { LONGEST_TOKEN } from '../keys/signing-keys.ts'
import { addSeconds, epochSeconds } from '../time.ts'

/** Who waits in one process at once; whoever comes after is answered without. */
export const MOST_WAITING = 1000
/** For how much longer than any token lives a family is listed (seconds): clocks differ, and so do ways to read `exp`. */
const MARGIN = 60
/**
 * How far back each look goes (seconds). When a family ended is written before its transaction commits, and transactions do
 * not commit in the order of what they wrote; a look that went on from the newest it knows would never see the late ones.
 */
const OVERLAP = 120
/** How long (seconds) something may be known to one process and not yet to another that is asked next. */
const SLACK = 60
/** No family is listed for longer than this after its end (seconds). */
export const LONGEST_LISTED = LONGEST_TOKEN + MARGIN + 60

/** What has been revoked; times are seconds since 1970. */
export interface Listing {
  /** How long (seconds) to remember each of it. */
  window: number
  /** Families whose last application token may still be alive, and when they ended. */
  ended: Record<string, number>
  /** Families whose claims have changed, and from which version of them on their tokens hold. */
  claims_version: Record<string, number>
  /** The same families, for tokens that have no version: none issued before then holds. */
  stale: Record<string, number>
  /** Ids of keys that were revoked: nothing that they signed holds, whoever still has them. */
  revoked_keys: readonly string[]
}

interface Entry extends Omit<RevocationRow, 'at'> {
  /** Seconds since 1970, as is `learnedAt`: when this process heard of it. */
  at: number
  learnedAt: number
}

interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/**
 * What whoever verifies application tokens offline must know beside the keys, as this process has read it from the
 * database. Nothing announces a change: a look at two indexes a few times a second costs less than being told.
 */
export class Revocations {
  readonly #services: Services
  readonly #lookEvery: number
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Set<Waiter>()
  /** Of all entries, in whatever order they came. */
  readonly #digest = Buffer.alloc(16)
  #window = 0
  /** The version after the last look. */
  #seen = ''
  /** The last minute that everything was read in and the oldest forgotten, in seconds since 1970. */
  #minute = 0
  #look: Promise<void> | null = null
  #isFollowing = false
  #isStopped = false

  /** One process asks the database at most every so often (ms), however many ask it. */
  constructor(services: Services, lookEvery = 250) {
    this.#services = services
    this.#lookEvery = lookEvery
  }

  /** The same in every process that knows the same, and another one after every change. */
  get version(): string {
    return `${this.#window}.${this.#services.keys.revoked().length}.${this.#digest.toString('base64url')}`
  }

  /**
   * From when on (seconds since 1970) something may be news to whoever was told at `since`, the same for everybody who was
   * told in the same minute; 0 where everything may.
   */
  newsFrom(since: number | null): number {
    const from = since === null ? 0 : Math.min(since - (since % 60), this.#minute) - SLACK
    return from < this.#minute - this.#window ? 0 : from
  }

  /**
   * What this process has heard of from then on. That it is not about when it happened makes news of a transaction that
   * commits late.
   */
  list(from: number): Listing {
    const listing: Listing = {
      window: this.#window,
      ended: {},
      claims_version: {},
      stale: {},
      revoked_keys: this.#services.keys.revoked(),
    }
    for (const { kind, id, at, version, learnedAt } of this.#entries.values()) {
      if (learnedAt < from) continue
      listing[kind][id] = at
      if (version !== null) listing.claims_version[id] = version
    }
    return listing
  }

  /** Reads from the database, unless that has just been done. @throws when it is away */
  async look(): Promise<void> {
    if (this.#look === null) {
      const forget = () => void (this.#look = null)
      this.#look = this.#read()
      this.#look.then(() => setTimeout(forget, this.#lookEvery).unref(), forget)
    }
    return this.#look
  }

  /**
   * Waits until the version is another one, the time (ms) is over, the signal comes or the portal stops. False when nobody
   * may wait any more. @throws when the database is away
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

  /** Lets everybody go who waits, and nobody wait any more. */
  stop(): void {
    this.#isStopped = true
    for (const { resolve } of this.#waiting) resolve()
  }

  /** Looks for as long as somebody waits. */
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
    // The oldest is forgotten once a minute, everywhere in the same, so that forgetting wakes nobody more often than that.
    // Whatever came later than any overlap is found then, too.
    if (isNewMinute) {
      const reach = { since: addSeconds(clock(), -LONGEST_TOKEN), most: LONGEST_TOKEN }
      this.#window = MARGIN + (await findLongestTokenLife(storage, lifetimes.applicationToken, reach))
    }
    const oldest = minute - this.#window
    const from = isNewMinute ? oldest : Math.max(oldest, now - OVERLAP)
    const rows = await listRevocations(storage.pool, new Date(from * 1000))

    for (const { at, ...row } of rows) {
      // In the second of a change there may have been tokens before it and after it.
      const second = epochSeconds(at) + (row.kind === 'stale' ? 1 : 0)
      this.#learn({ ...row, at: second, learnedAt: now })
    }
    if (isNewMinute) this.#forgetBefore(oldest)
    this.#minute = minute
    // The keys may have changed since the last look, too.
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

  /** Puts an entry into the digest, or takes it out: a sum that no order matters to, and that changes as cheaply as the list. */
  #toggle({ kind, id, at, version }: Entry): void {
    const hash = createHash('sha256').update(`${kind} ${id} ${at} ${version}`).digest()
    for (let index = 0; index < this.#digest.length; index++)
      this.#digest[index] = (this.#digest[index] as number) ^ (hash[index] as number)
  }
}

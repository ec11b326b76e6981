import type { JsonWebKey } from 'node:crypto'
import { addSeconds } from '../time.ts'
import { readFetchedKeys } from './client-keys.ts'

/** Fetches a small file. Never rejects; `problem` is a sentence without secrets. */
export type FetchFile = (
  uri: string,
) => Promise<{ kind: 'received'; bytes: Buffer } | { kind: 'failed'; problem: string }>

/** The keys that a client publishes, and why there are no newer ones. */
export interface PublishedKeys {
  keys: JsonWebKey[]
  problem: string | null
}

/** How long fetched keys are used without asking again (seconds): a key that its owner withdraws is refused after this. */
const FRESH = 300
/** How long a set is not fetched again after an attempt (seconds), whatever clients send. */
const RETRY = 30
/** How long the last known keys hold while their server fails (seconds). */
const KEPT = 3600

interface KeptSet {
  keys: JsonWebKey[]
  receivedAt: Date | null
  triedAt: Date | null
  problem: string | null
  fetching: Promise<void> | null
}

/**
 * The keys at the JWKS URIs of apps and APIs, cached for each process. Rotation works at once: a key id that is not in the cache
 * makes it fetch the set again, at most once in half a minute. A slow or broken server delays only requests of its own client.
 */
export class FetchedKeys {
  readonly #sets = new Map<string, KeptSet>()
  readonly #fetchFile: FetchFile
  readonly #clock: () => Date

  constructor(fetchFile: FetchFile, clock: () => Date) {
    this.#fetchFile = fetchFile
    this.#clock = clock
  }

  /** @param kids the key ids that the request names; undefined for a signature without one */
  async at(uri: string, kids: (string | undefined)[]): Promise<PublishedKeys> {
    const set: KeptSet = this.#sets.get(uri) ?? {
      keys: [],
      receivedAt: null,
      triedAt: null,
      problem: null,
      fetching: null,
    }
    this.#sets.set(uri, set)
    if (this.#isWanting(set, kids)) await (set.fetching ??= this.#fetch(uri, set))
    return { keys: this.#isWithin(set.receivedAt, KEPT) ? set.keys : [], problem: set.problem }
  }

  #isWanting({ keys, receivedAt, triedAt, fetching }: KeptSet, kids: (string | undefined)[]): boolean {
    const isKnown = kids.every((kid) => kid !== undefined && keys.some((key) => key['kid'] === kid))
    if (isKnown && this.#isWithin(receivedAt, FRESH)) return false
    return fetching !== null || !this.#isWithin(triedAt, RETRY)
  }

  async #fetch(uri: string, set: KeptSet): Promise<void> {
    set.triedAt = this.#clock()
    const file = await this.#fetchFile(uri)
    const read = file.kind === 'failed' ? file.problem : readFetchedKeys(file.bytes.toString())
    if (typeof read === 'string') set.problem = read
    else Object.assign(set, { keys: read.keys, receivedAt: this.#clock(), problem: null })
    set.fetching = null
  }

  #isWithin(from: Date | null, seconds: number): boolean {
    return from !== null && this.#clock() < addSeconds(from, seconds)
  }
}

import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { decryptWithAny, encrypt } from './keys/encryption.ts'
import { isUnavailable } from './errors.ts'
import { Overloaded } from './fair-queue.ts'
import type { Services } from './services.ts'

/** The answer to the first of several identical requests, for the others (idempotent forms). */
export interface Answer {
  status: number
  headers: Record<string, string | string[]>
  body: string
  /** The identity session that a browser has after this answer. Null when there is none. */
  identitySessionId: string | null
  /** The answer did not end the request's sign-in, so a repeated request must still be signed in. */
  needsGuards: boolean
}

/**
 * For which repeated requests an answer is kept: for those to this process while the first was being answered, for those to any
 * process, or also for later ones. A refusal is not kept: each request acts for itself.
 */
export type Audience = 'none' | 'process' | 'waiting' | 'later'

/** One request among identical ones. */
export type Act =
  | {
      kind: 'first'
      /** To be called once, before the answer leaves. It never throws: an answer that cannot be kept is sent all the same. */
      settle(answer: Answer | null, audience: Audience): Promise<void>
    }
  /** `isLate`: it came when the first one had been answered. */
  | { kind: 'repeated'; answer: Answer; isLate: boolean }

/** A double click and the retry of a proxy come within this time (seconds). */
const KEPT_SECONDS = 60
/** How long the answer is kept for other processes that have seen the first one's claim (seconds). */
const HANDED_OVER_SECONDS = 5
/** After this time another process takes over from one that has died (seconds). */
const CLAIM_SECONDS = 5
/** How long a request waits for the answer to an identical one (ms). */
const TIMEOUT_MS = 8000
/** How often a request asks for the answer of another process (ms). */
const POLL_MS = 50
/** After the stores failed to answer they are not asked for so long (ms). */
const AWAY_MS = 1000
/** An act that has not been settled for so long never will be (ms). */
const LONGEST_ACT_MS = 60_000

const KIND = 'RepeatedAct'

type Found = Omit<Extract<Act, { kind: 'repeated' }>, 'kind'>

/**
 * Idempotency: of several identical requests one acts, in all processes, and the others get its answer. Within a process
 * requests wait for each other in memory, so that they do not all poll the stores; a claim in the stores is for other processes.
 */
export class RepeatedActs {
  readonly #running = new Map<string, Promise<Found | null>>()
  /** Until then the stores are not asked, because they did not answer. */
  #awayUntil = -Infinity

  /** `name` is all that makes two requests the same; it may hold secrets. @throws Overloaded after a long wait */
  async begin(services: Services, name: string): Promise<Act> {
    const id = createHmac('sha256', services.secrets[0].repeatedActNames).update(name).digest('base64url')
    const giveUpAt = performance.now() + TIMEOUT_MS
    const running = this.#running.get(id)
    if (running === undefined) return this.#lead(services, id, giveUpAt)
    const found = await orGiveUp(running, giveUpAt)
    // A refusal is for one request. The requests that waited for it act at once, not one by one.
    return found === null ? { kind: 'first', async settle() {} } : { kind: 'repeated', ...found }
  }

  async #lead(services: Services, id: string, giveUpAt: number): Promise<Act> {
    const { promise, resolve } = Promise.withResolvers<Found | null>()
    const timer = setTimeout(() => finish(null), LONGEST_ACT_MS).unref()
    const finish = (found: Found | null): void => {
      clearTimeout(timer)
      if (this.#running.get(id) === promise) this.#running.delete(id)
      resolve(found)
    }
    this.#running.set(id, promise)
    try {
      const claim = randomUUID()
      const found = await this.#ask(services, () => claimOrFind(services, id, claim, giveUpAt))
      if (typeof found === 'object') {
        finish(found)
        return { kind: 'repeated', ...found }
      }
      return {
        kind: 'first',
        async settle(answer, audience) {
          try {
            if (found === 'claimed') await leave(services, id, claim, answer, audience)
          } catch (error) {
            services.logger.warn({ error }, 'an answer could not be kept for repeated requests')
          } finally {
            finish(answer === null || audience === 'none' ? null : { answer, isLate: false })
          }
        },
      }
    } catch (error) {
      finish(null)
      throw error
    }
  }

  /** While the stores are unavailable a process finds repeats among its own requests only, so that refusals still work. */
  async #ask(services: Services, question: () => Promise<Found | 'claimed'>): Promise<Found | 'claimed' | 'away'> {
    if (performance.now() < this.#awayUntil) return 'away'
    try {
      return await question()
    } catch (error) {
      if (!isUnavailable(error)) throw error
      this.#awayUntil = performance.now() + AWAY_MS
      services.logger.warn({ error }, 'the stores do not answer; repeated requests are found within this process only')
      return 'away'
    }
  }
}

async function orGiveUp<T>(running: Promise<T>, giveUpAt: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(waitedTooLong()), giveUpAt - performance.now())
  try {
    return await Promise.race([running, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** `claimed` for the request that acts. The others wait for it here, without holding a connection. */
async function claimOrFind(
  services: Services,
  id: string,
  claim: string,
  giveUpAt: number,
): Promise<Found | 'claimed'> {
  const { protocolRecords: records } = services.storage
  /** The claim of another process that this request has waited for. */
  let awaited: string | null = null
  for (;;) {
    if (awaited !== null) {
      const answer = open(services, id, (await records.find(KIND, awaited))?.payload)
      if (answer !== null) return { answer, isLate: false }
    }
    if (await records.putOnce(KIND, id, { claim }, CLAIM_SECONDS)) return 'claimed'
    const payload = (await records.find(KIND, id))?.payload
    const answer = open(services, id, payload)
    if (answer !== null) return { answer, isLate: awaited === null }
    if (typeof payload?.['claim'] === 'string') awaited = payload['claim']
    if (performance.now() > giveUpAt) throw waitedTooLong()
    await sleep(POLL_MS)
  }
}

async function leave(services: Services, id: string, claim: string, answer: Answer | null, audience: Audience) {
  const { protocolRecords: records } = services.storage
  const sealed = answer && {
    answer: encrypt(JSON.stringify(answer), id, services.secrets[0].repeatedActEncryption),
  }
  if (sealed !== null && audience === 'later') return records.put(KIND, id, sealed, KEPT_SECONDS)
  if (sealed !== null && audience === 'waiting') await records.put(KIND, claim, sealed, HANDED_OVER_SECONDS)
  await records.delete(KIND, id)
}

function open(services: Services, id: string, payload: Record<string, unknown> | undefined): Answer | null {
  const sealed = payload?.['answer']
  if (typeof sealed !== 'string') return null
  const keys = services.secrets.map((each) => each.repeatedActEncryption)
  const opened = decryptWithAny(sealed, id, keys)
  return opened === null ? null : (JSON.parse(opened.plaintext) as Answer)
}

function waitedTooLong(): Overloaded {
  return new Overloaded('the same request is still being answered')
}

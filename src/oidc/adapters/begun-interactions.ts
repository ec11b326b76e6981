import { ipKey } from '../../domain/limits/ip-keys.ts'
import { decryptWithAny, encrypt } from '../../domain/keys/encryption.ts'
import type { Services } from '../../domain/services.ts'
import { hourlyCounter } from '../../domain/limits/attempt-counters.ts'
import { epochSeconds } from '../../domain/time.ts'

/** What the protocol library keeps of an authorization request while a page is open. */
export interface BegunInteraction {
  params: Record<string, unknown>
  prompt: { name: string; reasons: string[]; details: Record<string, unknown> }
  returnTo: string
  lastSubmission?: Record<string, unknown>
  parJti?: string
}

/** How long a page may stay open before its request must be made again (seconds). */
export const INTERACTION_LIFE = 3600

/**
 * The longest request (bytes). With a `state` of 8,000 characters it fits, sealed and beside the cookies, into the 16 kB of
 * headers that Node.js reads.
 */
const LONGEST_REQUEST = 9500

const KIND = 'Interaction'
/** How long after the page's answer its redirect may follow (seconds). */
const ANSWER_LIFE = 60
/**
 * The longest sealed request that is put into a URL (characters). Reverse proxies commonly give all headers of a response one
 * page of 4 kB.
 */
const LONGEST_IN_URL = 2000
/** The most long requests stored in an hour for one IP address (IPv6: its /64), and for all. */
const KEPT_PER_ADDRESS = 100
const KEPT_PER_HOUR = 10_000

/** True for parameters so long that no page could lead back to the app. */
export function isRequestTooLong(params: object): boolean {
  return Buffer.byteLength(JSON.stringify(params)) > LONGEST_REQUEST
}

/** The `error_description` for the app. */
export const TOO_LONG = `the authorization request is longer than ${LONGEST_REQUEST} bytes`

/**
 * Where a browser goes when a page is needed. Strangers can begin requests at no cost, so nothing is stored for them: the
 * request travels in the URL, sealed for this interaction.
 * A long request is stored, and so is a pushed one (PAR), which the app wanted to keep out of URLs. Then the URL holds only its
 * id. Beyond the limit of one IP address, these travel in the URL as well. So strangers fill no store, and lock out no user who
 * shares their IP address. The client id stands beside it for the pages on the way, which name the app.
 */
export async function begin(
  services: Services,
  uid: string,
  begun: BegunInteraction,
  address: string,
): Promise<string> {
  const isPushed = begun.parJti !== undefined
  const query = new URLSearchParams(isPushed ? {} : { client_id: String(begun.params['client_id']) })
  const request = seal(services, uid, begun)
  if ((isPushed || request.length > LONGEST_IN_URL) && (await mayKeep(services, address))) {
    await services.storage.protocolRecords.put(KIND, uid, begun, INTERACTION_LIFE)
  } else {
    query.set('request', request)
  }
  return `/interaction/${uid}${query.size === 0 ? '' : `?${query}`}`
}

/** Reads the request of an interaction from its URL or the store. @returns null when it is in neither */
export async function findBegun(
  services: Services,
  uid: string,
  search: URLSearchParams,
): Promise<{ begun: BegunInteraction; isExpired: boolean } | null> {
  const opened = open(services, uid, search.get('request'))
  if (opened !== null) return opened
  const found = await services.storage.protocolRecords.find(KIND, uid)
  return found === null ? null : { begun: found.payload as unknown as BegunInteraction, isExpired: false }
}

/** Stores the answer of the page for the redirect that follows at once. */
export async function keepAnswer(
  services: Services,
  uid: string,
  begun: BegunInteraction,
  result: object,
): Promise<void> {
  await services.storage.protocolRecords.put(KIND, uid, { ...begun, result }, ANSWER_LIFE)
}

/**
 * Seals the answer of a user who is not signed in, for whom nothing is stored: it travels in the URL of the redirect. It can
 * only refuse the request.
 */
export function sealRefusal(
  services: Services,
  uid: string,
  { params, prompt, returnTo }: BegunInteraction,
  result: object,
): string {
  const until = epochSeconds(services.clock()) + ANSWER_LIFE
  const refusal = { params, prompt, returnTo, result }
  return encrypt(JSON.stringify({ until, begun: refusal }), refusalOf(uid), services.secrets[0].interactionEncryption)
}

/** Null for anything but a recent result of `sealRefusal` for this interaction. */
export function openRefusal(services: Services, uid: string, sealed: string | null): object | null {
  const opened = open(services, refusalOf(uid), sealed)
  return opened === null || opened.isExpired ? null : opened.begun
}

/** Another purpose than a sealed request, so the two cannot be confused. */
const refusalOf = (uid: string) => `refusal ${uid}`

function seal(services: Services, uid: string, begun: BegunInteraction): string {
  const until = epochSeconds(services.clock()) + INTERACTION_LIFE
  return encrypt(JSON.stringify({ until, begun }), uid, services.secrets[0].interactionEncryption)
}

/** `iv.tag.ciphertext`, as `encrypt` writes it. */
const SEALED = /^[\w-]{16}\.[\w-]{22}\.[\w-]+$/

function open(
  services: Services,
  uid: string,
  sealed: string | null,
): { begun: BegunInteraction; isExpired: boolean } | null {
  if (sealed === null || !SEALED.test(sealed)) return null
  const keys = services.secrets.map((each) => each.interactionEncryption)
  const opened = decryptWithAny(sealed, uid, keys)
  if (opened === null) return null
  const { until, begun } = JSON.parse(opened.plaintext) as { until: number; begun: BegunInteraction }
  return { begun, isExpired: until <= epochSeconds(services.clock()) }
}

async function mayKeep(services: Services, address: string): Promise<boolean> {
  for (const { name, free, seconds } of [
    hourlyCounter(services, 'long-request', ipKey(address), KEPT_PER_ADDRESS),
    hourlyCounter(services, 'long-request', 'all', KEPT_PER_HOUR),
  ]) {
    const { points } = await services.storage.counters.add(name, seconds)
    if (points > free) return false
  }
  return true
}

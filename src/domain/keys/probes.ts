import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import { addSeconds, epochSeconds } from '../time.ts'
import type { TrustProxy } from '../trusted-proxies.ts'
import type { Secrets } from './secrets.ts'

/**
 * What the doctor asks the portal at PUBLIC_URL: how its request arrived. The portal answers only who has the root secret, and
 * the answer proves that the portal has it, too.
 */
export const PROBE_PATH = '/.well-known/gatehouse-probe'
export const PROBE_HEADER = 'x-gatehouse-probe'

/** How a request arrived. */
export interface Arrival {
  version: string
  publicUrl: string
  /** The Host header. */
  host: string
  /** Whether it is that of PUBLIC_URL. */
  isOwnHost: boolean
  /** The IP address of the other end of the connection. */
  peer: string
  /** The entries of X-Forwarded-For, from the client to the nearest proxy. */
  forwardedFor: string[]
  forwardedProto: string | null
  /** The client, as the TRUST_PROXY of the portal says. */
  client: string
  trustProxy: TrustProxy
}

/** How long a probe may be on its way, and how far two clocks may differ (seconds). */
const VALID = 300

/** A new probe, as the header says it. */
export function makeProbe([{ probe: key }]: Secrets, now: Date): string {
  const asked = `${randomBytes(16).toString('base64url')}.${epochSeconds(addSeconds(now, VALID))}`
  return `${asked}.${tagOf(key, 'ask', asked)}`
}

/** Whether a probe was made with one of these root secrets, and not long ago. */
export function isProbe(secrets: Secrets, header: unknown, now: Date): header is string {
  return typeof header === 'string' && keyOf(secrets, header, now) !== null
}

/** The answer to a probe that `isProbe` accepts. */
export function answerProbe(secrets: Secrets, header: string, arrival: Arrival, now: Date): string {
  const text = JSON.stringify(arrival)
  const key = keyOf(secrets, header, now) as KeyObject
  return JSON.stringify({ arrival: text, proof: tagOf(key, 'answer', `${header} ${text}`) })
}

/** How the probe arrived; null for an answer that no portal with this root secret has given. */
export function readProbeAnswer([{ probe: key }]: Secrets, header: string, body: string): Arrival | null {
  try {
    const { arrival, proof } = JSON.parse(body) as { arrival: string; proof: string }
    return isSame(proof, tagOf(key, 'answer', `${header} ${arrival}`)) ? (JSON.parse(arrival) as Arrival) : null
  } catch {
    return null
  }
}

function keyOf(secrets: Secrets, header: string, now: Date): KeyObject | null {
  const [, asked, until, tag] = /^([\w-]{22}\.(\d{10,11}))\.([\w-]{43})$/.exec(header) ?? []
  if (asked === undefined || tag === undefined) return null
  const seconds = Number(until) - epochSeconds(now)
  if (seconds < 0 || seconds > 2 * VALID) return null
  return secrets.find(({ probe }) => isSame(tag, tagOf(probe, 'ask', asked)))?.probe ?? null
}

function tagOf(key: KeyObject, purpose: 'ask' | 'answer', text: string): string {
  return createHmac('sha256', key).update(`${purpose} ${text}`).digest('base64url')
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)]
  return first.length === second.length && timingSafeEqual(first, second)
}

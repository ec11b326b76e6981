import { randomUUID } from 'node:crypto'
import type { ClientInfo } from '../client-info.ts'
import { hourlyCounter } from '../limits/attempt-counters.ts'
import { ipKey } from '../limits/ip-keys.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import { plainUserCode } from './user-codes.ts'

/** How long a user has for entering the code (seconds, RFC 8628 §3.2 `expires_in`). */
export const DEVICE_CODE_LIFE = 600
/** How long the device waits between two requests (seconds, RFC 8628 §3.2 `interval`). */
export const POLL_INTERVAL = 5
/** How much longer it waits after each `slow_down` (seconds, RFC 8628 §3.5). */
const SLOWER_BY = 5
/** A request may arrive so much too early (seconds): networks delay the one before. */
const POLL_TOLERANCE = 1
/** How long after its end a code is answered with `expired_token` (seconds). */
const EXPIRED_MEMORY = 600

/** The most requests of devices in an hour from one IP address (IPv6: its /64), and from all. */
const REQUESTS_PER_ADDRESS = 100
const REQUESTS_PER_HOUR = 10_000

const KIND = 'DeviceCode'
const ANSWER_KIND = 'DeviceAnswer'
const POLLS_KIND = 'DevicePolls'

/** Device flow (RFC 8628): what a device asks for, as the page shows it. */
export interface DeviceRequest {
  clientId: string
  /** The client info of the device. */
  device: Pick<ClientInfo, 'browser' | 'address'>
  /** Scopes of the portal and of the app's own audience, and those of other APIs by identifier. */
  asked: { scopes: string[]; resources: Record<string, string[]> }
  /** The context classes that the sign-in has to reach, any of them; empty where the app asks for none. */
  acrValues: string[]
  /** How old the sign-in may be (seconds); null for any age. */
  maxAge: number | null
  /** What the protocol keeps for the time after the approval. */
  protocol: object
}

type StoredRequest = DeviceRequest & { answerId: string; expiresAt: string }

/** A request that waits for its answer. */
export type PendingDeviceRequest = StoredRequest

/** The decision of the user. */
export type DeviceAnswer = { kind: 'denied' } | DeviceApproval

export interface DeviceApproval {
  kind: 'approved'
  familyId: string
  identityId: string
  /** How often the identity had been signed out everywhere. A later sign-out makes the approval void. */
  signOuts: number
  amr: string[]
  /** Seconds since 1970. */
  authTime: number
}

/** Rate limit of device codes per IP address, and for all. Every call counts. */
export async function mayAskForDevice(services: Services, ipAddress: string): Promise<boolean> {
  for (const { name, free, seconds } of [
    hourlyCounter(services, 'device-request', ipKey(ipAddress), REQUESTS_PER_ADDRESS),
    hourlyCounter(services, 'device-request', 'all', REQUESTS_PER_HOUR),
  ]) {
    const { points } = await services.storage.counters.add(name, seconds)
    if (points > free) return false
  }
  return true
}

/** Keeps the request of a device until its user answers. False when the user code is in use. */
export async function keepDeviceRequest(
  services: Services,
  deviceCode: string,
  userCode: string,
  request: DeviceRequest,
): Promise<boolean> {
  const { protocolRecords } = services.storage
  if ((await protocolRecords.findByUid(KIND, userCode)) !== null) return false
  const expiresAt = addSeconds(services.clock(), DEVICE_CODE_LIFE).toISOString()
  // The codes are secrets, so the record names neither.
  const stored: StoredRequest = { ...request, answerId: randomUUID(), expiresAt }
  await protocolRecords.put(KIND, deviceCode, stored, DEVICE_CODE_LIFE + EXPIRED_MEMORY, userCode)
  return true
}

/** The request with this user code, as it was typed. Null when there is none, or it is expired or answered. */
export async function findDeviceRequest(services: Services, typed: string): Promise<PendingDeviceRequest | null> {
  const userCode = plainUserCode(typed)
  if (userCode === null) return null
  const { protocolRecords } = services.storage
  const found = await protocolRecords.findByUid(KIND, userCode)
  if (found === null || found.consumed) return null
  const request = found.payload as unknown as StoredRequest
  if (isOver(services, request)) return null
  return (await protocolRecords.find(ANSWER_KIND, request.answerId)) === null ? request : null
}

/** Answers the request. True for the one call that answered it, however many race. */
export async function answerDeviceRequest(
  services: Services,
  request: PendingDeviceRequest,
  answer: DeviceAnswer,
): Promise<boolean> {
  if (isOver(services, request)) return false
  const { protocolRecords } = services.storage
  return protocolRecords.putOnce(ANSWER_KIND, request.answerId, answer, DEVICE_CODE_LIFE + EXPIRED_MEMORY)
}

/** What a device learns when it asks (RFC 8628 §3.5). */
export type DevicePoll =
  | { kind: 'unknown' | 'other-app' | 'expired' | 'pending' | 'too-fast' | 'denied' }
  | { kind: 'approved'; approval: DeviceApproval; request: DeviceRequest }

/** The device asks whether its user has answered. Asking too fast makes its interval longer. */
export async function pollDeviceRequest(
  services: Services,
  deviceCode: string,
  clientId: string | undefined,
): Promise<DevicePoll> {
  const { protocolRecords } = services.storage
  const found = await protocolRecords.find(KIND, deviceCode)
  // The device alone has its code, so a second use is a repeated request of its own, and no theft.
  if (found === null || found.consumed) return { kind: 'unknown' }
  const request = found.payload as unknown as StoredRequest
  if (request.clientId !== clientId) return { kind: 'other-app' }
  const answered = await protocolRecords.find(ANSWER_KIND, request.answerId)
  const answer = answered?.payload as DeviceAnswer | undefined
  if (isOver(services, request)) return { kind: 'expired' }
  if (answer === undefined) return { kind: (await isTooFast(services, deviceCode)) ? 'too-fast' : 'pending' }
  return answer.kind === 'denied' ? answer : { kind: 'approved', approval: answer, request }
}

/** True for the one call that used the code, however many race. */
export async function useDeviceCode({ storage }: Services, deviceCode: string): Promise<boolean> {
  return storage.protocolRecords.consume(KIND, deviceCode)
}

async function isTooFast(services: Services, deviceCode: string): Promise<boolean> {
  const { protocolRecords } = services.storage
  const now = services.clock().getTime()
  const before = (await protocolRecords.find(POLLS_KIND, deviceCode))?.payload as
    { interval: number; at: number } | undefined
  const interval = before?.interval ?? POLL_INTERVAL
  const isEarly = before !== undefined && now < before.at + (interval - POLL_TOLERANCE) * 1000
  const polls = { interval: isEarly ? interval + SLOWER_BY : interval, at: now }
  await protocolRecords.put(POLLS_KIND, deviceCode, polls, DEVICE_CODE_LIFE)
  return isEarly
}

function isOver(services: Services, { expiresAt }: StoredRequest): boolean {
  return new Date(expiresAt) <= services.clock()
}

import { randomUUID } from 'node:crypto'
import type { AppRow } from '../apps/apps.ts'
import { findApp } from '../apps/apps.ts'
import type { ClientInfo } from '../client-info.ts'
import {
  answerDeviceRequest,
  DEVICE_CODE_LIFE,
  findDeviceRequest,
  type PendingDeviceRequest,
} from '../families/device-codes.ts'
import { mayEnter } from '../identities/entitlements.ts'
import { mayConnectApps } from '../identities/emails.ts'
import { findIdentity } from '../identities/identities.ts'
import type { IpBlock } from '../limits/ip-blocks.ts'
import { beginAttempt, type Wait } from '../limits/login-throttling.ts'
import type { Services } from '../services.ts'
import { acrOf, isAcr, satisfies } from '../sign-in/authentication-context.ts'
import { isLapsed, type Lapsed, type SignedInRow, whileSignedIn } from '../sign-in/identity-sessions.ts'
import { addSeconds, epochSeconds } from '../time.ts'
import { giveConsentIn } from './consents.ts'

/** The request of a device that waits for this user code, with its app. */
export interface WaitingDevice {
  kind: 'waiting'
  request: PendingDeviceRequest
  app: AppRow
}

/** A wrong, expired or used code is `unknown`, so that a guess teaches nothing. */
export type DeviceLookup = WaitingDevice | { kind: 'unknown'; ipBlock: IpBlock | null } | Wait

/**
 * Finds the device that shows the user code that a signed-in user has typed. Wrong codes count against brute force. A right one
 * resets nothing: an attacker can make right ones at will.
 */
export async function findWaitingDevice(
  services: Services,
  { identityId }: Pick<SignedInRow, 'identityId'>,
  typed: string,
  { address }: ClientInfo,
): Promise<DeviceLookup> {
  const attempt = await beginAttempt(services, {
    kind: 'device',
    account: identityId,
    ipAddress: address,
    knownDevice: null,
  })
  if (attempt.kind === 'wait') return attempt
  const request = await findDeviceRequest(services, typed)
  const app = request && (await findApp(services, request.clientId))
  if (request === null || app === null || app.disabledAt !== null || !app.isDevice)
    return { kind: 'unknown', ipBlock: await attempt.failed() }
  await attempt.withdraw()
  return { kind: 'waiting', request, app }
}

/** What a sign-in lacks for what the device asks for; null when nothing is missing. */
export type DeviceLack = 'access' | 'address' | 'recent-sign-in' | 'second-factor'

/** What has to be done before the user can approve the device, as at an authorization. */
export function lackFor(services: Services, signedIn: SignedInRow, { request, app }: WaitingDevice): DeviceLack | null {
  if (!mayEnter(app, signedIn)) return 'access'
  if (!mayConnectApps(services, signedIn)) return 'address'
  if (request.maxAge !== null) {
    const askedAt = addSeconds(new Date(request.expiresAt), -DEVICE_CODE_LIFE)
    const isOld = signedIn.createdAt < addSeconds(services.clock(), -request.maxAge)
    // A sign-in after the device has asked is recent enough, even for a maximum of no age at all.
    if (isOld && signedIn.createdAt < askedAt) return 'recent-sign-in'
  }
  const reachable = request.acrValues.filter(isAcr)
  const isReached = reachable.length === 0 || reachable.some((acr) => satisfies(acrOf(signedIn.amr), acr))
  return isReached ? null : 'second-factor'
}

/** The signed-in user lets the device in. `gone`: another answer was first, or the code has expired. */
export async function approveDevice(
  services: Services,
  signedIn: SignedInRow,
  { request, app }: WaitingDevice,
  clientInfo: ClientInfo,
): Promise<'approved' | 'gone' | Lapsed> {
  const { identityId, amr, createdAt } = signedIn
  // Read before the sign-in is held: a sign-out everywhere in between makes the approval void.
  const identity = await findIdentity(services, identityId)
  if (identity === null) return 'gone'
  const held = await whileSignedIn(services, signedIn, 'living', async (db) => {
    if (app.isThirdParty) await giveConsentIn(services, db, identityId, app.clientId, request.asked, clientInfo)
  })
  if (isLapsed(held)) return held
  const isFirst = await answerDeviceRequest(services, request, {
    kind: 'approved',
    familyId: randomUUID(),
    identityId,
    signOuts: identity.signOuts,
    amr,
    authTime: epochSeconds(createdAt),
  })
  return isFirst ? 'approved' : 'gone'
}

/** The signed-in user refuses the device. */
export async function denyDevice(
  services: Services,
  signedIn: SignedInRow,
  { request }: WaitingDevice,
): Promise<'denied' | 'gone' | Lapsed> {
  const held = await whileSignedIn(services, signedIn, 'living', async () => {})
  if (isLapsed(held)) return held
  return (await answerDeviceRequest(services, request, { kind: 'denied' })) ? 'denied' : 'gone'
}

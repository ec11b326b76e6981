import { insertDeviceFamily } from '../../storage/family-openings.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import type { DeviceApproval } from './device-codes.ts'
import type { OpeningFamily } from './families.ts'
import { type FamilyFuture, futureOf } from './family-lifetimes.ts'
import { hashRefreshToken } from './refresh-tokens.ts'

/** The lifetime of a family that a device has: it follows no browser. */
export const DEVICE_LIFETIME = 'device'

/**
 * Opens the family of a device. It follows no identity session: signing out of the browser that approved it must not end it.
 * @returns how long it lasts; null when the identity was signed out everywhere since the approval, it or the app is
 * disabled, or it may not enter the app
 */
export async function openDeviceFamily(
  services: Services,
  opening: Omit<OpeningFamily, 'identitySessionId' | 'openedSilently'>,
  { signOuts }: Pick<DeviceApproval, 'signOuts'>,
  device: Pick<ClientInfo, 'browser' | 'address'>,
): Promise<FamilyFuture | null> {
  const { refreshToken, app, ...family } = opening
  const now = services.clock()
  const absolute = addSeconds(now, app.familyMax ?? services.lifetimes.familyMax)
  const idle = addSeconds(now, app.familyIdle ?? services.lifetimes.familyIdle)
  const opened = await insertDeviceFamily(
    services.storage.pool,
    {
      ...family,
      ...device,
      x5t: family.x5t ?? null,
      signOuts,
      lifetime: DEVICE_LIFETIME,
      currentHash: hashRefreshToken(refreshToken),
      expiresAt: absolute,
      idleExpiresAt: idle < absolute ? idle : absolute,
    },
    now,
  )
  return opened && futureOf(services, opened, now, now)
}

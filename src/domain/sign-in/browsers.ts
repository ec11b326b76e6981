import { listDevices, type DeviceRow } from '../../storage/devices.ts'
import type { Services } from '../services.ts'
import { secondsBetween } from '../time.ts'
import { type IdentitySessionRow, listIdentitySessions } from './identity-sessions.ts'

/** A browser of a user: signed in, or known from a sign-in before, or both. */
export interface UserBrowser {
  /** Its identity session, while it is signed in. */
  session: IdentitySessionRow | null
  /** Null when it keeps no cookies, or was forgotten. */
  device: DeviceRow | null
  isHere: boolean
  /** Its only sign-in is recent, and there was a browser before it. */
  isNew: boolean
}

/** How long a browser counts as new (seconds). */
const NEW_FOR = 14 * 86_400

/** Every browser of an identity once: the one that asks first, then those signed in, then those known; the last used first. */
export async function listBrowsers(services: Services, identityId: string, here: string): Promise<UserBrowser[]> {
  const sessions = await listIdentitySessions(services, identityId)
  const devices = await listDevices(services.storage.pool, identityId)
  const byHash = new Map(devices.map((device) => [keyOf(device.hash), device]))
  const oldest = Math.min(...devices.map(({ firstSeenAt }) => Number(firstSeenAt)))
  const now = services.clock()

  const signedIn = sessions
    .map((session) => {
      const device = byHash.get(keyOf(session.deviceHash)) ?? null
      const isFirst = device !== null && Number(device.firstSeenAt) === Number(session.createdAt)
      const isRecent = secondsBetween(session.createdAt, now) < NEW_FOR
      const isNew = isFirst && isRecent && Number(device.firstSeenAt) > oldest
      return { session, device, isHere: session.id === here, isNew }
    })
    .toSorted((a, b) => Number(b.isHere) - Number(a.isHere))
  const used = new Set(sessions.map(({ deviceHash }) => keyOf(deviceHash)))
  const known = devices
    .filter(({ hash }) => !used.has(keyOf(hash)))
    .map((device) => ({ session: null, device, isHere: false, isNew: false }))
  return [...signedIn, ...known]
}

function keyOf(hash: Buffer | null): string {
  return hash === null ? '' : hash.toString('base64url')
}

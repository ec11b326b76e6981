import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices, type DeviceRow, findDevice, updateDeviceName } from '../../storage/devices.ts'
import { type Lapsed, type SignIn, whileSignedIn } from './identity-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

export type { DeviceRow }

/**
 * A device is a browser that keeps a long-lived cookie: 128 random bits and an HMAC tag, so that a forged one costs no query.
 * It proves only that this browser was here before; which users signed in from it is in the database.
 */
export function makeDevice(services: Services): string {
  const id = randomBytes(ID_BYTES)
  return Buffer.concat([id, tagOf(services.secrets[0].device, id)]).toString('base64url')
}

/** The hash under which the database keeps a device; null for a cookie that this portal has not made. */
export function hashDevice(services: Services, cookie: string | undefined): Buffer | null {
  if (cookie === undefined || !/^[\w-]{43}$/.test(cookie)) return null
  const bytes = Buffer.from(cookie, 'base64url')
  const id = bytes.subarray(0, ID_BYTES)
  const isOurs = services.secrets.some((keys) => timingSafeEqual(tagOf(keys.device, id), bytes.subarray(ID_BYTES)))
  return isOurs ? createHash('sha256').update(id).digest() : null
}

/** The id of no identity, so that an unknown login costs the same queries. */
export const NO_IDENTITY = '00000000-0000-0000-0000-000000000000'

/** True for a browser this very identity has signed in from before. */
export async function isKnownDevice(services: Services, identityId: string, hash: Buffer | null): Promise<boolean> {
  return hash !== null && (await findDevice(services.storage.pool, identityId, hash)) !== null
}

/** A browser that this identity has signed in from; null when it is not known. */
export async function findKnownDevice(services: Services, identityId: string, hash: Buffer): Promise<DeviceRow | null> {
  return findDevice(services.storage.pool, identityId, hash)
}

/**
 * Forgets a known browser: the next sign-in from it is one from an unknown browser. A user who is signed in there stays signed
 * in. False when it was not known.
 */
export async function forgetDevice(
  services: Services,
  signedIn: SignIn,
  hash: Buffer,
  clientInfo: ClientInfo,
): Promise<boolean | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    if ((await deleteDevices(db, identityId, { hash })) === 0) return false
    await insertAuditEvents(db, [{ kind: 'device_forgotten', identityId, ...clientInfo }], services.clock())
    return true
  })
}

/** The longest name of a browser (characters). */
export const LONGEST_DEVICE_NAME = 64

/** Gives a known browser a name; null takes it away. False when the browser is not known. */
export async function renameDevice(
  services: Services,
  signedIn: SignIn,
  hash: Buffer,
  name: string | null,
): Promise<boolean | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', async (db) =>
    updateDeviceName(db, signedIn.identityId, hash, name),
  )
}

const ID_BYTES = 16
const TAG_BYTES = 16

function tagOf(key: Parameters<typeof createHmac>[1], id: Buffer): Buffer {
  return createHmac('sha256', key).update(id).digest().subarray(0, TAG_BYTES)
}

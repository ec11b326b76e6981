import { insertAuditEvents } from '../../storage/audit.ts'
import { type DeviceRow, endDeviceTrust, findDevice, listDevices } from '../../storage/devices.ts'
import { findIdentity, type IdentityRow } from '../../storage/identities.ts'
import { type Lapsed, type SignIn, whileSignedIn } from './identity-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** Their accounts open those of others, so every sign-in needs the second step. */
const ROLES_WITHOUT_TRUST = new Set(['admin', 'support'])

/**
 * How many days a user may trust a browser, so that a sign-in with the password needs no second step there. Null where they may
 * not.
 */
export function trustOfferedTo({ policy }: Services, { roles }: Pick<IdentityRow, 'roles'>): number | null {
  const { trustedBrowserDays } = policy
  if (trustedBrowserDays === 0 || roles.some((role) => ROLES_WITHOUT_TRUST.has(role))) return null
  return trustedBrowserDays
}

/**
 * Whether the password is enough in this browser. Such a sign-in counts as one with a single factor: it satisfies no app that
 * asks for two, and is not fresh enough to change what protects the account. `openIdentitySession` asks again, under a lock.
 */
export async function isTrustedBrowser(
  services: Services,
  identity: Pick<IdentityRow, 'id' | 'roles'>,
  deviceHash: Buffer | null,
): Promise<boolean> {
  if (deviceHash === null || trustOfferedTo(services, identity) === null) return false
  const device = await findDevice(services.storage.pool, identity.id, deviceHash)
  return device !== null && isTrusted(device, services.clock())
}

/** The browsers in which the password is enough for this identity. */
export async function listTrustedBrowsers(
  services: Services,
  identity: Pick<IdentityRow, 'id' | 'roles'>,
): Promise<DeviceRow[]> {
  if (trustOfferedTo(services, identity) === null) return []
  const devices = await listDevices(services.storage.pool, identity.id)
  return devices.filter((device) => isTrusted(device, services.clock()))
}

/** In the detail of an audit event: the trust ended in one browser, and not in all. */
export const ONE_BROWSER = 'one-browser'

/** Until when the password is enough for this identity in this browser; null when it is not. */
export async function findTrustOf(services: Services, device: DeviceRow): Promise<Date | null> {
  if (!isTrusted(device, services.clock())) return null
  const identity = await findIdentity(services.storage, device.identityId)
  return identity === null || trustOfferedTo(services, identity) === null ? null : device.trustedUntil
}

/** From now on every browser is asked for the second step, or the one of this hash. */
export async function endTrust(
  services: Services,
  signedIn: SignIn,
  clientInfo: ClientInfo,
  hash: Buffer | null = null,
): Promise<'ended' | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn<'ended'>(services, signedIn, 'living', async (db) => {
    const now = services.clock()
    const detail = hash === null ? null : ONE_BROWSER
    if ((await endDeviceTrust(db, identityId, now, hash)) > 0)
      await insertAuditEvents(db, [{ kind: 'browser_trust_ended', identityId, detail, ...clientInfo }], now)
    return 'ended'
  })
}

function isTrusted({ trustedUntil }: DeviceRow, now: Date): boolean {
  return trustedUntil !== null && trustedUntil > now
}

import { insertAuditEvents, listRefusedAddresses } from '../../storage/audit.ts'
import { listDevices } from '../../storage/devices.ts'
import type { IdentityRow } from '../identities/identities.ts'
import { forgetAttempts } from '../limits/login-throttling.ts'
import type { Services } from '../services.ts'

/** Events that are looked through for the IP addresses from which attempts have failed. */
const LOOKED_THROUGH = 1000

/** Lets a user sign in without a wait, by an operator: forgets the failed attempts at their account. A block of an IP address stays. */
export async function unlockAccount(services: Services, { id, username, email }: IdentityRow): Promise<void> {
  const { pool } = services.storage
  const [ipAddresses, devices] = await Promise.all([
    listRefusedAddresses(pool, id, LOOKED_THROUGH),
    listDevices(pool, id),
  ])
  await forgetAttempts(services, {
    id,
    logins: [username, email],
    ipAddresses,
    devices: devices.map(({ hash }) => hash.toString('base64url')),
  })
  await insertAuditEvents(
    pool,
    [{ kind: 'attempts_reset', identityId: id, actor: services.operator }],
    services.clock(),
  )
}

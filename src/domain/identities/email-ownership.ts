import { insertAuditEvents } from '../../storage/audit.ts'
import { assignEmail, lockIdentity, releaseEmail } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { announceClaims } from './claim-changes.ts'

/** The purposes of links that are sent to the e-mail address of an account, and do nothing for one with another. */
export const OF_ADDRESS = ['verify-address', 'reset-password', 'sign-in'] as const

/**
 * Gives an e-mail address to the identity that has proved it. Another identity that only claimed it loses it. False when another
 * identity has proved it. @throws a unique violation when two prove it at once
 */
export async function takeEmailIn(
  services: Services,
  db: Queryable,
  identityId: string,
  email: string,
  now: Date,
): Promise<boolean> {
  const key = loginKeyOf(email)
  const before = await lockIdentity(db, identityId)
  const loserId = await releaseEmail(db, key, identityId, now)
  if (loserId !== null) {
    await deleteMailLinks(db, loserId, OF_ADDRESS)
    await insertAuditEvents(db, [{ kind: 'address_lost', identityId: loserId }], now)
  }
  if (!(await assignEmail(db, identityId, { email, key }, now))) return false
  if (before?.email !== email || !before.emailVerified)
    await announceClaims(services, db, identityId, { claims: ['email', 'email_verified'] })
  return true
}

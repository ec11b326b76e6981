import { insertAuditEvents } from '../storage/audit.ts'
import { deleteDevices } from '../storage/devices.ts'
import { findIdentity, type IdentityRow, updatePasswordHash } from '../storage/identities.ts'
import { deleteMailLinks } from '../storage/mail-links.ts'
import { transaction } from '../storage/postgres.ts'
import { endEverythingIn, type SignedInRow } from './identity-sessions.ts'
import { queueMail } from './mail.ts'
import { judgeNewPassword } from './new-passwords.ts'
import type { PasswordVerdict } from './password-judge.ts'
import { isTooLong } from './passwords.ts'
import type { Place, Portal } from './portal.ts'

/** What somebody typed who is signed in, and where. */
export interface PasswordChange {
  current: string
  password: string
  place: Place
  /** The device of this browser, which alone stays known. */
  deviceHash: Buffer | null
}

export type PasswordChangeOutcome =
  { kind: 'changed' } | { kind: 'wrong-current' } | { kind: 'refused'; problem: string; verdict: PasswordVerdict }

/**
 * Changes the password of somebody who knows the one they have. Every other browser is signed out, and every app, in this
 * browser too, whose own identity session is left for the caller to replace. @throws EstimatorBusy, HasherBusy
 */
export async function changePassword(
  portal: Portal,
  signedIn: SignedInRow,
  { current, password, place, deviceHash }: PasswordChange,
): Promise<PasswordChangeOutcome> {
  const { identityId } = signedIn
  const identity = await findIdentity(portal.storage, identityId)
  if (identity === null || !(await isCurrent(portal, identity, current))) {
    await insertAuditEvents(
      portal.storage.pool,
      [{ kind: 'password_change_refused', identityId, ...place }],
      portal.clock(),
    )
    return { kind: 'wrong-current' }
  }
  const verdict = await judgeNewPassword(portal, identity, password)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const { standsAlone } = verdict
  const replacement = { from: identity.passwordHash, to: await portal.hasher.hash(password), standsAlone }
  const now = portal.clock()
  return transaction(portal.storage.pool, async (db) => {
    // What was the current one a moment ago is not, once a reset or another change has come first.
    if (!(await updatePasswordHash(db, identityId, replacement, now))) return { kind: 'wrong-current' } as const
    await deleteDevices(db, identityId, { except: deviceHash })
    await deleteMailLinks(db, identityId, ['reset-password', 'change-address'])
    await insertAuditEvents(db, [{ kind: 'password_changed', identityId, ...place }], now)
    await endEverythingIn(db, identityId, 'password_changed', place, now, signedIn.id)
    await queueMail(portal, { kind: 'password-changed', identityId, place, at: now.toISOString() }, db)
    return { kind: 'changed' } as const
  })
}

async function isCurrent(portal: Portal, { passwordHash }: IdentityRow, password: string): Promise<boolean> {
  return !isTooLong(password) && portal.hasher.matches(passwordHash, password)
}

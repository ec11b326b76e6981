import { insertAuditEvents } from '../storage/audit.ts'
import { deleteDevices } from '../storage/devices.ts'
import { findIdentity, type IdentityRow, lockIdentity, updatePasswordHash } from '../storage/identities.ts'
import { deleteMailLinks } from '../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../storage/postgres.ts'
import { takeAddressIn } from './address-proofs.ts'
import { addressProblem } from './addresses.ts'
import { mayMail } from './guessing.ts'
import { endEverythingIn } from './endings.ts'
import { LINK_LIVES, lookAtMailLink, useMailLink } from './mail-links.ts'
import { queueMail } from './mail.ts'
import { judgeNewPassword } from './new-passwords.ts'
import type { PasswordVerdict } from './password-judge.ts'
import type { Place, Portal } from './portal.ts'
import { removeEverySecondFactorIn } from './second-factors.ts'

export type ForgottenPasswordOutcome = { kind: 'asked' } | { kind: 'refused'; problem: string }

export type PasswordResetOutcome =
  | { kind: 'reset'; identityId: string }
  | { kind: 'refused'; problem: string; verdict: PasswordVerdict }
  /** The link is used, expired, foreign or not whole, or the address is not the one any more. */
  | { kind: 'dead' }

/** Somebody has forgotten the password of an address. Whether anybody has that address is looked up when the mail is sent. */
export async function askForPasswordReset(
  portal: Portal,
  typed: string,
  place: Place,
): Promise<ForgottenPasswordOutcome> {
  const email = typed.trim()
  const problem = addressProblem(email)
  if (problem !== null) return { kind: 'refused', problem }
  if (await mayMail(portal, email)) await queueMail(portal, { kind: 'reset-password', email, place })
  return { kind: 'asked' }
}

/** Whose password the link would reset; looking does not use it up. Null for a dead one. */
export async function lookAtPasswordReset(portal: Portal, token: string): Promise<IdentityRow | null> {
  const link = await lookAtMailLink(portal, 'reset-password', token)
  const identity = link && (await findIdentity(portal.storage, link.identityId))
  return identity?.email === link?.email ? identity : null
}

/**
 * Sets a new password with a link. Whoever knew the old one, or was signed in, is out everywhere, and the address is proved.
 * A second factor is still asked for, unless the address had never been proved before, and a disabled identity stays
 * disabled. @throws EstimatorBusy, HasherBusy
 */
export async function resetPassword(
  portal: Portal,
  token: string,
  password: string,
  place: Place,
): Promise<PasswordResetOutcome> {
  const owner = await lookAtPasswordReset(portal, token)
  if (owner === null) return { kind: 'dead' }
  const verdict = owner.emailVerified
    ? await judgeNewPassword(portal, owner, password)
    : await portal.passwords.judge(password, [owner.username, owner.email], false)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const replacement = { to: await portal.hasher.hash(password), standsAlone: verdict.standsAlone }
  return transaction(portal.storage.pool, (db) => reset(portal, db, owner.id, token, replacement, place)).catch(
    (error: unknown) => {
      // Somebody else proved the address at this very moment.
      if (isUniqueViolation(error)) return { kind: 'dead' } as const
      throw error
    },
  )
}

async function reset(
  portal: Portal,
  db: Queryable,
  identityId: string,
  token: string,
  replacement: { to: string; standsAlone: boolean },
  place: Place,
): Promise<PasswordResetOutcome> {
  const now = portal.clock()
  // In this order: whoever makes a link holds the identity, too, when the links before are deleted.
  const identity = await lockIdentity(db, identityId)
  const link = await useMailLink(portal, db, 'reset-password', token)
  if (identity === null || link === null || identity.email !== link.email) return { kind: 'dead' }
  if (!(await takeAddressIn(db, identityId, identity.email, now))) return { kind: 'dead' }

  if (!identity.emailVerified) await removeEverySecondFactorIn(portal, db, identityId, place)
  await updatePasswordHash(db, identityId, { from: identity.passwordHash, ...replacement }, now)
  await deleteDevices(db, identityId, { except: null })
  await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
  await insertAuditEvents(db, [{ kind: 'password_reset', identityId, ...place }], now)
  await endEverythingIn(portal, db, identityId, { cause: 'password_reset', place }, now)
  await queueMail(portal, { kind: 'password-changed', identityId, place, at: now.toISOString() }, db)
  return { kind: 'reset', identityId }
}

import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { findIdentity, type IdentityRow, lockIdentity, updatePasswordHash } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { takeEmailIn } from './email-proofs.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { emailProblem, canonicalEmail } from '../identities/emails.ts'
import { admitNewPassword, mayMail } from '../limits/login-throttling.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { keyOf } from '../limits/login-keys.ts'
import { LINK_LIVES, lookAtMailLink, useMailLink } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'
import { judgeNewPassword } from './new-passwords.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { removeEverySecondFactorIn } from '../sign-in/second-factors.ts'

export type PasswordResetOutcome =
  | { kind: 'reset'; identityId: string }
  | { kind: 'refused'; problem: string; verdict: PasswordVerdict }
  /** Too many were tried for this identity. */
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** The link is used, expired, foreign or not whole, or the address is not the one any more. */
  | { kind: 'dead' }

/** The words a person reads who entered what no account can have; null for what one can. */
export function recoveryProblem(typed: string): string | null {
  const login = canonicalEmail(typed)
  if (login === '') return 'Enter your user name or e-mail.'
  // No user name has a space in it.
  return /[@\s]/.test(login) ? emailProblem(login) : null
}

/**
 * A person has forgotten their password and names the account as at sign-in. Whether there is such an account changes neither
 * the answer nor the work, and the name and the address of one account share its mails of an hour.
 */
export async function askForPasswordReset(services: Services, typed: string, clientInfo: ClientInfo): Promise<void> {
  const owner = await findIdentityByLogin(services, typed)
  // The mail looks an account up by the key of its address. An account without one has an address that another account holds.
  const email = owner?.emailKey ?? keyOf(typed)
  if (await mayMail(services, email)) await queueMail(services, { kind: 'reset-password', email, clientInfo })
}

/** Whose password the link would reset; looking does not use it up. Null for a dead one. */
export async function lookAtPasswordReset(services: Services, token: string): Promise<IdentityRow | null> {
  const link = await lookAtMailLink(services, 'reset-password', token)
  const identity = link && (await findIdentity(services.storage, link.identityId))
  return identity?.email === link?.email ? identity : null
}

/**
 * Sets a new password with a link. Whoever knew the old one, or was signed in, is out everywhere, and the address is proved.
 * A second factor is still asked for, unless the address had never been proved before, and a disabled identity stays
 * disabled. @throws Overloaded
 */
export async function resetPassword(
  services: Services,
  token: string,
  password: string,
  clientInfo: ClientInfo,
): Promise<PasswordResetOutcome> {
  const owner = await lookAtPasswordReset(services, token)
  if (owner === null) return { kind: 'dead' }
  const admission = await admitNewPassword(services, owner.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const source = ipKey(clientInfo.address)
  const verdict = owner.emailVerified
    ? await judgeNewPassword(services, owner, password, clientInfo)
    : await services.passwords.judge(password, [owner.username, owner.email], false, source)
  if (verdict.problem !== null) return { kind: 'refused', problem: verdict.problem, verdict }

  const replacement = { to: await services.hasher.hash(password, source), standsAlone: verdict.standsAlone }
  return transaction(services.storage.pool, (db) =>
    reset(services, db, owner.id, token, replacement, clientInfo),
  ).catch((error: unknown) => {
    // Somebody else proved the address at this very moment.
    if (isUniqueViolation(error)) return { kind: 'dead' } as const
    throw error
  })
}

async function reset(
  services: Services,
  db: Queryable,
  identityId: string,
  token: string,
  replacement: { to: string; standsAlone: boolean },
  clientInfo: ClientInfo,
): Promise<PasswordResetOutcome> {
  const now = services.clock()
  // In this order: whoever makes a link holds the identity, too, when the links before are deleted.
  const identity = await lockIdentity(db, identityId)
  const link = await useMailLink(services, db, 'reset-password', token)
  if (identity === null || link === null || identity.email !== link.email) return { kind: 'dead' }
  if (!(await takeEmailIn(db, identityId, identity.email, now))) return { kind: 'dead' }

  if (!identity.emailVerified) await removeEverySecondFactorIn(services, db, identityId, clientInfo)
  await updatePasswordHash(db, identityId, { from: identity.passwordHash, ...replacement }, now)
  await deleteDevices(db, identityId, { except: null })
  await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
  await insertAuditEvents(db, [{ kind: 'password_reset', identityId, ...clientInfo }], now)
  await endEverythingIn(services, db, identityId, { cause: 'password_reset', clientInfo }, now)
  await queueMail(services, { kind: 'password-changed', identityId, clientInfo, at: now.toISOString() }, db)
  return { kind: 'reset', identityId }
}

import { type Message, message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { findIdentity, type IdentityRow, lockIdentity, updatePasswordHash } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { takeEmailIn } from '../identities/email-ownership.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { emailProblem, canonicalEmail } from '../identities/emails.ts'
import { admitNewPassword, mayMail } from '../limits/login-throttling.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { LINK_LIVES, lookAtMailLink, useMailLink } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'
import { judgeNewPassword, setInSource, setsPasswordOf } from './new-passwords.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { removeEverySecondFactorIn } from '../sign-in/second-factors.ts'

export type PasswordResetOutcome =
  | { kind: 'reset'; identityId: string }
  /** `problem` is null when the password itself will do. */
  | { kind: 'refused'; problem: Message | null; verdict: PasswordVerdict }
  /** Too many were tried for this identity. */
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** The password of a user of the identity source, which sets none. */
  | { kind: 'elsewhere' }
  /** The link is used, expired, forged or incomplete, or the account has another e-mail address now. */
  | { kind: 'dead' }

/** Why no account can have this login; null for one that an account can have. */
export function recoveryProblem(typed: string): Message | null {
  // As for a sign-in, full-width characters count as ordinary ones.
  const login = canonicalEmail(typed.normalize('NFKC'))
  if (login === '') return message('sign_in.login_missing')
  // No user name has a space in it.
  return /[@\s]/.test(login) ? emailProblem(login) : null
}

/**
 * Queues the mail for a forgotten password of the account with this login. No account enumeration: whether there is such an
 * account changes neither the answer nor its time. The user name and the e-mail address of one account share one rate limit.
 */
export async function askForPasswordReset(services: Services, typed: string, clientInfo: ClientInfo): Promise<void> {
  const owner = await findIdentityByLogin(services, typed)
  // The mail finds its account by the key of the e-mail address. Without a key, the address belongs to another account.
  const email = owner?.emailKey ?? loginKeyOf(typed)
  if (await mayMail(services, email)) await queueMail(services, { kind: 'reset-password', email, clientInfo })
}

/**
 * Sends a user the mail with which they choose a new password, by an operator, who cannot choose one. No rate limit: strangers
 * could use it up. @throws Refused
 */
export async function sendPasswordReset(services: Services, identityId: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, identityId)
    if (identity === null) throw new Refused(`there is no identity ${identityId}`, 'not_found')
    const { emailKey: email, username } = identity
    if (!setsPasswordOf(services, identity))
      throw new Refused(`${username} lives in the identity source, which sets no passwords`, 'conflict')
    if (email === null) throw new Refused(`the e-mail address of ${username} belongs to another identity`, 'conflict')
    if (identity.disabledAt !== null || identity.erasedFrom !== null)
      throw new Refused(`${username} is disabled or deleted, and could not sign in`, 'conflict')
    await queueMail(services, { kind: 'reset-password', email, clientInfo: null }, db)
    const event = { kind: 'reset_sent' as const, identityId, actor: services.operator }
    await insertAuditEvents(db, [event], services.clock())
  })
}

/** The identity whose password the link would reset; this does not use it up. Null for a dead link. */
export async function lookAtPasswordReset(services: Services, token: string): Promise<IdentityRow | null> {
  const link = await lookAtMailLink(services, 'reset-password', token)
  const identity = link && (await findIdentity(services.storage, link.identityId))
  return identity?.email === link?.email ? identity : null
}

/**
 * Sets a new password with a link. Every identity session and family ends, and the e-mail address is proved. Second factors
 * stay, unless the e-mail address is proved for the first time, and a disabled identity stays disabled. A password that was not
 * repeated alike is judged, too, so that the user reads every problem at once. @throws Overloaded,
 * SourceUnavailable
 */
export async function resetPassword(
  services: Services,
  token: string,
  { password, isConfirmed }: { password: string; isConfirmed: boolean },
  clientInfo: ClientInfo,
): Promise<PasswordResetOutcome> {
  const owner = await lookAtPasswordReset(services, token)
  if (owner === null) return { kind: 'dead' }
  if (!setsPasswordOf(services, owner)) return { kind: 'elsewhere' }
  const admission = await admitNewPassword(services, owner.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const source = ipKey(clientInfo.address)
  const verdict = owner.emailVerified
    ? await judgeNewPassword(services, owner, password, clientInfo)
    : await services.passwords.judge(password, [owner.username, owner.email], false, source)
  if (verdict.problem !== null || !isConfirmed) return { kind: 'refused', problem: verdict.problem, verdict }

  const problem = await setInSource(services, owner, password)
  if (problem !== null) return { kind: 'refused', problem, verdict: { ...verdict, problem } }
  const to = owner.sourceId === null ? await services.hasher.hash(password, source) : services.hasher.unusable()
  const replacement = { to, standsAlone: verdict.standsAlone }
  return transaction(services.storage.pool, (db) =>
    reset(services, db, owner.id, token, replacement, clientInfo),
  ).catch((error: unknown) => {
    // Another account proved the e-mail address at the same moment.
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
  // In this order: a transaction that makes a link locks the identity first, too, before it deletes earlier links.
  const identity = await lockIdentity(db, identityId)
  const link = await useMailLink(services, db, 'reset-password', token)
  if (identity === null || link === null || identity.email !== link.email) return { kind: 'dead' }
  if (!(await takeEmailIn(services, db, identityId, identity.email, now))) return { kind: 'dead' }

  if (!identity.emailVerified) await removeEverySecondFactorIn(services, db, identityId, clientInfo)
  await updatePasswordHash(db, identityId, { from: identity.passwordHash, ...replacement }, now)
  await deleteDevices(db, identityId, { except: null })
  await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
  await insertAuditEvents(db, [{ kind: 'password_reset', identityId, ...clientInfo }], now)
  await endEverythingIn(services, db, identityId, { cause: 'password_reset', clientInfo }, now)
  await queueMail(services, { kind: 'password-changed', identityId, clientInfo, at: now.toISOString() }, db)
  return { kind: 'reset', identityId }
}

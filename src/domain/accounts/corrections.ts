import { type Message, message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { lockIdentity, updateUnconfirmedEmail } from '../../storage/identities.ts'
import type { IdentityRow } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { announceClaims } from '../identities/claim-changes.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { refuseSourceUser, takenProblem } from '../identities/identities.ts'
import { changeUserNameIn } from '../identities/user-name-changes.ts'
import { canonicalUserName, userNameProblem } from '../identities/user-names.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { queueMail } from '../mail-jobs.ts'
import { Refused, refusedFields } from '../refused.ts'
import type { Services } from '../services.ts'
import { OF_ADDRESS, takeEmailIn } from '../identities/email-ownership.ts'
import { changeProfileIn, examineProfile, type Profile } from '../identities/profiles.ts'

/** What an operator corrects of an account; what is not named stays. */
export interface Correction {
  username?: string | undefined
  email?: string | undefined
  /** The address is known to be theirs. Without this, a new one has to be confirmed by its owner. */
  emailVerified?: true | undefined
  profile?: Partial<Profile>
}

/**
 * Corrects an account, by an operator, all of it or nothing. The user is told of a new e-mail address at both addresses. The rules are
 * those of a registration; a confirmed address is taken from an identity that has only claimed it. @throws Refused
 */
export async function correctAccount(services: Services, id: string, correction: Correction): Promise<void> {
  const username = correction.username === undefined ? undefined : canonicalUserName(correction.username)
  const email = correction.email === undefined ? undefined : canonicalEmail(correction.email)
  const { cleaned, problems } = examineProfile(correction.profile ?? {})
  const faults: Record<string, Message | undefined> = {
    ...problems,
    username: (username === undefined ? null : userNameProblem(username)) ?? undefined,
    email: (email === undefined ? null : emailProblem(email)) ?? undefined,
  }
  if (Object.values(faults).some((fault) => fault !== undefined)) throw refusedFields(faults)
  const taken = username === undefined ? null : await takenProblem(services, username, id)
  if (taken !== null) throw refusedFields({ username: taken }, 'conflict')
  try {
    await transaction(services.storage.pool, async (db) => {
      const identity = await lockIdentity(db, id)
      if (identity === null) throw new Refused(`there is no identity ${id}`, 'not_found')
      refuseSourceUser(identity, 'change names, addresses and the profile there')
      if (username !== undefined && username !== identity.username)
        await changeUserNameIn(services, db, identity, username)
      await changeEmailIn(services, db, identity, email ?? identity.email, correction.emailVerified ?? false)
      await changeProfileIn(services, db, id, cleaned, null)
    })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    // Another identity has the address, or got the name between the check and the change.
    const nowTaken = username === undefined ? null : await takenProblem(services, username, id)
    throw refusedFields(nowTaken === null ? { email: message('email.taken') } : { username: nowTaken }, 'conflict')
  }
}

/** Gives an identity, which is locked, another e-mail address, or confirms the one it has. @throws Refused, a unique violation */
export async function changeEmailIn(
  services: Services,
  db: Queryable,
  identity: IdentityRow,
  email: string,
  isConfirmed: boolean,
): Promise<void> {
  const { id: identityId, email: from } = identity
  const isNew = email !== from
  if (!isNew && (!isConfirmed || identity.emailVerified)) return
  const now = services.clock()
  const actor = services.operator
  if (isConfirmed) {
    if (!(await takeEmailIn(services, db, identityId, email, now)))
      throw refusedFields({ email: message('email.taken') }, 'conflict')
  } else {
    await updateUnconfirmedEmail(db, identityId, { email, key: loginKeyOf(email) }, now)
    await announceClaims(services, db, identityId, { claims: ['email', 'email_verified'] })
    await queueMail(services, { kind: 'verify-address', identityId }, db)
  }
  if (isNew) {
    // Links that were sent to the old address, and a change to another one that the user had begun.
    await deleteMailLinks(db, identityId, [...OF_ADDRESS, 'change-address'])
    const at = now.toISOString()
    await queueMail(services, { kind: 'address-changed', identityId, from, to: email, clientInfo: null, at }, db)
    await insertAuditEvents(db, [{ kind: 'address_changed', identityId, actor }], now)
  }
  if (isConfirmed) await insertAuditEvents(db, [{ kind: 'address_confirmed', identityId, actor }], now)
}

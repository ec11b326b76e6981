import { insertAuditEvents } from '../../storage/audit.ts'
import { lockIdentity } from '../../storage/identities.ts'
import { deleteMailLinks, findMailLinkOf } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { emailProblem, canonicalEmail } from '../identities/emails.ts'
import { admitEmailChange, mayMail } from '../limits/login-throttling.ts'
import { type Lapsed, type SignedInRow, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'
import { domainProblem } from '../identities/open-registration.ts'
import { makeMailLink, type MailLinkRow } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

export type EmailChangeOutcome =
  { kind: 'asked' } | { kind: 'refused'; problem: Message } | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }

/**
 * Sends a confirmation mail to the new e-mail address; the old one stays until that is confirmed. Whether another account has
 * the new one makes no difference (no account enumeration). The change is pending from now on, under a link that is never sent:
 * the link in the mail replaces it.
 */
export async function askForEmailChange(
  services: Services,
  signedIn: SignedInRow,
  wanted: string,
  clientInfo: ClientInfo,
): Promise<EmailChangeOutcome | Lapsed> {
  const { id: identitySessionId, identityId, email: current } = signedIn
  const email = canonicalEmail(wanted)
  const own = signedIn.emailVerified ? current : null
  const problem =
    email === current
      ? message('email_change.same')
      : (emailProblem(email) ?? (await domainProblem(services, email, own)))
  if (problem !== null) return { kind: 'refused', problem }

  const admission = await admitEmailChange(services, identityId)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const isMailed = await mayMail(services, email)
  return whileSignedIn<EmailChangeOutcome>(services, signedIn, 'fresh', async (db) => {
    await makeMailLink(services, db, 'change-address', { identityId, email, identitySessionId })
    await insertAuditEvents(db, [{ kind: 'address_change_asked', identityId, ...clientInfo }], services.clock())
    if (isMailed)
      await queueMail(services, { kind: 'change-address', identityId, email, locale: clientInfo.locale }, db)
    return { kind: 'asked' }
  })
}

/**
 * Makes the link that confirms a pending change, in place of the current one. Null for a change that is no longer pending: it
 * was withdrawn, another has replaced it, or the identity session that asked for it has ended.
 */
export async function linkEmailChange(services: Services, identityId: string, email: string): Promise<string | null> {
  return transaction(services.storage.pool, async (db) => {
    // Transactions that end a session or withdraw the change lock the identity, too.
    await lockIdentity(db, identityId)
    const pending = await findMailLinkOf(db, identityId, 'change-address', services.clock())
    if (pending?.email !== email) return null
    const { identitySessionId } = pending
    const holder = { identityId, email, ...(identitySessionId !== null && { identitySessionId }) }
    return makeMailLink(services, db, 'change-address', holder)
  })
}

/** The change that waits for its confirmation; null when there is none. */
export async function findPendingEmailChange(services: Services, identityId: string): Promise<MailLinkRow | null> {
  return findMailLinkOf(services.storage.pool, identityId, 'change-address', services.clock())
}

/** Keeps the e-mail address; the link that was sent to the new one no longer works. */
export async function withdrawEmailChange(
  services: Services,
  signedIn: SignIn,
  clientInfo: ClientInfo,
): Promise<void | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    if ((await findMailLinkOf(db, identityId, 'change-address', services.clock())) === null) return
    await deleteMailLinks(db, identityId, ['change-address'])
    await insertAuditEvents(db, [{ kind: 'address_change_withdrawn', identityId, ...clientInfo }], services.clock())
  })
}

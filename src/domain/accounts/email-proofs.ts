import { insertAuditEvents } from '../../storage/audit.ts'
import { findIdentity, lockIdentity } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { OF_ADDRESS, takeEmailIn } from '../identities/email-ownership.ts'
import { mayMail } from '../limits/login-throttling.ts'
import { type Lapsed, type SignedInRow, whileSignedIn } from '../sign-in/identity-sessions.ts'
import { lookAtMailLink, type MailLinkRow, useMailLink } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** What a confirmation link of an e-mail address would do, for the page that asks. */
export interface EmailProof {
  kind: 'confirmation' | 'change'
  username: string
  email: string
}

export type EmailProofOutcome =
  | { kind: 'confirmed' | 'changed'; identityId: string }
  /** Another account has proved that the e-mail address is its own. */
  | { kind: 'taken' }
  /** The link is used, expired, forged or incomplete, or the account has another e-mail address now. */
  | { kind: 'dead' }

/** The purposes of links that prove an e-mail address. */
const PROOFS = ['verify-address', 'change-address'] as const

/**
 * Sends the confirmation mail of an e-mail address once more; the previous link stops working. `limited`: the address has had
 * too many mails in the last hour.
 */
export async function askForEmailProof(
  services: Services,
  signedIn: SignedInRow,
  { locale }: Pick<ClientInfo, 'locale'>,
): Promise<'sent' | 'confirmed' | 'limited' | Lapsed> {
  const { identityId, email, emailVerified } = signedIn
  if (emailVerified) return 'confirmed'
  if (!(await mayMail(services, email))) return 'limited'
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    await queueMail(services, { kind: 'verify-address', identityId, locale }, db)
    return 'sent' as const
  })
}

/** What the link would do; this does not use it up, because mail scanners follow links, too. Null for a dead one. */
export async function lookAtEmailProof(services: Services, token: string): Promise<EmailProof | null> {
  for (const purpose of PROOFS) {
    const link = await lookAtMailLink(services, purpose, token)
    const identity = link && (await findIdentity(services.storage, link.identityId))
    if (link === null || identity === null || !speaksOf(link, identity)) continue
    const kind = link.purpose === 'change-address' ? 'change' : 'confirmation'
    return { kind, username: identity.username, email: link.email }
  }
  return null
}

/** Confirms an e-mail address: it is this account's from now on, and an account that only claimed it loses it. */
export async function proveEmail(
  services: Services,
  token: string,
  clientInfo: ClientInfo,
): Promise<EmailProofOutcome> {
  for (const purpose of PROOFS) {
    const link = await lookAtMailLink(services, purpose, token)
    if (link !== null) return useProof(services, purpose, token, link, clientInfo)
  }
  return { kind: 'dead' }
}

async function useProof(
  services: Services,
  purpose: (typeof PROOFS)[number],
  token: string,
  { identityId }: MailLinkRow,
  clientInfo: ClientInfo,
): Promise<EmailProofOutcome> {
  return transaction(services.storage.pool, async (db) => {
    // In this order: a transaction that makes a link locks the identity first, too, before it deletes earlier links.
    const before = await lockIdentity(db, identityId)
    const link = await useMailLink(services, db, purpose, token)
    if (before === null || link === null || !speaksOf(link, before)) return { kind: 'dead' } as const
    return followProof(services, db, { link, from: before.email, clientInfo })
  }).catch((error: unknown) => {
    if (isUniqueViolation(error)) return { kind: 'taken' } as const
    throw error
  })
}

async function followProof(
  services: Services,
  db: Queryable,
  { link, from, clientInfo }: { link: MailLinkRow; from: string; clientInfo: ClientInfo },
): Promise<EmailProofOutcome> {
  const { identityId, email: to, purpose } = link
  const now = services.clock()
  if (!(await takeEmailIn(services, db, identityId, to, now))) return { kind: 'taken' }
  if (purpose === 'verify-address') {
    await insertAuditEvents(db, [{ kind: 'address_confirmed', identityId, ...clientInfo }], now)
    return { kind: 'confirmed', identityId }
  }

  // These links were sent to the old e-mail address, which no longer belongs to this account.
  await deleteMailLinks(db, identityId, OF_ADDRESS)
  await insertAuditEvents(db, [{ kind: 'address_changed', identityId, ...clientInfo }], now)
  const at = now.toISOString()
  await queueMail(services, { kind: 'address-changed', identityId, from, to, clientInfo, at }, db)
  return { kind: 'changed', identityId }
}

/** A link proves the e-mail address it was sent to, which must be the identity's current one, or the wanted one of a change. */
function speaksOf(link: MailLinkRow, identity: { email: string }): boolean {
  return link.purpose === 'change-address' || link.email === identity.email
}

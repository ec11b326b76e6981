import { insertAuditEvents } from '../../storage/audit.ts'
import { lockIdentity } from '../../storage/identities.ts'
import { deleteMailLinks, findMailLinkOf } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { addressProblem, canonicalAddress } from '../identities/emails.ts'
import { admitAddressChange, mayMail } from '../limits/login-throttling.ts'
import { type Lapsed, type SignedInRow, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'
import { makeMailLink, type MailLinkRow } from '../identities/mail-links.ts'
import { queueMail } from '../mail-jobs.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'

export type AddressChangeOutcome =
  { kind: 'asked' } | { kind: 'refused'; problem: string } | { kind: 'throttled'; retryAt: Date; suspended: boolean }

/**
 * Asks the new address whether it is theirs; until that is confirmed the old one stays. Whether somebody else has it plays
 * no part. The change is pending from now on, under a link that nobody gets: the one in the mail takes its place.
 */
export async function askForAddressChange(
  portal: Portal,
  signedIn: SignedInRow,
  wanted: string,
  place: Place,
): Promise<AddressChangeOutcome | Lapsed> {
  const { id: identitySessionId, identityId, email: current } = signedIn
  const email = canonicalAddress(wanted)
  const problem = email === current ? 'This is your address already.' : addressProblem(email)
  if (problem !== null) return { kind: 'refused', problem }

  const admission = await admitAddressChange(portal, identityId)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const isMailed = await mayMail(portal, email)
  return whileSignedIn<AddressChangeOutcome>(portal, signedIn, 'fresh', async (db) => {
    await makeMailLink(portal, db, 'change-address', { identityId, email, identitySessionId })
    await insertAuditEvents(db, [{ kind: 'address_change_asked', identityId, ...place }], portal.clock())
    if (isMailed) await queueMail(portal, { kind: 'change-address', identityId, email }, db)
    return { kind: 'asked' }
  })
}

/**
 * Makes the link that confirms a pending change, in place of the one there is. Null for a change that is not pending any more:
 * it was withdrawn, another has replaced it, or the sign-in it was asked for with was ended.
 */
export async function linkAddressChange(portal: Portal, identityId: string, email: string): Promise<string | null> {
  return transaction(portal.storage.pool, async (db) => {
    // Whoever ends a sign-in, or withdraws the change, holds the identity, too.
    await lockIdentity(db, identityId)
    const pending = await findMailLinkOf(db, identityId, 'change-address', portal.clock())
    if (pending?.email !== email) return null
    const { identitySessionId } = pending
    const holder = { identityId, email, ...(identitySessionId !== null && { identitySessionId }) }
    return makeMailLink(portal, db, 'change-address', holder)
  })
}

/** Null when none waits for its confirmation. */
export async function findPendingAddressChange(portal: Portal, identityId: string): Promise<MailLinkRow | null> {
  return findMailLinkOf(portal.storage.pool, identityId, 'change-address', portal.clock())
}

/** Keeps the address; the link that was sent to the new one is worth nothing. */
export async function withdrawAddressChange(portal: Portal, signedIn: SignIn, place: Place): Promise<void | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn(portal, signedIn, 'living', async (db) => {
    if ((await findMailLinkOf(db, identityId, 'change-address', portal.clock())) === null) return
    await deleteMailLinks(db, identityId, ['change-address'])
    await insertAuditEvents(db, [{ kind: 'address_change_withdrawn', identityId, ...place }], portal.clock())
  })
}

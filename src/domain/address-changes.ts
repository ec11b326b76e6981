import { insertAuditEvents } from '../storage/audit.ts'
import { deleteMailLinks, findMailLinkOf } from '../storage/mail-links.ts'
import { addressProblem } from './addresses.ts'
import { admitAddressChange, mayMail } from './guessing.ts'
import { type Lapsed, type SignedInRow, type SignIn, whileSignedIn } from './identity-sessions.ts'
import { makeMailLink, type MailLinkRow } from './mail-links.ts'
import { queueMail } from './mail.ts'
import type { Place, Portal } from './portal.ts'

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
  const { identityId, email: current } = signedIn
  const email = wanted.trim()
  const problem = email === current ? 'This is your address already.' : addressProblem(email)
  if (problem !== null) return { kind: 'refused', problem }

  const admission = await admitAddressChange(portal, identityId)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const isMailed = await mayMail(portal, email)
  return whileSignedIn<AddressChangeOutcome>(portal, signedIn, 'fresh', async (db) => {
    await makeMailLink(portal, db, 'change-address', { identityId, email })
    await insertAuditEvents(db, [{ kind: 'address_change_asked', identityId, ...place }], portal.clock())
    if (isMailed) await queueMail(portal, { kind: 'change-address', identityId, email }, db)
    return { kind: 'asked' }
  })
}

/** Null when none waits for its confirmation. A mail for any other, or for one withdrawn, must not be sent. */
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

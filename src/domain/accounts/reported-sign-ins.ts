import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { findIdentitySession, type IdentitySessionRow } from '../../storage/identity-sessions.ts'
import { lockIdentity } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { LINK_LIVES, lookAtMailLink, makeMailLink, useMailLink } from '../identities/mail-links.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'

/** The sign-in a link of a mail is about; looking changes nothing. Null for a link that is worth nothing. */
export async function findSignInToDisown(portal: Portal, token: string): Promise<IdentitySessionRow | null> {
  const link = await lookAtMailLink(portal, 'disown-sign-in', token)
  return link?.identitySessionId ? findIdentitySession(portal.storage.pool, link.identitySessionId) : null
}

/**
 * Whoever got the mail says that a sign-in was not theirs. Somebody else knows the password, then, and may have been busy:
 * every browser and every app is signed out, no browser is known any more, and no link that was asked for before is worth
 * anything. @returns the token of a link that sets a new password; null for a link that is worth nothing
 */
export async function disownSignIn(portal: Portal, token: string, place: Place): Promise<string | null> {
  const seen = await lookAtMailLink(portal, 'disown-sign-in', token)
  if (seen === null) return null
  return transaction(portal.storage.pool, async (db) => {
    // In this order: whoever acts with a session of it holds the identity, too, before the session.
    await lockIdentity(db, seen.identityId)
    const link = await useMailLink(portal, db, 'disown-sign-in', token)
    if (link === null) return null
    const { identityId, email } = link
    const now = portal.clock()
    await insertAuditEvents(db, [{ kind: 'sign_in_disowned', identityId, ...place }], now)
    await endEverythingIn(portal, db, identityId, { cause: 'disowned', place }, now)
    await deleteDevices(db, identityId, { except: null })
    await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
    return makeMailLink(portal, db, 'reset-password', { identityId, email })
  })
}

import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { findIdentitySession, type IdentitySessionRow } from '../../storage/identity-sessions.ts'
import { lockIdentity } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { LINK_LIVES, lookAtMailLink, makeMailLink, useMailLink } from '../identities/mail-links.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** The sign-in that a "this wasn't me" link is about; this changes nothing. Null for a link that does not work. */
export async function findReportableSignIn(services: Services, token: string): Promise<IdentitySessionRow | null> {
  const link = await lookAtMailLink(services, 'disown-sign-in', token)
  return link?.identitySessionId ? findIdentitySession(services.storage.pool, link.identitySessionId) : null
}

/**
 * The "this wasn't me" report: the user says that a sign-in was not theirs, so an attacker knows the password. Every identity
 * session and family ends, all known browsers are forgotten, and all earlier links stop working.
 * @returns the token of a link that sets a new password; null for a link that does not work
 */
export async function reportSignIn(services: Services, token: string, clientInfo: ClientInfo): Promise<string | null> {
  const seen = await lookAtMailLink(services, 'disown-sign-in', token)
  if (seen === null) return null
  return transaction(services.storage.pool, async (db) => {
    // In this order: a transaction that acts with a session of the identity locks the identity first, too.
    await lockIdentity(db, seen.identityId)
    const link = await useMailLink(services, db, 'disown-sign-in', token)
    if (link === null) return null
    const { identityId, email } = link
    const now = services.clock()
    await insertAuditEvents(db, [{ kind: 'sign_in_disowned', identityId, ...clientInfo }], now)
    await endEverythingIn(services, db, identityId, { cause: 'disowned', clientInfo }, now)
    await deleteDevices(db, identityId, { except: null })
    await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
    return makeMailLink(services, db, 'reset-password', { identityId, email })
  })
}

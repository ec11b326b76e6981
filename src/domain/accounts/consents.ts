import { insertAuditEvents } from '../../storage/audit.ts'
import {
  type ConsentRow,
  deleteConsent,
  findConsent as findRow,
  type ListedConsentRow,
  listConsents as listRows,
  putConsent,
} from '../../storage/consents.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { type Access, missingAccess, unitedAccess } from '../apps/access.ts'
import type { AppRow } from '../apps/apps.ts'
import type { ClientInfo } from '../client-info.ts'
import { endIn } from '../endings/endings.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

export type { ConsentRow, ListedConsentRow }

/** What the user lets the app have; null before the first consent, and after it was withdrawn. */
export async function findConsent(
  { storage }: Services,
  identityId: string,
  clientId: string,
): Promise<ConsentRow | null> {
  return findRow(storage.pool, identityId, clientId)
}

/** What users let third-party apps have, by the name of the app. */
export async function listConsents({ storage }: Services, identityId: string): Promise<ListedConsentRow[]> {
  return listRows(storage.pool, identityId)
}

/** What the user has not allowed yet of what a third-party app asks for; null when nothing is missing. */
export async function missingConsent(
  services: Services,
  identityId: string,
  app: Pick<AppRow, 'clientId' | 'isThirdParty'>,
  asked: Access,
): Promise<Access | null> {
  if (!app.isThirdParty) return null
  return missingAccess(await findConsent(services, identityId, app.clientId), asked)
}

/** Remembers what the signed-in user lets a third-party app have, beside what was allowed before. */
export async function giveConsent(
  services: Services,
  signedIn: SignIn,
  clientId: string,
  asked: Access,
  clientInfo: ClientInfo,
): Promise<void | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', (db) =>
    giveConsentIn(services, db, signedIn.identityId, clientId, asked, clientInfo),
  )
}

/** `giveConsent`, inside a transaction that has locked the identity. */
export async function giveConsentIn(
  services: Services,
  db: Queryable,
  identityId: string,
  clientId: string,
  asked: Access,
  clientInfo: ClientInfo,
): Promise<void> {
  const now = services.clock()
  const before = await findRow(db, identityId, clientId)
  if (missingAccess(before, asked) === null) return
  await putConsent(db, { identityId, clientId, ...unitedAccess(before, asked) }, now)
  await insertAuditEvents(db, [{ kind: 'consent_given', identityId, clientId, ...clientInfo }], now)
}

/** Withdraws a consent, and ends the families of the app. `none`: there is nothing to withdraw. */
export async function withdrawConsent(
  services: Services,
  signedIn: SignIn,
  clientId: string,
  clientInfo: ClientInfo,
): Promise<'withdrawn' | 'none' | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    const now = services.clock()
    // Before the families: one that is being opened has locked it, and is among them once it is deleted.
    if (!(await deleteConsent(db, identityId, clientId))) return 'none'
    await insertAuditEvents(db, [{ kind: 'consent_withdrawn', identityId, clientId, ...clientInfo }], now)
    const families = { identityId, clientId }
    await endIn(services, db, { families }, { cause: 'access_withdrawn', clientInfo }, now)
    return 'withdrawn'
  })
}

import { type IdentityRow, updateRegion } from '../../storage/identities.ts'
import { announceClaims } from '../identities/claim-changes.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

/** Stores the language (BCP 47) and time zone (IANA) of a user, for every browser and for mails; null for the browser's. */
export async function changeRegion(
  services: Services,
  signedIn: SignIn,
  region: Pick<IdentityRow, 'locale' | 'zoneinfo'>,
): Promise<void | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    await updateRegion(db, signedIn.identityId, region, services.clock())
    await announceClaims(services, db, signedIn.identityId, { claims: ['locale', 'zoneinfo'] })
  })
}

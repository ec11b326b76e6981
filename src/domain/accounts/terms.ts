import { writeAcceptance } from '../identities/terms.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

/**
 * A signed-in user accepts the terms of use. `outdated` when the version on the page is not the current one any more, and
 * nothing was stored.
 */
export async function acceptTerms(
  services: Services,
  signedIn: SignIn,
  version: string,
  clientInfo: ClientInfo,
): Promise<'accepted' | 'outdated' | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', async (db) => {
    if (version !== services.brand.termsVersion) return 'outdated'
    await writeAcceptance(db, signedIn.identityId, version, clientInfo, services.clock())
    return 'accepted'
  })
}

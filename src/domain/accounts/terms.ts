import { type Queryable, transaction } from '../../storage/postgres.ts'
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
  return whileSignedIn(services, signedIn, 'living', (db) =>
    acceptIn(services, db, signedIn.identityId, version, clientInfo),
  )
}

/** The same of a user who is about to be signed in, and has proved who they are. */
export async function acceptTermsWith(
  services: Services,
  identityId: string,
  version: string,
  clientInfo: ClientInfo,
): Promise<'accepted' | 'outdated'> {
  return transaction(services.storage.pool, (db) => acceptIn(services, db, identityId, version, clientInfo))
}

async function acceptIn(
  services: Services,
  db: Queryable,
  identityId: string,
  version: string,
  clientInfo: ClientInfo,
): Promise<'accepted' | 'outdated'> {
  if (version !== services.brand.termsVersion) return 'outdated'
  await writeAcceptance(db, identityId, version, clientInfo, services.clock())
  return 'accepted'
}

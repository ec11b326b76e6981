import { declinePasskeys, markPasskeyInBrowser, takePasskeyOffer } from '../../storage/passkey-offers.ts'
import { addSeconds } from '../time.ts'
import type { Services } from '../services.ts'
import { type Lapsed, type SignIn, whileSignedIn } from './identity-sessions.ts'
import { offersPasskeys } from './passkeys.ts'

/** "Not now", and an offer that was left alone, count for so long (seconds), for this user in this browser. */
const OFFER_PAUSE = 30 * 86_400

/**
 * Whether to offer a passkey to the user of this new identity session, whose browser says that its device can make one. It is
 * offered once: asking counts as offering.
 */
export async function shouldOfferPasskey(services: Services, identitySessionId: string): Promise<boolean> {
  if (!offersPasskeys(services)) return false
  const now = services.clock()
  return takePasskeyOffer(services.storage.pool, identitySessionId, { now, notSince: addSeconds(now, -OFFER_PAUSE) })
}

/** The browser of this identity session has a passkey, so none is offered there. */
export async function notePasskeyInBrowser(services: Services, identitySessionId: string): Promise<void> {
  await markPasskeyInBrowser(services.storage.pool, identitySessionId)
}

/** The same, said by the user's browser when it was to make another one. */
export async function notePasskeyFound(services: Services, signedIn: SignIn): Promise<void | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', (db) => markPasskeyInBrowser(db, signedIn.id))
}

/** "Don't ask again": the user is offered no passkey any more, in any browser. The settings still have them. */
export async function refusePasskeyOffers(services: Services, signedIn: SignIn): Promise<void | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', (db) => declinePasskeys(db, signedIn.identityId))
}

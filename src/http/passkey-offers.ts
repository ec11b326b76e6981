import type { Request } from 'express'
import type { Proof } from '../domain/sign-in/identity-sessions.ts'
import { notePasskeyInBrowser, shouldOfferPasskey } from '../domain/sign-in/passkey-offers.ts'
import { isOfThisBrowser, LONGEST_CREDENTIAL } from '../domain/sign-in/passkeys.ts'
import { servicesOf } from './context.ts'
import { optionalField } from './form-fields.ts'
import { withReturnTo } from './return-to.ts'

const OFFER = '/passkey-offer'
/** A destination in the URL of the offer makes it longer than any page may be, if it is long itself. */
const LONGEST_DESTINATION = 4000
/** The hidden field of the sign-in form that its script fills in, because only the browser knows what its device can do. */
const FIELD = 'device_has_passkeys'

/** Whether the device of this browser can make passkeys, as the sign-in form said, now or in the step before. */
export function canMakePasskeys(req: Request): boolean {
  return optionalField(req.body, FIELD, 3) === 'yes' || req.session.pending?.canMakePasskeys === true
}

/** Where a sign-in leads: to the offer of a passkey where that is due, and from there to where the user was going. */
export async function leadPastPasskeyOffer(
  req: Request,
  { proof, identitySessionId, mayOffer }: { proof: Proof; identitySessionId: string; mayOffer: boolean },
  destination: string,
): Promise<string> {
  const services = servicesOf(req)
  // Signing in again (step-up) is on the way to something, and a trusted browser has not proved enough for a passkey.
  if (proof.identitySessionId !== undefined || proof.browserTrust === 'used') return destination
  if (proof.amr.includes('hwk') || proof.amr.includes('swk')) {
    const credential = optionalField(req.body, 'credential', LONGEST_CREDENTIAL)
    if (credential !== null && isOfThisBrowser(credential)) await notePasskeyInBrowser(services, identitySessionId)
    return destination
  }
  if (!mayOffer || destination.length > LONGEST_DESTINATION) return destination
  return (await shouldOfferPasskey(services, identitySessionId)) ? withReturnTo(OFFER, destination) : destination
}

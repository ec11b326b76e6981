import type { Request, Response } from 'express'
import { isLapsed, isStillSignedIn } from '../../domain/sign-in/identity-sessions.ts'
import { notePasskeyFound, refusePasskeyOffers } from '../../domain/sign-in/passkey-offers.ts'
import { LONGEST_CREDENTIAL, offersPasskeys, passkeyEnrolmentOptions } from '../../domain/sign-in/passkeys.ts'
import { addPasskey, LONGEST_FACTOR_NAME } from '../../domain/sign-in/second-factors.ts'
import { browserMessage } from '../../domain/user-agents.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField, textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { appNameOf, LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'

/** GET /passkey-offer: stands between a sign-in and where the user was going, once. */
export async function newPasskeyOffer(req: Request, res: Response): Promise<void> {
  if (!offersPasskeys(servicesOf(req))) throw notFound()
  await show(req, res, safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl), null)
}

/** POST /passkey-offer: adds the passkey, or notes that this browser has one, and leads on. */
export async function createOfferedPasskey(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  if (!offersPasskeys(services)) throw notFound()
  const signedIn = signedInOf(req)
  const returnTo = returnToIn(req)
  if (optionalField(req.body, 'outcome', 7) === 'present') {
    return leadOn(req, res, await notePasskeyFound(services, signedIn), returnTo)
  }
  const name = textsOf(req).say(browserMessage(req.clientInfo.browser)).slice(0, LONGEST_FACTOR_NAME)
  const credential = textField(req.body, 'credential', LONGEST_CREDENTIAL)
  const ceremony = optionalField(req.body, 'outcome', 7) === 'upgrade' ? 'upgrade' : 'offer'
  const outcome = await addPasskey(services, signedIn, name, credential, req.clientInfo, ceremony)
  if (outcome.kind === 'refused') {
    res.status(422)
    return show(req, res, returnTo, textsOf(req).t('passkey_offer.refused'))
  }
  if (outcome.kind === 'added') logEvent(req, 'second_factor_added', { identityId: signedIn.identityId })
  // Too many passkeys, or the passkey of another account: nothing that the user must know on the way to an app.
  return leadOn(req, res, outcome, returnTo)
}

/** POST /passkey-offer/refusal: "Don't ask again" */
export async function createOfferRefusal(req: Request, res: Response): Promise<void> {
  await leadOn(req, res, await refusePasskeyOffers(servicesOf(req), signedInOf(req)), returnToIn(req))
}

/** A sign-in that is no longer fresh makes no passkey, and leads on all the same; one that has ended is asked for again. */
async function leadOn(req: Request, res: Response, outcome: unknown, returnTo: string | null): Promise<void> {
  if (isLapsed(outcome) && !(await isStillSignedIn(servicesOf(req), signedInOf(req)))) return askToSignIn(req, res)
  res.redirect(303, returnTo ?? '/dashboard')
}

function returnToIn(req: Request): string | null {
  return safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), servicesOf(req).publicUrl)
}

async function show(req: Request, res: Response, returnTo: string | null, problem: string | null): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const [options, upgradeOptions] = await Promise.all(
    (['offer', 'upgrade'] as const).map(async (each) =>
      JSON.stringify(await passkeyEnrolmentOptions(services, signedIn, each)),
    ),
  )
  await render(
    req,
    res,
    'passkey-offers/new',
    { title: textsOf(req).t('passkey_offer.title'), narrow: true },
    {
      options,
      upgradeOptions,
      problem,
      returnTo,
      nextHref: returnTo ?? '/dashboard',
      appName: await appNameOf(req, returnTo),
    },
  )
}

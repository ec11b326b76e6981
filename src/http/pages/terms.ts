import type { Request, Response } from 'express'
import { acceptTerms } from '../../domain/accounts/terms.ts'
import { owesTerms } from '../../domain/identities/terms.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'

/** GET /terms: asks a signed-in user to accept the current version of the terms of use, and leads on from there. */
export async function newTermsAcceptance(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const returnTo = safeReturnTo(req.query['return_to'], services.publicUrl)
  if (!owesTerms(services, signedIn)) return res.redirect(303, returnTo ?? '/dashboard')
  await render(
    req,
    res,
    'terms/new',
    { title: textsOf(req).t('terms.title'), narrow: true },
    {
      version: services.brand.termsVersion,
      termsUrl: services.brand.termsUrl,
      isFirst: signedIn.termsVersion === null,
      returnTo,
    },
  )
}

/** POST /terms. After a form of an older version, the next page asks for the current one. */
export async function createTermsAcceptance(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const version = optionalField(req.body, 'version', 100) ?? ''
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const outcome = await acceptTerms(services, signedIn, version, req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (outcome === 'accepted') logEvent(req, 'terms_accepted', { identityId: signedIn.identityId, version })
  res.redirect(303, returnTo ?? '/dashboard')
}

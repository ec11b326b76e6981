import type { NextFunction, Request, Response } from 'express'
import { registerOrSignIn } from '../../domain/accounts/registrations.ts'
import { examineRegistration } from '../../domain/identities/identities.ts'
import { registrationPlace } from '../../domain/identities/open-registration.ts'
import { admitRegistration } from '../../domain/limits/login-throttling.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf } from '../context.ts'
import { nextAfterCookie } from '../cookie-check.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField } from '../form-fields.ts'
import { notFound, RequestRefused, TooManyAttempts, wordsOf } from '../http-errors.ts'
import { deviceOf } from '../middleware/device.ts'
import { keepForm } from '../middleware/error-page.ts'
import { enterAsNew, readRegistration, showRegistration } from '../registration-form.ts'
import { isInteraction, LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { followPassword } from '../sign-in.ts'

/** Without open registration there is no form: with invitations the page says so, else there is no page. */
export function requireOpenRegistration(req: Request, _res: Response, next: NextFunction): void {
  switch (servicesOf(req).policy.registration) {
    case 'open':
      if (registrationPlace(servicesOf(req)) === 'elsewhere')
        throw new RequestRefused(
          403,
          wordsOf('source.registration_title', 'source.registration_sentence', 'source.registration_advice'),
          { href: '/login', label: message('sign_in.button') },
        )
      return next()
    case 'invited':
      throw new RequestRefused(
        403,
        wordsOf('register.invited_title', 'register.invited_sentence', 'register.invited_advice'),
        { href: '/login', label: message('sign_in.button') },
      )
    case 'closed':
      throw notFound()
  }
}

/** GET /register */
export async function newRegistration(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  // In an interaction, a signed-in user may be asked for another account.
  if (req.signedIn && !isInteraction(returnTo))
    return redirectWith(req, res, 'already-signed-in', returnTo ?? '/dashboard')
  await showRegistration(req, res, { returnTo })
}

/** POST /register */
export async function createRegistration(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const sent = readRegistration(req)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const form = { ...sent, returnTo }

  const act = async () => {
    // Every form counts against the rate limit, before anything costly and whatever its outcome.
    const admission = await admitRegistration(services, req.clientInfo.address)
    if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
    if (!sent.isComplete) {
      const examined = await examineRegistration(services, sent.values, req.clientInfo)
      res.status(422)
      return showRegistration(req, res, { ...form, ...examined })
    }
    const { termsVersion } = services.brand
    const context = { clientInfo: req.clientInfo, deviceHash: deviceOf(req), termsVersion }
    const outcome = await registerOrSignIn(services, sent.values, context)
    switch (outcome.kind) {
      case 'registered':
        return enterAsNew(req, res, outcome.identity, returnTo)
      case 'refused':
        res.status(422)
        return showRegistration(req, res, { ...form, ...outcome })
      case 'signed-in':
      case 'second-factor': {
        const next = await followPassword(req, res, outcome, returnTo)
        if (next === null) return redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))
        res.redirect(303, nextAfterCookie(req, next))
      }
    }
  }
  await keepForm(req, res, act, (wait) => showRegistration(req, res, { ...form, wait }))
}

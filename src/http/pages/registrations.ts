import { message } from '../../i18n/messages.ts'
import type { Request, Response } from 'express'
import { admitRegistration } from '../../domain/limits/login-throttling.ts'
import { proofByPassword } from '../../domain/sign-in/identity-sessions.ts'
import { examineRegistration, register } from '../../domain/identities/identities.ts'
import { servicesOf } from '../context.ts'
import { nextAfterCookie } from '../cookie-check.ts'
import { logEvent } from '../event-log.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField, passwordField, pastedField, textField } from '../form-fields.ts'
import { keepForm } from '../middleware/error-page.ts'
import { TooManyAttempts } from '../http-errors.ts'
import { showRegistration } from '../registration-form.ts'
import { isInteraction, LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { completeSignIn } from '../sign-in.ts'

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
  const registration = {
    username: textField(req.body, 'username'),
    email: pastedField(req.body, 'email'),
    password: passwordField(req.body, 'password'),
  }
  const isConfirmed = registration.password === passwordField(req.body, 'password_confirmation')
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const { termsVersion } = services.brand
  const acceptedTerms = optionalField(req.body, 'terms', 100)
  const form = { values: registration, acceptedTerms, returnTo }

  const act = async () => {
    // Every form counts against the rate limit, before anything costly and whatever its outcome.
    const admission = await admitRegistration(services, req.clientInfo.address)
    if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
    if (!isConfirmed || (termsVersion !== null && acceptedTerms !== termsVersion)) {
      const { problems, verdict } = await examineRegistration(services, registration, req.clientInfo)
      const unconfirmed = isConfirmed ? {} : { password_confirmation: message('password.not_the_same') }
      res.status(422)
      return showRegistration(req, res, { ...form, problems: { ...problems, ...unconfirmed }, verdict })
    }
    const outcome = await register(services, registration, req.clientInfo, { termsVersion })
    if (outcome.kind === 'refused') {
      res.status(422)
      return showRegistration(req, res, { ...form, ...outcome })
    }
    logEvent(req, 'registered', { identityId: outcome.identity.id })
    const proof = proofByPassword(outcome.identity)
    const next = await completeSignIn(req, res, proof, returnTo ?? '/dashboard')
    if (next === null) return redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))
    redirectWith(req, res, 'registered', nextAfterCookie(req, next))
  }
  await keepForm(req, res, act, (wait) => showRegistration(req, res, { ...form, wait }))
}

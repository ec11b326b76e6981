import type { Request, Response } from 'express'
import { readableEmail } from '../../domain/identities/emails.ts'
import { askForEmailProof, lookAtEmailProof, proveEmail } from '../../domain/accounts/email-proofs.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { render } from '../page.ts'
import { LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'

type ProofRequest = Request<{ token: string }>

/** GET /verify-email */
export async function showEmailVerification(req: Request, res: Response): Promise<void> {
  const { email, emailVerified } = signedInOf(req)
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  await render(
    req,
    res,
    'email-verifications/show',
    { title: textsOf(req).t('verify.page_title'), narrow: true },
    { email: readableEmail(email), emailVerified, returnTo },
  )
}

/** POST /verify-email: sends the link again. */
export async function createVerificationMail(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const outcome = await askForEmailProof(services, signedInOf(req), req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  const page = withReturnTo('/verify-email', returnTo)
  // The page says by itself that the address is confirmed.
  if (outcome === 'confirmed') return res.redirect(303, page)
  logEvent(req, 'address_proof_asked')
  redirectWith(req, res, outcome === 'sent' ? 'verification-sent' : 'verification-limited', page)
}

/** GET /verify-email/:token: shows a form and changes nothing, because mail scanners open links too. */
export async function newEmailVerification(req: ProofRequest, res: Response): Promise<void> {
  const proof = await lookAtEmailProof(servicesOf(req), req.params.token)
  if (proof === null) return showDeadLink(req, res)
  const { t } = textsOf(req)
  const title = proof.kind === 'change' ? t('verify.change_title') : t('verify.title')
  await render(
    req,
    res,
    'email-verifications/new',
    { title, narrow: true },
    {
      ...proof,
      email: readableEmail(proof.email),
      token: req.params.token,
    },
  )
}

/** POST /verify-email/:token */
export async function createEmailVerification(req: ProofRequest, res: Response): Promise<void> {
  const outcome = await proveEmail(servicesOf(req), req.params.token, req.clientInfo)
  switch (outcome.kind) {
    case 'confirmed':
    case 'changed':
      logEvent(req, `address_${outcome.kind}`, { identityId: outcome.identityId })
      return redirectWith(req, res, `address-${outcome.kind}`, req.signedIn ? '/settings' : '/login')
    case 'taken':
      res.status(409)
      return render(
        req,
        res,
        'email-verifications/taken',
        { title: textsOf(req).t('verify.taken_title'), narrow: true },
        {},
      )
    case 'dead':
      return showDeadLink(req, res)
  }
}

async function showDeadLink(req: ProofRequest, res: Response): Promise<void> {
  const { signedIn } = req
  res.status(404)
  await render(
    req,
    res,
    'email-verifications/dead',
    { title: textsOf(req).t('link.dead_title'), narrow: true },
    { email: signedIn ? readableEmail(signedIn.email) : null, emailVerified: signedIn?.emailVerified ?? false },
  )
}

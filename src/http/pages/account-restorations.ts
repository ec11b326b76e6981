import type { Request, Response } from 'express'
import { findErasure, keepAccount } from '../../domain/accounts/deletions.ts'
import { servicesOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField } from '../form-fields.ts'
import { pendingSignInOf } from '../middleware/session.ts'
import { render } from '../page.ts'
import { cancelActionOf, LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { completeSignIn } from '../sign-in.ts'

/** GET /account-restoration: for a user who has signed in to an account in its deletion grace period. */
export async function newAccountRestoration(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const returnTo = safeReturnTo(req.query['return_to'], services.publicUrl)
  const pending = pendingSignInOf(req, 'restoration')
  const erasedFrom = pending && (await findErasure(services, pending.proof))
  if (erasedFrom === null) return redirectWith(req, res, 'sign-in-expired', '/login')
  await render(
    req,
    res,
    'account-restorations/new',
    { title: textsOf(req).t('restore.title'), narrow: true },
    {
      time: textsOf(req).time(erasedFrom, services.clock()),
      returnTo,
      cancelAction: cancelActionOf(returnTo),
    },
  )
}

/** POST /account-restoration: keeps the account, and signs its owner in. */
export async function createAccountRestoration(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const pending = pendingSignInOf(req, 'restoration')
  if (pending === null) return redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))

  const { proof } = pending
  const { identityId } = proof
  if (await keepAccount(services, proof, req.clientInfo)) logEvent(req, 'deletion_withdrawn', { identityId })
  const next = await completeSignIn(req, res, proof, returnTo ?? '/dashboard')
  if (next === null) return redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))
  redirectWith(req, res, 'account-kept', next)
}

import type { Request, Response } from 'express'
import { servicesOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField } from '../form-fields.ts'
import { pendingSignInOf } from '../middleware/session.ts'
import { keepForm } from '../middleware/error-page.ts'
import type { WaitWords } from '../too-many-attempts.ts'
import { LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { missingCode, problemOf, type SecondStepProblem, showSecondStep, takeSecondStep } from '../second-step.ts'

/** GET /login/second-factor */
export async function newSecondStep(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  const pending = pendingSignInOf(req)
  if (pending === null) return startAgain(req, res, returnTo)
  const { identityId } = pending.proof
  await showSecondStep(req, res, { ...SIGN_IN, identityId, problem: null, wait: null, returnTo })
}

/** POST /login/second-factor: completes the sign-in that the password began. */
export async function createSecondStep(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), servicesOf(req).publicUrl)
  const pending = pendingSignInOf(req)
  if (pending === null) return startAgain(req, res, returnTo)
  const { proof } = pending
  const show = (problem: SecondStepProblem | null, wait: WaitWords | null = null) =>
    showSecondStep(req, res, { ...SIGN_IN, identityId: proof.identityId, problem, wait, returnTo })
  const missing = missingCode(req)
  if (missing !== null) {
    res.status(422)
    return show(missing)
  }
  const act = async () => {
    const next = await takeSecondStep(req, res, proof, returnTo ?? '/dashboard')
    if (next !== null) return res.redirect(303, next)
    await show(problemOf(req))
  }
  await keepForm(req, res, act, (wait) => show(null, wait))
}

/** The password was entered too long ago, or in another browser. */
function startAgain(req: Request, res: Response, returnTo: string | null): void {
  redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))
}

/** The texts of the question, and where its form goes. */
const SIGN_IN = { action: '/login/second-factor', cancelHref: '/login', cancelAction: null, askedBy: null }

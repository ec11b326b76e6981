import type { Request, Response } from 'express'
import { withSecondProof } from '../../domain/sign-in/authentication-context.ts'
import { findIdentity } from '../../domain/identities/identities.ts'
import type { Proof } from '../../domain/sign-in/identity-sessions.ts'
import { LONGEST_CREDENTIAL, passkeySecondStepOptions } from '../../domain/sign-in/passkeys.ts'
import { listSecondFactors, proveSecondStep, type SecondStepAnswer } from '../../domain/sign-in/second-factors.ts'
import { isRecoveryCode } from '../../domain/sign-in/typed-codes.ts'
import { servicesOf } from '../context.ts'
import { logEvent, logIpBlock } from '../event-log.ts'
import { optionalField, pastedField } from '../form-fields.ts'
import { deviceOf } from '../middleware/device.ts'
import { pendingSignInOf } from '../middleware/session.ts'
import { keepForm } from '../middleware/error-page.ts'
import { TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import { cancelActionOf, LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'
import type { WaitWords } from '../too-many-attempts.ts'
import { appNameOf, enter, withReturnTo } from './sessions.ts'

/** GET /login/second-factor */
export async function newSecondStep(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  const pending = pendingSignInOf(req)
  if (pending === null) return res.redirect(303, withReturnTo('/login', returnTo))
  const { identityId } = pending.proof
  await showSecondStep(req, res, { ...SIGN_IN, identityId, problem: null, wait: null, returnTo })
}

/** POST /login/second-factor: completes the sign-in that the password began. */
export async function createSecondStep(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), servicesOf(req).publicUrl)
  const pending = pendingSignInOf(req)
  if (pending === null) return res.redirect(303, withReturnTo('/login', returnTo))
  const { proof } = pending
  const show = (problem: string | null, wait: WaitWords | null = null) =>
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

/**
 * Signs in with one more factor than before, and says where to go next. Null, and 401, when it is wrong. @throws TooManyGuesses
 */
export async function takeSecondStep(
  req: Request,
  res: Response,
  first: Proof,
  destination: string,
): Promise<string | null> {
  const { identityId } = first
  const services = servicesOf(req)
  const attempt = {
    identityId,
    answer: answerIn(req),
    clientInfo: req.clientInfo,
    deviceHash: deviceOf(req),
    isSignedIn: first.identitySessionId !== undefined,
  }
  const outcome = await proveSecondStep(services, attempt)
  switch (outcome.kind) {
    case 'proved': {
      const next = await enter(req, res, { ...first, amr: withSecondProof(first.amr, outcome.proof) }, destination)
      if (next !== null) return next
      break
    }
    case 'throttled':
      throw new TooManyAttempts(outcome, services.clock())
    case 'refused':
      logIpBlock(req, outcome.ipBlock)
  }
  logEvent(req, 'second_factor_refused', { identityId })
  res.status(401)
  return null
}

/** The texts of the question, and where its form goes. */
const SIGN_IN = { action: '/login/second-factor', cancelHref: '/login', cancelAction: null, reason: null }

export interface SecondStepPage {
  identityId: string
  action: string
  /** Where a user goes who has no second factor at hand, or the form that takes them there. */
  cancelHref: string | null
  cancelAction: string | null
  /** Why a signed-in user is asked. */
  reason: string | null
  problem: string | null
  wait: WaitWords | null
  returnTo: string | null
}

/** The one form for a second factor, wherever it is needed. */
export async function showSecondStep(req: Request, res: Response, page: SecondStepPage): Promise<void> {
  const services = servicesOf(req)
  const { identityId, returnTo } = page
  const [identity, { factors }, options] = await Promise.all([
    findIdentity(services.storage, identityId),
    listSecondFactors(services, identityId),
    passkeySecondStepOptions(services, identityId),
  ])
  await render(
    req,
    res,
    'second-steps/new',
    { title: 'Second factor', narrow: true },
    {
      ...page,
      cancelAction: page.cancelAction ?? cancelActionOf(returnTo),
      username: identity?.username ?? '',
      appName: await appNameOf(req, returnTo),
      hasApp: factors.some(({ kind }) => kind === 'totp'),
      passkeyOptions: options === null ? null : JSON.stringify(options),
    },
  )
}

/** The message for a form without a code, which is no attempt; null for any other. */
export function missingCode(req: Request): string | null {
  const answer = answerIn(req)
  return 'code' in answer && answer.code.trim() === '' ? 'Enter the code.' : null
}

export function problemOf(req: Request): string {
  const answer = answerIn(req)
  if ('credential' in answer) return 'That passkey was not accepted. Try again, or use a code.'
  return isRecoveryCode(answer.code)
    ? 'That recovery code is not right, or it was used before. Check how it is written, or use another one.'
    : 'That code is not right, or it was used before. Wait for the next one and try again.'
}

function answerIn(req: Request): SecondStepAnswer {
  const credential = optionalField(req.body, 'credential', LONGEST_CREDENTIAL)
  return credential === null ? { code: pastedField(req.body, 'code', 64) } : { credential }
}

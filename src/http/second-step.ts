import type { Request, Response } from 'express'
import { findIdentity } from '../domain/identities/identities.ts'
import { withSecondProof } from '../domain/sign-in/authentication-context.ts'
import type { Proof } from '../domain/sign-in/identity-sessions.ts'
import { LONGEST_CREDENTIAL, passkeySecondStepOptions } from '../domain/sign-in/passkeys.ts'
import { listSecondFactors, proveSecondStep, type SecondStepAnswer } from '../domain/sign-in/second-factors.ts'
import { methodsOf } from '../domain/sign-in/sign-in-methods.ts'
import { isRecoveryCode, plainCode } from '../domain/sign-in/typed-codes.ts'
import { servicesOf } from './context.ts'
import { logEvent, logIpBlock } from './event-log.ts'
import { leaveFlash } from './flash-messages.ts'
import { optionalField, pastedField } from './form-fields.ts'
import { TooManyAttempts } from './http-errors.ts'
import { deviceOf } from './middleware/device.ts'
import { render } from './page.ts'
import { appNameOf, cancelActionOf } from './return-to.ts'
import { completeSignIn } from './sign-in.ts'
import type { WaitWords } from './too-many-attempts.ts'

/**
 * Signs in with one more factor than before, and says where to go next. Null, and 401, when it is wrong. @throws TooManyAttempts
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
      const next = await completeSignIn(
        req,
        res,
        {
          ...first,
          amr: withSecondProof(first.amr, outcome.proof),
          methods: [...(first.methods ?? methodsOf(first.amr)), outcome.method],
        },
        destination,
      )
      if (next === null) break
      const { recoveryCodesLeft: count } = outcome
      if (count !== null) leaveFlash(req, res, 'recovery-code-used', { values: { count } })
      return next
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
    findIdentity(services, identityId),
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
  return 'code' in answer && plainCode(answer.code) === '' ? 'Enter the code.' : null
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

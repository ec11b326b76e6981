import type { Request, Response } from 'express'
import { findIdentity } from '../domain/identities/identities.ts'
import { withSecondProof } from '../domain/sign-in/authentication-context.ts'
import type { Proof } from '../domain/sign-in/identity-sessions.ts'
import { LONGEST_CREDENTIAL, passkeySecondStepOptions } from '../domain/sign-in/passkeys.ts'
import {
  hasAnyFactor,
  listSecondFactors,
  proveSecondStep,
  type SecondStepAnswer,
} from '../domain/sign-in/second-factors.ts'
import { methodsOf } from '../domain/sign-in/sign-in-methods.ts'
import { trustOfferedTo } from '../domain/sign-in/trusted-browsers.ts'
import { isRecoveryCode, plainCode } from '../domain/sign-in/typed-codes.ts'
import { type Message, message } from '../i18n/messages.ts'
import { servicesOf, textsOf } from './context.ts'
import { logEvent, logIpBlock } from './event-log.ts'
import { leaveFlash } from './flash-messages.ts'
import { optionalField, pastedField } from './form-fields.ts'
import { TooManyAttempts } from './http-errors.ts'
import { deviceOf } from './middleware/device.ts'
import { render } from './page.ts'
import { appNameOf, cancelActionOf, withReturnTo } from './return-to.ts'
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
      const { recoveryCodesLeft: count } = outcome
      const methods = [...(first.methods ?? methodsOf(first.amr)), outcome.method]
      const proof: Proof = { ...first, amr: withSecondProof(first.amr, outcome.proof), methods }
      // A user who had only a recovery code is often in a browser that is not theirs.
      if (count === null && wantsTrust(req) && (await trustOffered(req, identityId)) !== null)
        proof.browserTrust = 'wanted'
      const next = await completeSignIn(req, res, proof, destination)
      if (next === null) break
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

/** What is wrong with an answer, and which of the fields to look at. */
export interface SecondStepProblem {
  field: 'code' | 'recovery_code' | 'passkey'
  sentence: Message
}

export interface SecondStepPage {
  identityId: string
  action: string
  /** Where a user goes who wants another account, or the form that takes them away. */
  cancelHref: string | null
  cancelAction: string | null
  /** The app that asks a signed-in user; null for a sign-in. */
  askedBy: string | null
  problem: SecondStepProblem | null
  wait: WaitWords | null
  returnTo: string | null
}

/** The one form for a second factor, wherever it is needed. */
export async function showSecondStep(req: Request, res: Response, page: SecondStepPage): Promise<void> {
  const services = servicesOf(req)
  const { identityId, returnTo } = page
  const [identity, { factors }, options, trustDays] = await Promise.all([
    findIdentity(services, identityId),
    listSecondFactors(services, identityId),
    passkeySecondStepOptions(services, identityId),
    trustOffered(req, identityId),
  ])
  const hasApp = factors.some(({ kind }) => kind === 'totp')
  await render(
    req,
    res,
    'second-steps/new',
    { title: textsOf(req).t('second_step.title'), narrow: true },
    {
      ...page,
      cancelAction: page.cancelAction ?? cancelActionOf(returnTo),
      username: identity?.username ?? '',
      appName: await appNameOf(req, returnTo),
      hasApp,
      passkeyOptions: options === null ? null : JSON.stringify(options),
      trustDays,
      trusts: wantsTrust(req),
      opensRecovery: page.problem?.field === 'recovery_code',
    },
  )
}

/** Asks a signed-in user for one more factor, because an app wants it (step-up), or says how to set one up. */
export async function showStepUp(
  req: Request,
  res: Response,
  page: Omit<SecondStepPage, 'cancelHref'> & { askedBy: string },
): Promise<void> {
  const { identityId, askedBy: appName, cancelAction, returnTo } = page
  if (await hasAnyFactor(servicesOf(req), identityId)) return showSecondStep(req, res, { ...page, cancelHref: null })
  await render(
    req,
    res,
    'interactions/no-second-factor',
    { title: textsOf(req).t('second_step.needed_title'), narrow: true },
    { appName, setUpHref: withReturnTo('/settings/second-factors', returnTo), cancelAction },
  )
}

/** The message for a form without a code, which is no attempt; null for any other. */
export function missingCode(req: Request): SecondStepProblem | null {
  const answer = answerIn(req)
  if ('recoveryCode' in answer)
    return plainCode(answer.recoveryCode) === ''
      ? { field: 'recovery_code', sentence: message('second_step.recovery_missing') }
      : null
  return 'code' in answer && plainCode(answer.code) === ''
    ? { field: 'code', sentence: message('second_step.code_missing') }
    : null
}

export function problemOf(req: Request): SecondStepProblem {
  const answer = answerIn(req)
  if ('credential' in answer) return { field: 'passkey', sentence: message('second_step.passkey_wrong') }
  const field = 'recoveryCode' in answer ? 'recovery_code' : 'code'
  return 'recoveryCode' in answer || isRecoveryCode(answer.code)
    ? { field, sentence: message('second_step.recovery_wrong') }
    : { field, sentence: message('second_step.code_wrong') }
}

function answerIn(req: Request): SecondStepAnswer {
  const credential = optionalField(req.body, 'credential', LONGEST_CREDENTIAL)
  if (credential !== null) return { credential }
  const body = req.body as Record<string, unknown> | undefined
  if (body?.['recovery_code'] !== undefined) return { recoveryCode: pastedField(req.body, 'recovery_code', 64) }
  return { code: pastedField(req.body, 'code', 64) }
}

function wantsTrust(req: Request): boolean {
  return req.method === 'POST' && optionalField(req.body, 'trust_browser', 10) === 'yes'
}

/** For how many days this user may trust the browser; null where they may not. */
async function trustOffered(req: Request, identityId: string): Promise<number | null> {
  const services = servicesOf(req)
  const identity = await findIdentity(services, identityId)
  return identity && trustOfferedTo(services, identity)
}

import type { Request, Response } from 'express'
import { newPasswordLength, setsPasswordOf, setsPasswordOfAll } from '../../domain/accounts/new-passwords.ts'
import {
  askForPasswordReset,
  lookAtPasswordReset,
  recoveryProblem,
  resetPassword,
} from '../../domain/accounts/password-resets.ts'
import { admitRecovery } from '../../domain/limits/login-throttling.ts'
import type { PasswordVerdict } from '../../domain/passwords/password-judge.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField, passwordField, pastedField } from '../form-fields.ts'
import { redirectWith } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { keptElsewhere, TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import { cancelActionOf, LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import type { WaitWords } from '../too-many-attempts.ts'

type ResetRequest = Request<{ token: string }>

/** GET /forgot-password */
export async function newForgottenPassword(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  await showForgotten(req, res, { login: '', returnTo })
}

/** POST /forgot-password: the same answer and the same work, with and without an account (no account enumeration). */
export async function createForgottenPassword(req: Request, res: Response): Promise<void> {
  const login = pastedField(req.body, 'email')
  const services = servicesOf(req)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const form = { login, returnTo }
  const problem = recoveryProblem(login)
  if (problem !== null) {
    res.status(422)
    return showForgotten(req, res, { ...form, problems: { email: problem } })
  }
  const act = async () => {
    const admission = await admitRecovery(services, req.clientInfo.address)
    if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
    await askForPasswordReset(services, login, req.clientInfo)
    logEvent(req, 'password_reset_asked')
    return render(
      req,
      res,
      'password-resets/asked',
      { title: textsOf(req).t('forgotten.asked_title'), narrow: true },
      { loginHref: withReturnTo('/login', returnTo), againHref: withReturnTo('/forgot-password', returnTo) },
    )
  }
  await keepForm(req, res, act, (wait) => showForgotten(req, res, { ...form, wait }))
}

/** GET /reset-password/:token: shows the form and changes nothing. */
export async function newPasswordReset(req: ResetRequest, res: Response): Promise<void> {
  await showReset(req, res, {})
}

/** POST /reset-password/:token */
export async function createPasswordReset(req: ResetRequest, res: Response): Promise<void> {
  const { token } = req.params
  const password = passwordField(req.body, 'password')
  const isConfirmed = password === passwordField(req.body, 'password_confirmation')
  const act = async () => {
    const outcome = await resetPassword(servicesOf(req), token, { password, isConfirmed }, req.clientInfo)
    switch (outcome.kind) {
      case 'reset':
        logEvent(req, 'password_reset', { identityId: outcome.identityId })
        return redirectWith(req, res, 'password-reset', '/login')
      case 'throttled':
        throw new TooManyAttempts(outcome, servicesOf(req).clock())
      case 'refused':
        return showReset(
          req,
          res,
          {
            ...(outcome.problem !== null && { password: outcome.problem }),
            ...(!isConfirmed && { password_confirmation: message('password.not_the_same') }),
          },
          outcome.verdict,
        )
      case 'elsewhere':
        throw keptElsewhere()
      case 'dead':
        return showDeadLink(req, res)
    }
  }
  await keepForm(req, res, act, (wait) => showReset(req, res, {}, null, wait))
}

interface ForgottenForm {
  login: string
  /** Where the user was going, which the sign-in afterwards leads to. */
  returnTo: string | null
  problems?: { email?: Message }
  wait?: WaitWords
}

async function showForgotten(
  req: Request,
  res: Response,
  { login, returnTo, problems = {}, wait }: ForgottenForm,
): Promise<void> {
  await render(
    req,
    res,
    'password-resets/forgotten',
    { title: textsOf(req).t('forgotten.title'), narrow: true },
    {
      email: login,
      problems,
      wait: wait ?? null,
      returnTo,
      loginHref: withReturnTo('/login', returnTo),
      cancelAction: cancelActionOf(returnTo),
      mayBeElsewhere: !setsPasswordOfAll(servicesOf(req)),
    },
  )
}

async function showReset(
  req: ResetRequest,
  res: Response,
  problems: Record<string, Message>,
  verdict: PasswordVerdict | null = null,
  wait: WaitWords | null = null,
): Promise<void> {
  const services = servicesOf(req)
  const { token } = req.params
  const owner = await lookAtPasswordReset(services, token)
  if (owner === null) return showDeadLink(req, res)
  if (!setsPasswordOf(services, owner)) throw keptElsewhere()
  if (Object.keys(problems).length > 0) res.status(422)
  // Second factors of an unconfirmed e-mail address do not outlive the reset, so they do not allow a shorter password.
  const minimumLength = owner.emailVerified
    ? await newPasswordLength(services, owner.id)
    : services.policy.passwordLength
  await render(
    req,
    res,
    'password-resets/new',
    { title: textsOf(req).t('reset.title'), narrow: true },
    { token, owner: owner.username, problems, verdict, wait, minimumLength },
  )
}

async function showDeadLink(req: Request<{ token: string }>, res: Response): Promise<void> {
  res.status(404)
  await render(req, res, 'password-resets/dead', { title: textsOf(req).t('link.dead_title'), narrow: true }, {})
}

import type { Message } from '../../i18n/messages.ts'
import type { Request, Response } from 'express'
import { proofOf } from '../../domain/sign-in/identity-sessions.ts'
import { newPasswordLength, setsPasswordOf } from '../../domain/accounts/new-passwords.ts'
import { changePassword } from '../../domain/accounts/password-changes.ts'
import type { PasswordVerdict } from '../../domain/passwords/password-judge.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent, logIpBlock } from '../event-log.ts'
import { passwordField } from '../form-fields.ts'
import { deviceOf } from '../middleware/device.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { keptElsewhere, TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import type { WaitWords } from '../too-many-attempts.ts'
import { completeSignIn } from '../sign-in.ts'

/** GET /settings/password */
export async function newPasswordChange(req: Request, res: Response): Promise<void> {
  if (!setsPasswordOf(servicesOf(req), signedInOf(req))) throw keptElsewhere()
  await show(req, res, {})
}

/** POST /settings/password */
export async function createPasswordChange(req: Request, res: Response): Promise<void> {
  const signedIn = signedInOf(req)
  const texts = textsOf(req)
  const current = passwordField(req.body, 'current_password')
  const password = passwordField(req.body, 'password')
  const confirmation = passwordField(req.body, 'password_confirmation')
  const problems = {
    // An empty field is not an attempt, so it is not counted.
    ...(current === '' && { current_password: texts.t('password_change.missing_current') }),
    ...(password === '' && { password: texts.t('password_change.missing') }),
    ...(password !== confirmation && { password_confirmation: texts.t('password_change.mismatch') }),
  }
  if (Object.keys(problems).length > 0) return show(req, res, problems)

  const act = async () => {
    const typed = { current, password, clientInfo: req.clientInfo, deviceHash: deviceOf(req) }
    const outcome = await changePassword(servicesOf(req), signedIn, typed)
    switch (outcome.kind) {
      case 'changed': {
        logEvent(req, 'password_changed')
        const next = await completeSignIn(req, res, proofOf(signedIn), '/settings')
        return next === '/settings' ? redirectWith(req, res, 'password-changed', next) : askToSignIn(req, res)
      }
      case 'lapsed':
        return askToSignIn(req, res)
      case 'elsewhere':
        throw keptElsewhere()
      case 'throttled':
        throw new TooManyAttempts(outcome, servicesOf(req).clock())
      case 'wrong-credentials':
        logIpBlock(req, outcome.ipBlock)
        logEvent(req, 'password_change_refused')
        return show(req, res, { current_password: texts.t('password_change.wrong_current') })
      case 'refused':
        return show(req, res, { password: outcome.problem }, outcome.verdict)
    }
  }
  await keepForm(req, res, act, (wait) => show(req, res, {}, null, wait))
}

async function show(
  req: Request,
  res: Response,
  problems: Record<string, Message | string>,
  verdict: PasswordVerdict | null = null,
  wait: WaitWords | null = null,
): Promise<void> {
  if (Object.keys(problems).length > 0) res.status(422)
  const { username: owner, identityId } = signedInOf(req)
  const minimumLength = await newPasswordLength(servicesOf(req), identityId)
  await render(
    req,
    res,
    'password-changes/new',
    { title: textsOf(req).t('password_change.title'), narrow: true },
    { owner, problems, verdict, wait, minimumLength },
  )
}

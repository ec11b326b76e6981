import type { Request, Response } from 'express'
import { readableEmail } from '../../domain/identities/emails.ts'
import { askForEmailChange, findPendingEmailChange, withdrawEmailChange } from '../../domain/accounts/email-changes.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import type { Message } from '../../i18n/messages.ts'
import { pastedField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { takeFields } from '../kept-fields.ts'
import { redirectWith } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { keptElsewhere, TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import type { WaitWords } from '../too-many-attempts.ts'

/** GET /settings/email */
export async function newEmailChange(req: Request, res: Response): Promise<void> {
  if (signedInOf(req).sourceId !== null) throw keptElsewhere()
  await show(req, res, takeFields(req, res).email ?? '')
}

/** POST /settings/email: the same answer, whether or not the new e-mail address is taken (no account enumeration). */
export async function createEmailChange(req: Request, res: Response): Promise<void> {
  if (signedInOf(req).sourceId !== null) throw keptElsewhere()
  const email = pastedField(req.body, 'email')
  const act = async () => {
    const outcome = await askForEmailChange(servicesOf(req), signedInOf(req), email, req.clientInfo)
    switch (outcome.kind) {
      case 'asked':
        logEvent(req, 'address_change_asked')
        return redirectWith(req, res, 'address-change-asked', '/settings')
      case 'lapsed':
        return askToSignIn(req, res)
      case 'throttled':
        throw new TooManyAttempts(outcome, servicesOf(req).clock())
      case 'refused':
        res.status(422)
        return show(req, res, email, { email: inWords(req, outcome.problem) })
    }
  }
  await keepForm(req, res, act, (wait) => show(req, res, email, {}, wait))
}

/** POST /settings/email/withdrawal */
export async function createEmailChangeWithdrawal(req: Request, res: Response): Promise<void> {
  const outcome = await withdrawEmailChange(servicesOf(req), signedInOf(req), req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  logEvent(req, 'address_change_withdrawn')
  redirectWith(req, res, 'address-change-withdrawn', '/settings')
}

async function show(
  req: Request,
  res: Response,
  typed: string,
  problems: Record<string, Message | string> = {},
  wait: WaitWords | null = null,
): Promise<void> {
  const { identityId, email } = signedInOf(req)
  const pending = await findPendingEmailChange(servicesOf(req), identityId)
  await render(
    req,
    res,
    'email-changes/new',
    { title: textsOf(req).t('email_change.title'), narrow: true },
    { email: readableEmail(email), typed, pendingEmail: pending && readableEmail(pending.email), problems, wait },
  )
}

function inWords(req: Request, problem: Message | string): string {
  return typeof problem === 'string' ? problem : textsOf(req).say(problem)
}

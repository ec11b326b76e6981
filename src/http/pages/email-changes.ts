import type { Request, Response } from 'express'
import { readableAddress } from '../../domain/identities/emails.ts'
import {
  askForAddressChange,
  findPendingAddressChange,
  withdrawAddressChange,
} from '../../domain/accounts/email-changes.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { portalOf, signedInOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { pastedField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { TooManyGuesses } from '../http-errors.ts'
import { render } from '../page.ts'
import type { WaitWords } from '../too-many-attempts.ts'

/** GET /settings/email */
export async function newAddressChange(req: Request, res: Response): Promise<void> {
  await show(req, res, '')
}

/** POST /settings/email: the same answer, whoever has the new address. */
export async function createAddressChange(req: Request, res: Response): Promise<void> {
  const email = pastedField(req.body, 'email')
  const act = async () => {
    const outcome = await askForAddressChange(portalOf(req), signedInOf(req), email, req.place)
    switch (outcome.kind) {
      case 'asked':
        logEvent(req, 'address_change_asked')
        return redirectWith(req, res, 'address-change-asked', '/settings')
      case 'lapsed':
        return askToSignIn(req, res)
      case 'throttled':
        throw new TooManyGuesses(outcome, portalOf(req).clock())
      case 'refused':
        res.status(422)
        return show(req, res, email, { email: outcome.problem })
    }
  }
  await keepForm(req, res, act, (wait) => show(req, res, email, {}, wait))
}

/** POST /settings/email/withdrawal */
export async function createAddressChangeWithdrawal(req: Request, res: Response): Promise<void> {
  const outcome = await withdrawAddressChange(portalOf(req), signedInOf(req), req.place)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  logEvent(req, 'address_change_withdrawn')
  redirectWith(req, res, 'address-change-withdrawn', '/settings')
}

async function show(
  req: Request,
  res: Response,
  typed: string,
  problems: Record<string, string> = {},
  wait: WaitWords | null = null,
): Promise<void> {
  const { identityId, email } = signedInOf(req)
  const pending = await findPendingAddressChange(portalOf(req), identityId)
  await render(
    req,
    res,
    'address-changes/new',
    { title: 'Change your address', narrow: true },
    { email: readableAddress(email), typed, pendingEmail: pending && readableAddress(pending.email), problems, wait },
  )
}

import type { Request, Response } from 'express'
import { readableEmail } from '../../domain/identities/emails.ts'
import { isFresh } from '../../domain/sign-in/identity-sessions.ts'
import { ACCOUNT_LINK_PAGE, forgetAccountLink, linkWaitingAccount, waitingAccountOf } from '../account-links.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { badRequest } from '../http-errors.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { withReturnTo } from '../return-to.ts'
import { showSignIn } from '../sign-in.ts'

/** GET /login/connection: asks for a sign-in, and a user who has signed in whether to link. */
export async function newAccountLink(req: Request, res: Response): Promise<void> {
  const waiting = await waitingAccountOf(req)
  if (waiting === null) return redirectWith(req, res, 'upstream-expired', req.signedIn ? '/dashboard' : '/login')
  if (!req.signedIn) {
    const login = waiting.why === 'known-address' ? (waiting.verifiedEmail ?? '') : ''
    return showSignIn(req, res, { login, returnTo: ACCOUNT_LINK_PAGE })
  }
  if (!(await isFresh(servicesOf(req), req.signedIn)))
    return res.redirect(303, withReturnTo('/reauthentication', ACCOUNT_LINK_PAGE))
  const { provider, email } = waiting.account
  await render(
    req,
    res,
    'account-links/new',
    { title: textsOf(req).t('connection.title', { provider }), narrow: true },
    { provider, email: email && readableEmail(email), username: req.signedIn.username },
  )
}

/** POST /login/connection */
export async function createAccountLink(req: Request, res: Response): Promise<void> {
  if ((await waitingAccountOf(req)) === null) throw badRequest(message('upstream.expired'))
  if (!req.signedIn) return askToSignIn(req, res)
  const next = await linkWaitingAccount(req, res, req.signedIn)
  res.redirect(303, next ?? withReturnTo('/reauthentication', ACCOUNT_LINK_PAGE))
}

/** POST /login/connection/refusal: the user goes on without it. */
export async function createAccountLinkRefusal(req: Request, res: Response): Promise<void> {
  const waiting = await waitingAccountOf(req)
  if (waiting === null) throw badRequest(message('upstream.expired'))
  forgetAccountLink(req, res)
  res.redirect(303, waiting.destination ?? '/dashboard')
}

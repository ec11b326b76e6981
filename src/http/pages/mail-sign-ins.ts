import type { Message } from '../../i18n/messages.ts'
import type { NextFunction, Request, Response } from 'express'
import {
  askForMailSignIn,
  destinationOf,
  lookAtMailSignIn,
  type MailSignInLink,
  signInByMail,
} from '../../domain/accounts/mail-sign-ins.ts'
import { recoveryProblem } from '../../domain/accounts/password-resets.ts'
import { LINK_LIVES } from '../../domain/identities/mail-links.ts'
import { admitMailSignIn } from '../../domain/limits/login-throttling.ts'
import { servicesOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField, pastedField } from '../form-fields.ts'
import { browserOf, browserToKeep, forgetBrowser } from '../mail-sign-in-browser.ts'
import { deviceOf } from '../middleware/device.ts'
import { keepForm } from '../middleware/error-page.ts'
import { startPendingSignIn } from '../middleware/session.ts'
import { notFound, TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import { appNameOf, cancelActionOf, LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { completeSignIn } from '../sign-in.ts'
import type { WaitWords } from '../too-many-attempts.ts'

type LinkRequest = Request<{ token: string }>

/** There are no sign-in links unless the operator wants them (`MAIL_SIGN_IN`). */
export function requireMailSignIn(req: Request, _res: Response, next: NextFunction): void {
  next(servicesOf(req).policy.mailSignIn ? undefined : notFound())
}

/** GET /login/mail */
export async function newMailSignIn(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  await showForm(req, res, { login: '', returnTo })
}

/** POST /login/mail: the same answer and the same work, with and without an account (no account enumeration). */
export async function createMailSignIn(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const login = pastedField(req.body, 'login')
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const problem = recoveryProblem(login)
  if (problem !== null) {
    res.status(422)
    return showForm(req, res, { login, returnTo, problems: { login: problem } })
  }
  const act = async () => {
    const admission = await admitMailSignIn(services, req.clientInfo.address)
    if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
    await askForMailSignIn(services, {
      typed: login,
      browser: browserToKeep(req, res),
      destination: returnTo,
      clientInfo: req.clientInfo,
      deviceHash: deviceOf(req),
    })
    logEvent(req, 'sign_in_link_asked')
    await render(
      req,
      res,
      'mail-sign-ins/asked',
      { title: textsOf(req).t('mail_sign_in.asked.title'), narrow: true },
      {
        minutes: LINK_LIVES['sign-in'] / 60,
        againHref: withReturnTo('/login/mail', returnTo),
        signInHref: withReturnTo('/login', returnTo),
        cancelAction: cancelActionOf(returnTo),
      },
    )
  }
  await keepForm(req, res, act, (wait) => showForm(req, res, { login, returnTo, wait }))
}

/** GET /login/mail/:token: asks, and changes nothing, because mail scanners open links, too. */
export async function confirmMailSignIn(req: LinkRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { token } = req.params
  const browser = browserOf(req)
  const link = await lookAtMailSignIn(services, token, browser)
  if (link.kind !== 'ready') return showUnusable(req, res, link)
  const returnTo = browser === null ? null : await destinationOf(services, browser)
  await render(
    req,
    res,
    'mail-sign-ins/confirm',
    { title: textsOf(req).t('mail_sign_in.confirm.title'), narrow: true },
    {
      token,
      owner: link.identity.username,
      appName: await appNameOf(req, returnTo),
      cancelAction: cancelActionOf(returnTo),
    },
  )
}

/** POST /login/mail/:token */
export async function finishMailSignIn(req: LinkRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const browser = browserOf(req)
  const outcome = await signInByMail(services, req.params.token, browser, req.clientInfo)
  if (outcome.kind === 'dead' || outcome.kind === 'other-browser') return showUnusable(req, res, outcome)
  const returnTo = browser === null ? null : await destinationOf(services, browser)
  forgetBrowser(req, res)
  if (outcome.kind === 'second-factor') {
    await startPendingSignIn(req, outcome.proof)
    return res.redirect(303, withReturnTo('/login/second-factor', returnTo))
  }
  const next = await completeSignIn(req, res, outcome.proof, returnTo ?? '/dashboard')
  // Disabled, or signed out everywhere, at this very moment.
  if (next === null) return showUnusable(req, res, { kind: 'dead' })
  res.redirect(303, next)
}

interface Form {
  login: string
  returnTo: string | null
  problems?: { login?: Message }
  wait?: WaitWords
}

async function showForm(req: Request, res: Response, { login, returnTo, problems = {}, wait }: Form): Promise<void> {
  await render(
    req,
    res,
    'mail-sign-ins/new',
    { title: textsOf(req).t('mail_sign_in.title'), narrow: true },
    {
      login,
      problems,
      wait: wait ?? null,
      returnTo,
      appName: await appNameOf(req, returnTo),
      signInHref: withReturnTo('/login', returnTo),
      cancelAction: cancelActionOf(returnTo),
    },
  )
}

/** The link is dead, or belongs to another browser. Either way a new one can be asked for here. */
async function showUnusable(
  req: Request,
  res: Response,
  { kind }: Exclude<MailSignInLink, { kind: 'ready' }>,
): Promise<void> {
  const { t } = textsOf(req)
  const isDead = kind === 'dead'
  res.status(isDead ? 404 : 403)
  await render(
    req,
    res,
    isDead ? 'mail-sign-ins/dead' : 'mail-sign-ins/other-browser',
    { title: isDead ? t('mail_sign_in.dead.title') : t('mail_sign_in.other_browser.title'), narrow: true },
    {},
  )
}

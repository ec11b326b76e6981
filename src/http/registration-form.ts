import type { Request, Response } from 'express'
import type { IdentityRow, Registration, RegistrationProblems } from '../domain/identities/identities.ts'
import type { PasswordVerdict } from '../domain/passwords/password-judge.ts'
import { proofByPassword } from '../domain/sign-in/identity-sessions.ts'
import { type Message, message } from '../i18n/messages.ts'
import { servicesOf, textsOf } from './context.ts'
import { nextAfterCookie } from './cookie-check.ts'
import { logEvent } from './event-log.ts'
import { redirectWith } from './flash-messages.ts'
import { optionalField, passwordField, pastedField, textField } from './form-fields.ts'
import { render } from './page.ts'
import { appNameOf, cancelActionOf, withReturnTo } from './return-to.ts'
import { completeSignIn } from './sign-in.ts'
import type { WaitWords } from './too-many-attempts.ts'
import { providersFor } from './upstream.ts'

/** What was sent with the form. */
export interface SentRegistration {
  values: Registration
  /** Whether the password was repeated alike. */
  isConfirmed: boolean
  /** The version of the terms of use that was accepted. */
  acceptedTerms: string | null
  /** False when nothing can be registered before the form is sent again. */
  isComplete: boolean
}

export interface RegistrationForm extends Partial<Pick<SentRegistration, 'values' | 'isConfirmed' | 'acceptedTerms'>> {
  problems?: RegistrationProblems
  /** The verdict on the submitted password, whatever else is wrong. */
  verdict?: PasswordVerdict | null
  returnTo: string | null
  /** For users who have an account. */
  loginHref?: string
  /** Where the form is sent, and what stands above it, where strangers are entitled to register by a link. */
  entitled?: { action: string; title: Message; lead: Message; email: string | null }
  wait?: WaitWords | null
}

/** Reads the form. @param email the address, where it is not asked for */
export function readRegistration(req: Request, email: string | null = null): SentRegistration {
  const { termsVersion } = servicesOf(req).brand
  const values = {
    username: textField(req.body, 'username'),
    email: email ?? pastedField(req.body, 'email'),
    password: passwordField(req.body, 'password'),
  }
  const isConfirmed = values.password === passwordField(req.body, 'password_confirmation')
  const acceptedTerms = optionalField(req.body, 'terms', 100)
  const isComplete = isConfirmed && (termsVersion === null || acceptedTerms === termsVersion)
  return { values, isConfirmed, acceptedTerms, isComplete }
}

/** The registration form, wherever it is needed; empty where nothing was sent. */
export async function showRegistration(
  req: Request,
  res: Response,
  { values, isConfirmed = true, verdict = null, returnTo, acceptedTerms, wait = null, ...form }: RegistrationForm,
): Promise<void> {
  const { t, say } = textsOf(req)
  const { loginHref = withReturnTo('/login', returnTo), entitled } = form
  const title = entitled === undefined ? t('register.title') : say(entitled.title)
  const problems = {
    ...form.problems,
    ...(isConfirmed ? {} : { password_confirmation: message('password.not_the_same') }),
  }
  await render(
    req,
    res,
    'registrations/new',
    { title, narrow: true },
    {
      heading: title,
      lead: entitled === undefined ? null : say(entitled.lead),
      action: entitled?.action ?? '/register',
      asksEmail: (entitled?.email ?? null) === null,
      values: { username: values?.username ?? '', email: values?.email ?? '' },
      problems,
      verdict,
      returnTo,
      terms: termsOf(req, acceptedTerms),
      wait,
      appName: await appNameOf(req, returnTo),
      loginHref,
      // A link that entitles to register is for the form.
      providers: entitled === undefined ? (await providersFor(req, '')).others : [],
      cancelAction: cancelActionOf(returnTo),
      minimumLength: servicesOf(req).policy.passwordLength,
    },
  )
}

/** Signs in the owner of a new account, and leads them on. */
export async function enterAsNew(
  req: Request,
  res: Response,
  identity: IdentityRow,
  returnTo: string | null,
): Promise<void> {
  logEvent(req, 'registered', { identityId: identity.id })
  const next = await completeSignIn(req, res, proofByPassword(identity), returnTo ?? '/dashboard')
  if (next === null) return redirectWith(req, res, 'sign-in-expired', withReturnTo('/login', returnTo))
  redirectWith(req, res, 'registered', nextAfterCookie(req, next))
}

/** What the form asks of the terms of use; null when there is nothing to accept. */
function termsOf(req: Request, accepted: string | null | undefined): object | null {
  const { termsVersion: version, termsUrl: url } = servicesOf(req).brand
  if (version === null) return null
  const isTicked = accepted === version
  const problem = accepted === undefined || isTicked ? null : textsOf(req).t('terms.not_ticked')
  return { version, url, isTicked, problem }
}

import type { Request, Response } from 'express'
import type { RegistrationProblems } from '../domain/identities/identities.ts'
import type { PasswordVerdict } from '../domain/passwords/password-judge.ts'
import type { Message } from '../i18n/messages.ts'
import { servicesOf, textsOf } from './context.ts'
import { render } from './page.ts'
import { appNameOf, cancelActionOf, withReturnTo } from './return-to.ts'
import type { WaitWords } from './too-many-attempts.ts'

export interface RegistrationForm {
  values?: { username: string; email: string }
  problems?: RegistrationProblems & { password_confirmation?: Message }
  /** The verdict on the submitted password, whatever else is wrong. */
  verdict?: PasswordVerdict | null
  returnTo: string | null
  /** The version of the terms of use that was accepted, if the form was sent. */
  acceptedTerms?: string | null
  /** For users who have an account. */
  loginHref?: string
  wait?: WaitWords | null
}

/** The registration form, wherever it is needed; empty where nothing was sent. */
export async function showRegistration(
  req: Request,
  res: Response,
  { values, problems = {}, verdict = null, returnTo, acceptedTerms, loginHref, wait = null }: RegistrationForm,
): Promise<void> {
  await render(
    req,
    res,
    'registrations/new',
    { title: textsOf(req).t('register.title'), narrow: true },
    {
      values: { username: values?.username ?? '', email: values?.email ?? '' },
      problems,
      verdict,
      returnTo,
      terms: termsOf(req, acceptedTerms),
      wait,
      appName: await appNameOf(req, returnTo),
      loginHref: loginHref ?? withReturnTo('/login', returnTo),
      cancelAction: cancelActionOf(returnTo),
      minimumLength: servicesOf(req).policy.passwordLength,
    },
  )
}

/** What the form asks of the terms of use; null when there is nothing to accept. */
function termsOf(req: Request, accepted: string | null | undefined): object | null {
  const { termsVersion: version, termsUrl: url } = servicesOf(req).brand
  if (version === null) return null
  const isTicked = accepted === version
  const problem = accepted === undefined || isTicked ? null : textsOf(req).t('terms.not_ticked')
  return { version, url, isTicked, problem }
}

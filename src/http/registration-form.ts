import type { Request, Response } from 'express'
import type { RegistrationProblems } from '../domain/identities/identities.ts'
import type { PasswordVerdict } from '../domain/passwords/password-judge.ts'
import { servicesOf } from './context.ts'
import { render } from './page.ts'
import { appNameOf, cancelActionOf, withReturnTo } from './return-to.ts'
import type { WaitWords } from './too-many-attempts.ts'

export interface RegistrationForm {
  values?: { username: string; email: string }
  problems?: RegistrationProblems & { password_confirmation?: string }
  /** The verdict on the submitted password, whatever else is wrong. */
  verdict?: PasswordVerdict | null
  returnTo: string | null
  /** For users who have an account. */
  loginHref?: string
  wait?: WaitWords | null
}

/** The registration form, wherever it is needed; empty where nothing was sent. */
export async function showRegistration(
  req: Request,
  res: Response,
  { values, problems = {}, verdict = null, returnTo, loginHref, wait = null }: RegistrationForm,
): Promise<void> {
  await render(
    req,
    res,
    'registrations/new',
    { title: 'Create an account', narrow: true },
    {
      values: { username: values?.username ?? '', email: values?.email ?? '' },
      problems,
      verdict,
      returnTo,
      wait,
      appName: await appNameOf(req, returnTo),
      loginHref: loginHref ?? withReturnTo('/login', returnTo),
      cancelAction: cancelActionOf(returnTo),
      minimumLength: servicesOf(req).policy.passwordLength,
    },
  )
}

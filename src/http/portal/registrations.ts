import type { Request, Response } from 'express'
import { admitRegistration } from '../../domain/guessing.ts'
import { register, type RegistrationProblems } from '../../domain/identities.ts'
import type { PasswordVerdict } from '../../domain/password-judge.ts'
import { portalOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { optionalField, passwordField, textField } from '../form-fields.ts'
import { TooManyGuesses } from '../problems.ts'
import { render } from '../render.ts'
import { LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'
import { appNameOf, enter, withReturnTo } from './sessions.ts'

/** GET /register */
export async function newRegistration(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], portalOf(req).publicUrl)
  if (req.signedIn) return res.redirect(303, returnTo ?? '/dashboard')
  await show(req, res, { values: { username: '', email: '' }, problems: {}, verdict: null, returnTo })
}

/** POST /register */
export async function createRegistration(req: Request, res: Response): Promise<void> {
  const portal = portalOf(req)
  const username = textField(req.body, 'username')
  const email = textField(req.body, 'email')
  const password = passwordField(req.body, 'password')
  const confirmation = passwordField(req.body, 'password_confirmation')
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), portal.publicUrl)

  if (password !== confirmation) {
    const problems = { password_confirmation: 'The two passwords are not the same.' }
    const verdict = await portal.passwords.judge(password, [username, email], false)
    res.status(422)
    return show(req, res, { values: { username, email }, problems, verdict, returnTo })
  }
  const admission = await admitRegistration(portal, req.place.address)
  if (admission.kind === 'wait') throw new TooManyGuesses(admission, portal.clock())
  const outcome = await register(portal, { username, email, password }, req.place)
  switch (outcome.kind) {
    case 'registered': {
      logEvent(req, 'registered', { identityId: outcome.identity.id })
      const proof = { identityId: outcome.identity.id, amr: ['pwd'], passwordMark: null }
      const next = await enter(req, res, proof, returnTo ?? '/dashboard')
      return res.redirect(303, next ?? withReturnTo('/login', returnTo))
    }
    case 'refused': {
      const { problems, verdict } = outcome
      res.status(422)
      return show(req, res, { values: { username, email }, problems, verdict, returnTo })
    }
  }
}

interface Form {
  values: { username: string; email: string }
  problems: RegistrationProblems & { password_confirmation?: string }
  /** On the password that was sent, whatever is wrong. */
  verdict: PasswordVerdict | null
  returnTo: string | null
}

async function show(req: Request, res: Response, form: Form): Promise<void> {
  await render(
    req,
    res,
    'registrations/new',
    { title: 'Create an account', narrow: true },
    {
      ...form,
      appName: await appNameOf(req, form.returnTo),
      loginHref: withReturnTo('/login', form.returnTo),
      minimumLength: portalOf(req).policy.passwordLength,
    },
  )
}

import type { Request, Response } from 'express'
import { withoutInvisible } from '../../domain/limits/login-keys.ts'
import { providerForLogin } from '../../domain/identity-providers/identity-providers.ts'
import { LONGEST_CREDENTIAL, signalIfUnknown } from '../../domain/sign-in/passkeys.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { nextAfterCookie } from '../cookie-check.ts'
import { optionalField, passwordField, pastedField, textField } from '../form-fields.ts'
import { leaveFor } from '../upstream.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { render } from '../page.ts'
import { LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'
import { enterWithPasskey, enterWithPassword, showSignIn, signOut } from '../sign-in.ts'

/** GET /login */
export async function newSession(req: Request, res: Response): Promise<void> {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  if (req.signedIn) return res.redirect(303, returnTo ?? '/dashboard')
  await showSignIn(req, res, { login: '', returnTo })
}

/** POST /login */
export async function createSession(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const login = pastedField(req.body, 'login')
  const password = passwordField(req.body, 'password')
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)

  // The domain of an address leads to its provider. A password that is typed is tried here.
  const routed = password === '' ? await providerForLogin(services, login) : null
  if (routed !== null) {
    const problem = await leaveFor(req, res, routed, { purpose: 'sign-in', returnTo, loginHint: login.trim() })
    if (problem === null) return
    res.status(problem.status)
    return showSignIn(req, res, { login, notice: problem.sentence, returnTo })
  }
  const problems = {
    ...(withoutInvisible(login).trim() === '' && { login: message('sign_in.login_missing') }),
    ...(password === '' && { password: message('sign_in.password_missing') }),
  }
  if (Object.keys(problems).length > 0) {
    res.status(422)
    return showSignIn(req, res, { login, problems, returnTo })
  }
  const act = async () => {
    const next = await enterWithPassword(req, res, login, password, returnTo)
    if (next !== null) return res.redirect(303, nextAfterCookie(req, next))
    await showSignIn(req, res, { login, problem: message('sign_in.wrong'), returnTo })
  }
  await keepForm(req, res, act, (wait) => showSignIn(req, res, { login, returnTo, wait }))
}

/** POST /login/passkey: a passkey as the only step (WebAuthn). */
export async function createPasskeySession(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const credential = textField(req.body, 'credential', LONGEST_CREDENTIAL)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)

  const act = async () => {
    const next = await enterWithPasskey(req, res, credential, returnTo ?? '/dashboard')
    if (next !== null) return res.redirect(303, nextAfterCookie(req, next))
    const problem = message('sign_in.wrong_passkey')
    const passkeySignals = await signalIfUnknown(services, credential)
    await showSignIn(req, res, { login: '', problem, returnTo, passkeySignals })
  }
  await keepForm(req, res, act, (wait) => showSignIn(req, res, { login: '', returnTo, wait }))
}

/** GET /logout */
export async function confirmDestroySession(req: Request, res: Response): Promise<void> {
  if (!req.signedIn) return redirectWith(req, res, 'not-signed-in', '/login')
  await render(
    req,
    res,
    'sessions/destroy',
    { title: textsOf(req).t('sign_out.title'), narrow: true },
    { username: req.signedIn.username },
  )
}

/** POST /logout: this browser, or all browsers. */
export async function destroyCurrentSession(req: Request, res: Response): Promise<void> {
  const isEverywhere = optionalField(req.body, 'everywhere', 3) === 'yes'
  const isDone = await signOut(req, res, isEverywhere ? 'signed_out_everywhere' : 'signed_out')
  if (!isDone) return askToSignIn(req, res)
  redirectWith(req, res, isEverywhere ? 'signed-out-everywhere' : 'signed-out', '/login')
}

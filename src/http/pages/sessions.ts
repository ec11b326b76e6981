import type { Request, Response } from 'express'
import { findErasure } from '../../domain/accounts/deletions.ts'
import type { EndChoice } from '../../domain/endings/endings.ts'
import { endWhileSignedIn, isLapsed, openIdentitySession, type Proof } from '../../domain/sign-in/identity-sessions.ts'
import { LONGEST_CREDENTIAL, offersPasskeys, passkeySignInOptions } from '../../domain/sign-in/passkeys.ts'
import type { Services } from '../../domain/services.ts'
import { signIn, signInByPasskey } from '../../domain/sign-in/sign-in.ts'
import { findAppName } from '../../oidc/interactions.ts'
import { servicesOf } from '../context.ts'
import { nextAfterCookie } from '../cookie-check.ts'
import { logEvent, logIpBlock } from '../event-log.ts'
import { optionalField, passwordField, pastedField, textField } from '../form-fields.ts'
import { deviceOf, deviceToKeep, keepDevice } from '../middleware/device.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { destroySession, startPendingSignIn, startSession } from '../middleware/session.ts'
import { redirectWith, takeFlash } from '../flash-messages.ts'
import { keepForm } from '../middleware/error-page.ts'
import { TooManyAttempts } from '../http-errors.ts'
import { render } from '../page.ts'
import { cancelActionOf, LONGEST_RETURN_TO, safeReturnTo } from '../return-to.ts'
import type { WaitWords } from '../too-many-attempts.ts'

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

  const problems = {
    ...(login.trim() === '' && { login: 'Enter your user name or e-mail.' }),
    ...(password === '' && { password: 'Enter your password.' }),
  }
  if (Object.keys(problems).length > 0) {
    res.status(422)
    return showSignIn(req, res, { login, problems, returnTo })
  }
  const act = async () => {
    const next = await enterWithPassword(req, res, login, password, returnTo)
    if (next !== null) return res.redirect(303, nextAfterCookie(req, next))
    await showSignIn(req, res, { login, problem: 'That user name or e-mail and password do not match.', returnTo })
  }
  await keepForm(req, res, act, (wait) => showSignIn(req, res, { login, returnTo, wait }))
}

/**
 * Signs in with a password, and says where to go next: to the page the user was going to, or to the missing step. Null, and
 * 401, when it is wrong. `base` is the identity session of a user who signs in again (step-up). @throws TooManyGuesses,
 * Overloaded
 */
export async function enterWithPassword(
  req: Request,
  res: Response,
  login: string,
  password: string,
  returnTo: string | null,
  base?: string,
): Promise<string | null> {
  const outcome = await signIn(servicesOf(req), {
    login,
    password,
    clientInfo: req.clientInfo,
    deviceHash: deviceOf(req),
    ...(base && { confirms: 'identity' }),
  })
  switch (outcome.kind) {
    case 'signed-in': {
      const next = await enter(
        req,
        res,
        { ...outcome.proof, ...(base && { identitySessionId: base }) },
        returnTo ?? '/dashboard',
      )
      if (next !== null) return next
      break
    }
    case 'second-factor':
      await startPendingSignIn(req, outcome.proof)
      return withReturnTo('/login/second-factor', returnTo)
    case 'throttled':
      throw new TooManyAttempts(outcome, servicesOf(req).clock())
    case 'wrong-credentials':
      logIpBlock(req, outcome.ipBlock)
  }
  logEvent(req, 'sign_in_refused')
  res.status(401)
  return null
}

/** POST /login/passkey: a passkey as the only step (WebAuthn). */
export async function createPasskeySession(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const credential = textField(req.body, 'credential', LONGEST_CREDENTIAL)
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)

  const act = async () => {
    const next = await enterWithPasskey(req, res, credential, returnTo ?? '/dashboard')
    if (next !== null) return res.redirect(303, nextAfterCookie(req, next))
    const problem = 'That passkey was not accepted. Try again, or use your password.'
    await showSignIn(req, res, { login: '', problem, returnTo })
  }
  await keepForm(req, res, act, (wait) => showSignIn(req, res, { login: '', returnTo, wait }))
}

/** Signs in the owner of this passkey, and says where to go next. Null, and 401, when it is wrong. @throws TooManyGuesses */
async function enterWithPasskey(
  req: Request,
  res: Response,
  credential: string,
  destination: string,
): Promise<string | null> {
  const services = servicesOf(req)
  const outcome = await signInByPasskey(services, { credential, clientInfo: req.clientInfo, deviceHash: deviceOf(req) })
  switch (outcome.kind) {
    case 'signed-in': {
      const next = await enter(req, res, outcome.proof, destination)
      if (next !== null) return next
      break
    }
    case 'throttled':
      throw new TooManyAttempts(outcome, services.clock())
    case 'wrong-credentials':
      logIpBlock(req, outcome.ipBlock)
  }
  logEvent(req, 'sign_in_refused')
  res.status(401)
  return null
}

/**
 * Starts the session of a user who has completed sign-in, in place of any other user in this browser. A user who has deleted
 * the account is asked first whether to keep it.
 * @returns where they go next, which is where they wanted to go unless they are asked; null when the user was disabled, or the
 * proof is no longer valid, and nothing has changed then
 */
export async function enter(req: Request, res: Response, proof: Proof, destination: string): Promise<string | null> {
  const { identityId } = proof
  const device = deviceToKeep(req)
  const id = await openIdentitySession(servicesOf(req), proof, req.clientInfo, req.signedIn ?? null, device.hash)
  if (id !== null) {
    keepDevice(req, res, device)
    await startSession(req, id)
    logEvent(req, 'signed_in', { identityId })
    return destination
  }
  if (proof.identitySessionId !== undefined) {
    req.signedIn = null
    return '/login'
  }
  if ((await findErasure(servicesOf(req), proof)) === null) return null
  await startPendingSignIn(req, proof, 'restoration')
  return withReturnTo('/account-restoration', destination)
}

export interface SignInForm {
  login: string
  returnTo: string | null
  /** What is wrong with the form as a whole. */
  problem?: string
  /** What is wrong with one of its fields. */
  problems?: { login?: string; password?: string }
  wait?: WaitWords
}

/** The one sign-in form, wherever it is needed. */
export async function showSignIn(req: Request, res: Response, form: SignInForm): Promise<void> {
  const flash = takeFlash(req, res)
  const returnTo = form.returnTo ?? flash?.back ?? null
  await render(
    req,
    res,
    'sessions/new',
    { title: 'Sign in', narrow: true, notice: flash?.words ?? null },
    {
      problem: null,
      problems: {},
      wait: null,
      ...form,
      returnTo,
      appName: await appNameOf(req, returnTo),
      registerHref: withReturnTo('/register', returnTo),
      cancelAction: cancelActionOf(returnTo),
      passkeyOptions: passkeyQuestion(servicesOf(req)),
    },
  )
}

/** The WebAuthn options of a page that offers a passkey as the only step; null where passkeys are unavailable. */
export function passkeyQuestion(services: Services): string | null {
  return offersPasskeys(services) ? JSON.stringify(passkeySignInOptions(services)) : null
}

/** GET /logout */
export async function confirmDestroySession(req: Request, res: Response): Promise<void> {
  if (!req.signedIn) return res.redirect(303, '/login')
  await render(req, res, 'sessions/destroy', { title: 'Sign out', narrow: true }, { username: req.signedIn.username })
}

/** POST /logout: this browser, or all browsers. */
export async function destroyCurrentSession(req: Request, res: Response): Promise<void> {
  const isEverywhere = optionalField(req.body, 'everywhere', 3) === 'yes'
  const isDone = await signOut(req, res, isEverywhere ? 'signed_out_everywhere' : 'signed_out')
  if (!isDone) return askToSignIn(req, res)
  redirectWith(req, res, isEverywhere ? 'signed-out-everywhere' : 'signed-out', '/login')
}

/**
 * Ends the sessions, then deletes this browser's cookie. If the first fails, the user is still signed in. False for a sign-in
 * that has ended already: it may not end others.
 */
export async function signOut(
  req: Request,
  res: Response,
  cause: 'signed_out' | 'signed_out_everywhere' | 'signed_out_by_app',
): Promise<boolean> {
  let isDone = false
  if (req.signedIn) {
    const { id, identityId } = req.signedIn
    const choice: EndChoice =
      cause === 'signed_out_everywhere'
        ? { sessions: { identityId }, families: 'all' }
        : { sessions: { identityId, id }, families: 'following' }
    isDone = !isLapsed(await endWhileSignedIn(servicesOf(req), req.signedIn, choice, cause, req.clientInfo))
  }
  await destroySession(req, res)
  return isDone
}

export function withReturnTo(path: string, returnTo: string | null): string {
  return returnTo === null ? path : `${path}?return_to=${encodeURIComponent(returnTo)}`
}

/** The name of the app that the user is signing in to, when there is one. */
export async function appNameOf(req: Request, returnTo: string | null): Promise<string | null> {
  const clientId = new URLSearchParams(returnTo?.split('?')[1]).get('client_id')
  return clientId === null ? null : findAppName(servicesOf(req), req, clientId)
}

import type { Request, Response } from 'express'
import { findErasure } from '../domain/accounts/deletions.ts'
import type { EndChoice } from '../domain/endings/endings.ts'
import { offersRegistration } from '../domain/identities/open-registration.ts'
import { endWhileSignedIn, isLapsed, openIdentitySession, type Proof } from '../domain/sign-in/identity-sessions.ts'
import { offersPasskeys, passkeySignInOptions, type PasskeySignals } from '../domain/sign-in/passkeys.ts'
import type { Services } from '../domain/services.ts'
import { signIn, signInByPasskey, type SignInOutcome } from '../domain/sign-in/sign-in.ts'
import type { Message } from '../i18n/messages.ts'
import { ACCOUNT_LINK_PAGE, linkAfterSignIn, waitingAccountOf, whyToLink } from './account-links.ts'
import { servicesOf, textsOf } from './context.ts'
import { logEvent, logIpBlock } from './event-log.ts'
import { leaveFlash, takeFlash } from './flash-messages.ts'
import { notAdmitted, TooManyAttempts } from './http-errors.ts'
import { deviceOf, deviceToKeep, keepDevice } from './middleware/device.ts'
import { destroySession, startPendingSignIn, startSession } from './middleware/session.ts'
import { render } from './page.ts'
import { canMakePasskeys, leadPastPasskeyOffer } from './passkey-offers.ts'
import { appNameOf, cancelActionOf, withReturnTo } from './return-to.ts'
import type { WaitWords } from './too-many-attempts.ts'
import { providersFor } from './upstream.ts'

export interface SignInForm {
  login: string
  returnTo: string | null
  /** What is wrong with the form as a whole. */
  problem?: Message
  /** What is wrong with one of its fields. */
  problems?: { login?: Message; password?: Message }
  wait?: WaitWords
  /** What the browser may tell its password managers. */
  passkeySignals?: PasskeySignals | null
  /** Why a user who is signed in is asked again. */
  reason?: Message | null
  /** What came of a sign-in at another provider. */
  notice?: Message | null
}

/** The one sign-in form, wherever it is needed. */
export async function showSignIn(req: Request, res: Response, form: SignInForm): Promise<void> {
  const flash = takeFlash(req, res)
  const returnTo = form.returnTo ?? flash?.back ?? null
  const waiting = returnTo === ACCOUNT_LINK_PAGE ? await waitingAccountOf(req) : null
  await render(
    req,
    res,
    'sessions/new',
    { title: textsOf(req).t('sign_in.title'), narrow: true },
    {
      problem: null,
      problems: {},
      wait: null,
      notice: null,
      ...form,
      reason: form.reason ?? (waiting && whyToLink(waiting)),
      // To link an account at one provider, the user proves who they are here.
      providers: waiting === null ? await providersFor(req, form.login) : { first: null, others: [] },
      passkeySignals: form.passkeySignals ? JSON.stringify(form.passkeySignals) : null,
      returnTo,
      appName: await appNameOf(req, returnTo),
      registerHref: offersRegistration(servicesOf(req)) ? withReturnTo('/register', returnTo) : null,
      forgottenHref: withReturnTo('/forgot-password', returnTo),
      cancelAction: cancelActionOf(returnTo),
      mailHref: servicesOf(req).policy.mailSignIn ? withReturnTo('/login/mail', returnTo) : null,
      passkeyOptions: passkeyQuestion(servicesOf(req)),
    },
  )
}

/** The WebAuthn options of a page that offers a passkey as the only step; null where passkeys are unavailable. */
export function passkeyQuestion(services: Services): string | null {
  return offersPasskeys(services) ? JSON.stringify(passkeySignInOptions(services)) : null
}

/**
 * Signs in with a password, and says where to go next: to the page the user was going to, or to the missing step. Null, and
 * 401, when it is wrong. `base` is the identity session of a user who signs in again (step-up). @throws TooManyAttempts,
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
    case 'signed-in':
    case 'second-factor': {
      const next = await followPassword(req, res, outcome, returnTo, base)
      if (next !== null) return next
      break
    }
    case 'throttled':
      throw new TooManyAttempts(outcome, servicesOf(req).clock())
    case 'not-admitted':
      logEvent(req, 'sign_in_refused')
      throw notAdmitted(outcome.problem, withReturnTo('/login', returnTo))
    case 'wrong-credentials':
      logIpBlock(req, outcome.ipBlock)
  }
  logEvent(req, 'sign_in_refused')
  res.status(401)
  return null
}

/**
 * Goes on after a right password, and says where to: to the page the user was going to, or to the missing step. Null when the user
 * was disabled, or the proof is no longer valid.
 */
export async function followPassword(
  req: Request,
  res: Response,
  { kind, proof }: Extract<SignInOutcome, { kind: 'signed-in' | 'second-factor' }>,
  returnTo: string | null,
  base?: string,
): Promise<string | null> {
  const { browserTrust, ...withoutTrust } = proof
  if (kind === 'signed-in') {
    const added = { ...proof, ...(base && { identitySessionId: base }) }
    const next = await completeSignIn(req, res, added, returnTo ?? '/dashboard')
    if (next !== null || browserTrust === undefined) return next
    // The trust ended at this moment.
  }
  await startPendingSignIn(req, withoutTrust)
  return withReturnTo('/login/second-factor', returnTo)
}

/** Signs in the owner of this passkey, and says where to go next. Null, and 401, when it is wrong. @throws TooManyAttempts */
export async function enterWithPasskey(
  req: Request,
  res: Response,
  credential: string,
  destination: string,
): Promise<string | null> {
  const services = servicesOf(req)
  const outcome = await signInByPasskey(services, { credential, clientInfo: req.clientInfo, deviceHash: deviceOf(req) })
  switch (outcome.kind) {
    case 'signed-in': {
      const next = await completeSignIn(req, res, outcome.proof, destination)
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
export async function completeSignIn(
  req: Request,
  res: Response,
  proof: Proof,
  destination: string,
): Promise<string | null> {
  const { identityId } = proof
  const device = deviceToKeep(req)
  const mayOffer = canMakePasskeys(req)
  const id = await openIdentitySession(servicesOf(req), proof, req.clientInfo, req.signedIn ?? null, device.hash)
  if (id !== null) {
    keepDevice(req, res, device)
    await startSession(req, id)
    logEvent(req, 'signed_in', { identityId })
    if (proof.registeredAgain !== undefined) leaveFlash(req, res, 'registered-again')
    const next = destination === ACCOUNT_LINK_PAGE ? await linkAfterSignIn(req, res, { id, identityId }) : destination
    return leadPastPasskeyOffer(req, { proof, identitySessionId: id, mayOffer }, next)
  }
  if (proof.identitySessionId !== undefined) {
    req.signedIn = null
    leaveFlash(req, res, 'sign-in-expired')
    return '/login'
  }
  if ((await findErasure(servicesOf(req), proof)) === null) return null
  await startPendingSignIn(req, proof, 'restoration')
  return withReturnTo('/account-restoration', destination)
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

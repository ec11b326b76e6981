import type { Request, Response } from 'express'
import { logOutFromUpstream } from '../../domain/accounts/upstream-logouts.ts'
import {
  arrive,
  type Arrival,
  linkFromSettings,
  proveAgain,
  takeReturn,
} from '../../domain/accounts/upstream-sign-ins.ts'
import {
  findIdentityProvider,
  type IdentityProvider,
  upstreamProviderOf,
} from '../../domain/identity-providers/identity-providers.ts'
import { admitUpstreamReturn } from '../../domain/limits/login-throttling.ts'
import type { Proof } from '../../domain/sign-in/identity-sessions.ts'
import { countSignIn } from '../../domain/sign-in/sign-in-counts.ts'
import { UpstreamFailure } from '../../domain/upstream.ts'
import { message } from '../../i18n/messages.ts'
import { ACCOUNT_LINK_PAGE, keepAccountLink, LINK_FLASHES } from '../account-links.ts'
import { servicesOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { type FlashMessage, leaveFlash, redirectWith } from '../flash-messages.ts'
import { optionalField, pastedField } from '../form-fields.ts'
import { notFound, TooManyAttempts } from '../http-errors.ts'
import { deviceOf } from '../middleware/device.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { startPendingSignIn } from '../middleware/session.ts'
import { LONGEST_RETURN_TO, safeReturnTo, withReturnTo } from '../return-to.ts'
import { completeSignIn, showSignIn } from '../sign-in.ts'
import { leaveFor, problemIn, type UpstreamProblem } from '../upstream.ts'
import { findAttempt, forgetAttempt, type UpstreamAttempt } from '../upstream-attempts.ts'

type ProviderRequest = Request<{ provider: string }>

const LINKED_ACCOUNTS = '/settings/linked-accounts'

/** POST /login/with/:provider: to the provider, with a new attempt in this browser */
export async function createUpstreamSignIn(req: ProviderRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const provider = await findIdentityProvider(services, req.params.provider)
  if (provider === null || provider.disabledAt !== null) throw notFound()
  const returnTo = safeReturnTo(optionalField(req.body, 'return_to', LONGEST_RETURN_TO), services.publicUrl)
  const isProof = optionalField(req.body, 'again', 10) === 'yes' && Boolean(req.signedIn)
  const typed = (req.body as Record<string, unknown> | undefined)?.['login_hint']
  const loginHint = typed === undefined ? null : pastedField(req.body, 'login_hint') || null
  const purpose = isProof ? 'proof' : 'sign-in'
  const problem = await leaveFor(req, res, provider, { purpose, returnTo, loginHint })
  if (problem !== null) await showProblem(req, res, { purpose, returnTo }, problem, loginHint ?? '')
}

/** GET /login/with/:provider/callback */
export async function finishUpstreamSignIn(req: ProviderRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  const answer = new URL(req.originalUrl, services.publicUrl)
  const [state, ...more] = answer.searchParams.getAll('state')
  const attempt = state === undefined || more.length > 0 ? null : await findAttempt(req, req.params.provider, state)
  if (attempt === null) return showExpired(req, res)
  const admission = await admitUpstreamReturn(services, req.clientInfo.address)
  if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
  // Before the code is used: of two requests with the same answer one goes on.
  if (!(await takeReturn(services, attempt.checks.state))) return showExpired(req, res)
  forgetAttempt(req, res, attempt)
  const provider = await findIdentityProvider(services, attempt.providerId)
  if (provider === null || provider.disabledAt !== null) return showExpired(req, res)
  const user = await services.upstream
    .finish(upstreamProviderOf(services, provider), answer, attempt.checks)
    .catch((error: unknown) => problemIn(req, provider, error))
  if (!('subject' in user)) {
    if (user.status === 403 && attempt.purpose === 'sign-in') countSignIn(services, 'refused', ['provider'])
    return showProblem(req, res, attempt, user)
  }
  const arrival: Arrival = {
    provider,
    user,
    since: new Date(attempt.since),
    destination: attempt.returnTo,
    clientInfo: req.clientInfo,
    deviceHash: deviceOf(req),
  }
  if (attempt.purpose === 'link') return finishLink(req, res, attempt, arrival)
  if (attempt.purpose === 'proof') return finishProof(req, res, attempt, arrival)
  await finishSignIn(req, res, attempt, arrival)
}

async function finishSignIn(req: Request, res: Response, attempt: UpstreamAttempt, arrival: Arrival): Promise<void> {
  const { provider, destination } = arrival
  const outcome = await arrive(servicesOf(req), arrival)
  const refuse = async () => {
    logEvent(req, 'sign_in_refused', { provider: provider.id })
    await showProblem(req, res, attempt, problemOf('upstream.invalid', provider))
  }
  switch (outcome.kind) {
    case 'unlinked':
      keepAccountLink(req, res, outcome.secret)
      return res.redirect(303, ACCOUNT_LINK_PAGE)
    case 'refused':
      return refuse()
    case 'second-factor':
      await startPendingSignIn(req, outcome.proof)
      return res.redirect(303, withReturnTo('/login/second-factor', destination))
    case 'signed-in':
    case 'registered': {
      // An app has asked for a new proof; a single sign-on at the provider is none.
      if (attempt.isProofAgain && outcome.proof.upstream?.isProven !== true)
        return showProblem(req, res, attempt, problemOf('upstream.not_proved', provider))
      if (outcome.kind === 'registered') logEvent(req, 'registered', { identityId: outcome.identity.id })
      const next = await enter(req, res, outcome.proof, destination)
      if (next === null) return refuse()
      if (outcome.kind === 'registered') leaveFlash(req, res, 'registered')
      res.redirect(303, next)
    }
  }
}

/** Where the user goes next; null when the account was disabled, unlinked or signed out everywhere at this moment. */
async function enter(req: Request, res: Response, proof: Proof, destination: string | null): Promise<string | null> {
  const next = await completeSignIn(req, res, proof, destination ?? '/dashboard')
  if (next !== null || proof.browserTrust === undefined) return next
  // The trust in this browser ended at this moment.
  const { browserTrust: _ended, ...first } = proof
  await startPendingSignIn(req, first)
  return withReturnTo('/login/second-factor', destination)
}

async function finishLink(req: Request, res: Response, attempt: UpstreamAttempt, arrival: Arrival): Promise<void> {
  const { signedIn } = req
  if (!signedIn || signedIn.id !== attempt.identitySessionId) return askToSignIn(req, res)
  const { provider } = arrival
  const outcome = await linkFromSettings(servicesOf(req), signedIn, arrival)
  if (outcome.kind === 'lapsed') return askToSignIn(req, res)
  if (outcome.kind === 'linked') logEvent(req, 'account_linked', { provider: provider.id })
  redirectWith(req, res, LINK_FLASHES[outcome.kind], LINKED_ACCOUNTS, { values: { provider: provider.name } })
}

async function finishProof(req: Request, res: Response, attempt: UpstreamAttempt, arrival: Arrival): Promise<void> {
  const { signedIn } = req
  if (!signedIn || signedIn.id !== attempt.identitySessionId) return askToSignIn(req, res)
  const { provider, destination } = arrival
  const again = (flash: FlashMessage) =>
    redirectWith(req, res, flash, withReturnTo('/reauthentication', destination), {
      values: { provider: provider.name },
    })
  const outcome = await proveAgain(servicesOf(req), signedIn, arrival)
  switch (outcome.kind) {
    case 'other-account':
      return again('upstream-other-account')
    case 'not-proved':
      return again('upstream-not-proved')
    case 'second-factor':
      await startPendingSignIn(req, outcome.proof)
      return res.redirect(303, withReturnTo('/login/second-factor', destination ?? '/settings'))
    case 'signed-in': {
      const next = await completeSignIn(req, res, outcome.proof, destination ?? '/settings')
      if (next === null) return again('upstream-invalid')
      res.redirect(303, next)
    }
  }
}

/** POST /login/with/:provider/backchannel-logout (OpenID Connect Back-Channel Logout 1.0 §2.8) */
export async function createUpstreamLogout(req: ProviderRequest, res: Response): Promise<void> {
  const services = servicesOf(req)
  res.setHeader('Cache-Control', 'no-store')
  const refuse = (description: string, status = 400) =>
    void res.status(status).json({ error: 'invalid_request', error_description: description })
  const token = (req.body as Record<string, unknown> | undefined)?.['logout_token']
  if (typeof token !== 'string' || token.length > LONGEST_TOKEN) return refuse('logout_token is missing or too long')
  const provider = await findIdentityProvider(services, req.params.provider)
  if (provider === null || provider.disabledAt !== null) return refuse('there is no such provider', 404)
  try {
    const logout = await services.upstream.verifyLogout(upstreamProviderOf(services, provider), token)
    const count = await logOutFromUpstream(services, provider.id, logout)
    if (count === null) return refuse('the logout token was used before')
    logEvent(req, 'provider_signed_out', { provider: provider.id, sessions: count })
    res.status(200).end()
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error
    logEvent(req, 'provider_failed', { provider: provider.id, problem: error.kind, reason: error.message })
    if (error.kind === 'unavailable') return refuse('the keys of the provider cannot be read at the moment')
    refuse('the logout token is not valid')
  }
}

const LONGEST_TOKEN = 8192

function problemOf(key: 'upstream.invalid' | 'upstream.not_proved', { name }: IdentityProvider): UpstreamProblem {
  return { status: 403, sentence: message(key, { provider: name }) }
}

/** The state is of another browser, too old, used, or made up. */
async function showExpired(req: Request, res: Response): Promise<void> {
  if (req.signedIn) return redirectWith(req, res, 'upstream-expired', '/dashboard')
  res.status(400)
  await showSignIn(req, res, { login: '', returnTo: null, notice: message('upstream.expired') })
}

/** On the page that the user came from, where every other way in is. */
async function showProblem(
  req: Request,
  res: Response,
  { purpose, returnTo }: Pick<UpstreamAttempt, 'purpose' | 'returnTo'>,
  { status, sentence }: UpstreamProblem,
  login = '',
): Promise<void> {
  if (purpose === 'sign-in') {
    res.status(status)
    return showSignIn(req, res, { login, returnTo, notice: sentence })
  }
  const page = purpose === 'link' ? LINKED_ACCOUNTS : withReturnTo('/reauthentication', returnTo)
  const { provider } = sentence.values as { provider: string }
  redirectWith(req, res, PROBLEM_FLASHES[sentence.key] ?? 'upstream-invalid', page, { values: { provider } })
}

const PROBLEM_FLASHES: Partial<Record<string, FlashMessage>> = {
  'upstream.denied': 'upstream-denied',
  'upstream.unavailable': 'upstream-unavailable',
}

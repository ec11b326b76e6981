import type { Request, Response } from 'express'
import {
  type IdentityProvider,
  identityProvidersOffered,
  providerForLogin,
  redirectUriOf,
  upstreamProviderOf,
} from '../domain/identity-providers/identity-providers.ts'
import { UpstreamFailure } from '../domain/upstream.ts'
import { type Message, message } from '../i18n/messages.ts'
import { servicesOf } from './context.ts'
import { logEvent } from './event-log.ts'
import { keepAttempt, type UpstreamAttempt } from './upstream-attempts.ts'

/** A provider as a page offers it. */
export interface OfferedProvider {
  name: string
  action: string
}

/** Why a sign-in at a provider came to nothing, in words, and the status of the answer. */
export interface UpstreamProblem {
  status: number
  sentence: Message
}

/** The providers that a sign-in page offers. `first` is that of the domain of what was typed. */
export async function providersFor(
  req: Request,
  login: string,
): Promise<{ first: OfferedProvider | null; others: OfferedProvider[] }> {
  const services = servicesOf(req)
  const offered = await identityProvidersOffered(services)
  if (offered.length === 0) return { first: null, others: [] }
  const own = login === '' ? null : await providerForLogin(services, login)
  return {
    first: own && shapeProvider(own),
    others: offered.filter(({ id }) => id !== own?.id).map(shapeProvider),
  }
}

export function shapeProvider({ id, name }: Pick<IdentityProvider, 'id' | 'name'>): OfferedProvider {
  return { name, action: `/login/with/${encodeURIComponent(id)}` }
}

/** What a user wants at a provider, and what is known of them. */
export interface Departure extends Pick<UpstreamAttempt, 'purpose' | 'returnTo'> {
  loginHint: string | null
}

/**
 * Sends the browser to a provider. A signed-in user is asked there to prove anew who they are, but to link an account.
 * @returns what is wrong when the provider cannot be reached; the response is still to be made then
 */
export async function leaveFor(
  req: Request,
  res: Response,
  provider: IdentityProvider,
  { purpose, returnTo, loginHint }: Departure,
): Promise<UpstreamProblem | null> {
  const services = servicesOf(req)
  const isProofAgain = purpose === 'proof' || (purpose === 'sign-in' && Boolean(req.signedIn))
  try {
    const request = { redirectUri: redirectUriOf(services, provider), loginHint, isProofAgain }
    const { url, checks } = await services.upstream.begin(upstreamProviderOf(services, provider), request)
    const identitySessionId = req.signedIn?.id ?? null
    const since = services.clock().getTime()
    const { id: providerId } = provider
    await keepAttempt(req, res, { providerId, checks, purpose, identitySessionId, isProofAgain, returnTo, since })
    res.redirect(303, url)
    return null
  } catch (error) {
    return problemIn(req, provider, error)
  }
}

/** The problem of a provider that failed, which is logged. @throws any other error */
export function problemIn(req: Request, { id, name }: IdentityProvider, error: unknown): UpstreamProblem {
  if (!(error instanceof UpstreamFailure)) throw error
  logEvent(req, 'provider_failed', { provider: id, problem: error.kind, reason: error.message })
  return { status: STATUSES[error.kind], sentence: message(SENTENCES[error.kind], { provider: name }) }
}

const STATUSES = { denied: 403, unavailable: 503, invalid: 403 } as const
const SENTENCES = {
  denied: 'upstream.denied',
  unavailable: 'upstream.unavailable',
  invalid: 'upstream.invalid',
} as const

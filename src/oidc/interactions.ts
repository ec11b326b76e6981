import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { acrOf } from '../domain/authentication-context.ts'
import type { SignedInRow } from '../domain/identity-sessions.ts'
import type { Place } from '../domain/portal.ts'
import { epochSeconds } from '../domain/time.ts'
import { ADDRESS_PROMPT, STEP_UP } from './interaction-policy.ts'

declare module 'node:http' {
  // What the room that serves people has found out about a request before the protocol sees it.
  interface IncomingMessage {
    requestId: string
    place: Place
    /** The identity session of the browser; unset where no cookie is read. */
    signedIn?: SignedInRow | null
  }
}

/** The page an authorization request needs before it can go on. */
export type Interaction =
  /** Everything the request needs is there: the protocol takes it from here. */
  | { kind: 'continue'; url: string }
  | { kind: 'sign-in'; appName: string; loginHint: string }
  /** Whoever is signed in lacks one proof that the app asks for. */
  | { kind: 'step-up'; appName: string; signedIn: SignedInRow }
  | { kind: 'confirm'; appName: string; destination: string }
  /** The address of whoever is signed in must be confirmed first. */
  | { kind: 'address'; appName: string; email: string }
  /** Used, expired, or of another browser; the same request can be made again at `restart`. */
  | { kind: 'lost'; appName: string | null; restart: string | null }

/**
 * Where the browser goes when a page is needed. The request itself rides along, so a page that was left open until its
 * interaction had expired can still lead to where the person was going. A pushed request stays out of sight, as intended.
 */
export function interactionUrl(
  _ctx: KoaContextWithOIDC,
  interaction: { uid: string; params: Record<string, unknown>; parJti?: string },
): string {
  const isPushed = interaction.parJti !== undefined
  const params = isPushed ? [] : Object.entries(interaction.params).filter(([, value]) => typeof value === 'string')
  const query = new URLSearchParams(params as [string, string][]).toString()
  return `/interaction/${interaction.uid}${query === '' ? '' : `?${query}`}`
}

/** Finds out what the person must do next, and does it when that is nothing. */
export async function resolveInteraction(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
  search: string,
): Promise<Interaction> {
  const details = await findDetails(provider, req, res)
  if (details === null) return lost(provider, search)

  const client = await provider.Client.find(details.params['client_id'] as string)
  if (client === undefined) return lost(provider, search)
  const appName = client.clientName ?? client.clientId
  const { signedIn } = req

  if (details.prompt.name === 'login') {
    if (isStepUp(details) && signedIn && acrOf(signedIn.amr) !== 'mfa') return { kind: 'step-up', appName, signedIn }
    if (!signedIn || (!isStepUp(details) && asksAgain(details, signedIn))) {
      return { kind: 'sign-in', appName, loginHint: (details.params['login_hint'] as string | undefined) ?? '' }
    }
    const login = {
      accountId: signedIn.identityId,
      ts: epochSeconds(signedIn.createdAt),
      amr: signedIn.amr,
      acr: acrOf(signedIn.amr),
    }
    return { kind: 'continue', url: await provider.interactionResult(req, res, { login }) }
  }
  if (details.prompt.name === ADDRESS_PROMPT) {
    if (!signedIn) return { kind: 'sign-in', appName, loginHint: '' }
    if (!signedIn.emailVerified) return { kind: 'address', appName, email: signedIn.email }
    return { kind: 'continue', url: await provider.interactionResult(req, res, { [ADDRESS_PROMPT]: {} }) }
  }
  if (!signedIn) return { kind: 'sign-in', appName, loginHint: '' }
  return { kind: 'confirm', appName, destination: destinationOf(details.params['redirect_uri'] as string) }
}

/** The person said yes on the confirmation page. Null when the interaction is lost. */
export async function confirmInteraction(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<string | null> {
  return answer(provider, req, res, ['consent'], { consent: {} })
}

/**
 * The person said no: the app hears `access_denied`, or, when it asked for more proof than it gets, that (OpenID Connect Core
 * Unmet Authentication Requirements §2). Null when the interaction is lost.
 */
export async function cancelInteraction(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<string | null> {
  const details = await findDetails(provider, req, res)
  if (details !== null && isStepUp(details)) {
    const error_description = 'the person did not use a second factor'
    return answer(provider, req, res, ['login'], { error: 'unmet_authentication_requirements', error_description })
  }
  return answer(provider, req, res, ['consent', ADDRESS_PROMPT], {
    error: 'access_denied',
    error_description: 'the person did not want to continue',
  })
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>

async function answer(
  provider: Provider,
  req: IncomingMessage,
  res: ServerResponse,
  prompts: string[],
  result: Parameters<Provider['interactionResult']>[2],
): Promise<string | null> {
  const details = await findDetails(provider, req, res)
  if (details === null || !prompts.includes(details.prompt.name)) return null
  // Only somebody who is signed in was asked; where that is over, the page has them sign in first.
  if (!req.signedIn) return `/interaction/${details.uid}`
  return provider.interactionResult(req, res, result, { mergeWithLastSubmission: true })
}

/** Nothing is missing but one more proof by whoever is signed in. */
function isStepUp({ prompt }: Details): boolean {
  return prompt.name === 'login' && prompt.reasons.every((reason) => reason === STEP_UP)
}

async function findDetails(provider: Provider, req: IncomingMessage, res: ServerResponse): Promise<Details | null> {
  try {
    return await provider.interactionDetails(req, res)
  } catch (error) {
    if (error instanceof errors.SessionNotFound) return null
    throw error
  }
}

/** True while a prompt that wants a fresh sign-in, or a certain person, has not been answered by a new identity session. */
function asksAgain(details: Details, signedIn: SignedInRow): boolean {
  const { reasons } = details.prompt
  const answeredByAnother = (details.prompt.details['identitySessionId'] as string | null) !== signedIn.id
  const wantsSomebodyElse = reasons.some((reason) => ['id_token_hint', 'claims_id_token_sub_value'].includes(reason))
  const onlyNobodyWasThere = reasons.every((reason) => ['identity_session', 'no_session'].includes(reason))
  return !(onlyNobodyWasThere || answeredByAnother) || (wantsSomebodyElse && !answeredByAnother)
}

async function lost(provider: Provider, search: string): Promise<Interaction> {
  const params = new URLSearchParams(search)
  const clientId = params.get('client_id')
  if (clientId === null || !params.has('redirect_uri')) return { kind: 'lost', appName: null, restart: null }
  const client = await provider.Client.find(clientId)
  // The name is only shown for a request that would be accepted.
  if (client === undefined || !client.redirectUriAllowed(params.get('redirect_uri') ?? ''))
    return { kind: 'lost', appName: null, restart: null }
  return {
    kind: 'lost',
    appName: client.clientName ?? clientId,
    restart: `${provider.pathFor('authorization')}?${params}`,
  }
}

/** How a person recognises where an answer goes: the host, or the scheme of an app on their device. */
function destinationOf(redirectUri: string): string {
  const url = new URL(redirectUri)
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.host : url.protocol.slice(0, -1)
}

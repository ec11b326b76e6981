import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'
import { type Seen, seenOf } from '../domain/apps/seen-by.ts'
import { acrOf } from '../domain/sign-in/authentication-context.ts'
import { isLapsed, type SignedInRow } from '../domain/sign-in/identity-sessions.ts'
import type { ClientInfo } from '../domain/client-info.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { type BegunInteraction, findBegun, keepAnswer, sealRefusal } from './adapters/begun-interactions.ts'
import { findAppOnce } from './exchange-state.ts'
import { protocolCookie } from './cookies.ts'
import { giveConsent, findConsent } from '../domain/accounts/consents.ts'
import { hasReadIntroduction, readIntroduction } from '../domain/accounts/introductions.ts'
import { type Access, missingAccess } from '../domain/apps/access.ts'
import { mayEnter } from '../domain/identities/entitlements.ts'
import { isRegistrationOpen } from '../domain/identities/open-registration.ts'
import { owesTerms } from '../domain/identities/terms.ts'
import {
  ACCESS_PROMPT,
  ADDRESS_PROMPT,
  type AppConfirmation,
  ASKED,
  CREATE,
  INTRODUCTION,
  NO_ACCESS,
  SELECT_ACCOUNT,
  STEP_UP,
  TERMS_PROMPT,
} from './interaction-policy.ts'
import { isRedirectUriOf } from './redirects.ts'

declare module 'node:http' {
  // What `http/` has found out about a request before the protocol sees it.
  interface IncomingMessage {
    requestId: string
    clientInfo: ClientInfo
    /** The identity session of the browser; unset where no cookie is read. */
    signedIn?: SignedInRow | null
  }
}

/** The page an authorization request needs before it can go on. */
export type Interaction =
  /** Nothing is missing: the protocol continues from here. */
  | { kind: 'continue'; url: string }
  | { kind: 'sign-in'; appName: string; loginHint: string; asksAgain: AsksAgain | null }
  /** The signed-in user lacks one factor that the app asks for (step-up). */
  | { kind: 'step-up'; appName: string; signedIn: SignedInRow }
  /** The user chooses the account: the one that is signed in, or another. */
  | { kind: 'select-account'; appName: string; signedIn: SignedInRow }
  | { kind: 'register' }
  | { kind: 'confirm'; appName: string; destination: string }
  /** The signed-in user decides what a third-party app may have: all of `asked`, of which `missing` was not allowed before. */
  | { kind: 'consent'; app: AppRow; asked: Access; given: Access | null; missing: Access | null; destination: string }
  /** The signed-in user may not enter the app. */
  | { kind: 'no-access'; appName: string; signedIn: SignedInRow }
  /** The signed-in user must confirm the e-mail address first. */
  | { kind: 'address'; appName: string; email: string }
  /** The signed-in user must accept the terms of use first. */
  | { kind: 'terms' }
  /** The signed-in user must read what the app sees of the account. */
  | { kind: 'introduction'; appName: string; seen: Seen }
  /** Used, expired, or of another browser; the same request can be made again at `restart`. */
  | { kind: 'lost'; appName: string | null; restart: string | null }

/** Why the app asks a signed-in user for a sign-in: a new one (`prompt`), a recent one (`max_age`), or one of another user. */
export type AsksAgain = 'new' | 'recent' | 'other-user'

/**
 * Finds the next step of the interaction, and completes it when no step is left. `request` is the one for the page, or its
 * form.
 */
export async function resolveInteraction(
  context: InteractionContext,
  request: InteractionRequest,
): Promise<Interaction> {
  const details = await findDetails(context, request)
  if (details === null) return lost(context, request)

  const app = await findAppOnce(context.services, request, details.params['client_id'] as string)
  if (app === null || app.disabledAt !== null) return lost(context, request)
  const { name: appName } = app
  const { signedIn } = request.req

  // It began while registration was open.
  if (details.prompt.name === CREATE && !isRegistrationOpen(context.services)) return lost(context, request)

  const loginHint = (details.params['login_hint'] as string | undefined) ?? ''

  if (details.prompt.name === SELECT_ACCOUNT || details.prompt.name === CREATE) {
    if (signedIn && isAnsweredByAnother(details, signedIn)) {
      const result = { login: loginOf(signedIn), [details.prompt.name]: {} }
      return { kind: 'continue', url: await answer(context, request, details, result) }
    }
    if (new URLSearchParams(request.search).has(OTHER_ACCOUNT))
      return { kind: 'sign-in', appName, loginHint: '', asksAgain: null }
    if (details.prompt.name === CREATE) return { kind: 'register' }
    return signedIn
      ? { kind: 'select-account', appName, signedIn }
      : { kind: 'sign-in', appName, loginHint, asksAgain: null }
  }
  if (details.prompt.name === 'login') {
    if (isStepUp(details) && signedIn && acrOf(signedIn.amr) !== 'mfa') return { kind: 'step-up', appName, signedIn }
    if (!signedIn || (!isStepUp(details) && asksAgain(details, signedIn))) {
      return { kind: 'sign-in', appName, loginHint, asksAgain: signedIn ? askedFor(details) : null }
    }
    return { kind: 'continue', url: await answer(context, request, details, { login: loginOf(signedIn) }) }
  }
  if (details.prompt.name === ADDRESS_PROMPT) {
    if (!signedIn) return { kind: 'sign-in', appName, loginHint: '', asksAgain: null }
    if (!signedIn.emailVerified) return { kind: 'address', appName, email: signedIn.email }
    return { kind: 'continue', url: await answer(context, request, details, { [ADDRESS_PROMPT]: {} }) }
  }
  if (!signedIn) return { kind: 'sign-in', appName, loginHint: '', asksAgain: null }
  if (details.prompt.name === ACCESS_PROMPT) {
    if (mayEnter(app, signedIn)) {
      const login = isAnsweredByAnother(details, signedIn) ? { login: loginOf(signedIn) } : {}
      return { kind: 'continue', url: await answer(context, request, details, { ...login, [ACCESS_PROMPT]: {} }) }
    }
    // The link says which sign-in is to be left; after another one the page may be needed again.
    if (new URLSearchParams(request.search).get(OTHER_ACCOUNT) === signedIn.id)
      return { kind: 'sign-in', appName, loginHint: '', asksAgain: null }
    return { kind: 'no-access', appName, signedIn }
  }
  if (details.prompt.name === TERMS_PROMPT) {
    if (owesTerms(context.services, signedIn)) return { kind: 'terms' }
    return { kind: 'continue', url: await answer(context, request, details, { [TERMS_PROMPT]: {} }) }
  }
  if (details.prompt.name === INTRODUCTION) {
    if (!(await hasReadIntroduction(context.services, signedIn.identityId, app.clientId)))
      return { kind: 'introduction', appName, seen: seenOf(app, scopesOf(details, app)) }
    return { kind: 'continue', url: await answer(context, request, details, { [INTRODUCTION]: {} }) }
  }
  const destination = destinationOf(details.params['redirect_uri'] as string)
  if (!app.isThirdParty) return { kind: 'confirm', appName, destination }
  const asked = askedIn(details)
  const given = await findConsent(context.services, signedIn.identityId, app.clientId)
  return { kind: 'consent', app, asked, given, missing: missingAccess(given, asked), destination }
}

/** The app that a user is signing in to; null when there is none that could be opened. */
export async function findAppToOpen(
  services: Services,
  req: IncomingMessage,
  clientId: string,
): Promise<AppRow | null> {
  const app = await findAppOnce(services, { req }, clientId)
  return app?.disabledAt === null ? app : null
}

/** The name of the app that a user is signing in to, also of a disabled one; null when there is no such app. */
export async function findAppName(services: Services, req: IncomingMessage, clientId: string): Promise<string | null> {
  return (await findAppOnce(services, { req }, clientId))?.name ?? null
}

/**
 * In the query of an interaction: the user wants to sign in with another account, or with an existing one. Its value may name the
 * identity session that they leave.
 */
export const OTHER_ACCOUNT = 'other_account'

/** The current sign-in, in the library's format. */
function loginOf({ identityId, createdAt, amr }: SignedInRow): Record<string, unknown> {
  return { accountId: identityId, ts: epochSeconds(createdAt), amr, acr: acrOf(amr) }
}

/** The user continues with the account that is signed in. Null when the interaction is lost. */
export async function keepChosenAccount(
  context: InteractionContext,
  request: InteractionRequest,
): Promise<string | null> {
  const details = await findDetails(context, request)
  return details?.prompt.name === SELECT_ACCOUNT ? answer(context, request, details, { [SELECT_ACCOUNT]: {} }) : null
}

/** The user confirmed on the confirmation page, or allowed a third-party app what it asks for. Null when the interaction is lost. */
export async function confirmInteraction(
  context: InteractionContext,
  request: InteractionRequest,
): Promise<string | null> {
  const details = await findDetails(context, request)
  if (details?.prompt.name !== 'consent') return null
  const { req } = request
  const { services } = context
  const app = await findAppOnce(services, request, details.params['client_id'] as string)
  if (app === null || app.disabledAt !== null) return null
  if (app.isThirdParty && req.signedIn) {
    const given = await giveConsent(services, req.signedIn, app.clientId, askedIn(details), req.clientInfo)
    // A sign-in that has just ended stores nothing: the page then asks to sign in.
    if (isLapsed(given)) req.signedIn = null
  }
  const consent: AppConfirmation = { identitySessionId: req.signedIn?.id ?? null }
  return answer(context, request, details, { consent })
}

/** The user has read what the app sees. Null when the interaction is lost. */
export async function passIntroduction(
  context: InteractionContext,
  request: InteractionRequest,
): Promise<string | null> {
  const details = await findDetails(context, request)
  if (details?.prompt.name !== INTRODUCTION) return null
  const { req } = request
  const clientId = details.params['client_id'] as string
  // A sign-in that has just ended stores nothing: the page then asks to sign in.
  if (req.signedIn && isLapsed(await readIntroduction(context.services, req.signedIn, clientId))) req.signedIn = null
  return answer(context, request, details, { [INTRODUCTION]: {} })
}

/**
 * The user cancelled. The app gets `access_denied`, or, when it asked for more factors than it gets,
 * `unmet_authentication_requirements` (OpenID Connect Core Unmet Authentication Requirements §2). Null when the interaction is
 * lost.
 */
export async function cancelInteraction(
  context: InteractionContext,
  request: InteractionRequest,
): Promise<string | null> {
  const details = await findDetails(context, request)
  if (details !== null && isStepUp(details)) {
    const error_description = 'the person did not use a second factor'
    return answer(context, request, details, { error: 'unmet_authentication_requirements', error_description })
  }
  if (details === null) return null
  return answer(context, request, details, {
    error: 'access_denied',
    error_description: details.prompt.name === ACCESS_PROMPT ? NO_ACCESS : 'the person did not want to continue',
  })
}

/** What answering an interaction needs: the rules, and the current library instance. */
export interface InteractionContext {
  services: Services
  provider: Provider
}

export interface InteractionRequest {
  req: IncomingMessage
  res: ServerResponse
  /** The id in the path of the page. */
  uid: string
  /** The query of the page. */
  search: string
}

type Details = BegunInteraction

/** Stores the answer for the protocol. @returns the URL at which the protocol continues */
async function answer(
  { services, provider }: InteractionContext,
  { req, res, uid, search }: InteractionRequest,
  details: Details,
  result: Record<string, unknown>,
): Promise<string> {
  // Strangers store nothing: their refusal travels in the URL, and for anything else the page has them sign in first.
  if (!req.signedIn && !('error' in result)) return `/interaction/${uid}${search === '' ? '' : `?${search}`}`
  const leadsTo = req.signedIn
    ? details.returnTo
    : `${details.returnTo}?refusal=${sealRefusal(services, uid, details, result)}`
  if (req.signedIn)
    await keepAnswer(services, uid, details, 'error' in result ? result : { ...details.lastSubmission, ...result })
  // An interaction is answered once. Afterwards its page leads on to a new one.
  const { cookies } = provider.createContext(req, res)
  cookies.set(provider.cookieName('interaction'), null, { ...protocolCookie(services), path: `/interaction/${uid}` })
  return leadsTo
}

/** What a third-party app asks for, as the protocol found it. */
function askedIn({ prompt }: Details): Access {
  return (prompt.details[ASKED] as Access | undefined) ?? { scopes: [], resources: {} }
}

/** The scopes that the app gets: those that it asked for and may have. */
function scopesOf({ params }: Details, app: AppRow): string[] {
  const asked = typeof params['scope'] === 'string' ? params['scope'].split(' ') : []
  return app.scope.split(' ').filter((scope) => asked.includes(scope))
}

/** The only missing step is one more factor of the signed-in user. */
function isStepUp({ prompt }: Details): boolean {
  return prompt.name === 'login' && prompt.reasons.every((reason) => reason === STEP_UP)
}

/** Null once it has expired, and for any browser but the one that began the request, which alone has the cookie. */
async function findDetails(
  { services, provider }: InteractionContext,
  { req, res, uid, search }: InteractionRequest,
): Promise<Details | null> {
  const { cookies } = provider.createContext(req, res)
  if (cookies.get(provider.cookieName('interaction'), { signed: true }) !== uid) return null
  const found = await findBegun(services, uid, new URLSearchParams(search))
  return found === null || found.isExpired ? null : found.begun
}

/** The prompt reasons of an app that names the user it expects. */
const OTHER_USER = ['id_token_hint', 'claims_id_token_sub_value']

/** True while a prompt for a fresh sign-in, or for a certain user, has not been answered by a new identity session. */
function asksAgain(details: Details, signedIn: SignedInRow): boolean {
  const { reasons } = details.prompt
  const answeredByAnother = isAnsweredByAnother(details, signedIn)
  const wantsOtherUser = reasons.some((reason) => OTHER_USER.includes(reason))
  const onlyNobodyWasThere = reasons.every((reason) => ['identity_session', 'no_session'].includes(reason))
  return !(onlyNobodyWasThere || answeredByAnother) || (wantsOtherUser && !answeredByAnother)
}

function askedFor({ prompt: { reasons } }: Details): AsksAgain | null {
  if (reasons.some((reason) => OTHER_USER.includes(reason))) return 'other-user'
  if (reasons.includes('login_prompt')) return 'new'
  return reasons.includes('max_age') ? 'recent' : null
}

/** Whether the current sign-in differs from the one that met the prompt. */
function isAnsweredByAnother({ prompt }: Details, signedIn: SignedInRow): boolean {
  return (prompt.details['identitySessionId'] as string | null) !== signedIn.id
}

/** The same request can be made again, unless the app pushed it (PAR) to keep it out of URLs. */
async function lost({ services, provider }: InteractionContext, request: InteractionRequest): Promise<Interaction> {
  const { uid, search } = request
  const found = await findBegun(services, uid, new URLSearchParams(search))
  if (found === null || found.begun.parJti !== undefined) return { kind: 'lost', appName: null, restart: null }
  const given = Object.entries(found.begun.params).filter(([, value]) => typeof value === 'string')
  const params = new URLSearchParams(given as [string, string][])
  const app = await findAppOnce(services, request, params.get('client_id') ?? '')
  // The name is shown only for a valid request.
  if (app === null || app.disabledAt !== null || !isRedirectUriOf(app, params.get('redirect_uri') ?? ''))
    return { kind: 'lost', appName: null, restart: null }
  return { kind: 'lost', appName: app.name, restart: `${provider.pathFor('authorization')}?${params}` }
}

/** How a user recognises where the response goes: the host, or the scheme of an app on their device. */
function destinationOf(redirectUri: string): string {
  const url = new URL(redirectUri)
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.host : url.protocol.slice(0, -1)
}

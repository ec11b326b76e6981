import type Provider from 'oidc-provider'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { thumbprintOf } from '../../domain/apps/client-certificates.ts'
import {
  AUTH_SESSION_KIND,
  type AuthSession,
  DIRECT_SIGN_IN_LIFE,
  keepAuthSession,
  mintAuthSession,
  useAuthSession,
} from '../../domain/direct-sign-in/auth-sessions.ts'
import {
  clientOfApp,
  deviceOfApp,
  directSignIn,
  type DirectSignInOutcome,
} from '../../domain/direct-sign-in/direct-sign-ins.ts'
import type { Problems, Progress, Refusal } from '../../domain/direct-sign-in/steps/step.ts'
import type { Services } from '../../domain/services.ts'
import { Overloaded } from '../../domain/fair-queue.ts'
import { SourceUnavailable } from '../../domain/identity-source.ts'
import { isAcr } from '../../domain/sign-in/authentication-context.ts'
import { secondsUntil } from '../../domain/time.ts'
import { acceptedLanguage, firstSupportedLanguage } from '../../i18n/language-choice.ts'
import { textsFor } from '../../i18n/texts.ts'
import type { Logger } from '../../logger.ts'
import { DIRECT_REDIRECT_URI } from '../adapters/authorization-codes.ts'
import { takePlace } from '../adapters/places.ts'
import { ROUTES } from '../configuration.ts'
import { exchangeState } from '../exchange-state.ts'
import { addAuthorizationEndpoint, checkMtlsCert, issueCode, pushRequest } from '../library-internals.ts'
import { readFields } from './bodies.ts'
import { type Challenge, invalidSession, readChallenge } from './challenges.ts'
import { errorOf } from './errors.ts'

export const AUTHORIZE_CHALLENGE = 'authorization_challenge'

/** The most sign-ins in which a stranger has proved nothing, of one public app, that are kept for one IP address. */
const BEGUN_AT_MOST = 100

/**
 * The authorization challenge endpoint (draft-ietf-oauth-first-party-apps-04): an app of the organisation signs its user in with
 * forms of its own, and gets an authorization code. Cookies are neither read nor set.
 */
export function registerChallengeEndpoint(provider: Provider, services: Services, logger: Logger): void {
  addAuthorizationEndpoint(provider, {
    name: AUTHORIZE_CHALLENGE,
    path: ROUTES.authorization_challenge,
    async readBody(ctx) {
      ;(ctx.oidc as { body: object }).body = await readFields(ctx.req)
    },
    async settle(ctx) {
      ctx.req.signedIn = null
      exchangeState(ctx).challenge = await readChallenge(services, ctx)
    },
    async act(ctx) {
      const { challenge } = exchangeState(ctx)
      if (challenge === undefined) throw new Error('the endpoint has not read the request')
      await answer(provider, services, logger, ctx, challenge)
    },
  })
}

async function answer(
  provider: Provider,
  services: Services,
  logger: Logger,
  ctx: KoaContextWithOIDC,
  challenge: Challenge,
): Promise<void> {
  const { client, prompts, params } = ctx.oidc
  if (client === undefined) throw new Error('the endpoint let an unauthenticated client through')
  const session = bind(provider, ctx, challenge)
  if (prompts.has('none')) throw errorOf(400, 'login_required', 'a direct sign-in cannot be silent')
  if (['consent', 'select_account', 'create'].some((prompt) => prompts.has(prompt))) return leadToWeb(ctx)

  // Only now, so that a request of someone else uses nothing up.
  if (challenge.secret !== null && !(await useAuthSession(services, challenge.secret)))
    throw invalidSession('it is unknown, used or expired')
  const { app } = client
  const provenJkt = ctx.get('DPoP') === '' ? null : (params?.['dpop_jkt'] as string)
  const outcome = await directSignIn(services, {
    app,
    progress: session.progress,
    answers: challenge.answers,
    clientInfo: { ...clientOfApp(app, ctx.req.clientInfo), locale: languageOf(services, ctx) },
    device: deviceOfApp(app, ctx.req.clientInfo, provenJkt),
    acrValues: acrValuesIn(ctx),
    expectedSubs: expectedSubsIn(ctx),
  }).catch((error: unknown) => {
    if (!(error instanceof Overloaded || error instanceof SourceUnavailable)) throw error
    logger.warn({ requestId: ctx.req.requestId, error }, 'a direct sign-in has to wait')
    return null
  })
  // The attempt did not count, so the sign-in goes on from where it was.
  if (outcome === null) {
    const words = 'the portal, or the service in which its users live, is busy; try again'
    const auth_session = await goOnWith(services, ctx, session, session.progress)
    return sayLater(ctx, 503, BUSY_SECONDS, { error_description: words, reason: 'busy', auth_session })
  }
  log(logger, ctx, outcome)
  switch (outcome.kind) {
    case 'signed-in': {
      ctx.req.signedIn = outcome.signedIn
      if (params !== undefined) params['redirect_uri'] ??= DIRECT_REDIRECT_URI
      const code = await issueCode(provider, ctx)
      if (code === null) throw invalidSession('what was proved is no longer valid')
      ctx.body = { authorization_code: code }
      return
    }
    case 'missing': {
      const { next, details, problems, refusal } = outcome
      ctx.status = 403
      ctx.body = {
        error: 'insufficient_authorization',
        error_description: refusal === undefined ? ASKS : REFUSALS[refusal],
        ...(refusal === undefined ? {} : { reason: refusal }),
        auth_session: await goOnWith(services, ctx, session, outcome.progress),
        expires_in: secondsUntil(new Date(session.endsAt), services.clock()),
        next,
        ...details,
        ...(problems === undefined ? {} : { problems: inWords(services, ctx, problems) }),
      }
      return
    }
    case 'throttled': {
      const seconds = secondsUntil(outcome.retryAt, services.clock())
      const words = outcome.ipBlocked
        ? 'too many wrong tries came from this address; wait, then try again'
        : 'too many wrong tries were made; wait, then try again'
      const auth_session = await goOnWith(services, ctx, session, outcome.progress)
      return sayLater(ctx, 429, seconds, { error_description: words, reason: 'throttled', auth_session })
    }
    case 'needs-page':
      return leadToWeb(ctx)
    case 'no-access':
      throw errorOf(400, 'access_denied', 'the person may not use this app')
    case 'other-user':
      throw errorOf(400, 'login_required', 'the request names another user than the one who signed in')
    case 'lapsed':
      throw invalidSession('what was proved is no longer valid')
  }
}

const ASKS = 'ask the user for one of next, and send it with the auth_session'
const REFUSALS = {
  credentials_invalid: 'the user name, the e-mail address or the password is wrong',
  code_invalid: 'the code is wrong, or was used before',
  passkey_invalid: 'the passkey was not accepted',
  registration_closed: 'users cannot register by themselves here',
  registration_invalid: 'the registration is not accepted: problems says why, for the user',
  mail_limited: 'this e-mail address has had too many mails in the last hour',
  role_not_assignable: 'users cannot give themselves one of the roles',
  terms_outdated: 'this is not the current version of the terms of use',
}

/** The problems of a registration in the language of the request, for the user. */
function inWords(services: Services, ctx: KoaContextWithOIDC, problems: Problems): Record<string, string> {
  const { say } = textsFor(languageOf(services, ctx), { organisation: services.brand.name })
  return Object.fromEntries(Object.entries(problems).map(([name, problem]) => [name, say(problem)]))
}

/** How long an app waits while the portal is overloaded (seconds), as a browser does. */
const BUSY_SECONDS = 5

/** Tells the app when to send the same again. */
function sayLater(ctx: KoaContextWithOIDC, status: 429 | 503, seconds: number, why: object): void {
  ctx.status = status
  ctx.set('Retry-After', String(seconds))
  ctx.body = { error: 'temporarily_unavailable', ...why, retry_after: seconds }
}

/** Binds a first request to its keys, and checks that a later one has the same. */
function bind(provider: Provider, ctx: KoaContextWithOIDC, { secret, session }: Challenge): AuthSession {
  const jkt = (ctx.oidc.params?.['dpop_jkt'] as string | undefined) ?? null
  const isProven = ctx.get('DPoP') !== ''
  const certificate = checkMtlsCert(provider, ctx)
  const x5t = certificate === undefined ? null : thumbprintOf(certificate)
  if (secret === null) return { ...session, jkt: isProven ? jkt : null, x5t }
  if (session.jkt !== null && (!isProven || jkt !== session.jkt)) throw invalidSession('it is bound to another key')
  if (session.x5t !== x5t) throw invalidSession('it is bound to another certificate')
  return session
}

/** Keeps the sign-in for its next step. @returns the `auth_session` of that step */
async function goOnWith(
  services: Services,
  ctx: KoaContextWithOIDC,
  session: AuthSession,
  progress: Progress,
): Promise<string> {
  const secret = mintAuthSession()
  const { app } = ctx.oidc.client ?? {}
  if (progress.proof === null && app?.isPublic === true) {
    const place = { act: 'direct-sign-in', kind: AUTH_SESSION_KIND, most: BEGUN_AT_MOST, seconds: DIRECT_SIGN_IN_LIFE }
    await takePlace(services, place, [app.clientId, ctx.req.clientInfo.address], secret)
  }
  await keepAuthSession(services, secret, { ...session, progress })
  return secret
}

/** The language of the app's user: of the mails about this sign-in, where the user has chosen none, and of what is wrong with it. */
function languageOf({ policy }: Services, ctx: KoaContextWithOIDC): string {
  const asked = firstSupportedLanguage(ctx.oidc.params?.['ui_locales'] as string | undefined)
  return asked ?? acceptedLanguage(ctx.get('Accept-Language'), policy.defaultLocale)
}

/** The context classes that the request asks for and that exist here (OpenID Connect Core §3.1.2.1, §5.5.1.1). */
function acrValuesIn({ oidc }: KoaContextWithOIDC): ('aal1' | 'mfa')[] {
  const { value, values, essential } = (oidc.claims.id_token?.['acr'] ?? {}) as Record<string, unknown>
  const wanted = values ?? (value === undefined ? [] : [value])
  if (!Array.isArray(wanted)) throw new errors.InvalidRequest('invalid claims.id_token.acr.values type')
  const reachable = wanted.filter(isAcr)
  if (wanted.length > 0 && reachable.length === 0 && essential === true)
    throw new errors.UnmetAuthenticationRequirements('none of the requested ACRs can be obtained here')
  return reachable
}

/** The user that the app expects (`id_token_hint`, and the `claims` parameter, OpenID Connect Core §5.5.1). */
function expectedSubsIn({ oidc }: KoaContextWithOIDC): string[] {
  const hint = oidc.entities.IdTokenHint as { payload: { sub: string } } | undefined
  const { value } = (oidc.claims.id_token?.['sub'] ?? {}) as { value?: unknown }
  return [hint?.payload.sub, value].filter((each): each is string => typeof each === 'string')
}

/**
 * The app must send its user to the authorization endpoint (§5.2.2.1.1). The request is pushed for it where a page knows the way
 * back: to the redirect URI of the request, or to the only one of the app.
 */
async function leadToWeb(ctx: KoaContextWithOIDC): Promise<void> {
  const { params, client } = ctx.oidc
  const { redirectUris = [] } = client?.app ?? {}
  if (params !== undefined) params['redirect_uri'] ??= redirectUris.length === 1 ? redirectUris[0] : undefined
  const pushed = params?.['redirect_uri'] === undefined ? {} : await pushRequest(ctx)
  ctx.status = 403
  ctx.body = {
    error: 'redirect_to_web',
    error_description: 'the user must go on in a browser, at the authorization endpoint',
    ...pushed,
  }
}

function log(logger: Logger, ctx: KoaContextWithOIDC, outcome: DirectSignInOutcome): void {
  const { requestId, clientInfo } = ctx.req
  const write = (event: string, fields: object = {}) =>
    logger.info(
      { requestId, event, clientId: ctx.oidc.client?.clientId, address: clientInfo.address, ...fields },
      'event',
    )
  if (outcome.kind === 'signed-in') return write('signed_in', { identityId: outcome.signedIn.identityId })
  const { proof } = outcome.progress
  if (outcome.kind !== 'missing' || outcome.refusal === undefined) return
  if (outcome.ipBlock) write('address_suspended', { until: outcome.ipBlock.until })
  if (!GUESSES.includes(outcome.refusal)) return
  if (proof === null) write('sign_in_refused')
  else write('second_factor_refused', { identityId: proof.identityId })
}

const GUESSES: Refusal[] = ['credentials_invalid', 'code_invalid', 'passkey_invalid']

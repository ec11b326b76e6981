import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider, { type KoaContextWithOIDC } from 'oidc-provider'
import type { ClientCertificate } from '../domain/apps/client-certificates.ts'
import { FetchedKeys, type FetchFile } from '../domain/apps/fetched-keys.ts'
import { mintCode } from '../domain/families/authorization-codes.ts'
import { POLL_INTERVAL } from '../domain/families/device-codes.ts'
import { isUnavailable } from '../domain/errors.ts'
import type { SignedInRow } from '../domain/sign-in/identity-sessions.ts'
import type { Confirmation } from '../domain/service-token-claims.ts'
import type { Services } from '../domain/services.ts'
import { reloadKeys } from '../domain/keys/reloaded-keys.ts'
import { mintRefreshToken } from '../domain/families/refresh-tokens.ts'
import type { Logger } from '../logger.ts'
import { ClientThrottling } from './client-throttling.ts'
import { createConfiguration, ROUTES } from './configuration.ts'
import { DIRECT_REDIRECT_URI } from './adapters/authorization-codes.ts'
import { AUTHORIZE_CHALLENGE, registerChallengeEndpoint } from './authorize-challenge/authorize-challenge.ts'
import { withAskedLanguage } from './asked-language.ts'
import { errorUri } from './error-codes.ts'
import { hasGrantType } from './grant-types.ts'
import { readIdTokenHint } from './id-token-hints.ts'
import { signIdTokenAnew } from './id-tokens.ts'
import { askWithin, type InnerAnswer, type InnerRequest } from './inner-requests.ts'
import { addFutureTo, introspectApplicationToken, signIntrospection } from './introspection.ts'
import { defaultRedirectUri, isSessionDestroyed, replaceMembers } from './library-internals.ts'
import { openQuestion } from './logout-questions.ts'
import { OfferedKeys } from './offered-keys.ts'
import { exchangeState } from './exchange-state.ts'
import type { ProtocolPages } from './pages.ts'
import { withoutCertificates } from './mutual-tls.ts'
import { answerFast } from './fast/fast-paths.ts'
import { isIdleLogout, keepsSid, signInOf } from './protocol-session.ts'
import { findPresentedKeys, type PresentedToken } from './presented-keys.ts'
import { PublishedDocuments } from './published-documents.ts'
import { isPostLogoutUriOf, isRedirectUriOf, keepPostLogoutUri, redirectTo, withParameters } from './redirects.ts'
import { registerClientCredentialsGrant } from './client-credentials-grant.ts'
import { countAnsweredRefresh } from './refresh-counts.ts'
import { registerRefreshGrant } from './refresh-grant.ts'
import { describeForDeveloper, refusalForLog } from './refusals.ts'
import { futureResponse } from './token-response.ts'
import { revokeApplicationToken } from './revocation.ts'
import { registerTokenExchangeGrant } from './token-exchange-grant.ts'
import { isRevocationFeed, REVOCATION_FEED, RevocationFeed } from './revocation-feed.ts'

export interface ProtocolOptions {
  pages: ProtocolPages
  logger: Logger
  /** Whether answers name the reasons and values that production only logs. */
  forDevelopers: boolean
  /** Ends the identity session of this request and deletes its cookie; called when an app's logout was confirmed. */
  signOut(req: IncomingMessage, res: ServerResponse): Promise<void>
  /** Finds the signed-in user of a request that needs nothing else of the browser's session. */
  findSignedIn(req: IncomingMessage): Promise<SignedInRow | null>
  /** The certificate that a client showed to the proxy; null where no proxy passes certificates on. */
  findCertificate: ((req: IncomingMessage) => ClientCertificate | null) | null
  /** Fetches the keys that a client publishes, behind the SSRF guard. */
  fetchFile: FetchFile
}

/** The OAuth and OpenID Connect side of the portal. */
export interface Protocol {
  /**
   * Answers what needs no page: every request of a program, and the authorizations of the fast path.
   * @returns false when the request is one for pages
   * @throws for a browser's request when a store is unavailable
   */
  answer(req: IncomingMessage, res: ServerResponse): Promise<boolean>
  /** Answers a browser's request that has its session, at the endpoints of the library. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  provider(): Provider
  /** What a request to an API of the portal proves beside its token; null for a wrong DPoP proof. */
  findPresentedKeys(req: IncomingMessage, presented: PresentedToken): Promise<Confirmation | null>
  /** Makes a request that a request to an API of the portal consists of. */
  askWithin(req: IncomingMessage, inner: InnerRequest): Promise<InnerAnswer>
  /** Answers the requests that wait for news of the revocation feed, and lets no new one wait. */
  stopWaiting(): void
  /** Reloads the signing keys that were added, have begun to sign or were revoked. */
  followKeys(): Promise<void>
}

// The library's keys are fixed when it is created, so a new set of keys means a new instance; all state is in the stores.
export function createProtocol(services: Services, options: ProtocolOptions): Protocol {
  const { logger, findSignedIn } = options
  const throttling = new ClientThrottling(services, logger)
  const fastPaths = { services, logger, throttling, findSignedIn }
  const feed = new RevocationFeed(services)
  const offered = new OfferedKeys(services)
  let documents = new PublishedDocuments()
  const fetchedKeys = new FetchedKeys(options.fetchFile, services.clock)
  let provider = createProvider(services, options, throttling, documents, offered, fetchedKeys)
  let handle = provider.callback()
  let keys = kidsOf(services)

  /** The documents that are prepared once, and the revocation feed. */
  async function answerPrepared(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
    if (DOCUMENTS.has(req.url ?? '') && (await offered.haveGrown()))
      for (const path of DOCUMENTS) documents.forget(path)
    if (documents.answer(req, res)) return true
    if (!isRevocationFeed(req.url)) return false
    await feed.answer(req, res)
    return true
  }

  async function askLibrary(req: IncomingMessage, res: ServerResponse): Promise<void> {
    // The client has gone, and its body is incomplete.
    if (!req.socket.destroyed) await handle(req, res)
  }

  const answer: Protocol['answer'] = async (req, res) => {
    const isForPrograms = isMachineEndpoint((req.url ?? '').split('?', 1)[0] as string)
    try {
      if (isForPrograms && (await answerPrepared(req, res))) return true
      if (await answerFast(fastPaths, req, res)) return true
    } catch (error) {
      if (!isForPrograms) throw error
      logger.error({ requestId: req.requestId, error }, 'the protocol failed')
      res.writeHead(503, { 'Content-Type': 'application/json; charset=utf-8', ...LATER })
      res.end(JSON.stringify({ ...UNAVAILABLE, error_uri: errorUri(services.publicUrl, UNAVAILABLE) }))
      return true
    }
    if (isForPrograms) await askLibrary(req, res)
    return isForPrograms
  }

  return {
    answer,
    askWithin: async (req, inner) => askWithin(answer, req, inner),
    handle: askLibrary,
    provider: () => provider,
    findPresentedKeys: async (req, presented) => findPresentedKeys(provider, options.findCertificate, req, presented),
    stopWaiting: () => feed.stop(),
    async followKeys() {
      await reloadKeys(services)
      if (kidsOf(services) === keys) return
      keys = kidsOf(services)
      documents = new PublishedDocuments()
      provider = createProvider(services, options, throttling, documents, offered, fetchedKeys)
      handle = provider.callback()
      logger.info({ keys }, 'signing keys changed')
    },
  }
}

/** Endpoints that programs call, answered before sessions, cookies and pages. */
export function isMachineEndpoint(path: string): boolean {
  return MACHINE_ENDPOINTS.has(path)
}

const MACHINE_ENDPOINTS = new Set<string>([
  ROUTES.token,
  ROUTES.jwks,
  ROUTES.userinfo,
  ROUTES.introspection,
  ROUTES.revocation,
  ROUTES.pushed_authorization_request,
  ROUTES.device_authorization,
  ROUTES.authorization_challenge,
  REVOCATION_FEED,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
])

/** What is written once for all clients. */
const DOCUMENTS = new Set<string>([
  ROUTES.jwks,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
])

function createProvider(
  services: Services,
  { pages, logger, forDevelopers, signOut, findCertificate }: ProtocolOptions,
  throttling: ClientThrottling,
  documents: PublishedDocuments,
  offered: OfferedKeys,
  fetchedKeys: FetchedKeys,
): Provider {
  const configuration = createConfiguration(services, pages, logger, forDevelopers, fetchedKeys, findCertificate)
  const provider = new Provider(services.publicUrl, configuration)
  replaceMembers(provider, {
    publicUrl: services.publicUrl,
    signInOf,
    openQuestion: (ctx) => openQuestion(services, ctx),
    hasGrantType,
    secretMatches: (client, secret) => throttling.secretMatches(client, secret),
    keepsSid,
    isRedirectUri: isRedirectUriOf,
    isPostLogoutUri: isPostLogoutUriOf,
    mintCode: (familyId) => mintCode(familyId, services.clock()),
    mintRefreshToken: (familyId) => mintRefreshToken(familyId, services.secrets),
    readIdTokenHint: (hint, app) => readIdTokenHint(services, hint, app),
    signIdTokenAnew: (token, app) => signIdTokenAnew(services, token, app),
    redirectWithQuery: (ctx, uri, params) => redirectTo(ctx, withParameters(uri, params)),
    redirectWithFragment: (ctx, uri, params) => redirectTo(ctx, `${uri}#${new URLSearchParams(params)}`),
  })
  registerRefreshGrant(provider, services)
  registerClientCredentialsGrant(provider, services)
  registerTokenExchangeGrant(provider, services)
  registerChallengeEndpoint(provider, services, logger)
  defaultRedirectUri(provider, DIRECT_REDIRECT_URI)
  logEvents(provider, services, logger)

  provider.use(async (ctx, next) => {
    await next()
    const { oidc } = ctx as KoaContextWithOIDC
    if (exchangeState(ctx).isUnavailable === true) sayNotNow(ctx as KoaContextWithOIDC)
    if (AUTHENTICATING.has(oidc?.route) && errorOf(ctx.body) === 'invalid_client')
      await throttling.countRefusal(ctx as KoaContextWithOIDC)
    if (forDevelopers && errorOf(ctx.body) !== null) explain(services, ctx as KoaContextWithOIDC)
    switch (oidc?.route) {
      case 'jwks':
      case 'discovery':
        if (ctx.status !== 200) break
        if (oidc.route === 'discovery' && findCertificate === null) ctx.body = withoutCertificates(ctx.body as object)
        if (oidc.route === 'discovery') ctx.body = offered.named(ctx.body as Record<string, unknown>)
        if (oidc.route === 'jwks') ctx.body = offered.of(ctx.body as { keys: { kty: string }[] })
        documents.keep(ctx.path, ctx.body as object, ctx.response.get('Content-Type'))
        ctx.respond = !documents.answer(ctx.req, ctx.res)
        break
      case 'introspection':
        // The library refuses JWTs, after it has authenticated the client; the portal answers for them.
        if (errorOf(ctx.body) === UNSUPPORTED) {
          ctx.status = 200
          ctx.body = await introspectApplicationToken(services, ctx as KoaContextWithOIDC)
        } else addFutureTo(services, ctx as KoaContextWithOIDC)
        if (ctx.status === 200) await signIntrospection(services, ctx as KoaContextWithOIDC)
        break
      case 'revocation':
        // As for introspection.
        if (errorOf(ctx.body) === UNSUPPORTED) {
          const isRevocable = await revokeApplicationToken(services, ctx as KoaContextWithOIDC)
          ctx.status = isRevocable ? 200 : 400
          ctx.body = isRevocable ? '' : IRREVOCABLE
        }
        if (ctx.status !== 200) break
        // Clients ignore this body (RFC 7009 §2.2). Some that accept only JSON fail without one.
        if (ctx.get('Accept') === 'application/json') ctx.body = {}
        // Without a body there is no type.
        else ctx.remove('Content-Type')
        break
      case 'token':
        addFutureToTokens(ctx as KoaContextWithOIDC)
        if (['invalid_grant', 'invalid_request'].includes(errorOf(ctx.body) ?? ''))
          Object.assign(ctx.body as object, exchangeState(ctx).refusal)
        countAnsweredRefresh(services, ctx as KoaContextWithOIDC)
        break
      case 'device_authorization':
        // The library leaves it out (RFC 8628 §3.2).
        if (ctx.status === 200) ctx.body = { ...(ctx.body as object), interval: POLL_INTERVAL }
        break
      case 'end_session':
        if (isIdleLogout(ctx as KoaContextWithOIDC) && ctx.status === 200) leadOnSignedOut(ctx as KoaContextWithOIDC)
        break
      case 'end_session_confirm':
        keepPostLogoutUri(ctx as KoaContextWithOIDC)
        keepLanguage(ctx as KoaContextWithOIDC)
        if (isSessionDestroyed(ctx as KoaContextWithOIDC)) await signOut(ctx.req, ctx.res)
        break
    }
    const error = errorOf(ctx.body)
    if (error !== null) {
      const body = ctx.body as { reason?: unknown }
      const reason = error === 'invalid_grant' ? body.reason : undefined
      ctx.body = { ...body, error_uri: errorUri(services.publicUrl, { error, reason }) }
    }
  })
  return provider
}

/** Adds the reason of a refusal to a program's response, in development. */
function explain(services: Services, ctx: KoaContextWithOIDC): void {
  const { refusedWith: error } = exchangeState(ctx)
  const words = error === undefined ? null : describeForDeveloper(services, ctx, error)
  const body = ctx.body as { error?: string }
  if (words !== null && error?.message === body.error) ctx.body = { ...body, error_description: words }
}

/** Completes the library's answer to a code exchange: how long the family lasts, and no scope where the token has none. */
function addFutureToTokens(ctx: KoaContextWithOIDC): void {
  const { future } = exchangeState(ctx)
  if (ctx.status !== 200 || future === undefined) return
  const body = { ...(ctx.body as Record<string, unknown>), ...futureResponse(future) }
  if (body['scope'] === '') delete body['scope']
  ctx.body = body
}

/** The library leads to the page that says so without the language of the question. */
function keepLanguage(ctx: KoaContextWithOIDC): void {
  const to = ctx.res.getHeader('Location')
  // A refused request leads nowhere.
  if (typeof to === 'string' && to.startsWith(ctx.oidc.urlFor('end_session_success')))
    redirectTo(ctx, withAskedLanguage(ctx, to))
}

/** Where the response to the logout leads (RP-Initiated Logout 1.0 §3). */
function leadOnSignedOut(ctx: KoaContextWithOIDC): void {
  const { post_logout_redirect_uri: home, state } = ctx.oidc.params ?? {}
  const isHome = typeof home === 'string'
  const added: Record<string, string> = typeof state === 'string' ? { state } : {}
  if (isHome) redirectTo(ctx, withParameters(home, added))
  else redirectTo(ctx, withAskedLanguage(ctx, ctx.oidc.urlFor('end_session_success')))
}

/** The library's error for a JWT at endpoints that take any token. */
const UNSUPPORTED = 'unsupported_token_type'

const IRREVOCABLE = {
  error: UNSUPPORTED,
  error_description: 'a token of a service, or from an exchange, cannot be revoked alone; it expires soon',
}

/** The endpoints that authenticate clients. */
const AUTHENTICATING = new Set([
  'token',
  'introspection',
  'revocation',
  'pushed_authorization_request',
  'device_authorization',
  AUTHORIZE_CHALLENGE,
])

/** Listeners run inside the request, so they only log. The log has more than the error that the app reads. */
function logEvents(provider: Provider, services: Services, logger: Logger): void {
  const events: EventEmitter = provider
  for (const event of [
    'authorization.error',
    'grant.error',
    'introspection.error',
    'revocation.error',
    'userinfo.error',
    'pushed_authorization_request.error',
    'device_authorization.error',
    `${AUTHORIZE_CHALLENGE}.error`,
    'end_session.error',
    'end_session_confirm.error',
  ]) {
    events.on(event, (ctx: KoaContextWithOIDC, error: Error) => {
      // The portal answers this one itself.
      if (error.message === UNSUPPORTED) return
      exchangeState(ctx).refusedWith = error
      logger.info({ requestId: ctx.req.requestId, event, ...refusalForLog(services, ctx, error) }, 'refused')
    })
  }
  provider.on('grant.success', (ctx) => {
    const { client, params, entities } = ctx.oidc
    const { familyId = entities.Grant?.jti, audience } = exchangeState(ctx)
    const { requestId } = ctx.req
    logger.info({ requestId, event: params?.['grant_type'], clientId: client?.clientId, familyId, audience }, 'event')
  })
  provider.on('server_error', (ctx, error) => {
    exchangeState(ctx).isUnavailable = isUnavailable(error)
    logger.error({ requestId: ctx.req.requestId, error }, 'the protocol failed')
  })
  // Without a listener, Koa prints errors on stderr, with their stacks.
  ;(provider as EventEmitter).on('error', (error: Error, ctx?: KoaContextWithOIDC) => {
    const requestId = ctx?.req.requestId
    if (isConnectionLost(error))
      logger.debug({ requestId, error }, 'the client closed the connection before the answer')
    else logger.error({ requestId, error }, 'the protocol failed')
  })
}

function isConnectionLost(error: NodeJS.ErrnoException): boolean {
  return ['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? '')
}

/** The library answers 500 to every error it did not throw itself; an unavailable store is answered with 503. */
function sayNotNow(ctx: KoaContextWithOIDC): void {
  ctx.status = 503
  ctx.set(LATER)
  if (errorOf(ctx.body) !== null) ctx.body = UNAVAILABLE
}

const LATER = { 'Retry-After': '5' }
const UNAVAILABLE = {
  error: 'temporarily_unavailable',
  error_description: 'the portal is very busy or being repaired; try again',
}

function kidsOf(services: Services): string {
  return services.keys
    .published()
    .map((key) => key.kid)
    .join(' ')
}

function errorOf(body: unknown): string | null {
  const error = (body as { error?: unknown } | null | undefined)?.error
  return typeof error === 'string' ? error : null
}

import Provider from 'oidc-provider'
import type { Client, ExternalSigningKey, KoaContextWithOIDC, Session } from 'oidc-provider'
import { assignClaims, checkClaims, checkIdTokenHint } from 'oidc-provider/lib/actions/authorization/claims.js'
import { pushedAuthorizationRequestResponse } from 'oidc-provider/lib/actions/authorization/pushed_authorization_requests.js'
import {
  assembleAuthorizationParams,
  assignDefaults,
  checkExtraParams,
  checkMaxAge,
  checkPrompt,
  getAuthorizationParams,
  rejectAuthorizationDupes,
  rejectRegistration,
  rejectUnsupported,
} from 'oidc-provider/lib/actions/authorization/request_parameters.js'
import { checkRedirectUri, checkResponseType } from 'oidc-provider/lib/actions/authorization/response_parameters.js'
import { checkOpenidScope, checkScope } from 'oidc-provider/lib/actions/authorization/scopes.js'
import { checkDpopJkt, checkPKCE } from 'oidc-provider/lib/actions/authorization/sender_constraints.js'
import { loadAccount, loadGrant } from 'oidc-provider/lib/actions/authorization/session.js'
import als from 'oidc-provider/lib/helpers/als.js'
import errOut from 'oidc-provider/lib/helpers/err_out.js'
import processResponseTypes from 'oidc-provider/lib/helpers/process_response_types.js'
import assembleParams from 'oidc-provider/lib/shared/assemble_params.js'
import checkResource from 'oidc-provider/lib/shared/check_resource.js'
import clientAuth, { getClientAuthParams } from 'oidc-provider/lib/shared/client_auth.js'
import { issueIdToken } from 'oidc-provider/lib/helpers/grant_common.js'
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from 'oidc-provider/lib/helpers/grants.js'
import privateOf from 'oidc-provider/lib/helpers/weak_cache.js'
import type { ApiRow } from '../domain/apps/apis.ts'
import type { AppRow } from '../domain/apps/apps.ts'

/*
 * The only module that imports private files of oidc-provider or replaces members of its classes; `house.test.ts` refuses any other.
 * oidc-provider promises none of this between versions.
 *
 * To upgrade oidc-provider:
 * 1. Install the exact version, alone, and @types/oidc-provider with it. Read the library's changelog.
 * 2. Run `library-internals.test.ts`. It pins the version, and the name and the parameters of everything used here.
 * 3. For each line that differs, compare the function in node_modules/oidc-provider/lib with the one of the version before, then
 *    change this file, `library-helpers.d.ts` and the pin.
 * 4. Compare the callers of what is replaced: a member that the library no longer calls is a rule of ours that no longer applies.
 * 5. Compare models/authorization_code.js: a new field belongs in `code-records.ts`, which refuses to lose one.
 * 6. Compare what the fast paths answer instead of the library: `npm test -- unit` with the tests in `fast/`.
 * 7. Compare the list in actions/authorization/index.js with `authorizationChecks`, and the code grant with `defaultRedirectUri`.
 * 8. Compare shared/reject_structured_tokens.js: introspection and revocation of application tokens begin where it refuses.
 */

export { checkDpopReplay, checkDpopRequired, checkMtlsCert, issueIdToken, validateDpop }

/** Every member that is replaced, by its owner on a provider. */
export const REPLACED = {
  request: ['protocol', 'secure', 'host', 'origin', 'href'],
  Session: ['get'],
  'Session.prototype': ['authorizationFor', 'sidFor', 'loginAccount', 'destroy'],
  'Client.prototype': [
    'compareClientSecret',
    'grantTypeAllowed',
    'includeSid',
    'redirectUriAllowed',
    'postLogoutRedirectUriAllowed',
  ],
  'Client.Schema.prototype': ['redirectUris'],
  'AuthorizationCode.prototype': ['generateTokenId'],
  'RefreshToken.prototype': ['generateTokenId'],
  IdToken: ['validate'],
  'IdToken.prototype': ['issue'],
  'OIDCContext.prototype': ['urlFor'],
  'Claims.prototype': ['result'],
} as const

/** Among the claims of an account: those that the library must not select from, because the app gets them in any case. */
export const ADDED_CLAIMS = Symbol('added claims')

type Owner = keyof typeof REPLACED

/** The portal's rules where the library has no option for them. */
export interface Rules {
  /** Host header attacks: every URL is made from this. The client's Host, X-Forwarded-* and absolute URIs are ignored. */
  publicUrl: string
  /** The sign-in of this request. */
  signInOf(ctx: KoaContextWithOIDC): SessionSignIn
  /** The logout question that this request answers. */
  openQuestion(ctx: KoaContextWithOIDC): LogoutQuestion | undefined
  secretMatches(client: AppRow | ApiRow, secret: string): Promise<boolean>
  /** @throws an error of the protocol when this request asks for a grant type that the app has not */
  hasGrantType(ctx: KoaContextWithOIDC | undefined, app: AppRow, grantType: string): boolean
  keepsSid(app: AppRow): boolean
  isRedirectUri(app: AppRow, uri: string): boolean
  isPostLogoutUri(app: AppRow, uri: string): boolean
  mintCode(grantId: string): string
  mintRefreshToken(grantId: string): string
  /** The claims of an ID token of this app. @throws when the hint is anything else */
  readIdTokenHint(hint: string, app: AppRow): object
  /** The same ID token, signed as this app wants it where the library cannot. */
  signIdTokenAnew(token: string, app: AppRow): string
  redirectWithQuery(ctx: KoaContextWithOIDC, uri: string, params: Record<string, string>): void
  redirectWithFragment(ctx: KoaContextWithOIDC, uri: string, params: Record<string, string>): void
}

/** What a session of the library holds about a sign-in. */
export interface SessionSignIn {
  accountId: string | undefined
  /** Seconds since 1970. */
  loginTs: number | undefined
  amr: string[] | undefined
  acr: string | undefined
}

/** What the library keeps of a logout question (RP-Initiated Logout 1.0 §2). */
export interface LogoutQuestion {
  clientId?: string
  state?: string
  postLogoutRedirectUri?: string
  /** The CSRF token of its form. */
  secret?: string
}

/** Replaces members of the library by the portal's rules. @throws when the library no longer has such a member */
export function replaceMembers(provider: Provider, rules: Rules): void {
  const { protocol, host, origin } = new URL(rules.publicUrl)
  replace(provider, 'request', {
    protocol: { get: () => protocol.slice(0, -1) },
    secure: { get: () => protocol === 'https:' },
    host: { get: () => host },
    origin: { get: () => origin },
    href: {
      get(this: { originalUrl: string }) {
        return origin + this.originalUrl
      },
    },
  })
  replaceSession(provider, rules)
  replace(provider, 'Client.prototype', {
    compareClientSecret: {
      value(this: Client, secret: string) {
        return rules.secretMatches(this.api ?? this.app, secret)
      },
    },
    grantTypeAllowed: {
      value(this: Client, grantType: string) {
        return rules.hasGrantType(Provider.ctx, this.app, grantType)
      },
    },
    includeSid: {
      value(this: Client) {
        return rules.keepsSid(this.app)
      },
    },
    redirectUriAllowed: {
      value(this: Client, uri: string) {
        return rules.isRedirectUri(this.app, uri)
      },
    },
    postLogoutRedirectUriAllowed: {
      value(this: Client, uri: string) {
        return rules.isPostLogoutUri(this.app, uri)
      },
    },
  })
  // The registry has checked them, and it accepts more loopback names.
  replace(provider, 'Client.Schema.prototype', { redirectUris: { value() {} } })
  // Codes and refresh tokens contain the id of their family, so they are made here instead of drawn at random.
  replace(provider, 'AuthorizationCode.prototype', {
    generateTokenId: {
      value(this: { grantId: string }) {
        return rules.mintCode(this.grantId)
      },
    },
  })
  replace(provider, 'RefreshToken.prototype', {
    generateTokenId: {
      value(this: { grantId: string }) {
        return rules.mintRefreshToken(this.grantId)
      },
    },
  })
  replace(provider, 'IdToken', {
    validate: {
      value: async (hint: string, client: Client) => ({
        header: {},
        payload: rules.readIdTokenHint(hint, client.app),
      }),
    },
  })
  const { issue } = provider.IdToken.prototype
  replace(provider, 'IdToken.prototype', {
    issue: {
      async value(this: { client: Client }, options: object) {
        return rules.signIdTokenAnew((await Reflect.apply(issue, this, [options])) as string, this.client.app)
      },
    },
  })
  const { urlFor } = provider.OIDCContext.prototype
  replace(provider, 'OIDCContext.prototype', {
    urlFor: {
      // The client has made its DPoP proof for the URL that it knows (RFC 9449 §4.3).
      value(this: KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC }, name: string, options: object) {
        const { within } = this.ctx.req
        return within !== undefined && name === this.route ? within.url : Reflect.apply(urlFor, this, [name, options])
      },
    },
  })
  const { result } = provider.Claims.prototype
  replace(provider, 'Claims.prototype', {
    result: {
      async value(this: { available: { [ADDED_CLAIMS]?: object } }) {
        return { ...((await Reflect.apply(result, this, [])) as object), ...this.available[ADDED_CLAIMS] }
      },
    },
  })
  // `registerResponseMode` cannot replace the library's own modes.
  const { responseModes } = privateOf(provider)
  responseModes.set('query', rules.redirectWithQuery)
  responseModes.set('fragment', rules.redirectWithFragment)
}

type DerivedSession = Session & { authorizationsOf(clientId: string): { grantId?: string } }

/** A session is derived from the sign-in of each request, and never stored. */
function replaceSession(provider: Provider, rules: Rules): void {
  replace(provider, 'Session', {
    get: {
      async value(this: typeof Session, ctx: KoaContextWithOIDC) {
        const session = new this()
        ctx.oidc.entity('Session', session)
        // An untouched session is not stored, and the library touches it with every change.
        if (ctx.oidc.route.startsWith('end_session'))
          Object.defineProperty(session, 'touched', { get: () => false, set() {} })
        // The form is read after this.
        if (ctx.oidc.route === 'end_session_confirm')
          Object.defineProperty(session, 'state', { get: () => rules.openQuestion(ctx), set() {} })
        Object.assign(session, rules.signInOf(ctx))
        const authorizations = new Map<string, { grantId?: string }>()
        Object.defineProperty(session, 'authorizationsOf', {
          value(clientId: string) {
            const known = authorizations.get(clientId) ?? {}
            authorizations.set(clientId, known)
            return known
          },
        })
        return session
      },
    },
  })
  replace(provider, 'Session.prototype', {
    authorizationFor: {
      value(this: DerivedSession, clientId: string) {
        return this.authorizationsOf(clientId)
      },
    },
    // The `sid` of an app (OpenID Connect Back-Channel Logout §2.1) is the family, because that is what ends. An app that was
    // connected twice in one browser keeps the second family when the first expires.
    sidFor: {
      value(this: DerivedSession, clientId: string) {
        return this.authorizationsOf(clientId).grantId
      },
    },
    // The portal decides who is signed in; an answered page has changed nothing else.
    loginAccount: { value() {} },
    destroy: {
      async value(this: { destroyed: boolean }) {
        this.destroyed = true
      },
    },
  })
}

/** Whether the library has ended the session of this request: its logout was confirmed. */
export function isSessionDestroyed({ oidc }: KoaContextWithOIDC): boolean {
  return (oidc.session as { destroyed?: boolean } | undefined)?.destroyed === true
}

/** What the library keeps of the logout question of this request. */
export function logoutQuestionOf({ oidc }: KoaContextWithOIDC): LogoutQuestion {
  return oidc.session?.state ?? {}
}

/** Sets the id and algorithm of a signing key; the library's types leave these setters out. */
export function nameSigningKey(key: ExternalSigningKey, { kid, alg }: { kid: string; alg: string }): void {
  Object.assign(key, { kid, alg })
}

/** The object of a provider whose members are replaced. */
export function ownerOf(provider: Provider, owner: Owner): object {
  let part: unknown = provider
  for (const name of owner.split('.')) part = (part as Record<string, unknown>)[name]
  return part as object
}

function replace<O extends Owner>(
  provider: Provider,
  owner: O,
  members: Record<(typeof REPLACED)[O][number], PropertyDescriptor>,
): void {
  const target = ownerOf(provider, owner)
  const missing = Object.keys(members).filter((name) => !(name in target))
  if (missing.length > 0) throw new Error(`oidc-provider has no ${owner}.${missing.join(', ')} any more`)
  Object.defineProperties(target, members)
}

/** What an endpoint beside those of the library does. */
export interface AuthorizationEndpoint {
  name: string
  path: string
  /** Sets `ctx.oidc.body`, before the client is authenticated with it. */
  readBody(ctx: KoaContextWithOIDC): Promise<void>
  /** Says which authorization request it is, in `ctx.oidc.body`, once the client is authenticated. */
  settle(ctx: KoaContextWithOIDC): Promise<void>
  /** Answers the request, whose parameters have been checked. */
  act(ctx: KoaContextWithOIDC): Promise<void>
}

/**
 * Adds an endpoint for programs that takes an authorization request: with client authentication and the library's checks of each
 * parameter, of which only the redirect URI may be missing, and always JSON in its answers.
 */
export function addAuthorizationEndpoint(provider: Provider, endpoint: AuthorizationEndpoint): void {
  const { name, path, readBody, settle, act } = endpoint
  privateOf(provider).router.post(
    name,
    path,
    async (ctx, next) => {
      const oidc = new provider.OIDCContext(ctx)
      Object.defineProperty(ctx, 'oidc', { value: oidc })
      await als.run(ctx, next)
    },
    async (ctx, next) => {
      ctx.set('Cache-Control', 'no-store')
      try {
        await next()
      } catch (error) {
        const out = errOut(error as Error)
        ctx.status = (error as { statusCode?: number }).statusCode ?? 500
        ctx.body = out
        provider.emit(out.error === 'server_error' ? 'server_error' : `${name}.error`, ctx, error)
      }
    },
    step(readBody),
    (ctx, next) => assembleParams(getClientAuthParams(ctx), ctx, next),
    ...clientAuth,
    step(settle),
    ...authorizationChecks,
    step(act),
  )
}

/** As for a pushed request, in the order of the library, but without request objects, which are for browsers. */
const authorizationChecks: LibraryStep[] = [
  assembleAuthorizationParams,
  rejectAuthorizationDupes,
  rejectUnsupported,
  rejectRegistration,
  checkResponseType,
  assignDefaults,
  checkPrompt,
  checkScope,
  checkOpenidScope,
  (ctx, next) => (ctx.oidc.params?.['redirect_uri'] === undefined ? next() : checkRedirectUri(ctx, next)),
  checkPKCE,
  checkClaims,
  checkResource,
  checkMaxAge,
  checkIdTokenHint,
  checkDpopJkt,
  checkExtraParams,
  assignClaims,
]

function step(act: (ctx: KoaContextWithOIDC) => Promise<void>): LibraryStep {
  return async (ctx, next) => {
    await act(ctx)
    await next()
  }
}

/** The names of the parameters of an authorization request, of which the library reads no others. */
export function authorizationParameters(ctx: KoaContextWithOIDC): ReadonlySet<string> {
  return getAuthorizationParams(ctx).add('dpop_jkt')
}

/** Issues the code of this authorization request, for the sign-in of the request. Null when its account has just ended. */
export async function issueCode(provider: Provider, ctx: KoaContextWithOIDC): Promise<string | null> {
  const oidc = ctx.oidc as { session?: Session }
  oidc.session = await provider.Session.get(ctx)
  const pass = async () => {}
  await loadAccount(ctx, pass)
  if (ctx.oidc.account === undefined) return null
  await loadGrant(ctx, pass)
  return (await processResponseTypes(ctx)).code
}

/** Keeps this authorization request as a pushed one. @returns what a browser begins it with (RFC 9126 §2.2) */
export async function pushRequest(ctx: KoaContextWithOIDC): Promise<{ request_uri: string; expires_in: number }> {
  await pushedAuthorizationRequestResponse(ctx)
  return ctx.body as { request_uri: string; expires_in: number }
}

/** Gives token requests for a code that name no redirect URI this one; the library requires one. */
export function defaultRedirectUri(provider: Provider, uri: string): void {
  const { grantTypeHandlers } = privateOf(provider)
  const handle = grantTypeHandlers.get('authorization_code')
  if (handle === undefined) throw new Error('oidc-provider has no handler for authorization codes any more')
  grantTypeHandlers.set('authorization_code', async (ctx, next) => {
    const { params, client } = ctx.oidc
    // For any other app the library says that the parameter is missing.
    if (params !== undefined && (client?.app.firstPartyDirect === true || client?.app.simpleApi === true))
      params['redirect_uri'] ??= uri
    return handle(ctx, next)
  })
}

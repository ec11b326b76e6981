import type { KoaContextWithOIDC } from 'oidc-provider'
import { redirectFaults, reservedNameFaults } from '../domain/apps/redirect-uris.ts'
import { saysOlderThan } from '../domain/families/authorization-codes.ts'
import type { Services } from '../domain/services.ts'
import { CODE_LIFE } from './adapters/authorization-codes.ts'
import { exchangeState } from './exchange-state.ts'

/** The most characters of a client's value that a log or a response contains. */
const LONGEST = 300

/** A URI that an app sent and has not registered. */
export interface UnregisteredUri {
  kind: 'redirect-uri' | 'post-logout-redirect-uri'
  requested: string
  registered: string[]
}

/**
 * What a developer needs to find the mistake in an authorization or logout request. Every text is truncated, none is escaped.
 */
export interface RequestMistake {
  clientId: string | null
  isKnown: boolean
  /** An app of this id exists, and is disabled. */
  isDisabled: boolean
  uri: UnregisteredUri | null
  /** The command that registers what the request needs, if there is one. */
  command: string | null
}

/** The log fields of a refused request: its values, and the reason. Never a query, a code, a token or a secret. */
export function refusalForLog(services: Services, ctx: KoaContextWithOIDC, error: Refused): Record<string, unknown> {
  const uri = unregisteredUri(ctx)
  const codeUri = error.error_detail === CODE_URI_MISMATCH ? codeRedirectUriOf(ctx) : null
  return {
    clientId: requestedClientId(ctx) ?? undefined,
    refusal: error.message,
    detail: error.error_detail ?? error.error_description,
    reason: exchangeState(ctx).refusal?.reason ?? reasonOf(services, ctx, error)?.reason,
    familyId: exchangeState(ctx).familyId,
    keysProblem: exchangeState(ctx).keysProblem,
    ...(uri === null
      ? {}
      : { requestedUri: withoutQuery(uri.requested), registeredUris: uri.registered.slice(0, 20).map(withoutQuery) }),
    ...(codeUri === null
      ? {}
      : { requestedUri: withoutQuery(textOf(ctx.oidc.params?.['redirect_uri'])), codeUri: withoutQuery(codeUri) }),
  }
}

interface Refused extends Error {
  error_detail?: string
  error_description?: string
}

/**
 * The reason of a refused request, as an `error_description` (RFC 6749 §5.2: printable ASCII without quotes and backslashes).
 * Null where the library's own description says as much. Only for development: in production, all errors of a code read the
 * same, and so do all errors of client authentication.
 */
export function describeForDeveloper(services: Services, ctx: KoaContextWithOIDC, error: Refused): string | null {
  const uri = unregisteredUri(ctx)
  const words =
    uri === null
      ? reasonOf(services, ctx, error)?.words
      : `${uri.requested} is not registered for ${requestedClientId(ctx)}; registered: ${uri.registered.join(' ') || 'none'}`
  return words === undefined ? null : words.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?').slice(0, 3 * LONGEST)
}

/** The mistake in a request that a browser sent, for the error page. */
export function mistakeIn(ctx: KoaContextWithOIDC): RequestMistake {
  const clientId = requestedClientId(ctx)
  const isDisabled = exchangeState(ctx).isAppDisabled === true
  const uri = unregisteredUri(ctx)
  const isKnown = ctx.oidc.client !== undefined
  return { clientId, isKnown, isDisabled, uri, command: commandFor(ctx, clientId, isDisabled, uri) }
}

function commandFor(
  ctx: KoaContextWithOIDC,
  clientId: string | null,
  isDisabled: boolean,
  uri: UnregisteredUri | null,
): string | null {
  const { client } = ctx.oidc
  if (clientId === null) return null
  const id = quoted(clientId)
  if (isDisabled) return `npx gatehouse app enable ${id}`
  if (client === undefined) {
    const asked = textOf(ctx.oidc.params?.['redirect_uri'])
    if (!/^[\w.-]{1,64}$/.test(clientId) || !isAcceptable(asked, false)) return null
    return `npx gatehouse app create ${id} --name ${id} --redirect-uri ${quoted(asked)}`
  }
  if (uri === null || !isAcceptable(uri.requested, client.app.isNative)) return null
  // The option sets the whole list.
  const list = [...uri.registered, uri.requested].map(quoted).join(' ')
  return `npx gatehouse app update ${id} --${uri.kind} ${list}`
}

/** Whether the registry would accept it. */
function isAcceptable(uri: string, isNative: boolean): boolean {
  return uri.length < LONGEST && [...redirectFaults(uri, isNative), ...reservedNameFaults([uri])].length === 0
}

/** Quoted for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

function unregisteredUri(ctx: KoaContextWithOIDC): UnregisteredUri | null {
  const { client, params, route } = ctx.oidc
  if (client === undefined) return null
  if (/^(authorization|pushed_authorization_request|resume)$/.test(route)) {
    const requested = params?.['redirect_uri']
    if (typeof requested !== 'string' || client.redirectUriAllowed(requested)) return null
    return { kind: 'redirect-uri', requested: bounded(requested), registered: client.app.redirectUris }
  }
  if (route !== 'end_session') return null
  const requested = params?.['post_logout_redirect_uri']
  if (typeof requested !== 'string' || client.postLogoutRedirectUriAllowed(requested)) return null
  return {
    kind: 'post-logout-redirect-uri',
    requested: bounded(requested),
    registered: client.app.postLogoutRedirectUris,
  }
}

/** The client id, or what was sent as one. */
function requestedClientId(ctx: KoaContextWithOIDC): string | null {
  const { client, params } = ctx.oidc
  if (client !== undefined) return client.clientId
  const sent = params?.['client_id'] ?? basicUser(ctx.headers.authorization)
  if (typeof sent !== 'string' || sent === '') return null
  // An app that confuses the two sends its secret here.
  return /^[\w-]{43}$/.test(sent) ? '(it looks like a client secret)' : bounded(sent)
}

function basicUser(header: string | undefined): string | null {
  const [, credentials] = /^basic ([\w+/=-]+)$/i.exec(header ?? '') ?? []
  if (credentials === undefined) return null
  const user = Buffer.from(credentials, 'base64').toString().split(':', 1)[0] as string
  try {
    return decodeURIComponent(user)
  } catch {
    return user
  }
}

const CODE_URI_MISMATCH = 'authorization code redirect_uri mismatch'

/** A name for the log, and a sentence for the developer, for each reason that production responses do not distinguish. */
function reasonOf(
  services: Services,
  ctx: KoaContextWithOIDC,
  error: Refused,
): { reason: string; words: string } | null {
  const id = requestedClientId(ctx)
  switch (error.error_detail) {
    case 'client not found':
      return exchangeState(ctx).isAppDisabled === true
        ? { reason: 'app_disabled', words: `the app ${id} is disabled` }
        : { reason: 'app_unknown', words: `there is no app ${id}` }
    case 'invalid secret provided':
      return { reason: 'secret_wrong', words: `the client_secret is not that of ${id}` }
    case 'the provided authentication mechanism does not match the registered client authentication method':
      return wrongAuthMethod((ctx.oidc.client?.api ?? ctx.oidc.client?.app)?.authMethod ?? '', id)
    case 'authorization code not found':
      return saysOlderThan(textOf(ctx.oidc.params?.['code']), CODE_LIFE, services.clock())
        ? { reason: 'code_expired', words: `the code is older than ${CODE_LIFE} seconds` }
        : { reason: 'code_unknown', words: 'the code is not one that this portal has issued' }
    case 'authorization code is expired':
      return { reason: 'code_expired', words: `the code is older than ${CODE_LIFE} seconds` }
    case 'authorization code already consumed':
      return { reason: 'code_used', words: 'the code has been used before, so what it gave has ended' }
    case 'client mismatch':
      return ctx.oidc.params?.['grant_type'] === 'authorization_code'
        ? { reason: 'code_of_another_app', words: `the code was issued to another app than ${id}` }
        : null
    case 'grant not found':
    case 'grant is expired':
      return { reason: 'sign_in_ended', words: 'the sign-in that the code came from has ended' }
    case 'code_verifier must be provided':
      return {
        reason: 'verifier_missing',
        words: 'the code was requested with a code_challenge, and no code_verifier was sent',
      }
    case 'unsupported code_challenge_method':
      return {
        reason: 'verifier_unexpected',
        words: 'a code_verifier was sent, and the code was requested without a code_challenge',
      }
    case 'code_verifier does not match code_challenge':
      return { reason: 'verifier_wrong', words: 'the code_verifier is not the one that the code_challenge was made of' }
    case CODE_URI_MISMATCH: {
      const [sent, asked] = [textOf(ctx.oidc.params?.['redirect_uri']), codeRedirectUriOf(ctx) ?? '']
      return {
        reason: 'redirect_uri_mismatch',
        words: `redirect_uri is ${bounded(sent)}, and the code was requested with ${bounded(asked)}`,
      }
    }
    default:
      return wrongSignature(error, id, exchangeState(ctx).keysProblem)
  }
}

/** The app has another way to authenticate than the request. */
function wrongAuthMethod(method: string, id: string | null): { reason: string; words: string } {
  switch (method) {
    case 'none':
      return {
        reason: 'secret_unexpected',
        words: `${id} is a public app, which has no client_secret: send its client_id alone`,
      }
    case 'client_secret_basic':
      return { reason: 'secret_missing', words: `${id} has a client_secret, and none was sent` }
    default:
      return { reason: 'auth_method_wrong', words: `${id} authenticates with ${method}` }
  }
}

/** The refusal of an assertion or a request object that a key of the app should have signed. */
function wrongSignature(
  error: Refused,
  id: string | null,
  keysProblem: string | undefined,
): { reason: string; words: string } | null {
  const what = SIGNED[error.message]
  if (what === undefined) return null
  if (keysProblem !== undefined)
    return { reason: 'keys_unavailable', words: `the keys of ${id} cannot be fetched: ${keysProblem}` }
  const { message } = (error.cause ?? {}) as { message?: string }
  return {
    reason: what.reason,
    words: `${what.words} of ${id} is refused: ${error.error_detail ?? message ?? error.error_description}`,
  }
}

const SIGNED: Record<string, { reason: string; words: string } | undefined> = {
  invalid_client: { reason: 'assertion_wrong', words: 'the client_assertion' },
  invalid_request_object: { reason: 'request_object_wrong', words: 'the request object' },
}

/** The redirect URI of the authorization that issued this request's code. */
function codeRedirectUriOf(ctx: KoaContextWithOIDC): string | null {
  return exchangeState(ctx).codeRedirectUri ?? null
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function bounded(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}

/** A query, a fragment or credentials in a URI may be secret. */
function withoutQuery(uri: string): string {
  return bounded((uri.split(/[?#]/, 1)[0] as string).replace(/^([^/]*\/\/)[^/]*@/, '$1'))
}

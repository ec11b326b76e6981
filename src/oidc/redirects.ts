import type { KoaContextWithOIDC } from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'
import { isRegisteredUri } from '../domain/apps/redirect-uris.ts'
import { logoutQuestionOf } from './library-internals.ts'

/**
 * A redirect URI with the parameters of a response. The registered URI stays byte for byte, its query included (RFC 6749
 * §3.1.2): URL parsers change escapes, quotes and capitals.
 */
export function withParameters(uri: string, params: Record<string, string>): string {
  const added = new URLSearchParams(params).toString()
  if (added === '') return uri
  const [, base, query] = /^([^?]*)(?:\?(.*))?$/s.exec(uri) as unknown as [string, string, string | undefined]
  // Registration refuses these names in a query. An app registered before that rule gets each of them once.
  const own = query === undefined || query === '' ? [] : query.split('&').filter((pair) => !brings(pair, params))
  return `${base}?${[...own, added].join('&')}`
}

function brings(pair: string, params: Record<string, string>): boolean {
  return [...new URLSearchParams(pair).keys()].some((name) => name in params)
}

/** Whether an app has registered this redirect URI. The library would read both with a parser of URLs. */
export function isRedirectUriOf({ redirectUris, isNative }: AppRow, uri: string): boolean {
  return isRegisteredUri(uri, redirectUris, isNative)
}

/** The same for a post-logout redirect URI. */
export function isPostLogoutUriOf({ postLogoutRedirectUris, isNative }: AppRow, uri: string): boolean {
  return isRegisteredUri(uri, postLogoutRedirectUris, isNative)
}

/** Sends the browser to the app's registered post-logout URI, byte for byte (RP-Initiated Logout 1.0 §3). */
export function keepPostLogoutUri(ctx: KoaContextWithOIDC): void {
  const { state, postLogoutRedirectUri } = logoutQuestionOf(ctx)
  if (ctx.status !== 303 || postLogoutRedirectUri === undefined) return
  ctx.set('Location', withParameters(postLogoutRedirectUri, state === undefined ? {} : { state }))
}

/** Redirects to exactly this URL. */
export function redirectTo(ctx: KoaContextWithOIDC, location: string): void {
  ctx.status = 303
  ctx.redirect(location)
  // Koa would normalise the URL with a parser.
  ctx.set('Location', location)
}

import type { KoaContextWithOIDC } from 'oidc-provider'
import { logoutQuestionOf } from './library-internals.ts'

/**
 * A redirect URI with the parameters of an answer. What the app has registered stays byte for byte, its query included (RFC 6749
 * §3.1.2): parsers of URLs change escapes, quotes and capitals.
 */
export function withParameters(uri: string, params: Record<string, string>): string {
  const added = new URLSearchParams(params).toString()
  if (added === '') return uri
  const [, base, query] = /^([^?]*)(?:\?(.*))?$/s.exec(uri) as unknown as [string, string, string | undefined]
  // Registration refuses these names in a query; an app that was registered before it did hears each of them once.
  const own = query === undefined || query === '' ? [] : query.split('&').filter((pair) => !brings(pair, params))
  return `${base}?${[...own, added].join('&')}`
}

function brings(pair: string, params: Record<string, string>): boolean {
  return [...new URLSearchParams(pair).keys()].some((name) => name in params)
}

/** Where the confirmed logout of an app leads (RP-Initiated Logout 1.0 §3), in the words the app has registered. */
export function keepPostLogoutUri(ctx: KoaContextWithOIDC): void {
  const { state, postLogoutRedirectUri } = logoutQuestionOf(ctx)
  if (ctx.status !== 303 || postLogoutRedirectUri === undefined) return
  ctx.set('Location', withParameters(postLogoutRedirectUri, state === undefined ? {} : { state }))
}

/** Sends a browser to this very address. */
export function redirectTo(ctx: KoaContextWithOIDC, location: string): void {
  ctx.status = 303
  ctx.redirect(location)
  // Koa writes the address as a parser of URLs would.
  ctx.set('Location', location)
}

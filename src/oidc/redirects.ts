import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import instance from 'oidc-provider/lib/helpers/weak_cache.js'
import { isRegisteredUri } from '../domain/apps/redirect-uris.ts'

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

/** The library judges and writes redirect URIs with a parser of URLs; here they are what the app has registered. */
export function keepRedirectUris(provider: Provider): void {
  const { Client } = provider
  // The registry has judged them, and it knows more names of loopback.
  const { Schema } = Client as unknown as { Schema: { prototype: object } }
  Object.defineProperty(Schema.prototype, 'redirectUris', { value() {} })
  Object.defineProperties(Client.prototype, {
    redirectUriAllowed: {
      value(this: InstanceType<typeof Client>, uri: string) {
        return isRegisteredUri(uri, this.app.redirectUris, this.app.isNative)
      },
    },
    postLogoutRedirectUriAllowed: {
      value(this: InstanceType<typeof Client>, uri: string) {
        return isRegisteredUri(uri, this.app.postLogoutRedirectUris, this.app.isNative)
      },
    },
  })
  const { responseModes } = instance(provider)
  responseModes.set('query', (ctx, uri, params) => redirectTo(ctx, withParameters(uri, params)))
  responseModes.set('fragment', (ctx, uri, params) => redirectTo(ctx, `${uri}#${new URLSearchParams(params)}`))
}

/** Where the confirmed logout of an app leads (RP-Initiated Logout 1.0 §3), in the words the app has registered. */
export function keepPostLogoutUri(ctx: KoaContextWithOIDC): void {
  const { state, postLogoutRedirectUri } = (ctx.oidc.session?.state ?? {}) as Record<string, string | undefined>
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

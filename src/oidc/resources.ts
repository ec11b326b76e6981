import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'

/** The resource indicator (RFC 8707) of an audience, which need not be a URI. */
export function resourceOf(audience: string): string {
  return URL.canParse(audience) ? audience : `urn:gatehouse:audience:${encodeURIComponent(audience)}`
}

/** Every app has one audience, so every application token is a JWT for it, whether or not the app names a resource. */
export function defaultResource(_ctx: KoaContextWithOIDC, client: Client, oneOf?: readonly string[]): string {
  return oneOf?.[0] ?? resourceOf(client.app.audience)
}

/** @throws InvalidTarget for any audience but the app's own */
export function getResourceServerInfo(_ctx: KoaContextWithOIDC, resource: string, client: Client): ResourceServer {
  if (resource !== resourceOf(client.app.audience)) throw new errors.InvalidTarget()
  return {
    scope: client.app.scope,
    audience: client.app.audience,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256' } },
  }
}

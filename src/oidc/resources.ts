import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider'
import type { GrantedApi } from '../domain/apps/app-apis.ts'
import { APPLICATION_ALG } from '../domain/keys/jwts.ts'
import type { SigningAlg } from '../domain/keys/signing-keys.ts'
import { SHARED_ALG, type SharedKey, sharedKeyOf } from '../domain/keys/shared-keys.ts'
import type { Services } from '../domain/services.ts'
import { exchangeState, findApisOnce } from './exchange-state.ts'
import { valuesOf } from './grant-parameters.ts'

/** The resource indicator (RFC 8707) of an audience, which need not be a URI. */
export function resourceOf(audience: string): string {
  return URL.canParse(audience) ? audience : `urn:gatehouse:audience:${encodeURIComponent(audience)}`
}

/**
 * Every app has one audience of its own, so every application token is a JWT with an audience, whether or not the app names a
 * resource. Of several that were granted, a token is for the API where that is the only one (RFC 8707 §2.2), or for the app's own
 * audience.
 */
export function defaultResource(_ctx: KoaContextWithOIDC, client: Client, oneOf?: readonly string[]): string {
  const own = resourceOf(client.app.audience)
  const apis = (oneOf ?? []).filter((resource) => resource !== own)
  return apis.length === 1 ? (apis[0] as string) : own
}

/**
 * What an app may have of a resource: of its own audience its scope, of an API what the registry grants it at this moment. Where
 * an app's own audience is the identifier of an API, it stays the app's own.
 */
export function getResourceServerInfoWith(services: Services) {
  /** @throws InvalidTarget for any other resource */
  return async (ctx: KoaContextWithOIDC, resource: string, client: Client): Promise<ResourceServer> => {
    if (resource === resourceOf(client.app.audience)) {
      const { app } = client
      return ownServer(client, app.applicationTokenAlg === SHARED_ALG ? sharedKeyOf(services, app) : null)
    }
    const apis = await findApisOnce(services, ctx, client.clientId)
    const api = apis.find(({ identifier }) => identifier === resource)
    if (api === undefined) throw new errors.InvalidTarget()
    return serverOf(api)
  }
}

/** @param shared the key that signs, for an app that shares one; an authorization signs nothing */
function ownServer({ app }: Client, shared: SharedKey | null = null): ResourceServer {
  return {
    scope: app.scope,
    audience: app.audience,
    accessTokenFormat: 'jwt',
    jwt: {
      sign: shared === null ? { alg: APPLICATION_ALG } : { alg: SHARED_ALG, key: shared.secret, kid: shared.kid },
    },
  }
}

function serverOf({ identifier, scopes, tokenTtl, signingAlg }: GrantedApi): ResourceServer {
  return {
    scope: scopes.join(' '),
    audience: identifier,
    ...(tokenTtl === null ? {} : { accessTokenTTL: tokenTtl }),
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: signingAlg as SigningAlg } },
  }
}

/** The app's own audience is granted beside the APIs that an authorization names. */
export function addOwnResource({ oidc }: KoaContextWithOIDC): void {
  const { client, provider, resourceServers } = oidc
  if (client === undefined || resourceServers === undefined) return
  const own = resourceOf(client.app.audience)
  resourceServers[own] ??= new provider.ResourceServer(own, ownServer(client))
}

/**
 * Checks the resource of a token request for a code before the code is consumed; the library looks at it too late. One token has
 * one audience, which the authorization must have granted, and the registry must still grant. @throws InvalidTarget
 */
export async function checkResource(services: Services, ctx: KoaContextWithOIDC | undefined): Promise<void> {
  const { client } = ctx?.oidc ?? {}
  const { pendingFamily: pending } = exchangeState(ctx)
  // A code that was denied leads to no token.
  if (ctx === undefined || client === undefined || pending === undefined) return
  const granted = Object.keys(pending.grant.resources ?? {})
  const asked = askedResource(ctx) ?? defaultResource(ctx, client, granted)
  if (!granted.includes(asked)) throw new errors.InvalidTarget()
  await getResourceServerInfoWith(services)(ctx, asked, client)
}

/** The resource of a token request; null when it names none. @throws InvalidTarget when it names several, or what is none */
export function askedResource(ctx: KoaContextWithOIDC): string | null {
  const named = valuesOf(ctx, 'resource')
  const [resource] = named
  if (resource === undefined) return null
  if (named.length > 1) throw new errors.InvalidTarget('a token is for one resource')
  if (!/^[\x21-\x7e]{1,1000}$/.test(resource) || !URL.canParse(resource)) throw new errors.InvalidTarget()
  return resource
}

import type { KoaContextWithOIDC } from 'oidc-provider'
import { type Access, scopeOfClaim } from '../domain/apps/access.ts'
import { seenOf } from '../domain/apps/seen-by.ts'
import { SCOPE_CLAIMS } from './account.ts'
import { resourceOf } from './resources.ts'

/**
 * What an authorization request asks for and the app may have: scopes of the portal and of the app's own audience, and those of
 * other APIs by identifier. A claim that is requested by name, or that the app has configured, counts as the scope that stands for
 * it.
 */
export function askedAccess({ oidc }: KoaContextWithOIDC): Access {
  const { client, requestParamScopes, requestParamClaims, resourceServers } = oidc
  const app = client?.app
  if (app === undefined) throw new Error('a request without an app asks for nothing')
  const configured = seenOf(app, []).claims
  const byClaims = [...requestParamClaims, ...configured].map(scopeOf).filter((scope) => scope !== 'openid')
  const own = app.scope.split(' ').filter((scope) => requestParamScopes.has(scope))
  const others = Object.entries(resourceServers ?? {})
    .filter(([identifier]) => identifier !== resourceOf(app.audience))
    .map(([identifier, { scope }]): [string, string[]] => [
      identifier,
      scope.split(' ').filter((each) => requestParamScopes.has(each)),
    ])
  return { scopes: [...new Set([...own, ...byClaims])], resources: Object.fromEntries(others) }
}

function scopeOf(claim: string): string {
  const [scope] = Object.entries(SCOPE_CLAIMS).find(([, names]) => names.some((name) => name === claim)) ?? []
  return scope ?? scopeOfClaim(claim)
}

import type { Client, KoaContextWithOIDC } from 'oidc-provider'
import { LATER_SCOPES } from '../domain/apps/apps.ts'
import type { Logger } from '../logger.ts'

/** The scope of a request that names none (RFC 6749 §3.3): to know who signed in. */
const DEFAULT_SCOPE = 'openid'

/**
 * Settles the scope of an authorization request after the library has checked it, at the authorization endpoint and for pushed
 * requests. The library drops `offline_access` without `prompt=consent` (OpenID Connect Core §11), where other conditions may
 * hold instead: an app registered for it is first-party and needs no consent. Refused scopes are logged, and are missing in the
 * `scope` of the tokens.
 */
export function settleScopeWith(logger: Logger) {
  return async function settleScope(ctx: KoaContextWithOIDC, _value: unknown, client: Client): Promise<void> {
    const params = ctx.oidc.params as { scope?: string | undefined }
    const asked = askedScopes(ctx)
    const own = client.app.scope.split(' ')
    const kept = new Set(params.scope?.split(' ').filter((each) => own.includes(each) || !LATER_SCOPES.includes(each)))
    if (asked.includes('offline_access') && client.app.allowOffline) kept.add('offline_access')
    params.scope = kept.size === 0 ? DEFAULT_SCOPE : [...kept].join(' ')

    const servers = Object.values(ctx.oidc.resourceServers ?? {})
    const granted = [client.app.scope, ...servers.map(({ scope }) => scope ?? '')].join(' ').split(' ')
    const refused = [...new Set(asked)].filter((scope) => !kept.has(scope) || !granted.includes(scope))
    if (refused.length > 0) {
      const { requestId } = ctx.req
      logger.info({ requestId, event: 'authorization.scope', clientId: client.clientId, refused }, 'scopes refused')
    }
  }
}

/** The scopes of the request, before the library dropped any. A pushed request is settled twice, first when it is pushed. */
function askedScopes(ctx: KoaContextWithOIDC): string[] {
  const pushed = ctx.oidc.entities.PushedAuthorizationRequest as { request?: string } | undefined
  const sent = (ctx.oidc.body ?? ctx.query) as { request?: string; scope?: unknown }
  // Of a request object, which the library has verified, only what it contains counts (RFC 9101 §6.3).
  const payload = (pushed?.request ?? sent.request)?.split('.')[1]
  const source = (
    payload === undefined ? sent : JSON.parse(Buffer.from(payload, 'base64url').toString())
  ) as typeof sent
  return typeof source.scope === 'string' && source.scope !== '' ? source.scope.split(' ') : []
}

import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { issueServiceToken } from '../domain/apps/service-tokens.ts'
import type { Services } from '../domain/services.ts'
import { exchangeState } from './exchange-state.ts'
import { requestedScopes, valuesOf } from './grant-parameters.ts'
import { confirmationOf } from './sender-constraints.ts'
import { TOKEN_HEADERS, tokenResponse } from './token-response.ts'

/**
 * The portal's client credentials grant (RFC 6749 §4.4), in place of the library's: the registry says which APIs a service may
 * have tokens for. Client authentication, limits and errors stay the library's.
 */
export function registerClientCredentialsGrant(provider: Provider, services: Services): void {
  provider.registerGrantType(
    'client_credentials',
    async (ctx) => {
      const { client } = ctx.oidc
      if (client === undefined) throw new Error('the token endpoint let an unauthenticated client through')
      const scopes = requestedScopes(ctx)
      const resource = requestedResource(ctx)
      const confirmation = await confirmationOf(provider, ctx, client)

      const outcome = await issueServiceToken(services, { clientId: client.clientId, resource, scopes }, confirmation)
      switch (outcome.kind) {
        case 'not-a-service':
          throw new errors.UnauthorizedClient()
        case 'unknown-target':
          throw new errors.InvalidTarget()
        case 'scope-exceeded':
          throw new errors.InvalidScope(
            'the service may not have every scope that was asked for',
            outcome.scopes.join(' '),
          )
        case 'issued': {
          const { token: accessToken, expiresIn, scope, audience } = outcome
          exchangeState(ctx).audience = audience
          ctx.set(TOKEN_HEADERS)
          ctx.body = tokenResponse({ accessToken, expiresIn, scope, jkt: confirmation.jkt ?? null })
        }
      }
    },
    ['scope', 'resource'],
    ['resource'],
  )
}

/** A token has one audience (RFC 9068 §3), so a second resource is refused. */
function requestedResource(ctx: KoaContextWithOIDC): string | null {
  const [resource = null, ...others] = valuesOf(ctx, 'resource')
  if (others.length === 0) return resource
  const error = new errors.InvalidTarget()
  error.error_description = 'a token is for one API: ask for one resource at a time'
  throw error
}

import Provider, { type ClientMetadata } from 'oidc-provider'
import { type AppRow, OPENID_SCOPES } from '../../domain/apps/apps.ts'
import type { AuthMethod } from '../../domain/apps/client-keys.ts'
import type { FetchedKeys } from '../../domain/apps/fetched-keys.ts'
import type { Services } from '../../domain/services.ts'
import type { SigningAlg } from '../../domain/keys/signing-keys.ts'
import { exchangeState, findAppOnce } from '../exchange-state.ts'
import { grantTypesOf } from '../grant-types.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { keysForRequest } from '../client-keys.ts'

declare module 'oidc-provider' {
  interface Client {
    /** The app itself, beside the metadata that the library knows. */
    app: AppRow
  }
}

/** Registered apps as the library's clients. A disabled app is unknown, except to its own refresh, whose error says why. */
export function appAdapter(services: Services, fetched: FetchedKeys): AdapterMethods {
  return {
    async find(clientId) {
      const app = await findAppOnce(services, Provider.ctx, clientId)
      if (app === null) return undefined
      if (app.disabledAt !== null && !isRefresh()) {
        exchangeState(Provider.ctx).isAppDisabled = true
        return undefined
      }
      return { ...metadataOf(app), ...(await keysForRequest(fetched, Provider.ctx, app)) }
    },
  }
}

function isRefresh(): boolean {
  const oidc = Provider.ctx?.oidc
  return oidc?.route === 'token' && oidc.params?.['grant_type'] === 'refresh_token'
}

function metadataOf(app: AppRow): ClientMetadata {
  const scopes = app.scope.split(' ')
  const openid = OPENID_SCOPES.filter((scope) => scopes.includes(scope))
  return {
    client_id: app.clientId,
    client_name: app.name,
    application_type: app.isNative ? 'native' : 'web',
    token_endpoint_auth_method: app.authMethod as AuthMethod,
    // The hash, because the secret is not stored; the comparison uses the app's hashes.
    ...(app.secretHash === null ? {} : { client_secret: app.secretHash }),
    redirect_uris: app.redirectUris,
    post_logout_redirect_uris: app.postLogoutRedirectUris,
    grant_types: grantTypesOf(app),
    response_types: app.isService ? [] : ['code'],
    // A service has none of these, and the library refuses an empty list.
    ...(openid.length === 0 ? {} : { scope: openid.join(' ') }),
    id_token_signed_response_alg: app.idTokenAlg as SigningAlg,
    dpop_bound_access_tokens: app.requireDpop,
    app,
  }
}

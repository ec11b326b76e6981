import Provider, { type ClientMetadata } from 'oidc-provider'
import { type ApiRow, findApiByClientId, isApiClientId } from '../../domain/apps/apis.ts'
import { type AppRow, LATER_SCOPES, OPENID_SCOPES } from '../../domain/apps/apps.ts'
import type { AuthMethod } from '../../domain/apps/client-keys.ts'
import type { FetchedKeys } from '../../domain/apps/fetched-keys.ts'
import { sectorOf } from '../../domain/identities/subjects.ts'
import type { Services } from '../../domain/services.ts'
import { SHARED_ALG } from '../../domain/keys/shared-keys.ts'
import { DEFAULT_ID_TOKEN_ALG, type SigningAlg } from '../../domain/keys/signing-keys.ts'
import { exchangeState, findAppOnce } from '../exchange-state.ts'
import { grantTypesOf } from '../grant-types.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { keysForRequest } from '../client-keys.ts'

declare module 'oidc-provider' {
  interface Client {
    /** The app itself, beside the metadata that the library knows. Only the introspection endpoint has clients without one. */
    app: AppRow
    /** The API that asks for an introspection, in place of an app. */
    api?: ApiRow
  }
}

/**
 * Registered apps as the library's clients, and at the introspection endpoint registered APIs. A disabled app is unknown, except
 * to its own refresh, whose error says why.
 */
export function appAdapter(services: Services, fetched: FetchedKeys): AdapterMethods {
  return {
    async find(clientId) {
      if (isApiClientId(clientId)) {
        const isIntrospection = Provider.ctx?.oidc.route === 'introspection'
        const api = isIntrospection ? await findApiByClientId(services, clientId) : null
        return api === null
          ? undefined
          : { ...metadataOfApi(api), ...(await keysForRequest(fetched, Provider.ctx, api)) }
      }
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

/** An API gets no tokens. */
function metadataOfApi(api: ApiRow): ClientMetadata {
  return {
    client_id: api.clientId,
    client_name: api.name,
    token_endpoint_auth_method: api.authMethod as AuthMethod,
    ...(api.secretHash === null ? {} : { client_secret: api.secretHash }),
    redirect_uris: [],
    grant_types: [],
    response_types: [],
    api,
  }
}

function metadataOf(app: AppRow): ClientMetadata {
  const scopes = app.scope.split(' ')
  const sector = sectorOf(app)
  const isTolerated = (scope: string) => !app.isService && LATER_SCOPES.includes(scope)
  const openid = OPENID_SCOPES.filter((scope) => scopes.includes(scope) || isTolerated(scope))
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
    response_types: app.redirectUris.length === 0 ? [] : ['code'],
    // A service has none of these, and the library refuses an empty list.
    ...(openid.length === 0 ? {} : { scope: openid.join(' ') }),
    // The library wants https also where the app is on loopback.
    ...(sector === null ? {} : { subject_type: 'pairwise', sector_identifier_uri: `https://${sector}/` }),
    require_pushed_authorization_requests: app.requirePar,
    require_signed_request_object: app.requireSignedRequest,
    // The library would sign with the hash of the client secret; `signIdTokenAnew` has the shared key.
    id_token_signed_response_alg: app.idTokenAlg === SHARED_ALG ? DEFAULT_ID_TOKEN_ALG : (app.idTokenAlg as SigningAlg),
    dpop_bound_access_tokens: app.requireDpop,
    tls_client_certificate_bound_access_tokens: app.bindCertificate,
    ...(app.tlsSubjectDn === null ? {} : { tls_client_auth_subject_dn: app.tlsSubjectDn }),
    app,
  }
}

import { type Client, type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { applicationTokenClaims } from '../domain/families/application-tokens.ts'
import { DEVICE_CODE_LIFE } from '../domain/families/device-codes.ts'
import { OPENID_SCOPES } from '../domain/apps/apps.ts'
import type { FetchedKeys } from '../domain/apps/fetched-keys.ts'
import { SIGNING_ALGS } from '../domain/keys/signing-keys.ts'
import { appClaimColumnsOf } from '../domain/identities/identities.ts'
import { ACR_VALUES } from '../domain/sign-in/authentication-context.ts'
import { subjectIn } from '../domain/identities/subjects.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { findAccountWith, ID_TOKEN_LIFE, type PortalAccount, SCOPE_CLAIMS } from './account.ts'
import { createAdapter } from './adapters/adapter.ts'
import { CODE_LIFE } from './adapters/authorization-codes.ts'
import { checkAssertionWith, CLIENT_ALGS, CLOCK_TOLERANCE } from './client-assertions.ts'
import { loadExistingGrant } from './grants.ts'
import { LANGUAGES } from '../i18n/catalogues.ts'
import { INTERACTION_LIFE } from './adapters/begun-interactions.ts'
import { protocolCookie } from './cookies.ts'
import { interactionUrl } from './adapters/interactions.ts'
import { type FindCertificate, mutualTls, TLS_METHODS } from './mutual-tls.ts'
import { createPolicy, promptValues } from './interaction-policy.ts'
import { logoutSource, postLogoutSuccessSource, renderError, type ProtocolPages } from './pages.ts'
import { REVOCATION_FEED } from './revocation-feed.ts'
import { checkRequestObjectWith } from './request-objects.ts'
import { defaultResource, getResourceServerInfoWith } from './resources.ts'
import { settleScopeWith } from './scopes.ts'
import { PortalSigningKey } from './signing-keys.ts'

export const ROUTES = {
  authorization: '/oauth/authorize',
  token: '/oauth/token',
  jwks: '/oauth/jwks',
  userinfo: '/oauth/userinfo',
  introspection: '/oauth/introspect',
  revocation: '/oauth/revoke',
  end_session: '/oauth/logout',
  pushed_authorization_request: '/oauth/par',
  device_authorization: '/oauth/device',
  // Beside those of the library.
  authorization_challenge: '/oauth/authorize-challenge',
  // The page of the portal, which answers in front of the library.
  code_verification: '/device',
} as const

export function createConfiguration(
  services: Services,
  pages: ProtocolPages,
  logger: Logger,
  forDevelopers: boolean,
  fetchedKeys: FetchedKeys,
  findCertificate: FindCertificate | null,
): Configuration {
  const isHttps = services.publicUrl.startsWith('https:')
  const cookie = protocolCookie(services)

  return {
    adapter: createAdapter(services, fetchedKeys),
    jwks: { keys: services.keys.published().map((key) => new PortalSigningKey(key)) },
    routes: ROUTES,
    findAccount: findAccountWith(services),
    loadExistingGrant,
    interactions: { policy: createPolicy(services), url: interactionUrl },
    renderError: renderError(pages, forDevelopers),

    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', ...TLS_METHODS, 'none'],
    enabledJWA: { clientAuthSigningAlgValues: [...CLIENT_ALGS], requestObjectSigningAlgValues: [...CLIENT_ALGS] },
    clockTolerance: CLOCK_TOLERANCE,
    assertJwtClientAuthClaimsAndHeader: checkAssertionWith(services),
    // The keys of clients are fetched by the portal (`client-keys.ts`), and nothing else is.
    fetch: async () => {
      throw new Error('the protocol library fetches nothing')
    },
    pkce: { required: (_ctx: KoaContextWithOIDC, client: Client) => !client.app.allowNoPkce },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: (_ctx, origin, { api, app }) =>
      api === undefined && app.redirectUris.some((uri) => isOriginOf(uri, origin)) && app.isPublic,
    extraClientMetadata: { properties: ['app', 'api'] },
    // Not an extra parameter: this hook is the last look at a parameter.
    extraParams: { scope: settleScopeWith(logger) },

    // Every authorization opens a family with a refresh token.
    issueRefreshToken: async () => true,
    // A family ends explicitly, never because the library's session has moved on to the next one.
    expiresWithSession: async () => false,
    ttl: {
      AccessToken: (_ctx, { resourceServer }, client) =>
        resourceServer?.accessTokenTTL ?? client.app.applicationTokenTtl ?? services.lifetimes.applicationToken,
      AuthorizationCode: CODE_LIFE,
      DeviceCode: DEVICE_CODE_LIFE,
      IdToken: ID_TOKEN_LIFE,
      Interaction: INTERACTION_LIFE,
      PushedAuthorizationRequest: CODE_LIFE,
      RefreshToken: services.lifetimes.familyMax,
      Grant: services.lifetimes.familyMax,
    },
    formats: {
      customizers: {
        jwt(ctx, token, parts) {
          const { client, account, entities } = ctx.oidc
          const identity = (account as PortalAccount | undefined)?.identity
          if (client === undefined || identity === undefined)
            throw new Error('an application token was made without an app or a user')
          const { app } = client
          const columns = appClaimColumnsOf(app, identity)
          // Only a code makes a token here: the refresh grant signs its own.
          const { authTime = 0, acr = null, amr = [] } = entities.AuthorizationCode ?? entities.DeviceCode ?? {}
          const claims = applicationTokenClaims(
            services,
            {
              identityId: identity.id,
              clientId: client.clientId,
              familyId: 'grantId' in token ? token.grantId : '',
              audience: token.aud as string,
              scope: token.scope ?? '',
              roles: identity.roles,
              own: { audience: app.audience, ...columns },
              sectorUri: columns.sectorUri,
              claimsVersion: identity.claimsVersion,
              authTime,
              acr,
              amr,
              jkt: token.jkt ?? null,
              x5t: token['x5t#S256'] ?? null,
            },
            token.resourceServer?.accessTokenTTL ?? app.applicationTokenTtl,
          )
          parts.payload = { ...claims }
        },
      },
    },

    // No registered metadata name exists for it.
    discovery: {
      revocation_feed_endpoint: `${services.publicUrl}${REVOCATION_FEED}`,
      // draft-ietf-oauth-first-party-apps §8.
      authorization_challenge_endpoint: `${services.publicUrl}${ROUTES.authorization_challenge}`,
      // RFC 9701 §7. The library's own answers in JWTs name another audience.
      introspection_signing_alg_values_supported: SIGNING_ALGS,
      // draft-ietf-oauth-refresh-token-expiration §8.
      refresh_token_expiration_types_supported: ['authorization', 'token_timeout'],
      // Initiating User Registration via OpenID Connect 1.0 §4.2.
      prompt_values_supported: promptValues(services),
      ui_locales_supported: LANGUAGES,
    },
    acrValues: [...ACR_VALUES],
    scopes: OPENID_SCOPES,
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: (_ctx, accountId, client) => subjectIn(services, client.app, accountId),
    // It names the sector, and is not fetched.
    sectorIdentifierUriValidate: () => false,
    claims: SCOPE_CLAIMS,
    cookies: {
      names: {
        session: isHttps ? '__Host-protocol' : 'protocol',
        interaction: isHttps ? '__Secure-interaction' : 'interaction',
        resume: isHttps ? '__Secure-resume' : 'resume',
      },
      keys: services.secrets.map((keys) => keys.cookies),
      long: { ...cookie, path: '/' },
      short: cookie,
    },
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      // The pages are the portal's own.
      deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****', deviceInfo: () => ({}) },
      dPoP: { enabled: true },
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
      mTLS: mutualTls(findCertificate),
      introspection: {
        enabled: true,
        allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
      },
      pushedAuthorizationRequests: { enabled: true },
      requestObjects: { enabled: true, assertJwtClaimsAndHeader: checkRequestObjectWith(services) },
      resourceIndicators: {
        enabled: true,
        defaultResource,
        getResourceServerInfo: getResourceServerInfoWith(services),
        useGrantedResource: async () => true,
      },
      revocation: { enabled: true, allowedPolicy: isOwnerOf },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: logoutSource(services, pages),
        postLogoutSuccessSource: postLogoutSuccessSource(pages),
      },
    },
  }
}

/** Only its own app can revoke a family; another app gets an error (RFC 7009 §2.1). */
async function isOwnerOf(
  _ctx: KoaContextWithOIDC,
  client: Client,
  token: { clientId?: string | undefined },
): Promise<boolean> {
  if (token.clientId === client.clientId) return true
  if (client.app.isPublic) return false
  throw new errors.InvalidRequest('client is not authorized to revoke the presented token')
}

function isOriginOf(uri: string, origin: string): boolean {
  return URL.parse(uri)?.origin === origin
}

import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'

/** Of token exchange (RFC 8693 §2.1). */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The grant types of an app (RFC 7591 §2). What it may get with each, the registry says when it asks. */
export function grantTypesOf({ isService, isDevice, isPublic, redirectUris }: AppRow): string[] {
  const exchange = isPublic ? [] : [TOKEN_EXCHANGE]
  if (isService) return ['client_credentials', ...exchange]
  return [
    ...(redirectUris.length > 0 ? ['authorization_code'] : []),
    ...(isDevice ? [DEVICE_CODE] : []),
    'refresh_token',
    ...exchange,
  ]
}

/** The grant type of RFC 8628 §3.4. */
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

/**
 * Whether an app has this grant type.
 * @throws UnauthorizedClient where the library would say invalid_request: at the token endpoint (RFC 6749 §5.2) and at that of
 * devices
 */
export function hasGrantType(ctx: KoaContextWithOIDC | undefined, app: AppRow, grantType: string): boolean {
  const has = grantTypesOf(app).includes(grantType)
  const isAsked =
    (ctx?.oidc.route === 'token' && ctx.oidc.params?.['grant_type'] === grantType) ||
    (ctx?.oidc.route === 'device_authorization' && grantType === DEVICE_CODE)
  if (has || !isAsked) return has
  const error = new errors.UnauthorizedClient()
  error.error_description = `this app is not registered for ${grantType}`
  throw error
}

import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'

/** The grant types of an app (RFC 7591 §2). What it may get with each, the registry says when it asks. */
export function grantTypesOf({ isService }: AppRow): string[] {
  return isService ? ['client_credentials'] : ['authorization_code', 'refresh_token']
}

/**
 * Whether an app has this grant type.
 * @throws UnauthorizedClient at the token endpoint (RFC 6749 §5.2), where the library would say invalid_request
 */
export function hasGrantType(ctx: KoaContextWithOIDC | undefined, app: AppRow, grantType: string): boolean {
  const has = grantTypesOf(app).includes(grantType)
  const isAsked = ctx?.oidc.route === 'token' && ctx.oidc.params?.['grant_type'] === grantType
  if (has || !isAsked) return has
  const error = new errors.UnauthorizedClient()
  error.error_description = `this app is not registered for ${grantType}`
  throw error
}

import type { KoaContextWithOIDC } from 'oidc-provider'
import { findApplicationToken } from '../domain/families/application-tokens.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import type { Services } from '../domain/services.ts'

/**
 * Revokes an application token (RFC 7009 §2.1) for the authenticated app. Application tokens are not stored, so its family
 * ends, as with the refresh token. A token of another app, or an expired one, changes nothing and gets the same response.
 */
export async function revokeApplicationToken(services: Services, ctx: KoaContextWithOIDC): Promise<void> {
  const token = ctx.oidc.params?.['token']
  const found = typeof token === 'string' ? await findApplicationToken(services, token) : null
  if (found === null || found.claims.client_id !== ctx.oidc.client?.clientId) return
  await endFamilies(services, { id: found.family.id }, 'revoked_by_app', ctx.req.clientInfo)
}

import type { KoaContextWithOIDC } from 'oidc-provider'
import { judgeApplicationToken } from '../domain/families/application-tokens.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import type { Services } from '../domain/services.ts'

/**
 * Revokes an application token (RFC 7009 §2.1) for the authenticated app. Application tokens are not stored, so its family
 * ends, as with the refresh token. A token of another app, or an expired one, changes nothing and gets the same response.
 * @returns false for a token that cannot be revoked alone (RFC 7009 §2.2.1): that of a service, which has no family, and one from
 * an exchange, whose family is another app's
 */
export async function revokeApplicationToken(services: Services, ctx: KoaContextWithOIDC): Promise<boolean> {
  const token = ctx.oidc.params?.['token']
  const judged = typeof token === 'string' ? await judgeApplicationToken(services, token) : null
  const isAlive = judged?.inactive === null || judged?.inactive === 'claims_changed'
  if (judged === null || !isAlive || judged.claims.client_id !== ctx.oidc.client?.clientId) return true
  const { claims } = judged
  if (!('fam' in claims) || claims.act !== undefined) return false
  await endFamilies(services, { id: claims.fam }, 'revoked_by_app', ctx.req.clientInfo)
  return true
}

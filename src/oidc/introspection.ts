import type { KoaContextWithOIDC } from 'oidc-provider'
import { type ApplicationTokenClaims, findApplicationToken } from '../domain/families/application-tokens.ts'
import type { Services } from '../domain/services.ts'

/**
 * What an authenticated app learns about an application token (RFC 7662 §2.2): everything about its own and those for its
 * audience; about any other, only `active: false`. A token is inactive at once when its family ends, and when its claims (such
 * as roles) are out of date, because the caller would trust them.
 */
export async function introspectApplicationToken(
  services: Services,
  ctx: KoaContextWithOIDC,
): Promise<Record<string, unknown>> {
  const token = ctx.oidc.params?.['token']
  const { client } = ctx.oidc
  const found = typeof token === 'string' ? await findApplicationToken(services, token) : null
  if (found === null || found.isStale || client === undefined) return { active: false }

  const { claims } = found
  const isEntitled =
    claims.client_id === client.clientId || (!client.app.isPublic && claims.aud === client.app.audience)
  return isEntitled ? answerOf(claims) : { active: false }
}

/** The response for an active token. */
export function answerOf(claims: ApplicationTokenClaims): Record<string, unknown> {
  return { active: true, ...claims, token_type: claims.cnf === undefined ? 'Bearer' : 'DPoP' }
}

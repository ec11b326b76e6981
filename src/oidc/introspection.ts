import type { KoaContextWithOIDC } from 'oidc-provider'
import { type ApplicationTokenClaims, findApplicationToken } from '../domain/families/application-tokens.ts'
import type { Services } from '../domain/services.ts'

/**
 * What an authenticated app learns of an application token (RFC 7662 §2.2): everything of its own and of those made for
 * its audience; of any other, nothing but `active: false`. A token of a family that has ended is inactive at once, and so is one
 * whose claims are not true any more: whoever asks would believe them.
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

/** Of a token that is active. */
export function answerOf(claims: ApplicationTokenClaims): Record<string, unknown> {
  return { active: true, ...claims, token_type: claims.cnf === undefined ? 'Bearer' : 'DPoP' }
}

import type { Client, KoaContextWithOIDC } from 'oidc-provider'
import { type JudgedToken, judgeApplicationToken } from '../domain/families/application-tokens.ts'
import { futureOf } from '../domain/families/family-lifetimes.ts'
import { signJwtInBackground } from '../domain/keys/jwts.ts'
import { signerFor } from '../domain/keys/shared-keys.ts'
import type { SigningAlg } from '../domain/keys/signing-keys.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { exchangeState } from './exchange-state.ts'
import { futureResponse } from './token-response.ts'

/** The media type of an answer that is signed (RFC 9701 §4). */
const JWT_ANSWER = 'application/token-introspection+jwt'

/**
 * What an authenticated client learns about an application token (RFC 7662 §2.2): an app everything about its own, an app or an
 * API everything about those for its audience; about any other, only `active: false`. A token is inactive at once when its family
 * ends, and when its claims (such as roles) are out of date, because the caller would trust them. `reason` says why, so that an
 * API can tell a token to refresh from one that needs a new sign-in. Anyone can pretend to be a public app, so it learns no reason.
 */
export async function introspectApplicationToken(
  services: Services,
  ctx: KoaContextWithOIDC,
): Promise<Record<string, unknown>> {
  const token = ctx.oidc.params?.['token']
  const { client } = ctx.oidc
  const judged = typeof token === 'string' ? await judgeApplicationToken(services, token) : null
  if (judged === null || client === undefined || !mayAskAbout(client, judged)) return { active: false }

  const { claims, inactive } = judged
  if (inactive === null) return answerOf(claims)
  return { active: false, ...(isConfidential(client) ? { reason: inactive } : {}) }
}

/**
 * The same rule as in SQL, for the fast path (`findIntrospected`). A token that its app could have signed itself proves nothing to
 * anyone else.
 */
function mayAskAbout(client: Client, { claims, isShared }: JudgedToken): boolean {
  const isOwn = claims.client_id === client.clientId
  const isAudience = claims.aud === (client.api?.identifier ?? client.app.audience)
  if (isShared) return isOwn && isConfidential(client)
  return isConfidential(client) ? isOwn || isAudience : isOwn && isAudience
}

function isConfidential({ api, app }: Client): boolean {
  return api !== undefined || !app.isPublic
}

/** The response for an active token. */
export function answerOf(claims: JudgedToken['claims']): Record<string, unknown> {
  return { active: true, ...claims, token_type: claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP' }
}

/** Adds to the library's answer for an active refresh token how long it is good (draft-ietf-oauth-refresh-token-expiration §7). */
export function addFutureTo(services: Services, ctx: KoaContextWithOIDC): void {
  const { presentedFamily: family } = exchangeState(ctx)
  const isActive = (ctx.body as { active?: boolean } | undefined)?.active === true
  if (!isActive || family === undefined) return
  const future = futureOf(services, family, family.lastUsedAt, services.clock())
  ctx.body = { ...(ctx.body as object), ...futureResponse(future) }
}

/** Whether a signed answer may be wanted. @param accept the header */
export function mayWantJwt(accept: string | undefined): boolean {
  return accept?.toLowerCase().includes(JWT_ANSWER) === true
}

/**
 * Signs the answer for a client that accepts it so (RFC 9701 §5). The algorithm is one that the client verifies anyway: for an
 * API that of its application tokens, for an app that of its ID tokens. Nothing is signed for a public app, which anyone can be.
 */
export async function signIntrospection(services: Services, ctx: KoaContextWithOIDC): Promise<void> {
  const { client } = ctx.oidc
  if (client === undefined || !isConfidential(client) || ctx.accepts('json', JWT_ANSWER) !== JWT_ANSWER) return
  const { api, app } = client
  const key =
    api === undefined ? signerFor(services, app.idTokenAlg, app) : services.keys.signer(api.signingAlg as SigningAlg)
  const claims = {
    iss: services.publicUrl,
    aud: client.clientId,
    iat: epochSeconds(services.clock()),
    token_introspection: ctx.body,
  }
  ctx.body = await signJwtInBackground(key, 'introspection', claims)
  ctx.type = JWT_ANSWER
}

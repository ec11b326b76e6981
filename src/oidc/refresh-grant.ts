import Provider, { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { mintApplicationToken } from '../domain/families/application-tokens.ts'
import type { RefusalReason } from '../domain/endings/end-causes.ts'
import {
  type AskedAudience,
  type RotatedFamily,
  type Rotated,
  type Rotation,
  rotate,
} from '../domain/families/families.ts'
import { reuseAdvice } from '../domain/families/family-ends.ts'
import type { Services } from '../domain/services.ts'
import { findAccountWith } from './account.ts'
import { exchangeState } from './exchange-state.ts'
import { requestedScopes, requiredParameter } from './grant-parameters.ts'
import { issueIdToken } from './library-internals.ts'
import { askedResource, resourceOf } from './resources.ts'
import { confirmationOf } from './sender-constraints.ts'
import { TOKEN_HEADERS, tokenResponse } from './token-response.ts'

/**
 * The portal's refresh grant, in place of the library's (refresh token rotation, RFC 6749 §6). Client authentication, CORS,
 * limits and errors stay the library's. Everything that can fail without the family is checked before the token rotates, and
 * the signature comes after.
 */
export function registerRefreshGrant(provider: Provider, services: Services): void {
  provider.registerGrantType(
    'refresh_token',
    async (ctx) => {
      const { client } = ctx.oidc
      if (client === undefined) throw new Error('the token endpoint let an unauthenticated client through')
      const refreshToken = requiredParameter(ctx, 'refresh_token')
      const scopes = requestedScopes(ctx)
      const audience = audienceOf(askedResource(ctx), client)

      const { jkt = null, 'x5t#S256': x5t = null } = await confirmationOf(provider, ctx, client)

      const exchange = exchangeState(ctx)
      const rotation = await rotate(
        services,
        { refreshToken, clientId: client.clientId, scopes, audience, jkt, x5t, clientInfo: ctx.req.clientInfo },
        exchange.hasTriedRotation,
      )
      exchange.familyId = rotation.kind === 'rotated' ? rotation.family.id : rotation.familyId
      switch (rotation.kind) {
        case 'refused':
          throw refusal(ctx, rotation)
        case 'scope-exceeded':
          throw new errors.InvalidScope(
            'the family does not have every scope that was asked for',
            scopes?.join(' ') ?? '',
          )
        case 'wrong-target':
          throw new errors.InvalidTarget()
        case 'wrong-proof':
          throw new errors.InvalidGrant('failed jkt or x5t#S256 verification')
        case 'rotated':
          exchange.isGraceHit = rotation.isGraceHit
          ctx.set(TOKEN_HEADERS)
          ctx.body = await respond(provider, services, ctx, rotation, scopes, { jkt, x5t })
      }
    },
    ['refresh_token', 'scope', 'resource'],
    ['resource'],
  )
}

async function respond(
  provider: Provider,
  services: Services,
  ctx: KoaContextWithOIDC,
  rotated: Rotated,
  scopes: string[] | null,
  { jkt, x5t }: { jkt: string | null; x5t: string | null },
): Promise<object> {
  const { family, refreshToken, future } = rotated
  const { token: accessToken, expiresIn, scope } = await mintApplicationToken(services, rotated, scopes, jkt, x5t)
  // An app requests a new ID token by naming `openid` in the request (OpenID Connect Core §12.2 leaves it open), or by its
  // registration.
  const idScopes = new Set(scopes ?? (family.refreshIdToken ? family.scope.split(' ') : []))
  const idToken = idScopes.has('openid') ? await freshIdToken(provider, services, ctx, family, idScopes) : undefined
  return tokenResponse({ accessToken, expiresIn, idToken, refreshToken, future, scope, jkt })
}

async function freshIdToken(
  provider: Provider,
  services: Services,
  ctx: KoaContextWithOIDC,
  family: RotatedFamily,
  scopes: ReadonlySet<string>,
): Promise<string | undefined> {
  const grant = await provider.Grant.find(family.id)
  const account = await findAccountWith(services)(ctx, family.identityId)
  if (grant === undefined || account === undefined) return undefined
  ctx.oidc.entity('Account', account)
  const source = {
    claims: family.claims === null ? undefined : JSON.parse(family.claims),
    acr: family.acr ?? undefined,
    amr: family.amr,
    authTime: family.authTime,
    sid: family.sid ?? undefined,
    scopes,
  }
  return issueIdToken(provider, ctx, source, { aud: family.audience }, grant, scopes)
}

/**
 * Each reason as a sentence for the app's log. The response also has the reason itself, for the app's code, and the family's
 * id.
 */
const REFUSALS: Record<RefusalReason, string> = {
  unknown: 'the refresh token is not one of this app',
  expired: 'the family has expired; the person must sign in again',
  reused: 'the refresh token was replaced and then used again',
  revoked: 'the family was ended',
  identity_disabled: 'the identity is disabled',
  app_disabled: 'the app is disabled',
  access_withdrawn: 'the user has withdrawn what they had allowed the app, or an operator the access of the user',
}

function refusal(ctx: KoaContextWithOIDC, { reason, familyId, isOwn, reuse }: RefusedRotation): Error {
  exchangeState(ctx).refusal = {
    reason,
    ...(reuse === undefined || !isOwn ? {} : { reused_by: reuse.by }),
    ...(isOwn && familyId !== null ? { fam: familyId } : {}),
  }
  const error = new errors.InvalidGrant(reason)
  error.error_description = reuse?.by === 'app' && isOwn ? reuseAdvice(reuse) : REFUSALS[reason]
  return error
}

type RefusedRotation = Extract<Rotation, { kind: 'refused' }>

/** Where the app's own audience is the identifier of an API, it stays the app's own. */
function audienceOf(resource: string | null, { app }: Client): AskedAudience {
  if (resource === null) return 'default'
  return resource === resourceOf(app.audience) ? 'own' : { api: resource }
}

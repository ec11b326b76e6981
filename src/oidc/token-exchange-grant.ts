import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { findExchangeTarget } from '../domain/apps/app-apis.ts'
import { exchangeToken, type ExchangeTarget, LONGEST_CHAIN, type Refused } from '../domain/families/token-exchange.ts'
import type { InactiveReason } from '../domain/families/application-tokens.ts'
import type { Services } from '../domain/services.ts'
import { exchangeState } from './exchange-state.ts'
import { requestedScopes, requiredParameter, valuesOf } from './grant-parameters.ts'
import { TOKEN_EXCHANGE } from './grant-types.ts'
import { confirmationOf } from './sender-constraints.ts'
import { TOKEN_HEADERS, tokenResponse } from './token-response.ts'

/** The types of an application token (RFC 8693 §3, RFC 9068). */
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const TOKEN_TYPES: readonly unknown[] = [ACCESS_TOKEN, 'urn:ietf:params:oauth:token-type:jwt']

/**
 * Token exchange (RFC 8693): a back end that was sent the application token of a user gets one for another API, which it calls
 * for that user (delegation). The registry says which app may do so for which API (`--exchange-for`).
 */
export function registerTokenExchangeGrant(provider: Provider, services: Services): void {
  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (ctx) => {
      const { client } = ctx.oidc
      if (client === undefined) throw new Error('the token endpoint let an unauthenticated client through')
      const { subjectToken, issuedType } = requestedExchange(ctx)
      const target = await requestedTarget(services, ctx, client.clientId)
      const scopes = requestedScopes(ctx)
      const confirmation = await confirmationOf(provider, ctx, client)

      const exchange = { caller: client.app, target, scopes, confirmation }
      const outcome = await exchangeToken(services, subjectToken, exchange)
      const state = exchangeState(ctx)
      state.audience = target.identifier
      if (outcome.kind !== 'exchanged') throw refusal(ctx, outcome)
      const { token: accessToken, claims } = outcome
      const { iat, exp, fam, scope = '' } = claims
      state.familyId = fam
      ctx.set(TOKEN_HEADERS)
      const response = tokenResponse({ accessToken, expiresIn: exp - iat, scope, jkt: confirmation.jkt ?? null })
      ctx.body = { ...response, issued_token_type: issuedType }
    },
    [
      'subject_token',
      'subject_token_type',
      'requested_token_type',
      'actor_token',
      'actor_token_type',
      'resource',
      'audience',
      'scope',
    ],
    ['resource', 'audience'],
  )
}

/** The token that is exchanged, and the type of the new one. @throws InvalidRequest */
function requestedExchange(ctx: KoaContextWithOIDC): { subjectToken: string; issuedType: string } {
  const { params } = ctx.oidc
  // The caller is the actor: it has authenticated as a client.
  if (params?.['actor_token'] !== undefined || params?.['actor_token_type'] !== undefined)
    throw badRequest('actor_token is not supported: the client itself acts for the user')
  const subjectToken = requiredParameter(ctx, 'subject_token')
  if (!TOKEN_TYPES.includes(requiredParameter(ctx, 'subject_token_type')))
    throw badRequest('subject_token_type must be that of an access token or a JWT')
  const issuedType = (params?.['requested_token_type'] as string | undefined) ?? ACCESS_TOKEN
  if (!TOKEN_TYPES.includes(issuedType)) throw badRequest('only access tokens are issued, which are JWTs')
  return { subjectToken, issuedType }
}

/** The one API that `resource` or `audience` names. @throws UnauthorizedClient, InvalidTarget */
async function requestedTarget(services: Services, ctx: KoaContextWithOIDC, clientId: string): Promise<ExchangeTarget> {
  const named = new Set([...valuesOf(ctx, 'resource'), ...valuesOf(ctx, 'audience')])
  const [identifier = null] = named
  const { mayExchange, target } = await findExchangeTarget(services, clientId, identifier)
  if (!mayExchange) throw described(new errors.UnauthorizedClient(), 'this app may call no API for users')
  if (target === null || named.size > 1)
    throw described(new errors.InvalidTarget(), 'resource must name one API that this app may call for users')
  return target
}

function refusal(ctx: KoaContextWithOIDC, refused: Refused): Error {
  switch (refused.kind) {
    case 'bad-subject': {
      const { reason, familyId } = refused
      if (reason === null) return badRequest('subject_token is no application token of a user for this app')
      exchangeState(ctx).familyId = familyId
      exchangeState(ctx).refusal = { reason }
      // RFC 8693 §2.2.2 wants invalid_request for every fault of the subject.
      return badRequest(SUBJECT_FAULTS[reason])
    }
    case 'loop':
      return badRequest('this app is in the chain of actors already')
    case 'too-deep':
      return badRequest(`${LONGEST_CHAIN} apps act for the user already, and no more may`)
    case 'scope-exceeded':
      return new errors.InvalidScope(
        'the subject_token and the API do not have every scope that was asked for, or none in common',
        refused.scopes.join(' '),
      )
  }
}

const SUBJECT_FAULTS: Record<InactiveReason, string> = {
  expired: 'the subject_token has expired',
  family_ended: 'the family of the subject_token has ended',
  claims_changed: 'what the subject_token claims has changed since',
  identity_disabled: 'the identity of the subject_token is disabled',
  app_disabled: 'an app of the subject_token is disabled, or was since',
}

function badRequest(words: string): Error {
  return new errors.InvalidRequest(words)
}

function described(error: InstanceType<typeof errors.OIDCProviderError>, words: string): Error {
  error.error_description = words
  return error
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import { applicationTokenClaims, signApplicationToken } from '../../domain/families/application-tokens.ts'
import { type Redeemed, redeemCode } from '../../domain/families/authorization-codes.ts'
import { endFamilies } from '../../domain/endings/endings.ts'
import { rolesIn, sourceOf } from '../../domain/identities/claims.ts'
import { subjectOf } from '../../domain/identities/subjects.ts'
import type { Services } from '../../domain/services.ts'
import type { Logger } from '../../logger.ts'
import { answerPlainly, unlessItFails } from './answers.ts'
import { hasOnly, type PlainForm, readPlainClient } from './forms.ts'
import type { CodeRecord } from '../code-records.ts'
import { signIdToken } from '../id-tokens.ts'
import { DIRECT_REDIRECT_URI } from '../adapters/authorization-codes.ts'
import { tokenResponse } from '../token-response.ts'
import { isWithdrawn } from '../adapters/withdrawn-families.ts'

/**
 * Fast path of the code exchange that nearly every app sends (RFC 6749 §4.1.3, RFC 7636 §4.5). One statement takes the code,
 * checks everything and opens the family; two signatures follow. Only success is answered here. Everything else is left to the
 * library, and the code is still unused.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while a store is unavailable
 */
export async function answerPlainCodeExchange(
  services: Services,
  logger: Logger,
  req: IncomingMessage,
  res: ServerResponse,
  form: PlainForm,
): Promise<boolean> {
  const { grant_type: grantType, code, redirect_uri: redirectUri = DIRECT_REDIRECT_URI, code_verifier: verifier } = form
  if (grantType !== 'authorization_code' || typeof code !== 'string' || typeof redirectUri !== 'string') return false
  if (typeof verifier !== 'string' || !/^[\w.~-]{43,128}$/.test(verifier)) return false
  const client = readPlainClient(form, req.headers.authorization)
  if (client === null || !hasOnly(form, 'grant_type', 'code', 'redirect_uri', 'code_verifier')) return false

  const redeemed = await unlessItFails(redeemCode(services, { code, redirectUri, verifier, ...client }))
  if (redeemed === null) return false
  const { clientId } = client
  const { familyId: id, mayBeReused } = redeemed
  // The other caller who presented the code found no family to end.
  if (mayBeReused && (await isWithdrawn(services, id)))
    await endFamilies(services, { id }, 'code_reuse', req.clientInfo)

  logger.info({ requestId: req.requestId, event: grantType, clientId, familyId: id }, 'event')
  answerPlainly(res, await tokensOf(services, redeemed, clientId))
  return true
}

async function tokensOf(services: Services, redeemed: Redeemed, clientId: string): Promise<object> {
  const record = redeemed.record as unknown as CodeRecord
  const { familyId, refreshToken, future, issuedAt, applicationTokenTtl, audience, roles, claimsVersion, sectorUri } =
    redeemed
  const { accountId: identityId, authTime, acr = null, amr = [] } = record
  const asked = new Set(record.scope.split(' '))
  const { openid, resources } = record.pending.grant
  // The app's registration may have changed since the authorization.
  const appScopes = new Set(redeemed.appScope.split(' '))
  const scope = (resources?.[record.resource] ?? '')
    .split(' ')
    .filter((each) => asked.has(each) && appScopes.has(each))
    .join(' ')

  const subject = {
    identityId,
    clientId,
    familyId,
    audience,
    scope,
    roles,
    claimsVersion,
    own: redeemed,
    sectorUri,
    authTime,
    acr,
    amr,
    jkt: null,
  }
  const claims = applicationTokenClaims(services, subject, applicationTokenTtl, issuedAt)
  const granted = (openid?.scope ?? '').split(' ').filter((each) => asked.has(each))
  return tokenResponse({
    accessToken: signApplicationToken(services, claims, { ...redeemed, clientId }),
    expiresIn: claims.exp - claims.iat,
    idToken: asked.has('openid') ? await idTokenOf(services, redeemed, clientId, granted) : undefined,
    refreshToken,
    future,
    scope,
    jkt: null,
  })
}

async function idTokenOf(services: Services, redeemed: Redeemed, clientId: string, scopes: string[]): Promise<string> {
  const { acr, amr, authTime, nonce, sid, accountId } = redeemed.record as unknown as CodeRecord
  const { idTokenAlg: alg, tokenKeyId, issuedAt, sectorUri, wantedClaims } = redeemed
  const sub = subjectOf(services, accountId, sectorUri)
  const source = sourceOf(redeemed.claimSource)
  const roles = rolesIn(redeemed.roles, redeemed.appRoles)
  const signIn = { acr, amr, auth_time: authTime }
  const subject = { sub, source, roles, wantedClaims, clientId, scopes, signIn, nonce, sid }
  return signIdToken(services, { alg, tokenKeyId }, subject, issuedAt)
}

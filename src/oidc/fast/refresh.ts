import type { IncomingMessage, ServerResponse } from 'node:http'
import { mintApplicationToken } from '../../domain/families/application-tokens.ts'
import { type Rotated, rotateUnproved } from '../../domain/families/families.ts'
import type { Services } from '../../domain/services.ts'
import type { Logger } from '../../logger.ts'
import { rolesIn } from '../../domain/identities/claims.ts'
import { findIdentity } from '../../domain/identities/identities.ts'
import { subjectOf } from '../../domain/identities/subjects.ts'
import { exchangeState } from '../exchange-state.ts'
import { signIdToken } from '../id-tokens.ts'
import { countRefresh } from '../refresh-counts.ts'
import { tokenResponse } from '../token-response.ts'
import { answerPlainly, unlessItFails } from './answers.ts'
import { hasOnly, type PlainClient, type PlainForm, readPlainClient } from './forms.ts'

/**
 * Fast path of the refresh that nearly every app sends (refresh token rotation, RFC 6749 §6): a form with a refresh token and
 * the app's secret or id, and nothing else. It takes one statement and one signature. Only success is answered here. In every
 * other case nothing has changed yet, and the library finds out why.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while the store is unavailable
 */
export async function answerPlainRefresh(
  services: Services,
  logger: Logger,
  req: IncomingMessage,
  res: ServerResponse,
  form: PlainForm,
): Promise<boolean> {
  const { grant_type: grantType, refresh_token: refreshToken } = form
  if (grantType !== 'refresh_token' || typeof refreshToken !== 'string') return false
  const client = readPlainClient(form, req.headers.authorization)
  if (client === null || !hasOnly(form, 'grant_type', 'refresh_token')) return false

  try {
    return await answerRotation(services, logger, req, res, refreshToken, client)
  } catch (error) {
    countRefresh(services, 'failed')
    throw error
  }
}

async function answerRotation(
  services: Services,
  logger: Logger,
  req: IncomingMessage,
  res: ServerResponse,
  presented: string,
  client: PlainClient,
): Promise<boolean> {
  const rotated = await unlessItFails(rotateOnce(services, req, presented, client))
  if (rotated === null) return false

  const { clientId } = client
  const { family } = rotated
  logger.info({ requestId: req.requestId, event: 'refresh_token', clientId, familyId: family.id }, 'event')
  const { token: accessToken, expiresIn, scope } = await mintApplicationToken(services, rotated, null, null)
  const idToken = family.refreshIdToken ? await freshIdToken(services, rotated) : undefined
  const { refreshToken: successor, future } = rotated
  countRefresh(services, 'rotated')
  answerPlainly(
    res,
    tokenResponse({ accessToken, expiresIn, idToken, refreshToken: successor, future, scope, jkt: null }),
  )
  return true
}

/** After an update that changed nothing the library does not send the same again, and looks for the reason. */
async function rotateOnce(
  services: Services,
  req: IncomingMessage,
  refreshToken: string,
  { clientId, proof }: PlainClient,
): Promise<Rotated | null> {
  const rotated = await rotateUnproved(services, refreshToken, clientId, proof, req.clientInfo)
  if (rotated === null) exchangeState({ req }).hasTriedRotation = true
  return rotated
}

/** For an app with `--refresh-id-token`, which alone pays for it: the user is read once more (OpenID Connect Core §12.2). */
async function freshIdToken(services: Services, { family, issuedAt }: Rotated): Promise<string | undefined> {
  const scopes = family.scope.split(' ')
  const identity = scopes.includes('openid') ? await findIdentity(services, family.identityId) : null
  if (identity === null) return undefined
  const { clientId, acr, amr, authTime, sid, sectorUri, wantedClaims } = family
  const sub = subjectOf(services, identity.id, sectorUri)
  const roles = rolesIn(identity.roles, family.appRoles)
  const signIn = { acr: acr ?? undefined, amr, auth_time: authTime }
  const subject = { sub, source: identity, roles, wantedClaims, clientId, scopes, signIn, sid: sid ?? undefined }
  return signIdToken(services, { alg: family.idTokenAlg, tokenKeyId: family.tokenKeyId }, subject, issuedAt)
}

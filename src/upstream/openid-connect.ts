import { authorizationCodeGrant, type Configuration, fetchUserInfo } from 'openid-client'
import { type UpstreamChecks, UpstreamFailure, type UpstreamProvider, type UpstreamUser } from '../domain/upstream.ts'
import { readEmail, readName, readSid, readSubject, readVerified } from './claims.ts'

/** Exchanges the code, verifies the ID token, and asks the userinfo endpoint for what the ID token does not say. */
export async function finishOpenIdConnect(
  configuration: Configuration,
  { scopes }: UpstreamProvider,
  answer: URL,
  { state, nonce, codeVerifier }: UpstreamChecks,
): Promise<UpstreamUser> {
  const tokens = await authorizationCodeGrant(configuration, answer, {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
    expectedNonce: nonce ?? '',
    idTokenExpected: true,
  })
  const idClaims = tokens.claims()
  if (idClaims === undefined) throw new UpstreamFailure('invalid', 'the answer has no ID token')
  const asksMore =
    scopes.includes('email') &&
    idClaims['email'] === undefined &&
    configuration.serverMetadata().userinfo_endpoint !== undefined
  const more = asksMore ? await fetchUserInfo(configuration, tokens.access_token, idClaims.sub) : {}
  const claims: Record<string, unknown> = { ...more, ...idClaims }
  const { auth_time: authTime } = idClaims
  return {
    subject: readSubject(idClaims.sub),
    email: readEmail(claims['email']),
    emailVerified: readVerified(claims['email_verified']),
    username: readName(claims['preferred_username']),
    name: readName(claims['name']),
    givenName: readName(claims['given_name']),
    familyName: readName(claims['family_name']),
    sid: readSid(claims['sid']),
    provedAt: typeof authTime === 'number' ? new Date(authTime * 1000) : null,
    tokens: JSON.stringify(tokens),
  }
}

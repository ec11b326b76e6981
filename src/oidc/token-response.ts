import type { FamilyFuture } from '../domain/families/family-lifetimes.ts'

/** The tokens that a request to the token endpoint gives to an app. */
export interface IssuedTokens {
  accessToken: string
  /** Seconds. */
  expiresIn: number
  idToken?: string | undefined
  /** Only families have one. */
  refreshToken?: string
  /** Of the family of the refresh token. */
  future?: FamilyFuture
  /** Empty where the token has none. */
  scope: string
  /** Thumbprint of the key that the application token is bound to (RFC 9449), null for a bearer token. */
  jkt: string | null
}

/** The headers of every token response (RFC 6749 §5.1), beside those of CORS. */
export const TOKEN_HEADERS = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' }

/** The body of a token response (RFC 6749 §5.1), the same from a fast path and from the library. */
export function tokenResponse(issued: IssuedTokens): object {
  const { accessToken, expiresIn, idToken, refreshToken, future, scope, jkt } = issued
  return {
    access_token: accessToken,
    expires_in: expiresIn,
    ...(idToken === undefined ? {} : { id_token: idToken }),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(scope === '' ? {} : { scope }),
    token_type: jkt === null ? 'Bearer' : 'DPoP',
    ...(future === undefined ? {} : futureResponse(future)),
  }
}

/** What an answer with a refresh token says of its future (draft-ietf-oauth-refresh-token-expiration §6.1). */
export function futureResponse({ refreshTokenTimeout, authorizationExpiresIn }: FamilyFuture): object {
  return { refresh_token_timeout: refreshTokenTimeout, authorization_expires_in: authorizationExpiresIn }
}

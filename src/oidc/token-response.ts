/** The tokens that a code exchange or a refresh gives to an app. */
export interface IssuedTokens {
  accessToken: string
  /** Seconds. */
  expiresIn: number
  idToken?: string | undefined
  refreshToken: string
  scope: string
  /** Thumbprint of the key that the application token is bound to (RFC 9449), null for a bearer token. */
  jkt: string | null
}

/** The headers of every token response (RFC 6749 §5.1), beside those of CORS. */
export const TOKEN_HEADERS = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' }

/** The body of a token response (RFC 6749 §5.1), the same from a fast path and from the library. */
export function tokenResponse({ accessToken, expiresIn, idToken, refreshToken, scope, jkt }: IssuedTokens): object {
  return {
    access_token: accessToken,
    expires_in: expiresIn,
    ...(idToken === undefined ? {} : { id_token: idToken }),
    refresh_token: refreshToken,
    scope,
    token_type: jkt === null ? 'Bearer' : 'DPoP',
  }
}

/**
 * The claims of a service token: an application token (RFC 9068 JWT) of a service itself. It belongs to no family and to no
 * user, so `sub` is the client id (RFC 9068 §2.2) and there is no `fam`.
 */
export type ServiceTokenClaims = CommonTokenClaims

/** What every application token claims. */
export interface CommonTokenClaims {
  iss: string
  sub: string
  aud: string
  client_id: string
  iat: number
  exp: number
  jti: string
  /** Absent where the token has none, as one for an API of which no scope was asked for. */
  scope?: string
  cnf?: Confirmation
}

/** The key or certificate that a token is bound to (RFC 7800); empty for a bearer token. */
export interface Confirmation {
  /** Thumbprint of a DPoP key (RFC 9449 §6.1). */
  jkt?: string
  /** Hash of a certificate (RFC 8705 §3.1). */
  'x5t#S256'?: string
}

/** A provider as the HTTP work needs it. */
export interface UpstreamProvider {
  id: string
  kind: 'oidc' | 'github'
  /** Of GitHub, its address: https://github.com, or that of an Enterprise Server. */
  issuer: string
  clientId: string
  clientSecret: string | null
  scopes: string[]
}

/**
 * Signing in with another provider: OpenID Connect, or GitHub's OAuth. Every method throws UpstreamFailure when the provider does
 * not answer in time, or answers what it may not.
 */
export interface Upstream {
  /** Where the browser goes, and what the answer must fit. */
  begin: (provider: UpstreamProvider, request: UpstreamRequest) => Promise<{ url: string; checks: UpstreamChecks }>
  /** Exchanges the code in the answer, and verifies what comes. @param answer the URL to which the provider sent the browser */
  finish: (provider: UpstreamProvider, answer: URL, checks: UpstreamChecks) => Promise<UpstreamUser>
  /** Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), but for its replay. */
  verifyLogout: (provider: UpstreamProvider, token: string) => Promise<UpstreamLogout>
}

export interface UpstreamRequest {
  redirectUri: string
  /** Who is expected to sign in, as the user typed it. */
  loginHint: string | null
  /** The user has to prove anew who they are (`prompt=login`, `max_age=0`). */
  isProofAgain: boolean
}

/** What only the browser that began may bring back. */
export interface UpstreamChecks {
  state: string
  nonce: string | null
  codeVerifier: string
}

/** A user as the provider knows them. What other people may have chosen has been checked for length and characters. */
export interface UpstreamUser {
  /** The name of the account for good: `sub`, or the number of a GitHub account. */
  subject: string
  email: string | null
  /** Whether the provider says that the address is theirs. */
  emailVerified: boolean
  username: string | null
  name: string | null
  givenName: string | null
  familyName: string | null
  /** The session at the provider (`sid`). */
  sid: string | null
  /** When they proved who they are; null where the provider does not say. */
  provedAt: Date | null
  /** The answer of the token endpoint, in JSON. */
  tokens: string
}

export interface UpstreamLogout {
  jti: string
  subject: string | null
  sid: string | null
  expiresAt: Date
}

/**
 * `denied`: the user has declined there. `unavailable`: the provider does not answer, or asks to come back later. `invalid`: its
 * answer cannot be trusted. The message is for the log, without what the provider wrote.
 */
export class UpstreamFailure extends Error {
  readonly kind: 'denied' | 'unavailable' | 'invalid'

  constructor(kind: UpstreamFailure['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

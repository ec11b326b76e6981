import * as oidc from 'openid-client'
import { openConnection } from './connection.ts'
import type { Connection, TokenAnswer } from './connection.ts'
import { explain, portal } from './portal.ts'
import type { Session } from './sessions.ts'
import { settings } from './settings.ts'

export type SignInOutcome =
  { kind: 'signed-in'; connection: Connection } | { kind: 'unknown-attempt' } | { kind: 'refused'; sentence: string }

const ATTEMPT_LIFETIME = 10 * 60_000
const ATTEMPTS_AT_ONCE = 20

/** The URL at which the user signs in, or is recognised (single sign-on). */
export async function beginSignIn(session: Session, now = Date.now()): Promise<URL> {
  const configuration = await portal()
  const state = oidc.randomState()
  const attempt = { verifier: oidc.randomPKCECodeVerifier(), nonce: oidc.randomNonce(), startedAt: now }
  session.attempts.set(state, attempt)
  forgetOldAttempts(session, now)

  return oidc.buildAuthorizationUrl(configuration, {
    redirect_uri: `${settings.origin}/callback`,
    scope: 'openid profile email offline_access',
    state,
    nonce: attempt.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
    code_challenge_method: 'S256',
  })
}

/** Exchanges the code in `answer`, the redirect URL, for tokens. */
export async function completeSignIn(session: Session, answer: URL, now = Date.now()): Promise<SignInOutcome> {
  const configuration = await portal()
  const state = answer.searchParams.get('state') ?? ''
  const attempt = session.attempts.get(state)
  session.attempts.delete(state)
  if (!attempt || now - attempt.startedAt > ATTEMPT_LIFETIME) return { kind: 'unknown-attempt' }

  try {
    // Verifies `iss`, the state, and the ID token with its nonce.
    const tokens = await oidc.authorizationCodeGrant(configuration, answer, {
      pkceCodeVerifier: attempt.verifier,
      expectedState: state,
      expectedNonce: attempt.nonce,
      idTokenExpected: true,
    })
    return { kind: 'signed-in', connection: openConnection(await userNameOf(configuration, tokens), tokens) }
  } catch (problem) {
    console.warn('Notes could not finish a sign-in.', problem)
    return { kind: 'refused', sentence: explain(problem) }
  }
}

function forgetOldAttempts(session: Session, now: number) {
  for (const [state, attempt] of session.attempts) {
    const isOld = now - attempt.startedAt > ATTEMPT_LIFETIME
    if (isOld || session.attempts.size > ATTEMPTS_AT_ONCE) session.attempts.delete(state)
  }
}

async function userNameOf(configuration: oidc.Configuration, tokens: TokenAnswer): Promise<string> {
  const identity = tokens.claims()
  const subject = identity?.sub ?? ''
  if (typeof identity?.preferred_username === 'string') return identity.preferred_username

  // OpenID Connect lets a portal leave the profile out of the ID token; then the userinfo endpoint has it.
  const profile = await oidc.fetchUserInfo(configuration, tokens.access_token, subject).catch(() => null)
  return profile?.preferred_username ?? subject
}

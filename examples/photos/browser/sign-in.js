import * as oidc from 'openid-client'
import { openConnection } from './connection.js'
import { explain, portal } from './portal.js'

const STORAGE_KEY = 'photos.attempt'
const HOME = `${location.origin}/`

/** The URL at which the user signs in, or is recognised (single sign-on). */
export async function beginSignIn() {
  const configuration = await portal()
  // A tab runs one sign-in at a time, and sessionStorage belongs to the tab.
  const attempt = {
    verifier: oidc.randomPKCECodeVerifier(),
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
  }
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(attempt))

  return oidc.buildAuthorizationUrl(configuration, {
    redirect_uri: HOME,
    scope: 'openid profile email offline_access',
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
    code_challenge_method: 'S256',
  })
}

/** True when the portal has just redirected the browser here. */
export function isAnswer(address) {
  const parameters = new URLSearchParams(address.search)
  return parameters.has('state') && (parameters.has('code') || parameters.has('error'))
}

/** Exchanges the code in the URL for tokens. */
export async function completeSignIn() {
  const answer = new URL(location.href)
  // The code leaves the address bar and the history before anything else happens.
  history.replaceState(null, '', HOME)

  const attempt = JSON.parse(sessionStorage.getItem(STORAGE_KEY))
  sessionStorage.removeItem(STORAGE_KEY)
  if (!attempt) return { kind: 'failed', sentence: 'This sign-in was finished already, or was begun in another tab.' }

  try {
    const configuration = await portal()
    const tokens = await oidc.authorizationCodeGrant(configuration, answer, {
      pkceCodeVerifier: attempt.verifier,
      expectedState: attempt.state,
      expectedNonce: attempt.nonce,
      idTokenExpected: true,
    })
    openConnection(tokens, await personOf(configuration, tokens))
    return { kind: 'fresh' }
  } catch (problem) {
    console.warn(problem)
    return { kind: 'failed', sentence: explain(problem) }
  }
}

/** The URL at which the portal signs this browser out and ends all its families. */
export async function signOutUrl({ idToken }) {
  return oidc.buildEndSessionUrl(await portal(), { id_token_hint: idToken, post_logout_redirect_uri: HOME })
}

async function personOf(configuration, tokens) {
  const { sub: subject, preferred_username } = tokens.claims()
  if (preferred_username) return { subject, who: preferred_username }

  // OpenID Connect lets a portal leave the profile out of the ID token; then the userinfo endpoint has it.
  const profile = await oidc.fetchUserInfo(configuration, tokens.access_token, subject).catch(() => null)
  return { subject, who: profile?.preferred_username ?? subject }
}

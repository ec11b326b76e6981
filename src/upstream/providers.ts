// upstream/: signing in with other providers, by OpenID Connect and by the OAuth of GitHub.
//
// It owns discovery, PKCE, state, nonce, `iss`, the verification of ID tokens and logout tokens, and the limits of every answer.
// It leaves who may sign in to `domain/accounts/`, and cookies and pages to `http/`.

import {
  AuthorizationResponseError,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import { type Upstream, UpstreamFailure, type UpstreamProvider, type UpstreamRequest } from '../domain/upstream.ts'
import { Configurations } from './configurations.ts'
import { finishGithub } from './github.ts'
import { verifyLogoutToken } from './logout-tokens.ts'
import { finishOpenIdConnect } from './openid-connect.ts'

/** The other providers, over HTTP. */
export function openUpstream(clock: () => Date): Upstream {
  const configurations = new Configurations(clock)
  return {
    begin: async (provider, request) =>
      understood(async () => {
        const configuration = await configurations.of(provider)
        const [state, codeVerifier] = [randomState(), randomPKCECodeVerifier()]
        const nonce = provider.kind === 'oidc' ? randomNonce() : null
        const url = buildAuthorizationUrl(configuration, {
          redirect_uri: request.redirectUri,
          response_type: 'code',
          scope: provider.scopes.join(' '),
          state,
          code_challenge: await calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          ...(nonce !== null && { nonce }),
          ...hintsFor(provider, request),
        })
        return { url: url.href, checks: { state, nonce, codeVerifier } }
      }),
    finish: async (provider, answer, checks) =>
      understood(async () => {
        const configuration = await configurations.of(provider)
        const finish = provider.kind === 'github' ? finishGithub : finishOpenIdConnect
        return finish(configuration, provider, answer, checks)
      }),
    verifyLogout: async (provider, token) =>
      understood(async () => {
        if (provider.kind === 'github') throw new UpstreamFailure('invalid', 'GitHub sends no logout tokens')
        return verifyLogoutToken(await configurations.of(provider), provider, token, clock())
      }),
  }
}

function hintsFor({ kind }: UpstreamProvider, { loginHint, isProofAgain }: UpstreamRequest): Record<string, string> {
  if (kind === 'github') return loginHint === null ? {} : { login: loginHint }
  return {
    ...(loginHint !== null && { login_hint: loginHint }),
    ...(isProofAgain && { prompt: 'login', max_age: '0' }),
  }
}

/** What the user can do nothing about, in one of three kinds. The texts of providers are foreign, and stay out of messages. */
async function understood<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const failure = failureIn(error)
    if (failure !== null) throw failure
    const code = (error as { code?: unknown }).code
    const why = typeof code === 'string' && /^[\w-]{1,60}$/.test(code) ? code : (error as Error).name
    throw new UpstreamFailure('invalid', `the answer of the provider is refused (${why})`, { cause: error })
  }
}

/** Errors that a provider answers with (RFC 6749 §4.1.2.1), and those that its requests failed with. */
function failureIn(error: unknown): UpstreamFailure | null {
  if (error instanceof AuthorizationResponseError) {
    const kind = KINDS[error.error] ?? 'invalid'
    return new UpstreamFailure(kind, `the provider answered with an error${kind === 'invalid' ? '' : ` (${kind})`}`)
  }
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UpstreamFailure) return cause
    if (cause.name === 'TimeoutError') return new UpstreamFailure('unavailable', 'the provider does not answer in time')
  }
  return null
}

const KINDS: Record<string, UpstreamFailure['kind']> = {
  access_denied: 'denied',
  temporarily_unavailable: 'unavailable',
  server_error: 'unavailable',
}

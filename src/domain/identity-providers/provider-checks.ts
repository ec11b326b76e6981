import type { Services } from '../services.ts'
import { type UpstreamProvider, UpstreamFailure } from '../upstream.ts'
import { redirectUriOf } from './identity-providers.ts'

/** Whether a provider can be asked to sign a user in; `problem` says why not, in words for operators. */
export type ProviderStanding =
  | { kind: 'answers' }
  /** It does not answer now. */
  | { kind: 'unreachable'; problem: string }
  /** What it publishes is not that of this issuer, or cannot be used. */
  | { kind: 'unfit'; problem: string }

/** Asks a provider for what it publishes of itself, as a sign-in does. GitHub publishes nothing, so nothing is asked. */
export async function checkProvider(
  { upstream, publicUrl }: Pick<Services, 'upstream' | 'publicUrl'>,
  provider: UpstreamProvider,
): Promise<ProviderStanding> {
  try {
    const redirectUri = redirectUriOf({ publicUrl }, provider)
    await upstream.begin(provider, { redirectUri, loginHint: null, isProofAgain: false })
    return { kind: 'answers' }
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error
    return { kind: error.kind === 'invalid' ? 'unfit' : 'unreachable', problem: error.message }
  }
}

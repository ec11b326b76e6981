import type { JWKS, KoaContextWithOIDC } from 'oidc-provider'
import type { ClientKeySettings } from '../domain/apps/client-keys.ts'
import type { FetchedKeys } from '../domain/apps/fetched-keys.ts'
import { exchangeState } from './exchange-state.ts'

/**
 * The public keys of a client for this request, as metadata for the library, which fetches none itself. Those at a JWKS URI are
 * fetched only for a request that they must verify. Keys that cannot be had are none: nothing is verified then.
 */
export async function keysForRequest(
  fetched: FetchedKeys,
  ctx: KoaContextWithOIDC | undefined,
  { jwks, jwksUri, authMethod }: ClientKeySettings,
): Promise<{ jwks?: JWKS }> {
  if (jwks !== null) return { jwks: jwks as JWKS }
  if (jwksUri === null || ctx === undefined) return {}
  const signed = signedIn(ctx)
  // A certificate is compared with the registered ones wherever clients authenticate, which is never a GET.
  const isCompared = authMethod === 'self_signed_tls_client_auth' && ctx.method === 'POST'
  if (signed.length === 0 && !isCompared) return {}
  const { keys, problem } = await fetched.at(jwksUri, signed.map(keyIdOf))
  if (problem !== null) exchangeState(ctx).keysProblem = problem
  return { jwks: { keys } }
}

/** The JWTs in this request that a key of the client has signed: its assertion, and a request object. */
function signedIn({ oidc, query }: KoaContextWithOIDC): string[] {
  const candidates: unknown[] = [oidc.body?.['client_assertion'], oidc.body?.['request'], query['request']]
  return candidates.filter((value): value is string => typeof value === 'string' && value !== '')
}

/** The key id in the header of a JWT that is not verified yet. */
function keyIdOf(jwt: string): string | undefined {
  try {
    const { kid } = JSON.parse(Buffer.from(jwt.split('.', 1)[0] as string, 'base64url').toString()) as { kid?: unknown }
    return typeof kid === 'string' ? kid : undefined
  } catch {
    return undefined
  }
}

import type { IncomingMessage } from 'node:http'
import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { thumbprintOf } from '../domain/apps/client-certificates.ts'
import type { Confirmation } from '../domain/service-token-claims.ts'
import { checkDpopReplay, validateDpop } from './library-internals.ts'
import type { FindCertificate } from './mutual-tls.ts'

/** A request to an API of the portal, with an application token. */
export interface PresentedToken {
  token: string
  /** Of the service that the token was issued to. */
  clientId: string
  /** The URL of the request, without query. */
  url: string
}

/**
 * What a request to an API of the portal proves beside its token: the key of its DPoP proof, which is for this request and this
 * token (RFC 9449 §7.1), and its certificate (RFC 8705 §3). Null for a wrong or repeated proof.
 */
export async function findPresentedKeys(
  provider: Provider,
  findCertificate: FindCertificate | null,
  req: IncomingMessage,
  { token, clientId, url }: PresentedToken,
): Promise<Confirmation | null> {
  const ctx = contextOf(provider, req, url)
  try {
    const proof = await validateDpop(provider, ctx, token)
    await checkDpopReplay(provider, ctx, proof, clientId)
    const certificate = findCertificate?.(req)?.certificate
    return {
      ...(proof === undefined ? {} : { jkt: proof.thumbprint }),
      ...(certificate === undefined ? {} : { 'x5t#S256': thumbprintOf(certificate) }),
    }
  } catch (error) {
    if (error instanceof errors.OIDCProviderError) return null
    throw error
  }
}

/** The part of a context that the library needs to verify a proof; an API of the portal is no endpoint of the library. */
function contextOf(provider: Provider, req: IncomingMessage, url: string): KoaContextWithOIDC {
  const header = (name: string) => req.headers[name.toLowerCase()] ?? ''
  const oidc = { provider, route: 'api', urlFor: () => url }
  const assert = (isTrue: boolean, error: Error) => {
    if (!isTrue) throw error
  }
  return { get: header, set() {}, method: req.method, assert, oidc } as unknown as KoaContextWithOIDC
}

import Provider, { type Client, type KoaContextWithOIDC } from 'oidc-provider'
import { thumbprintOf } from '../domain/apps/client-certificates.ts'
import type { Confirmation } from '../domain/service-token-claims.ts'
import { checkDpopReplay, checkDpopRequired, checkMtlsCert, validateDpop } from './library-internals.ts'

/**
 * The key that the token of this request is bound to, that of its DPoP proof (RFC 9449 §5), and the certificate (RFC 8705 §3).
 * Empty for a bearer token.
 * @throws an error of the protocol for a wrong or repeated proof, and for an app whose tokens are bound and that proves nothing
 */
export async function confirmationOf(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  client: Client,
): Promise<Confirmation> {
  const proof = await validateDpop(provider, ctx)
  const certificate = checkMtlsCert(provider, ctx)
  checkDpopRequired(provider, ctx, proof)
  await checkDpopReplay(provider, ctx, proof, client.clientId)
  return {
    ...(proof === undefined ? {} : { jkt: proof.thumbprint }),
    ...(certificate === undefined ? {} : { 'x5t#S256': thumbprintOf(certificate) }),
  }
}

import Provider, { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Confirmation } from '../domain/service-token-claims.ts'
import { checkDpopReplay, checkDpopRequired, validateDpop } from './library-internals.ts'

/**
 * The key that the token of this request is bound to: that of its DPoP proof (RFC 9449 §5). Empty for a bearer token.
 * @throws an error of the protocol for a wrong or repeated proof, and for an app whose tokens are bound and that proves nothing
 */
export async function confirmationOf(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  client: Client,
): Promise<Confirmation> {
  const proof = await validateDpop(provider, ctx)
  checkDpopRequired(provider, ctx, proof)
  if (client.app.bindCertificate) throw new errors.InvalidGrant('mutual TLS client certificate not provided')
  await checkDpopReplay(provider, ctx, proof, client.clientId)
  return proof === undefined ? {} : { jkt: proof.thumbprint }
}

// Types of the helpers that the library gives its own grant handlers. Its typings leave them out; the portal's grant needs
// them.

declare module 'oidc-provider/lib/helpers/grants.js' {
  import type { X509Certificate } from 'node:crypto'
  import type Provider from 'oidc-provider'
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export interface DpopProof {
    thumbprint: string
    jti: string
    iat: number
  }
  export function validateDpop(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    applicationToken?: string,
  ): Promise<DpopProof | undefined>
  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: DpopProof | undefined,
    clientId: string,
  ): Promise<void>
  /** The certificate of a client whose tokens are bound to one. */
  export function checkMtlsCert(provider: Provider, ctx: KoaContextWithOIDC): X509Certificate | undefined
  export function checkDpopRequired(provider: Provider, ctx: KoaContextWithOIDC, proof: DpopProof | undefined): void
}

declare module 'oidc-provider/lib/helpers/grant_common.js' {
  import type Provider from 'oidc-provider'
  import type { Grant, KoaContextWithOIDC } from 'oidc-provider'

  export function issueIdToken(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    source: Record<string, unknown>,
    applicationToken: { aud: string },
    grant: Grant,
    scopes: ReadonlySet<string>,
  ): Promise<string | undefined>
}

declare module 'oidc-provider/lib/helpers/weak_cache.js' {
  import type Provider from 'oidc-provider'
  import type { KoaContextWithOIDC } from 'oidc-provider'

  /** The private state of an instance; `registerResponseMode` cannot replace the library's own modes. */
  export default function instance(provider: Provider): {
    responseModes: Map<string, (ctx: KoaContextWithOIDC, uri: string, params: Record<string, string>) => void>
  }
}

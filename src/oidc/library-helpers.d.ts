// The helpers the library's own grant handlers are given. They are not in its typings; a grant of our own needs the same.

declare module 'oidc-provider/lib/helpers/grants.js' {
  import type Provider from 'oidc-provider'
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export interface DpopProof {
    thumbprint: string
    jti: string
    iat: number
  }
  export function validateDpop(provider: Provider, ctx: KoaContextWithOIDC): Promise<DpopProof | undefined>
  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: DpopProof | undefined,
    clientId: string,
  ): Promise<void>
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

  /** What an instance keeps to itself; `registerResponseMode` replaces none of its own. */
  export default function instance(provider: Provider): {
    responseModes: Map<string, (ctx: KoaContextWithOIDC, uri: string, params: Record<string, string>) => void>
  }
}

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
    grantTypeHandlers: Map<string, LibraryStep>
    router: { post(name: string, path: string, ...steps: LibraryStep[]): void }
  }
}

/** A middleware of the library. */
type LibraryStep = (ctx: import('oidc-provider').KoaContextWithOIDC, next: () => Promise<void>) => Promise<void> | void

declare module 'oidc-provider/lib/actions/authorization/claims.js' {
  export const assignClaims: LibraryStep
  export const checkClaims: LibraryStep
  export const checkIdTokenHint: LibraryStep
}

declare module 'oidc-provider/lib/actions/authorization/pushed_authorization_requests.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export function pushedAuthorizationRequestResponse(ctx: KoaContextWithOIDC): Promise<void>
}

declare module 'oidc-provider/lib/actions/authorization/request_parameters.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export function getAuthorizationParams(ctx: KoaContextWithOIDC): Set<string>
  export const assembleAuthorizationParams: LibraryStep
  export const assignDefaults: LibraryStep
  export const checkExtraParams: LibraryStep
  export const checkMaxAge: LibraryStep
  export const checkPrompt: LibraryStep
  export const rejectAuthorizationDupes: LibraryStep
  export const rejectRegistration: LibraryStep
  export const rejectUnsupported: LibraryStep
}

declare module 'oidc-provider/lib/actions/authorization/response_parameters.js' {
  export const checkRedirectUri: LibraryStep
  export const checkResponseType: LibraryStep
}

declare module 'oidc-provider/lib/actions/authorization/scopes.js' {
  export const checkOpenidScope: LibraryStep
  export const checkScope: LibraryStep
}

declare module 'oidc-provider/lib/actions/authorization/sender_constraints.js' {
  export const checkDpopJkt: LibraryStep
  export const checkPKCE: LibraryStep
}

declare module 'oidc-provider/lib/actions/authorization/session.js' {
  export const loadAccount: LibraryStep
  export const loadGrant: LibraryStep
}

declare module 'oidc-provider/lib/helpers/als.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  const als: { run<T>(ctx: KoaContextWithOIDC, work: () => T): T }
  export default als
}

declare module 'oidc-provider/lib/helpers/err_out.js' {
  export default function errOut(error: Error): { error: string; error_description?: string }
}

declare module 'oidc-provider/lib/helpers/process_response_types.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export default function processResponseTypes(ctx: KoaContextWithOIDC): Promise<{ code: string }>
}

declare module 'oidc-provider/lib/shared/assemble_params.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export default function assembleParams(
    allowList: Set<string>,
    ctx: KoaContextWithOIDC,
    next: () => Promise<void>,
  ): Promise<void>
}

declare module 'oidc-provider/lib/shared/check_resource.js' {
  const checkResource: LibraryStep
  export default checkResource
}

declare module 'oidc-provider/lib/shared/client_auth.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export function getClientAuthParams(ctx: KoaContextWithOIDC): Set<string>
  const clientAuth: LibraryStep[]
  export default clientAuth
}

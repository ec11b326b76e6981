import type { IncomingMessage } from 'node:http'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { type ClientCertificate, hasSubject } from '../domain/apps/client-certificates.ts'

/** Reads the certificate that a client showed to the proxy. */
export type FindCertificate = (req: IncomingMessage) => ClientCertificate | null

/** The ways in which a certificate authenticates a client (RFC 8705 §2). */
export const TLS_METHODS = ['tls_client_auth', 'self_signed_tls_client_auth'] as const

/** Whether a client with this authentication method shows a certificate. */
export function isTlsMethod(method: string): boolean {
  return (TLS_METHODS as readonly string[]).includes(method)
}

/**
 * Mutual TLS (RFC 8705) for the library. It is on, too, where no proxy passes certificates on: an app that needs one is refused
 * then, and gets no bearer token instead.
 */
export function mutualTls(find: FindCertificate | null): NonNullable<Configuration['features']>['mTLS'] {
  const shownBy = (ctx: KoaContextWithOIDC) => find?.(ctx.req) ?? null
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => shownBy(ctx)?.certificate,
    certificateAuthorized: (ctx) => shownBy(ctx)?.isVerified === true,
    certificateSubjectMatches(ctx, property, expected) {
      const shown = shownBy(ctx)
      return property === 'tls_client_auth_subject_dn' && shown !== null && hasSubject(shown, expected)
    },
  }
}

/** Metadata that promises no certificates. */
export function withoutCertificates(metadata: object): object {
  const {
    tls_client_certificate_bound_access_tokens: _bound,
    token_endpoint_auth_methods_supported: methods,
    ...rest
  } = metadata as Record<string, unknown>
  return { ...rest, token_endpoint_auth_methods_supported: (methods as string[]).filter((each) => !isTlsMethod(each)) }
}

import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ClientCertificate } from '../../domain/apps/client-certificates.ts'
import type { TrustProxy } from '../../domain/trusted-proxies.ts'
import { createPeerTrust } from './client-ip.ts'

/** The headers in which the proxy passes on what it knows of a client's certificate. */
export interface CertificateHeaders {
  trustProxy: TrustProxy
  /** TLS_CLIENT_CERT_HEADER; null when certificates are not used. */
  certHeader: string | null
  /** TLS_CLIENT_VERIFY_HEADER, which says `SUCCESS` for a chain that the proxy has verified; null for none. */
  verifyHeader: string | null
}

/**
 * Makes the function that reads the certificate a client showed to the proxy (mutual TLS, RFC 8705): as a PEM that is
 * percent-encoded (nginx, Apache, Traefik, Envoy), or as RFC 9440 writes it (`Client-Cert`). Any client can send these headers, so they count only
 * from a trusted proxy, which must set them itself on every request. Null without a certificate, and for anything else.
 */
export function createCertificateReader({
  trustProxy,
  certHeader,
  verifyHeader,
}: CertificateHeaders): (req: IncomingMessage) => ClientCertificate | null {
  const isTrusted = createPeerTrust(trustProxy)
  if (certHeader === null) return () => null
  const [cert, verify] = [certHeader.toLowerCase(), verifyHeader?.toLowerCase()]

  return (req) => {
    const value = req.headers[cert]
    if (typeof value !== 'string' || value === '' || !isTrusted(req)) return null
    const certificate = parse(value)
    if (certificate === null) return null
    return { certificate, isVerified: verify !== undefined && req.headers[verify] === 'SUCCESS' }
  }
}

function parse(value: string): X509Certificate | null {
  try {
    const [, base64] = /^:([A-Za-z0-9+/=]+):$/.exec(value) ?? []
    if (base64 !== undefined) return new X509Certificate(Buffer.from(base64, 'base64'))
    // One certificate: the header of nginx is that of the client alone, without its chain.
    const pem = decodeURIComponent(value)
    return /^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*$/.test(pem) ? new X509Certificate(pem) : null
  } catch {
    return null
  }
}

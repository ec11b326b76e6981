import { once } from 'node:events'
import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls'
import { type Finding, finding } from '../domain/findings.ts'

const TIMEOUT_MS = 5000
const SOON_DAYS = 14
const DAY_MS = 86_400_000

/** Looks at the certificate of an https origin, and at the versions of TLS that its server accepts. @throws Error when it does not answer */
export async function examineCertificate(origin: string, now: Date): Promise<Finding[]> {
  const { hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const options: ConnectionOptions = {
    host,
    port: Number(port || 443),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // What is wrong with it is said below.
    rejectUnauthorized: false,
  }
  const socket = await open(options)
  const certificate = socket.getPeerCertificate()
  // Node.js gives an Error or a code, depending on what is wrong.
  const refusal = socket.authorized
    ? null
    : String((socket.authorizationError as Error & { code?: string }).code ?? socket.authorizationError)
  socket.destroy()

  const expires = new Date(certificate.valid_to)
  const days = Math.floor((expires.getTime() - now.getTime()) / DAY_MS)
  const found: Finding[] = []
  if (days < SOON_DAYS)
    found.push(
      finding(
        'certificate_expires',
        `The certificate of ${host} ${days < 0 ? 'has expired' : `expires in ${days} days`}, at ${expires.toISOString().slice(0, 16)}Z.`,
        `certbot renew --cert-name ${host}`,
        days < 0 ? 'error' : 'warning',
      ),
    )
  if (checkServerIdentity(host, certificate) !== undefined)
    found.push(
      finding(
        'certificate_name',
        `The certificate at ${origin} is for ${certificate.subjectaltname ?? 'no name'}, not for ${host}.`,
        `certbot certonly -d ${host}`,
      ),
    )
  if (refusal !== null && !/EXPIRED|ALTNAME/.test(refusal)) found.push(untrusted(host, refusal))
  if (await acceptsOldTls(options))
    found.push(
      finding('tls_old', `The server of ${host} accepts TLS 1.0 or 1.1 (RFC 8996).`, 'ssl_protocols TLSv1.2 TLSv1.3;'),
    )
  return found
}

function untrusted(host: string, refusal: string): Finding {
  const isIncomplete = /UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/.test(refusal)
  return isIncomplete
    ? finding(
        'certificate_untrusted',
        `The chain of the certificate of ${host} is incomplete, or of an authority that is not known here (${refusal}).`,
        `ssl_certificate /etc/letsencrypt/live/${host}/fullchain.pem;`,
      )
    : finding(
        'certificate_untrusted',
        `The certificate of ${host} is not trusted (${refusal}).`,
        'NODE_EXTRA_CA_CERTS=/etc/ssl/private-ca.pem',
      )
}

async function acceptsOldTls(options: ConnectionOptions): Promise<boolean> {
  try {
    // OpenSSL offers them at security level 0 alone.
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    const socket = await open({ ...options, ...old })
    socket.destroy()
    return true
  } catch {
    return false
  }
}

async function open(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect(options)
  // A reset after the handshake is no news.
  socket.on('error', () => {})
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(TIMEOUT_MS) })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

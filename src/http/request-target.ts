/** The target of a request: its authority, path and query. */
export interface RequestTarget {
  /** Host and port as the client wrote them; null where it sent none. */
  authority: string | null
  /** Path and query, byte for byte. */
  path: string
}

/**
 * Parses the request line and the Host header. The authority of an absolute URI, which clients send to proxies, wins over Host
 * (RFC 9112 §3.2.2). Null for a target that is neither a path nor an absolute http(s) URI.
 */
export function readTarget(target: string, host: string | undefined): RequestTarget | null {
  if (target.startsWith('/')) return { authority: host ?? null, path: target }
  const [, authority, path] = ABSOLUTE.exec(target) ?? []
  if (authority === undefined || path === undefined) return null
  return { authority, path: path.startsWith('/') ? path : `/${path}` }
}

/** The query of a request's URL. */
export function queryOf({ url = '' }: { url?: string | undefined }): URLSearchParams {
  const start = url.indexOf('?')
  return new URLSearchParams(start === -1 ? '' : url.slice(start))
}

const ABSOLUTE = /^https?:\/\/([^/?#\\]*)((?:[/?].*)?)$/is

/**
 * Makes the function that recognises the portal's own authority (RFC 9110 §4.2.3; Host header attacks). Case, the default port,
 * the dot after a complete name and the spelling of an IPv6 address make no difference.
 */
export function recognizeHost(publicUrl: string): (authority: string | null) => boolean {
  const { protocol, host } = new URL(publicUrl)
  const own = normalize(protocol, host)
  return (authority) => authority === host || (authority !== null && normalize(protocol, authority) === own)
}

function normalize(protocol: string, authority: string): string | null {
  if (!AUTHORITY.test(authority)) return null
  return URL.parse(`${protocol}//${authority}`)?.host.replace(/\.(?=:\d+$|$)/, '') ?? null
}

/** A host name or IP address, and perhaps a port; no user name (RFC 9110 §4.2.4). */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::\d*)?$/i

import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { PROBE_HEADER } from '../../domain/keys/probes.ts'
import { compileTrust, type TrustProxy } from '../../domain/trusted-proxies.ts'
import type { Logger } from '../../logger.ts'

/**
 * Makes the function that finds the client's IP address in canonical form (`parseAddress`), so that every rate limit counts it
 * as the same.
 * It is the TCP peer's, or, behind a trusted proxy, the one that X-Forwarded-For names. If that entry is no IP address, it is
 * the peer's. `Forwarded` (RFC 7239) and X-Real-IP are ignored. The function returns null when the client has already closed
 * the connection. Warnings are logged once, because any client can cause them. `onIgnored` is called with the first
 * X-Forwarded-For that is ignored.
 */
export function createClientIpReader(
  trustProxy: TrustProxy,
  logger: Logger,
  onIgnored: () => void = () => {},
): (req: IncomingMessage) => string | null {
  const isTrusted = compileTrust(trustProxy)
  const warned = new Set<string>()
  const warnOnce = (words: string, details: object): boolean => {
    if (warned.has(words)) return false
    warned.add(words)
    logger.warn(details, words)
    return true
  }

  return (req) => {
    const peer = parseAddress(req.socket.remoteAddress ?? '')
    const header = req.headers['x-forwarded-for']
    if (peer === null || header === undefined) return peer
    if (isTrusted === null) {
      const words = 'X-Forwarded-For is ignored while TRUST_PROXY is off: behind a proxy, all clients count as one'
      // A probe of the doctor brings its own.
      if (req.headers[PROBE_HEADER] === undefined && warnOnce(words, { peer })) onIgnored()
      return peer
    }

    let address = peer
    // From the nearest proxy to the client. Any client can write what stands left of the last trusted proxy.
    for (const [distance, entry] of [header].flat().join(',').split(',').toReversed().entries()) {
      if (!isTrusted(address, distance)) break
      const next = parseAddress(entry.replace(/^[ \t]+|[ \t]+$/g, ''))
      if (next === null) {
        warnOnce('X-Forwarded-For holds something other than an IP address: the address of the peer counts instead', {
          peer,
          entry: entry.slice(0, 60),
        })
        return peer
      }
      address = next
    }
    return address
  }
}

/** Makes the function that tells whether a request comes straight from a trusted proxy, whose headers are believed. */
export function createPeerTrust(trustProxy: TrustProxy): (req: IncomingMessage) => boolean {
  const isTrusted = compileTrust(trustProxy)
  return (req) => {
    const peer = parseAddress(req.socket.remoteAddress ?? '')
    return peer !== null && isTrusted?.(peer, 0) === true
  }
}

/**
 * Parses an IPv4 or IPv6 address as gateways write it: alone, in brackets, with a zone, with a port.
 * The result has no port and no zone. It is lower case, in its shortest form (RFC 5952), and IPv4 where the input is
 * IPv4-mapped. Null for anything else.
 */
export function parseAddress(text: string): string | null {
  const [, v4, bracketed, bare] = ADDRESS.exec(text) ?? []
  if (v4 !== undefined) return isIPv4(v4) ? v4 : null
  const v6 = bracketed ?? bare
  if (v6 === undefined || !isIPv6(v6)) return null
  // SocketAddress writes the canonical form.
  const { address } = new SocketAddress({ address: v6, family: 'ipv6' })
  return address.replace(/^::ffff:(?=[\d.]+$)/, '')
}

const ADDRESS =
  /^(?:(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?|\[([\da-f:.]{2,45})(?:%[\w.-]{1,32})?\](?::\d{1,5})?|([\da-f:.]{2,45})(?:%[\w.-]{1,32})?)$/i

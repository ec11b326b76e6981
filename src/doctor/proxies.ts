import { type Finding, finding } from '../domain/findings.ts'
import type { Arrival } from '../domain/keys/probes.ts'
import { compileTrust, type TrustProxy } from '../domain/trusted-proxies.ts'

/** What the doctor itself sends as X-Forwarded-For, as a client that wants to pass for another one (TEST-NET-1, RFC 5737). */
export const MARKER = '192.0.2.51'

/**
 * Compares how the probe arrived with TRUST_PROXY as it is set here. Behind the marker each proxy has added the address that its
 * request came from; where the first one drops what clients send, there is no marker.
 */
export function examineProxies({ forwardedFor, peer, publicUrl }: Arrival, trustProxy: TrustProxy): Finding[] {
  const added = forwardedFor.slice(forwardedFor.lastIndexOf(MARKER) + 1)
  const isTrusted = compileTrust(trustProxy)

  if (added.length === 0) {
    // The portal speaks http alone, so a proxy ends TLS.
    if (publicUrl.startsWith('https:')) return [hidden(peer, isTrusted === null)]
    if (isTrusted === null) return []
    return [wide('There is no proxy in front of the portal, and TRUST_PROXY trusts one.', 'TRUST_PROXY=false')]
  }
  const line = `TRUST_PROXY=${added.length}`
  const addresses = [...added.slice(1), peer]
  const chain = `${added.length === 1 ? 'one proxy' : `${added.length} proxies`} (${addresses.join(', ')})`
  if (isTrusted === null)
    return [
      finding('trust_proxy_off', `There is ${chain}, and TRUST_PROXY is off: all clients count as ${peer}.`, line),
    ]

  // By its address the doctor itself may be trusted, which is no fault.
  if (isTrusted(MARKER, added.length))
    return [wide(`TRUST_PROXY=${trustProxy} trusts more than ${chain}: a client can choose its IP address.`, line)]
  if (countTrusted([...added, peer], isTrusted) >= added.length) return []
  const short = `There is ${chain}, and TRUST_PROXY=${trustProxy} trusts less: clients count as the address of a proxy.`
  const known = typeof trustProxy === 'string' ? trustProxy.split(',').map((each) => each.trim()) : []
  return [
    finding(
      'trust_proxy_short',
      short,
      known.length === 0 ? line : `TRUST_PROXY=${[...new Set([...known, ...addresses])].join(',')}`,
    ),
  ]
}

/** How many addresses of this way are believed, from the peer, which is the last one, on. */
function countTrusted(way: string[], isTrusted: (address: string, distance: number) => boolean): number {
  const untrusted = way.toReversed().findIndex((address, distance) => !isTrusted(address, distance))
  return untrusted === -1 ? way.length : untrusted
}

function hidden(peer: string, isOff: boolean): Finding {
  return finding(
    'proxy_hides_client',
    isOff
      ? `The proxy at ${peer} does not say in X-Forwarded-For who its client is: all clients count as one.`
      : `The proxy at ${peer} passes on the X-Forwarded-For of the client as it is: any client can choose its IP address.`,
    'proxy_set_header X-Forwarded-For $remote_addr;',
  )
}

function wide(sentence: string, change: string): Finding {
  return finding('trust_proxy_wide', sentence, change)
}

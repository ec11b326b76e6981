import proxyAddr from 'proxy-addr'

/** The value of `TRUST_PROXY`: every proxy, none, the last n, or those with these IP addresses (comma-separated). */
export type TrustProxy = boolean | number | string

/**
 * The condition that what an address says in X-Forwarded-For is believed. `distance` is 0 for the peer, and one more for each
 * proxy behind it. Null when no proxy is trusted.
 */
export function compileTrust(trustProxy: TrustProxy): ((address: string, distance: number) => boolean) | null {
  if (typeof trustProxy === 'number') return trustProxy === 0 ? null : (_address, distance) => distance < trustProxy
  if (typeof trustProxy === 'boolean') return trustProxy ? () => true : null
  return proxyAddr.compile(trustProxy.split(',').map((network) => network.trim()))
}

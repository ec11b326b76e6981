import { isIPv4, isIPv6 } from 'node:net'

/**
 * The key under which attempts from an IP address are counted and blocked. An IPv4 address is its own key, also when it is
 * written as IPv6. An IPv6 address counts as its /64, which one customer has: the key is its first address and `/64`. Any other
 * text is its own key.
 */
export function ipKey(ipAddress: string): string {
  const bare = ipAddress.trim().replace(/%.*$/, '').replace(/\/64$/, '')
  if (isIPv4(bare) || !isIPv6(bare)) return bare
  const groups = groupsOf(bare)
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xff_ff) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  }
  const network = groups.slice(0, 4).map((group) => group.toString(16))
  return `${canonical(`${network.join(':')}::`)}/64`
}

/** True for an IP address, and for an IPv6 network that `ipKey` has made. */
export function isIpAddress(text: string): boolean {
  const key = ipKey(text)
  return isIPv4(key) || key.endsWith('/64')
}

function groupsOf(ipAddress: string): number[] {
  const [before = '', after] = canonical(ipAddress).split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
}

/** The one way to write it (RFC 5952), which URLs use. */
function canonical(ipAddress: string): string {
  return new URL(`http://[${ipAddress}]`).hostname.slice(1, -1)
}

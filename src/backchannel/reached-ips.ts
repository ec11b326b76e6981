import ipaddr from 'ipaddr.js'

/**
 * SSRF guard: the IP addresses at which a packet to this one may arrive. An IPv6 address that carries IPv4 addresses leads to
 * those; any other leads to itself.
 */
export function reachedIps(address: string): string[] {
  const bare = address.replace(/%.*$/, '')
  const parsed = ipaddr.parse(bare)
  const bytes = parsed.toByteArray()
  const carried = parsed.kind() === 'ipv4' ? [] : CARRIERS.flatMap((carrier) => carrier(bytes))
  return carried.length === 0 ? [bare] : carried.map((each) => each.join('.'))
}

/** True for an IP address that is neither private nor reserved. */
export function isPublic(address: string): boolean {
  return ipaddr.parse(address).range() === 'unicast'
}

/** Each reads the IPv4 addresses out of the 16 bytes of an IPv6 address, for one way to embed them. */
const CARRIERS: ((bytes: number[]) => number[][])[] = [
  // IPv4-compatible (RFC 4291 §2.5.5.1), which leaves out :: and ::1.
  (bytes) => (begins(bytes, '000000000000000000000000') && (bytes[12] ?? 0) > 0 ? [bytes.slice(12)] : []),
  // IPv4-mapped (RFC 4291 §2.5.5.2) and IPv4-translated (RFC 7915).
  (bytes) => (begins(bytes, '00000000000000000000ffff') ? [bytes.slice(12)] : []),
  (bytes) => (begins(bytes, '0000000000000000ffff0000') ? [bytes.slice(12)] : []),
  // NAT64 with the well-known prefix (RFC 6052 §2.1) and with a local one (RFC 8215), whose length is unknown.
  (bytes) => (begins(bytes, '0064ff9b0000000000000000') ? [bytes.slice(12)] : []),
  (bytes) =>
    begins(bytes, '0064ff9b0001')
      ? LOCAL_NAT64.map((places) => places.map((place) => bytes[place] ?? 0)).filter(isAssigned)
      : [],
  // 6to4 (RFC 3056).
  (bytes) => (begins(bytes, '2002') ? [bytes.slice(2, 6)] : []),
  // Teredo: the server, and the client behind its NAT, inverted (RFC 4380 §4).
  (bytes) => (begins(bytes, '20010000') ? [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)] : []),
  // ISATAP (RFC 5214 §6.1).
  (bytes) => (/^0[02]005efe/.test(hexOf(bytes.slice(8))) ? [bytes.slice(12)] : []),
]

/** Where an IPv4 address stands behind a prefix of 48, 56, 64 or 96 bits (RFC 6052 §2.2). */
const LOCAL_NAT64 = [
  [6, 7, 9, 10],
  [7, 9, 10, 11],
  [9, 10, 11, 12],
  [12, 13, 14, 15],
]

/** 0.0.0.0/8 is not assigned, so the IPv4 address is embedded elsewhere. */
function isAssigned([first = 0]: number[]): boolean {
  return first > 0
}

function begins(bytes: number[], prefix: string): boolean {
  return hexOf(bytes).startsWith(prefix)
}

function hexOf(bytes: number[]): string {
  return Buffer.from(bytes).toString('hex')
}

import { writeFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'

/** By language. */
type Names = Record<string, string>

export interface PlaceNames {
  city?: string | Names
  country?: string | Names
}

/** A node of the tree: for the next bit 0 and 1, another node, the offset of a location, or nothing. */
type Node = [Branch, Branch]
type Branch = Node | number | null

/**
 * Writes a MaxMind DB file (format 2.0, GeoIP) with the locations of networks, each as an IP address and a prefix length:
 * `203.0.113.0/24`, `2001:db8::/32`. Only an IPv6 tree holds both kinds.
 */
export function writePlaceDatabase(
  path: string,
  networks: Record<string, PlaceNames>,
  { recordSize = 24, ipVersion = 6 }: { recordSize?: 24 | 28 | 32; ipVersion?: 4 | 6 } = {},
): void {
  const root: Node = [null, null]
  const places: Buffer[] = []
  let offset = 0
  for (const [network, names] of Object.entries(networks)) {
    const [address = '', length = ''] = network.split('/')
    const bits = bitsOf(address, ipVersion)
    insert(root, bits.slice(0, bits.length - (isIPv4(address) ? 32 : 128) + Number(length)), offset)
    const place = encode({
      ...(names.city === undefined ? {} : { city: { names: namesOf(names.city) } }),
      ...(names.country === undefined ? {} : { country: { names: namesOf(names.country) } }),
    })
    places.push(place)
    offset += place.length
  }

  const nodes = listNodes(root)
  const metadata = {
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Test-City',
    description: { en: 'places of tests' },
    ip_version: ipVersion,
    languages: ['en'],
    node_count: nodes.length,
    record_size: recordSize,
  }
  const marker = Buffer.from('\u00ab\u00cd\u00efMaxMind.com', 'latin1')
  const separator = Buffer.alloc(SEPARATOR)
  writeFileSync(path, Buffer.concat([...encodeTree(nodes, recordSize), separator, ...places, marker, encode(metadata)]))
}

/** Zeros between the tree and the locations. */
const SEPARATOR = 16

/** IPv4 is at `::/96` of an IPv6 tree. */
function bitsOf(address: string, ipVersion: 4 | 6): string {
  if (isIPv4(address)) {
    const bits = address.split('.').map((part) => Number(part).toString(2).padStart(8, '0'))
    return (ipVersion === 6 ? '0'.repeat(96) : '') + bits.join('')
  }
  const [left = '', right = ''] = address.split('::')
  const groups = (part: string) => part.split(':').filter((group) => group !== '')
  const missing = 8 - groups(left).length - groups(right).length
  const all = [...groups(left), ...Array.from({ length: missing }, () => '0'), ...groups(right)]
  return all.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
}

function insert(root: Node, bits: string, place: number): void {
  let node = root
  for (const [index, bit] of [...bits].entries()) {
    const side = bit === '1' ? 1 : 0
    if (index === bits.length - 1) node[side] = place
    else {
      const next = node[side]
      node = Array.isArray(next) ? next : (node[side] = [null, null])
    }
  }
}

function listNodes(root: Node): Node[] {
  const nodes = [root]
  for (const node of nodes) nodes.push(...node.filter((branch) => Array.isArray(branch)))
  return nodes
}

function encodeTree(nodes: Node[], recordSize: 24 | 28 | 32): Buffer[] {
  const numbers = new Map(nodes.map((node, number) => [node, number]))
  const valueOf = (branch: Branch): number => {
    if (branch === null) return nodes.length
    return typeof branch === 'number' ? nodes.length + SEPARATOR + branch : (numbers.get(branch) as number)
  }
  return nodes.map(([zero, one]) => {
    const hex = [zero, one].map((branch) =>
      valueOf(branch)
        .toString(16)
        .padStart(recordSize / 4, '0'),
    ) as [string, string]
    // Of 28 bits, the first four of both are in the byte in the middle.
    const [left, right] = hex
    return Buffer.from(recordSize === 28 ? left.slice(1) + left[0] + right : left + right, 'hex')
  })
}

type Value = string | number | Value[] | { [name: string]: Value }

/** The needed types: string (2), uint32 (6), map (7), array (11). */
function encode(value: Value): Buffer {
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  if (typeof value === 'string') {
    const bytes = Buffer.from(value)
    return Buffer.concat([control(2, bytes.length), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...value.map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([name, each]) => [encode(name), encode(each)])])
}

function namesOf(name: string | Names): Names {
  return typeof name === 'string' ? { en: name } : name
}

/** Type and size in one byte; sizes from 29 and types from 8 take one more. */
function control(type: number, size: number): Buffer {
  if (size >= 29 + 256) throw new Error('nothing in a test is that long')
  const first = Math.min(size, 29)
  const more = size >= 29 ? [size - 29] : []
  return type <= 7 ? Buffer.from([(type << 5) | first, ...more]) : Buffer.from([first, type - 7, ...more])
}

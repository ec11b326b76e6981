import type { Entry } from 'ldapts'

/** The values of an attribute, as text. Names of attributes are the same in any case (RFC 4512 §2.5). */
export function valuesOf(entry: Entry, attribute: string): string[] {
  return bytesOf(entry, attribute).map((bytes) => bytes.toString('utf8'))
}

export function valueOf(entry: Entry, attribute: string): string | null {
  return valuesOf(entry, attribute).find((value) => value !== '') ?? null
}

export function bytesOf(entry: Entry, attribute: string): Buffer[] {
  const wanted = attribute.toLowerCase()
  const name = Object.keys(entry).find((each) => each !== 'dn' && each.toLowerCase() === wanted)
  const values = name === undefined ? [] : [entry[name] ?? []].flat()
  return values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value))
}

import { hash, type X509Certificate } from 'node:crypto'

/** The certificate that a client showed to the proxy, which ends TLS (mutual TLS, RFC 8705). */
export interface ClientCertificate {
  certificate: X509Certificate
  /** The proxy has verified its chain. */
  isVerified: boolean
}

/** The thumbprint of a certificate that tokens are bound to (`x5t#S256`, RFC 8705 §3.1). */
export function thumbprintOf(certificate: X509Certificate): string {
  return hash('sha256', certificate.raw, 'base64url')
}

/** What is wrong with the subject of a certificate, as it is registered. */
export function subjectFaults(subject: string | null): string[] {
  const isReadable = subject === null || (subject.length <= LONGEST_NAME && namesIn(subject) !== null)
  return isReadable ? [] : ['the subject of a certificate is written as in RFC 4514, such as CN=my-app,O=Example']
}

const LONGEST_NAME = 1000

/**
 * Whether the certificate has this subject (RFC 8705 §2.1.2). The names are compared as RFC 4514 reads them: the spelling of
 * attribute types, escapes, and the order within a part make no difference. Values must be equal.
 */
export function hasSubject({ certificate }: ClientCertificate, subject: string): boolean {
  // Node.js writes one part a line, escaped as in RFC 4514, and in the opposite order.
  const shown = namesIn((certificate.subject ?? '').split('\n').toReversed().join(','))
  const registered = namesIn(subject)
  return shown !== null && registered !== null && shown === registered
}

/** `type = value`, up to the next separator. A value contains separators only escaped. */
const ATTRIBUTE = /\s*([a-z][a-z0-9-]*|\d+(?:\.\d+)+)\s*=((?:[^\\,+]|\\[\da-f]{2}|\\[^\da-f])*)(,|\+|$)/iy

/** A distinguished name in a form of its own, in which equal names are equal. Null for what is none. */
function namesIn(text: string): string | null {
  const parts: string[][] = [[]]
  ATTRIBUTE.lastIndex = 0
  let separator = ','
  while (separator !== '') {
    const [, type, value = '', next = ''] = ATTRIBUTE.exec(text) ?? []
    if (type === undefined) return null
    const name = type.toLowerCase()
    parts.at(-1)?.push(`${TYPES[name] ?? name}=${unescaped(value)}`)
    if (next === ',') parts.push([])
    separator = next
  }
  return JSON.stringify(parts.map((part) => part.toSorted()))
}

function unescaped(value: string): string {
  const trimmed = value.trimStart().replace(/(?<!\\) +$/, '')
  const bytes = Array.from(trimmed.matchAll(/\\([\da-f]{2})|\\?([^])/giu), ([, hex, character]) =>
    hex === undefined ? Buffer.from(character as string) : Buffer.from(hex, 'hex'),
  )
  return Buffer.concat(bytes).toString()
}

/** Other spellings of attribute types (RFC 4514 §3, and those of OpenSSL, Java and Windows). */
const TYPES: Record<string, string | undefined> = {
  '2.5.4.3': 'cn',
  '2.5.4.5': 'serialnumber',
  '2.5.4.6': 'c',
  '2.5.4.7': 'l',
  '2.5.4.8': 'st',
  s: 'st',
  '2.5.4.9': 'street',
  '2.5.4.10': 'o',
  '2.5.4.11': 'ou',
  '0.9.2342.19200300.100.1.1': 'uid',
  '0.9.2342.19200300.100.1.25': 'dc',
  '1.2.840.113549.1.9.1': 'emailaddress',
  e: 'emailaddress',
  email: 'emailaddress',
}

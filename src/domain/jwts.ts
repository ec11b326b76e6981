import { type SigningKey, signWith } from './signing-keys.ts'

/**
 * A signed JWT (RFC 7519) that says what it is (`typ`, RFC 8725 §3.11), so that none is taken for another. Only an ID token has
 * no type.
 */
export function signJwt(key: SigningKey, typ: string | undefined, claims: object): string {
  const input = `${headerOf(key, typ)}.${encode(claims)}`
  return `${input}.${signWith(key, input).toString('base64url')}`
}

/** The protocol library writes the same header in the same order, so a token of ours begins with this very text. */
export function headerOf(key: SigningKey, typ: string | undefined): string {
  const known = headers.get(key)?.get(typ)
  if (known !== undefined) return known
  const header = encode({ alg: key.alg, typ, kid: key.kid })
  headers.set(key, new Map(headers.get(key)).set(typ, header))
  return header
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

const headers = new WeakMap<SigningKey, Map<string | undefined, string>>()

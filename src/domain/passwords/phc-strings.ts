/** A hash in the PHC string format, `$id$v=19$name=value,name=value$salt$hash`, with its bytes decoded. */
export interface PhcString {
  id: string
  /** Null where there is none. */
  version: number | null
  parameters: Map<string, string>
  salt: Buffer
  hash: Buffer
}

/** The longest salt, hash and key (bytes). */
const LONGEST = 128

/** Null for what is no such string. Passlib's Base64, which has a dot for the plus, is read too. */
export function readPhcString(text: string): PhcString | null {
  const [, id, version, parameters, salt, hash] = PHC_STRING.exec(text) ?? []
  if (id === undefined) return null
  const pairs = (parameters as string).split(',').map((pair) => {
    const at = pair.indexOf('=')
    return [pair.slice(0, at), pair.slice(at + 1)] as const
  })
  const read = {
    id,
    version: version === undefined ? null : Number(version),
    parameters: new Map(pairs),
    salt: bytesOf(salt as string),
    hash: bytesOf(hash as string),
  }
  const isOnce = read.parameters.size === pairs.length
  return isOnce && read.salt !== null && read.hash !== null ? (read as PhcString) : null
}

const PHC_STRING = /^\$([a-z0-9-]{1,32})(?:\$v=(\d{1,3}))?\$([a-z]+=[^,$]+(?:,[a-z]+=[^,$]+)*)\$([^$]*)\$([^$]*)$/

/** A parameter that is a whole number without a sign; null where it is missing or something else. */
export function numberOf({ parameters }: PhcString, name: string): number | null {
  const value = parameters.get(name)
  return value !== undefined && /^(0|[1-9]\d{0,9})$/.test(value) ? Number(value) : null
}

/** What Base64 of any dialect says, with or without padding; null for what is none, or is too long. */
export function bytesOf(base64: string): Buffer | null {
  const plain = base64
    .replaceAll(/[.-]/g, '+')
    .replaceAll('_', '/')
    .replace(/={1,2}$/, '')
  if (!/^[A-Za-z\d+/]*$/.test(plain) || plain.length % 4 === 1) return null
  const bytes = Buffer.from(plain, 'base64')
  return bytes.length > LONGEST ? null : bytes
}

/** Base64 without padding, as the format has it. */
export function base64Of(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

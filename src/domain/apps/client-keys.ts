import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { isLoopback } from '../../config.ts'
import { plainUrl } from './redirect-uris.ts'
import { at, type Fault } from './setting-faults.ts'

/** The public keys of an app or an API, as JWK Set (RFC 7517 §5). */
export interface KeySet {
  keys: JsonWebKey[]
}

/** How a client authenticates (RFC 7591 §2, RFC 8705 §2). `client_secret_basic` allows `client_secret_post`, too. */
export const AUTH_METHODS = [
  'client_secret_basic',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const
export type AuthMethod = (typeof AUTH_METHODS)[number]

/** The settings of client authentication that apps and APIs have in common. */
export interface ClientKeySettings {
  authMethod: string
  jwks: unknown
  jwksUri: string | null
}

/** Whether the client has a secret. */
export function hasSecret({ authMethod }: Pick<ClientKeySettings, 'authMethod'>): boolean {
  return authMethod === 'client_secret_basic'
}

const MOST_KEYS = 20
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** What is wrong with the keys, and with the way of authentication that needs them. */
export function keyFaults({ authMethod, jwks, jwksUri }: ClientKeySettings): Fault[] {
  const faults: Fault[] = []
  if (!(AUTH_METHODS as readonly string[]).includes(authMethod))
    faults.push(...at('authMethod', [`a client authenticates with one of ${AUTH_METHODS.join(', ')}`]))
  if (jwks !== null && jwksUri !== null)
    faults.push(...at('jwksUri', ['keys are either in a file or at a URI, not both']))
  if (needsKeys(authMethod) && jwks === null && jwksUri === null)
    faults.push(...at('jwks', [`${authMethod} needs public keys (--jwks-file or --jwks-uri)`]))
  if (jwks !== null) faults.push(...at('jwks', keySetFaults(jwks)))
  if (jwksUri !== null) faults.push(...at('jwksUri', keyUriFaults(jwksUri)))
  return faults
}

function needsKeys(authMethod: string): boolean {
  return authMethod === 'private_key_jwt' || authMethod === 'self_signed_tls_client_auth'
}

/** Only public keys of asymmetric algorithms: the portal must not know a secret that proves the client. */
function keySetFaults(jwks: unknown): string[] {
  const keys = (jwks as KeySet | null)?.keys
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MOST_KEYS)
    return [`a JWK set has 1 to ${MOST_KEYS} keys, in an array named keys (RFC 7517 §5)`]
  return keys.flatMap((key, index) => {
    const fault = keyFault(key)
    return fault === null ? [] : [`key ${index + 1} of the JWK set: ${fault}`]
  })
}

function keyFault(key: unknown): string | null {
  if (typeof key !== 'object' || key === null) return 'is not a JWK'
  if (isSecret(key)) return 'contains a private or secret key; register public keys only'
  if (!isWellNamed(key)) return 'has a kid, use, alg or x5c that is not text'
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
    const { modulusLength } = asymmetricKeyDetails ?? {}
    if (asymmetricKeyType === 'rsa') return (modulusLength ?? 0) >= 2048 ? null : 'an RSA key has 2048 bits or more'
    return ['ec', 'ed25519'].includes(asymmetricKeyType ?? '') ? null : 'is of a type that signs nothing'
  } catch {
    return 'cannot be read as a public key'
  }
}

function isSecret(key: object): boolean {
  return SECRET_MEMBERS.some((member) => member in key)
}

/** The members that choose a key for a signature (RFC 7517 §4), where it has them. */
function isWellNamed(key: object): boolean {
  const { kid, use, alg, x5c } = key as Record<string, unknown>
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  return (
    [kid, use, alg].every((value) => value === undefined || isText(value)) &&
    (x5c === undefined || (Array.isArray(x5c) && x5c.every(isText)))
  )
}

/**
 * Reads a JWK set that was fetched. Keys of unknown kinds are left out (RFC 7517 §5).
 * @returns a sentence about the whole set when it is refused
 */
export function readFetchedKeys(text: string): KeySet | string {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    return 'did not answer with JSON'
  }
  const keys: unknown = (set as KeySet | null)?.keys
  if (!Array.isArray(keys)) return 'did not answer with a JWK set'
  if (keys.length > MOST_KEYS) return `has more than ${MOST_KEYS} keys`
  if (keys.some((key: unknown) => typeof key === 'object' && key !== null && isSecret(key)))
    return 'publishes a private or secret key'
  return { keys: (keys as JsonWebKey[]).filter((key) => keyFault(key) === null) }
}

/** Which networks may be reached is decided when it is fetched (SSRF guard). */
function keyUriFaults(uri: string): string[] {
  const refused = (why: string) => [`JWKS URI ${JSON.stringify(uri)}: ${why}`]
  const url = plainUrl(uri)
  if (typeof url === 'string') return refused(url)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return []
  return refused('must begin with https://')
}

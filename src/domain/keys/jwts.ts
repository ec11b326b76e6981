import { timingSafeEqual } from 'node:crypto'
import {
  type KeyRing,
  type SigningAlg,
  signInBackground,
  type SigningKey,
  signWith,
  type VerificationKey,
  verifiesWith,
} from './signing-keys.ts'
import { authenticateWith, SHARED_ALG, type SharedKey } from './shared-keys.ts'
import { epochSeconds } from '../time.ts'
import type { VerifiedTokens } from './verified-tokens.ts'

/**
 * Every kind of JWT that the portal signs, by its `typ` (RFC 8725 §3.11). Only ID tokens have none, as the library signs them,
 * so that none of the others passes for one.
 */
const TYPES = {
  application: 'at+jwt',
  id: undefined,
  logout: 'logout+jwt',
  event: 'secevent+jwt',
  revocations: 'revocations+jwt',
  introspection: 'token-introspection+jwt',
} as const

export type JwtKind = keyof typeof TYPES

/** Application tokens are signed with this, but for APIs that want another; ID tokens with the algorithm of their app. */
export const APPLICATION_ALG: SigningAlg = 'ES256'

/** The portal verifies only kinds that expire. */
export type JwtClaims = Record<string, unknown> & { exp: number }

/** A signed JWT (RFC 7519) of this kind. */
export function signJwt(key: SigningKey | SharedKey, kind: JwtKind, claims: object): string {
  const input = `${headerOf(key, kind)}.${encode(claims)}`
  const signature = key.alg === SHARED_ALG ? authenticateWith(key, input) : signWith(key, input)
  return `${input}.${signature.toString('base64url')}`
}

/** The same without blocking, also with a key whose signatures take long (RSA). */
export async function signJwtInBackground(key: SigningKey | SharedKey, kind: JwtKind, claims: object): Promise<string> {
  if (key.alg === SHARED_ALG) return signJwt(key, kind, claims)
  const input = `${headerOf(key, kind)}.${encode(claims)}`
  return `${input}.${(await signInBackground(key, input)).toString('base64url')}`
}

/** What tokens are verified with: the key ring, the issuer, and the time. */
interface Verifier {
  keys: KeyRing
  publicUrl: string
  clock: () => Date
}

/**
 * The claims of a JWT that this portal has signed as this kind; null for anything else. Of the header only our own spelling is
 * accepted (RFC 8725 §3.1): no algorithm, key or extension that a token names has any effect. The key is looked up every time,
 * so a revoked key verifies no token, not even one in the cache `verified`. The caller checks times and audience.
 */
export function verifyJwt(
  portal: Verifier,
  token: string,
  kind: JwtKind,
  verified: VerifiedTokens<JwtClaims> | null = null,
): JwtClaims | null {
  const parts = token.split('.')
  if (parts.length !== 3) return null
  const [header, payload, signature] = parts as [string, string, string]
  const key = keysFor(portal, kind).find((candidate) => headerOf(candidate, kind) === header)
  if (key === undefined) return null
  const known = verified?.find(token) ?? null
  if (known !== null) return known

  const raw = Buffer.from(signature, 'base64url')
  // Decoding forgives padding and spare bits; a token has one spelling.
  if (raw.toString('base64url') !== signature) return null
  if (!verifiesWith(key, `${header}.${payload}`, raw)) return null

  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JwtClaims
  if (claims['iss'] !== portal.publicUrl) return null
  verified?.keep(token, claims, epochSeconds(portal.clock()))
  return claims
}

/**
 * The same for a JWT that was signed with the key that an app shares with the portal. The app can sign whatever it likes with that
 * key, so the caller lets the claims say nothing but what concerns this app alone, and checks their types.
 */
export function verifySharedJwt(
  { publicUrl }: Pick<Verifier, 'publicUrl'>,
  key: SharedKey,
  token: string,
  kind: JwtKind,
): Record<string, unknown> | null {
  const parts = token.split('.')
  if (parts.length !== 3) return null
  const [header, payload, signature] = parts as [string, string, string]
  if (header !== headerOf(key, kind)) return null
  const expected = Buffer.from(authenticateWith(key, `${header}.${payload}`).toString('base64url'))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const claims = claimsIn(payload)
  return claims?.['iss'] === publicUrl ? claims : null
}

/** What a token says of itself when it says that it was signed with a shared key; nothing of it is proved. Null for any other. */
export function claimsOfShared(token: string): Record<string, unknown> | null {
  const [header, payload] = token.split('.')
  return header?.startsWith(SHARED_BEGIN) === true && payload !== undefined ? claimsIn(payload) : null
}

/** How every header begins that is signed with a shared key. */
const SHARED_BEGIN = Buffer.from(`{"alg":"${SHARED_ALG}"`).toString('base64url').slice(0, -1)

function claimsIn(payload: string): Record<string, unknown> | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims)
      ? (claims as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** An ID token may be shown as a hint long after its key was replaced; nothing else outlives its key. */
function keysFor({ keys }: Verifier, kind: JwtKind): VerificationKey[] {
  return kind === 'id' ? keys.remembered() : keys.published()
}

/** The protocol library writes the same header in the same order, so every token of the portal begins with exactly this text. */
function headerOf(key: VerificationKey | SharedKey, kind: JwtKind): string {
  const known = headers.get(key)?.get(kind)
  if (known !== undefined) return known
  const header = encode({ alg: key.alg, typ: TYPES[kind], kid: key.kid })
  headers.set(key, new Map(headers.get(key)).set(kind, header))
  return header
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

const headers = new WeakMap<VerificationKey | SharedKey, Map<JwtKind, string>>()

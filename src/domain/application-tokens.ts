import { randomUUID } from 'node:crypto'
import { type FamilyRow, findLivingFamily, type Rotated } from './families.ts'
import { headerOf, signJwt } from './jwts.ts'
import type { Portal } from './portal.ts'
import { verifiesWith } from './signing-keys.ts'
import { epochSeconds } from './time.ts'

/** RFC 9068 §2.1. */
const TYP = 'at+jwt'

/** The claims of an application token (RFC 9068 §2.2), with the roles of the identity and the family it belongs to. */
export interface ApplicationTokenClaims {
  iss: string
  sub: string
  aud: string
  client_id: string
  iat: number
  exp: number
  jti: string
  scope: string
  roles: string[]
  /** Counts the changes of the roles. */
  claims_version: number
  fam: string
  /** How and when the person signed in for this family (RFC 9068 §2.2.1); a refresh does not change it. */
  auth_time: number
  acr?: string
  amr: string[]
  /** Thumbprint of the key the token is bound to (RFC 9449 §6.1). */
  cnf?: { jkt: string }
}

export interface ApplicationTokenSubject {
  identityId: string
  clientId: string
  familyId: string
  audience: string
  scope: string
  roles: string[]
  claimsVersion: number
  /** Seconds since 1970. */
  authTime: number
  acr: string | null
  amr: string[]
  jkt: string | null
}

/** `ttl` in seconds; null takes the portal's. */
export function applicationTokenClaims(
  portal: Portal,
  subject: ApplicationTokenSubject,
  ttl: number | null,
  issuedAt = portal.clock(),
): ApplicationTokenClaims {
  const iat = epochSeconds(issuedAt)
  return {
    iss: portal.publicUrl,
    sub: subject.identityId,
    aud: subject.audience,
    client_id: subject.clientId,
    iat,
    exp: iat + (ttl ?? portal.lifetimes.applicationToken),
    jti: randomUUID(),
    scope: subject.scope,
    roles: subject.roles,
    claims_version: subject.claimsVersion,
    fam: subject.familyId,
    auth_time: subject.authTime,
    ...(subject.acr === null ? {} : { acr: subject.acr }),
    amr: subject.amr,
    ...(subject.jkt === null ? {} : { cnf: { jkt: subject.jkt } }),
  }
}

/** The next application token of a family, signed, and how long it lives (seconds). */
export function mintApplicationToken(
  portal: Portal,
  { family, issuedAt }: Pick<Rotated, 'family' | 'issuedAt'>,
  scope: string,
  jkt: string | null,
): { token: string; expiresIn: number } {
  const claims = applicationTokenClaims(
    portal,
    { ...family, familyId: family.id, scope, jkt },
    family.applicationTokenTtl,
    issuedAt,
  )
  return { token: signApplicationToken(portal, claims), expiresIn: claims.exp - claims.iat }
}

export function signApplicationToken(portal: Portal, claims: ApplicationTokenClaims): string {
  return signJwt(portal.keys.signer('ES256'), TYP, claims)
}

export interface FoundApplicationToken {
  claims: ApplicationTokenClaims
  family: FamilyRow
  /** Its claims are not true any more; the family's next token has the ones that are. */
  isStale: boolean
}

/**
 * What the portal itself says of an application token: its claims and its family, or null when the signature, the time
 * or the family does not hold. APIs verify offline; this is stronger, because it sees a family that has just ended.
 */
export async function findApplicationToken(portal: Portal, token: string): Promise<FoundApplicationToken | null> {
  const claims = verifiedClaims(portal, token)
  if (claims === null || claims.exp <= epochSeconds(portal.clock())) return null
  const family = await findLivingFamily(portal, claims.fam)
  if (family === null) return null
  return { claims, family, isStale: isStale(claims, family) }
}

function isStale(claims: ApplicationTokenClaims, { staleSince, oldestValidVersion }: FamilyRow): boolean {
  const version = claims.claims_version as number | undefined
  if (version !== undefined) return version < oldestValidVersion
  // From before there were versions: everything from up to the second of the change.
  return staleSince !== null && claims.iat <= epochSeconds(staleSince)
}

/** Only our own header is read (RFC 8725 §3.1): type, algorithm and a key id of ours, nothing else of it has any effect. */
function verifiedClaims(portal: Portal, token: string): ApplicationTokenClaims | null {
  const parts = token.split('.')
  if (parts.length !== 3) return null
  const [header, payload, signature] = parts as [string, string, string]
  const key = portal.keys
    .published()
    .find((candidate) => candidate.alg === 'ES256' && headerOf(candidate, TYP) === header)
  if (key === undefined) return null
  const raw = Buffer.from(signature, 'base64url')
  // Decoding forgives padding and spare bits; a token has one spelling.
  if (raw.toString('base64url') !== signature) return null
  const holds = verifiesWith(key, `${header}.${payload}`, raw)
  return holds ? (JSON.parse(Buffer.from(payload, 'base64url').toString()) as ApplicationTokenClaims) : null
}

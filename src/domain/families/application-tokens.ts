import { randomUUID } from 'node:crypto'
import {
  findIntrospected,
  findIntrospectedByApi,
  findPersonOf,
  type Freshness,
  type Person,
} from '../../storage/application-tokens.ts'
import { areCallersEnabled } from '../../storage/token-callers.ts'
import type { AppProof } from '../../storage/apps.ts'
import { configuredClaims, rolesIn, sourceOf, type WantedClaims } from '../identities/claims.ts'
import { subjectOf } from '../identities/subjects.ts'
import { type FamilyRow, findFamily, findLivingFamily, isLiving, momentOf, type Rotated } from './families.ts'
import { findApp } from '../../storage/apps.ts'
import {
  APPLICATION_ALG,
  claimsOfShared,
  type JwtClaims,
  signJwt,
  signJwtInBackground,
  verifyJwt,
  verifySharedJwt,
} from '../keys/jwts.ts'
import { type KeyOwner, SHARED_ALG, sharedKeyOf, signerFor } from '../keys/shared-keys.ts'
import type { CommonTokenClaims, ServiceTokenClaims } from '../service-token-claims.ts'
import type { Services } from '../services.ts'
import type { KeyRing, SigningAlg } from '../keys/signing-keys.ts'
import { epochSeconds } from '../time.ts'
import { isUuid } from '../uuid.ts'
import { VerifiedTokens } from '../keys/verified-tokens.ts'

export type { Person }

/**
 * The claims of an application token: the OAuth access token, an RFC 9068 JWT. They add the roles of the identity and the
 * family it belongs to.
 */
export interface ApplicationTokenClaims extends CommonTokenClaims {
  roles: string[]
  /** Counts the changes of the roles. */
  claims_version: number
  fam: string
  /** How and when the person signed in for this family (RFC 9068 §2.2.1); a refresh does not change it. */
  auth_time: number
  acr?: string
  amr: string[]
  /** Of a token from an exchange: the app that got it, and those before it. */
  act?: Actor
  /** What its app has configured (`--application-token-claims`). */
  [claim: string]: unknown
}

/** An app that acts for the user, and the one that acted before it (RFC 8693 §4.1). */
export interface Actor {
  /** Its client id. */
  sub: string
  act?: Actor
}

/** The client ids of a chain of actors, the last one first. */
export function actorsOf(actor: Actor | undefined): string[] {
  return actor === undefined ? [] : [actor.sub, ...actorsOf(actor.act)]
}

export interface ApplicationTokenSubject {
  identityId: string
  clientId: string
  familyId: string
  audience: string
  scope: string
  /** The global ones. */
  roles: string[]
  claimsVersion: number
  own: OwnClaims
  /** A redirect URI of an app with pairwise subjects. */
  sectorUri: string | null
  /** Seconds since 1970. */
  authTime: number
  acr: string | null
  amr: string[]
  jkt: string | null
  /** Absent without a certificate. */
  x5t?: string | null
}

/**
 * What only tokens for the audience of the app itself contain: its roles, and the claims that it is configured with. Another API
 * would take a role of the app for one of its own, and has not been given the user's data.
 */
export interface OwnClaims {
  audience: string
  appRoles: string[] | null
  /** Of the user; null for none. A token has them with the scope `groups`. */
  groups: string[] | null
  wantedClaims: WantedClaims | null
}

/** `ttl` in seconds; null takes the portal's. */
export function applicationTokenClaims(
  services: Services,
  subject: ApplicationTokenSubject,
  ttl: number | null,
  issuedAt = services.clock(),
): ApplicationTokenClaims {
  const iat = epochSeconds(issuedAt)
  const { own } = subject
  const isOwn = subject.audience === own.audience
  const hasGroups = isOwn && subject.scope.split(' ').includes('groups')
  const roles = isOwn ? rolesIn(subject.roles, own.appRoles) : subject.roles
  return {
    ...(isOwn && own.wantedClaims !== null ? addedClaims(own.wantedClaims, roles) : {}),
    iss: services.publicUrl,
    sub: subjectOf(services, subject.identityId, subject.sectorUri),
    aud: subject.audience,
    client_id: subject.clientId,
    iat,
    exp: iat + (ttl ?? services.lifetimes.applicationToken),
    jti: randomUUID(),
    ...(subject.scope === '' ? {} : { scope: subject.scope }),
    roles,
    ...(hasGroups ? { groups: own.groups ?? [] } : {}),
    claims_version: subject.claimsVersion,
    fam: subject.familyId,
    auth_time: subject.authTime,
    ...(subject.acr === null ? {} : { acr: subject.acr }),
    amr: subject.amr,
    ...boundTo(subject),
  }
}

function addedClaims(wanted: WantedClaims, roles: string[]): Record<string, unknown> {
  return configuredClaims(wanted.applicationToken, sourceOf(wanted.source), wanted.attributeClaims, roles)
}

function boundTo({ jkt, x5t = null }: ApplicationTokenSubject): Pick<ApplicationTokenClaims, 'cnf'> {
  if (jkt === null && x5t === null) return {}
  return { cnf: { ...(jkt === null ? {} : { jkt }), ...(x5t === null ? {} : { 'x5t#S256': x5t }) } }
}

/**
 * The next application token of a family, signed, and how long it lives (seconds). Its scope is what the app asks for (null asks
 * for all), as far as the audience has it: for an API what the authorization granted and the registry still grants.
 */
export async function mintApplicationToken(
  services: Services,
  { family, issuedAt }: Pick<Rotated, 'family' | 'issuedAt'>,
  asked: string[] | null,
  jkt: string | null,
  x5t: string | null = null,
): Promise<{ token: string; expiresIn: number; scope: string }> {
  const { api, audience, applicationTokenTtl } = family
  const granted = (api?.granted ?? family.scope).split(' ').filter((each) => api?.scopes.includes(each) !== false)
  const scope = (asked?.filter((each) => granted.includes(each)) ?? granted).join(' ')
  const subject = {
    ...family,
    own: family,
    familyId: family.id,
    audience: api?.identifier ?? audience,
    scope,
    jkt,
    x5t,
  }
  const claims = applicationTokenClaims(services, subject, api?.tokenTtl ?? applicationTokenTtl, issuedAt)
  const token =
    api === null
      ? signApplicationToken(services, claims, { ...family, clientId: claims.client_id })
      : await signJwtInBackground(services.keys.signer(api.signingAlg as SigningAlg), 'application', claims)
  return { token, expiresIn: claims.exp - claims.iat, scope }
}

/** Signs a token for the audience of its app, by the algorithm of the app; for any other audience without `owner`. */
export function signApplicationToken(
  services: Services,
  claims: ApplicationTokenClaims,
  owner?: KeyOwner & { applicationTokenAlg: string; audience: string },
): string {
  const isShared = owner?.applicationTokenAlg === SHARED_ALG && owner.audience === claims.aud
  const key = isShared ? signerFor(services, SHARED_ALG, owner) : services.keys.signer(APPLICATION_ALG)
  return signJwt(key, 'application', claims)
}

export interface FoundApplicationToken {
  claims: ApplicationTokenClaims
  family: FamilyRow
  /** Its claims have changed since it was signed; the next token of the family has the current ones. */
  isStale: boolean
}

/**
 * Verifies an application token with the database: its claims and its family, or null when the signature is wrong, the token
 * has expired or the family has ended. APIs verify offline; this also sees a family that has just ended.
 */
export async function findApplicationToken(services: Services, token: string): Promise<FoundApplicationToken | null> {
  const shared = await sharedClaims(services, token)
  const claims = shared ?? currentClaims(services, token)
  if (claims === null || claims.exp <= epochSeconds(services.clock())) return null
  const family = await findLivingFamily(services, claims.fam)
  if (family === null || !(await areActorsEnabled(services, claims))) return null
  if (shared !== null && family.clientId !== claims.client_id) return null
  return { claims, family, isStale: isStale(claims, family) }
}

/** Why a genuine token is not valid any more; part of the contract with APIs and apps. */
export type InactiveReason = 'expired' | 'family_ended' | 'claims_changed' | 'identity_disabled' | 'app_disabled'

/** An application token that this portal has signed, valid or not. */
export interface JudgedToken {
  claims: ApplicationTokenClaims | ServiceTokenClaims
  /** Null while the token is valid. */
  inactive: InactiveReason | null
  /** Null for a token of a service, and of a family that was erased. */
  family: FamilyRow | null
  /** It was signed with the key that its app shares with the portal, so the app may have signed it itself. */
  isShared: boolean
}

/**
 * Judges an application token for an introspection that explains itself. Null for anything that the portal has not signed with a
 * key that it still publishes.
 */
export async function judgeApplicationToken(services: Services, token: string): Promise<JudgedToken | null> {
  const shared = await sharedClaims(services, token)
  const claims = shared ?? signedClaims(services, token)
  if (claims === null) return null
  return isOfFamily(claims)
    ? judgeTokenOfFamily(services, claims, shared !== null)
    : judgeServiceToken(services, claims)
}

async function judgeTokenOfFamily(
  services: Services,
  claims: ApplicationTokenClaims,
  isShared: boolean,
): Promise<JudgedToken | null> {
  const family = await findFamily(services, claims.fam)
  if (isShared && family !== null && family.clientId !== claims.client_id) return null
  const reason = inactiveReason(claims, family, services.clock())
  const isOver = reason !== null && reason !== 'expired' && reason !== 'claims_changed'
  const inactive = isOver || (await areActorsEnabled(services, claims)) ? reason : 'app_disabled'
  return { claims, family, inactive, isShared }
}

async function judgeServiceToken(services: Services, claims: ServiceTokenClaims): Promise<JudgedToken> {
  const isEnabled = await areCallersEnabled(services.storage.pool, [claims.client_id], claims.iat)
  if (!isEnabled) return { claims, family: null, inactive: 'app_disabled', isShared: false }
  const inactive = claims.exp <= epochSeconds(services.clock()) ? 'expired' : null
  return { claims, family: null, inactive, isShared: false }
}

/** A plain token has no actors, and costs nothing here. */
async function areActorsEnabled(services: Services, { act, iat }: ApplicationTokenClaims): Promise<boolean> {
  return act === undefined || areCallersEnabled(services.storage.pool, actorsOf(act), iat)
}

/** Whether this is the token of a user; that of a service has no family. */
export function isOfFamily(claims: ApplicationTokenClaims | ServiceTokenClaims): claims is ApplicationTokenClaims {
  return 'fam' in claims
}

/**
 * What cannot be mended comes first. A family that ended with a disabled identity or app has merely ended once that is enabled
 * again. An erased family is null.
 */
function inactiveReason(claims: ApplicationTokenClaims, family: FamilyRow | null, now: Date): InactiveReason | null {
  if (family === null) return 'family_ended'
  if (family.identityDisabled) return 'identity_disabled'
  if (family.appDisabled) return 'app_disabled'
  if (!isLiving(family, now)) return 'family_ended'
  if (claims.exp <= epochSeconds(now)) return 'expired'
  return isStale(claims, family) ? 'claims_changed' : null
}

/** A client that asks about a token, and is not authenticated yet. */
export interface Introspector {
  clientId: string
  proof: AppProof
  isApi: boolean
}

/**
 * Token introspection (RFC 7662) for an app or an API that `proof` authenticates: the token's own app, or its audience. It reads
 * only what it needs of the family. Null when any condition fails, and for every token that is not a plain one of a family:
 * `judgeApplicationToken` says more.
 */
export async function introspectFor(
  services: Services,
  token: string,
  { clientId, proof, isApi }: Introspector,
): Promise<ApplicationTokenClaims | null> {
  const claims = currentClaims(services, token)
  if (claims === null || claims.act !== undefined) return null
  const asked = { familyId: claims.fam, clientId, proof, audience: claims.aud }
  const find = isApi ? findIntrospectedByApi : findIntrospected
  const freshness = await find(services.storage.pool, asked, momentOf(services))
  return freshness === null || isStale(claims, freshness) ? null : claims
}

/** The user of a valid token, for UserInfo, in one narrow read. Null also for a family whose app asked for claims by name. */
export async function findPerson(
  services: Services,
  token: string,
): Promise<{ claims: ApplicationTokenClaims; person: Person } | null> {
  const claims = currentClaims(services, token)
  const person = claims === null ? null : await findPersonOf(services.storage.pool, claims.fam, momentOf(services))
  return claims === null || person === null || isStale(claims, person) ? null : { claims, person }
}

function isStale(claims: ApplicationTokenClaims, { staleSince, oldestValidVersion }: Freshness): boolean {
  const version = claims.claims_version as number | undefined
  if (version !== undefined) return version < oldestValidVersion
  // A token without a version is stale when it was issued up to the second of the change.
  return staleSince !== null && claims.iat <= epochSeconds(staleSince)
}

/** Null when the signature is wrong, the token has expired, or it belongs to no family. */
function currentClaims(services: Services, token: string): ApplicationTokenClaims | null {
  const claims = signedClaims(services, token)
  return claims !== null && isOfFamily(claims) && claims.exp > epochSeconds(services.clock()) ? claims : null
}

/** The claims of a token that this portal has signed, also of one that has expired. */
function signedClaims(services: Services, token: string): ApplicationTokenClaims | ServiceTokenClaims | null {
  const known = verified.get(services.keys) ?? new VerifiedTokens()
  verified.set(services.keys, known)
  return verifyJwt(services, token, 'application', known) as ApplicationTokenClaims | ServiceTokenClaims | null
}

/**
 * The claims of a token that was signed with the key that its app shares with the portal, also of one that has expired. It is for
 * the app's own audience. Only such a token costs the read of its app.
 */
async function sharedClaims(services: Services, token: string): Promise<ApplicationTokenClaims | null> {
  const clientId = claimsOfShared(token)?.['client_id']
  if (typeof clientId !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(clientId)) return null
  const app = await findApp(services.storage, clientId)
  if (app === null || app.applicationTokenAlg !== SHARED_ALG) return null
  const key = sharedKeyOf(services, app)
  const claims = key && verifySharedJwt(services, key, token, 'application')
  const isOwn = claims?.['client_id'] === app.clientId && claims['aud'] === app.audience
  return isOwn && isWellFormed(claims) ? claims : null
}

/** Whether the claims are of the types that the portal gives them; an app can sign others. */
function isWellFormed(claims: Record<string, unknown>): claims is Record<string, unknown> & ApplicationTokenClaims {
  const { fam, exp, iat, jti, sub, scope, claims_version: version, cnf, act } = claims
  const numbers = [exp, iat, version].every((each) => Number.isSafeInteger(each))
  const texts = [fam, jti, sub, scope ?? ''].every((each) => typeof each === 'string')
  const isBound = cnf === undefined || (typeof cnf === 'object' && cnf !== null)
  return numbers && texts && isBound && act === undefined && isUuid(fam as string)
}

/** The cache of verified tokens of each key ring. */
const verified = new WeakMap<KeyRing, VerifiedTokens<JwtClaims>>()

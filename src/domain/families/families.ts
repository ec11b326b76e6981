// families/: families, refresh token rotation and reuse detection, application tokens, the revocation feed, family timelines.
//
// It owns what a family is (the tokens of one connection of a user's browser with an app), what a refresh answers, and what is
// recorded of it.
// It leaves how a family ends, and the notifications about that, to `endings/`; the sign-in that it follows to `sign-in/`; the
// registry of apps to `apps/`; the OAuth protocol to `oidc/`.

import {
  countEndedFamilies,
  type FamilyQuery,
  type FamilyRow,
  findFamily as findRow,
  listFamilies,
  searchFamilies as searchRows,
} from '../../storage/families.ts'
import { listRequestableApis } from '../../storage/app-apis.ts'
import { insertFamily, type NewFamily } from '../../storage/family-openings.ts'
import {
  type AdvancedFamily,
  advanceFamily,
  type AskedAudience,
  type TokenApi,
} from '../../storage/family-rotations.ts'
import type { Moment } from '../../storage/liveness.ts'
import type { AppProof, AppRow } from '../../storage/apps.ts'
import { appRolesOf, jsonSourceOf } from '../../storage/claim-sources.ts'
import { findIdentity } from '../../storage/identities.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { END_CAUSES, type EndCause, type RefusalReason } from '../endings/end-causes.ts'
import { end as endNow, noteOpened } from '../endings/endings.ts'
import { endCauseOf, type Reuse, reuseAdvice, reuseOf } from './family-ends.ts'
import { type FamilyFuture, futureOf, lifetimeOf } from './family-lifetimes.ts'
import { noteSessionUsed } from '../sign-in/identity-sessions.ts'
import { type TimelineKind, recordInTimeline } from './family-timeline.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { descendantOf, hashRefreshToken, parseRefreshToken, type RefreshToken, successorOf } from './refresh-tokens.ts'
import { type Standing, standingOf } from './reuse-detection.ts'
import { addSeconds, secondsBetween } from '../time.ts'

export type { AskedAudience, FamilyQuery, FamilyRow, TokenApi }

/** What a token response needs of the family. */
export type RotatedFamily = Omit<AdvancedFamily, 'followedSessionId'> & Pick<FamilyRow, 'id' | 'clientId'>

export type OpeningFamily = Omit<
  NewFamily,
  'currentHash' | 'lifetime' | 'idleExpiresAt' | 'expiresAt' | 'defaultTokenSeconds' | 'x5t'
> & {
  /** Thumbprint of the certificate that it is bound to (RFC 8705 §4); absent for none. */
  x5t?: string | null
  refreshToken: string
  app: Pick<AppRow, 'familyIdle' | 'familyMax' | 'familyLifetime'>
}

/**
 * Opens the family that its first refresh token names. @returns how long it lasts; null when its sign-in has ended, its
 * identity or app is disabled, or the user may not enter the app
 */
export async function openFamily(services: Services, opening: OpeningFamily): Promise<FamilyFuture | null> {
  const { refreshToken, app, ...family } = opening
  const now = services.clock()
  const lifetime = lifetimeOf(services, app, family.scope)
  // A family that follows its session ends with it; it ends earlier only where its app says so.
  const preset = lifetime === 'session' ? { familyIdle: null, familyMax: null } : services.lifetimes
  const after = (seconds: number | null) => (seconds === null ? null : addSeconds(now, seconds))

  const opened = await insertFamily(
    services.storage.pool,
    {
      ...family,
      x5t: family.x5t ?? null,
      lifetime,
      currentHash: hashRefreshToken(refreshToken),
      expiresAt: after(app.familyMax ?? preset.familyMax),
      idleExpiresAt: after(app.familyIdle ?? preset.familyIdle),
      defaultTokenSeconds: services.lifetimes.applicationToken,
    },
    now,
  )
  if (opened !== null) noteOpened(services, family, opened.replaced)
  return opened && futureOf(services, opened, now, now)
}

export interface Presentation {
  refreshToken: string
  clientId: string
  /** Scopes the app asks for; null asks for all it has. */
  scopes: string[] | null
  /** The audience that the app asks for (RFC 8707). */
  audience: AskedAudience
  /** Thumbprint of the key of the DPoP proof (RFC 9449), null without one. */
  jkt: string | null
  /** Thumbprint of the client's certificate (RFC 8705); null or absent without one. */
  x5t?: string | null
  clientInfo: ClientInfo
}

export interface Rotated {
  kind: 'rotated'
  family: RotatedFamily
  refreshToken: string
  future: FamilyFuture
  /** When the claims of the application token were read. */
  issuedAt: Date
  /** The presented token had been replaced, and was answered with the current one (grace). */
  isGraceHit: boolean
}

export type Rotation =
  | Rotated
  | {
      kind: 'refused'
      reason: RefusalReason
      familyId: string | null
      /** Whether the family belongs to the app that asks, which may then be told its id. */
      isOwn: boolean
      ended: boolean
      /** With the reason `reused`, of a family that has ended. */
      reuse?: Reuse
    }
  | { kind: 'scope-exceeded' | 'wrong-target' | 'wrong-proof'; familyId: string }

/**
 * Refresh token rotation: exchanges a refresh token for its successor, for an app that is authenticated if it is confidential.
 * A replaced token is answered with the current one as long as `standingOf` excuses it, so a lost answer, a second tab or
 * concurrent calls do not sign the user out. Otherwise it is reuse, and ends the family (RFC 9700 §4.14.2).
 * @param hasTried `rotateUnproved` was just given the same token and changed nothing; the same update is not sent again
 */
export async function rotate(
  services: Services,
  presentation: Presentation,
  hasTried: boolean = false,
): Promise<Rotation> {
  const token = parseRefreshToken(presentation.refreshToken, services.secrets)
  if (token === null) {
    services.tally.count('refused_refresh', presentation.clientId)
    return { kind: 'refused', reason: 'unknown', familyId: null, isOwn: false, ended: false }
  }
  const advanced = hasTried ? null : await advance(services, token, presentation)
  const rotation = advanced ?? (await explain(services, token, presentation))
  countRotation(services, rotation, presentation.clientId)
  return rotation
}

function countRotation({ tally }: Services, rotation: Rotation, clientId: string): void {
  tally.count(rotation.kind === 'rotated' ? 'refresh' : 'refused_refresh', clientId)
  // Of a token that is used again and again, only what ended the family is counted as reuse.
  if (rotation.kind === 'refused' && rotation.reason === 'reused' && rotation.ended) tally.count('reuse', clientId)
}

/**
 * The same for an app that is not authenticated yet: its proof is one more condition of the one statement. Null when any
 * condition fails. Nothing has changed then, and `rotate` says why once the app is authenticated.
 */
export async function rotateUnproved(
  services: Services,
  refreshToken: string,
  clientId: string,
  proof: AppProof,
  clientInfo: ClientInfo,
): Promise<Rotated | null> {
  const token = parseRefreshToken(refreshToken, services.secrets)
  const plain = { scopes: null, audience: 'default', jkt: null } as const
  const rotated = token && (await advance(services, token, { ...plain, refreshToken, clientId, proof, clientInfo }))
  if (rotated !== null) services.tally.count('refresh', clientId)
  return rotated
}

async function advance(
  services: Services,
  token: RefreshToken,
  { refreshToken, clientInfo, ...conditions }: Presentation & { proof?: AppProof },
): Promise<Rotated | null> {
  const successor = successorOf(token, services.secrets[0])
  const moment = momentOf(services)
  const { pool } = services.storage
  const { familyId: id } = token
  const asked = {
    ...conditions,
    x5t: conditions.x5t ?? null,
    id,
    presentedHash: hashRefreshToken(refreshToken),
    successorHash: hashRefreshToken(successor),
    defaultIdleSeconds: services.lifetimes.familyIdle,
    defaultGraceSeconds: services.lifetimes.rotationGrace,
    seen: seenOf(clientInfo),
  }
  const mostFollow = services.policy.familyLifetime === 'session'
  const advanced =
    (mostFollow ? null : await advanceFamily(pool, asked, moment, false)) ??
    (await advanceFamily(pool, asked, moment, true))
  if (advanced === null) return null
  const { followedSessionId, ...family } = advanced
  // Using an app counts as using the identity session that its family follows.
  if (followedSessionId !== null) await noteSessionUsed(services, followedSessionId)
  const claims = await readClaims(services, { ...family, id, clientId: conditions.clientId }, moment.now)
  const future = futureOf(services, family, moment.now, moment.now)
  return { kind: 'rotated', ...claims, refreshToken: successor, future, isGraceHit: false }
}

/**
 * The family with the claims of its version of the claims. A statement that waited for a change of them returns the family
 * from after it, and the identity from before. Only then the identity is read again.
 */
async function readClaims(
  services: Services,
  family: RotatedFamily,
  now: Date,
): Promise<Pick<Rotated, 'family' | 'issuedAt'>> {
  const isOutdated = family.claimsVersion < family.oldestValidVersion
  const identity = isOutdated ? await findIdentity(services.storage, family.identityId) : null
  if (identity === null) return { family, issuedAt: now }
  const { roles, groups, claimsVersion } = identity
  const appRoles = appRolesOf(identity, family.clientId)
  const wantedClaims = family.wantedClaims && { ...family.wantedClaims, source: jsonSourceOf(identity) }
  return { family: { ...family, roles, groups, claimsVersion, appRoles, wantedClaims }, issuedAt: now }
}

/** The client that refreshed, as the family's row keeps it: the IP address and the beginning of the User-Agent header. */
function seenOf({ address, browser }: ClientInfo): string {
  return `${address} ${browser.slice(0, SEEN_PROGRAM)}`
}

const SEEN_PROGRAM = 100

export function momentOf(services: Services): Moment {
  const now = services.clock()
  return { now, seenSince: addSeconds(now, -services.lifetimes.identitySessionIdle) }
}

/** The rotation changed no row: finds out why, ends the family where that is due, and records it in the timeline. */
async function explain(
  services: Services,
  token: RefreshToken,
  presentation: Presentation,
  triesLeft = TRIES,
): Promise<Rotation> {
  const { familyId, generation } = token
  const { clientInfo } = presentation
  const hash = hashRefreshToken(presentation.refreshToken)
  const now = services.clock()
  const family = await findFamily(services, familyId)
  const record = (kind: TimelineKind) => recordInTimeline(services, kind, { familyId, generation, clientInfo, at: now })
  const refused = (reason: RefusalReason, ended = false, reuse: Reuse | null = null): Rotation => {
    const isOwn = family?.clientId === presentation.clientId
    return { kind: 'refused', reason, familyId, isOwn, ended, ...(reuse === null ? {} : { reuse }) }
  }
  const refuse = async (kind: TimelineKind, reason: RefusalReason): Promise<Rotation> => {
    await record(kind)
    return refused(reason, false, family && reuseOf(family))
  }
  const expire = async (cause: EndCause): Promise<Rotation> => {
    const ended = await endNow(services, { families: { id: familyId } }, { cause, clientInfo: null })
    await record('refused_expired')
    return refused('expired', ended.families.length > 0)
  }

  if (family === null) return refused('unknown')
  // The app learns nothing about a family of another app.
  if (family.clientId !== presentation.clientId) return refuse('refused_wrong_app', 'unknown')
  const over = endCauseOf(family, now)
  if (over !== null) {
    const { reason } = END_CAUSES[over]
    if (family.endedAt !== null) return refuse('refused_ended', reason)
    if (reason === 'expired') return expire(over)
    if (over === 'access_withdrawn') return refuse('refused_access_withdrawn', reason)
    return refuse(over === 'app_disabled' ? 'refused_app_disabled' : 'refused_identity_disabled', reason)
  }

  const standing = standingOf(services, family, { generation, hash }, now)
  if (standing.kind === 'ahead') return refuse('refused_ahead', 'unknown')
  if (standing.kind === 'reused') {
    const by = isOfItsApp(family, presentation) ? 'app' : 'unknown'
    const lateSeconds = secondsBetween(standing.replacedBy, now)
    const reuse: Reuse = {
      generation,
      currentGeneration: family.generation,
      lateSeconds,
      address: clientInfo.address,
      by,
    }
    const cause = by === 'app' ? 'own_reuse' : 'reuse'
    const ended = await endNow(services, { families: { id: familyId } }, { cause, clientInfo, generation })
    await record(by === 'app' ? 'refused_own_reuse' : 'refused_reused')
    const isFirst = ended.families.length > 0
    if (isFirst) logReuse(services, family, reuse, clientInfo)
    return refused('reused', isFirst, reuse)
  }

  const { jkt, x5t } = presentation
  if ((family.jkt !== null && family.jkt !== jkt) || (family.x5t !== null && family.x5t !== x5t)) {
    await record('refused_wrong_proof')
    return { kind: 'wrong-proof', familyId }
  }
  const granted = new Set([family.scope, ...Object.values(family.resources ?? {})].join(' ').split(' '))
  if (presentation.scopes?.some((scope) => !granted.has(scope))) {
    await record('refused_scope')
    return { kind: 'scope-exceeded', familyId }
  }
  const api = await findTokenApi(services, family, presentation.audience)
  if (api === undefined) {
    await record('refused_scope')
    return { kind: 'wrong-target', familyId }
  }
  switch (standing.kind) {
    case 'current': {
      // Every condition holds now, although one did not during the update. The clock or an operator has changed it, or a new
      // sign-in has adopted the family while the update waited, or another caller was faster again.
      const rotated = await advance(services, token, presentation)
      if (rotated !== null) return rotated
      return triesLeft > 1 ? explain(services, token, presentation, triesLeft - 1) : refuse('refused_raced', 'unknown')
    }
    case 'excused': {
      // The answer is compared with the row's hash: never an older token, never a second current one.
      const current = descendantOf(token, family.generation - generation, family.currentHash, services.secrets)
      if (current === null) return refuse('refused_secret_lost', 'unknown')
      await record(standing.because === 'window' ? 'grace_hit' : 'proven_hit')
      const future = futureOf(services, family, family.lastUsedAt, now)
      return {
        kind: 'rotated',
        ...(await readClaims(services, { ...family, api }, now)),
        refreshToken: current,
        future,
        isGraceHit: true,
      }
    }
    case 'duplicate':
      return refuse('refused_duplicate', 'reused')
    case 'forgotten':
      return refuse('refused_forgotten', 'reused')
  }
}

/**
 * The API that a token of this family is for, by the rule of `advanceFamily`; null for the app's own audience. Undefined when the
 * authorization or the registry does not grant it.
 */
async function findTokenApi(
  services: Services,
  { clientId, resources }: FamilyRow,
  audience: AskedAudience,
): Promise<TokenApi | null | undefined> {
  const granted = Object.keys(resources ?? {})
  const asked = typeof audience === 'object' ? audience.api : audience === 'default' ? granted : []
  const target = typeof asked === 'string' ? asked : asked.length === 1 ? asked[0] : undefined
  if (target === undefined) return null
  const scopes = resources !== null && Object.hasOwn(resources, target) ? resources[target] : undefined
  if (scopes === undefined) return undefined
  const [api] = await listRequestableApis(services.storage.pool, clientId, target)
  return api && { ...api, granted: scopes }
}

/** Whether the holder authenticated, from an IP address that the family has been refreshed from before. */
function isOfItsApp(family: FamilyRow, { jkt, x5t, clientInfo }: Presentation): boolean {
  const holdsKey = (family.jkt !== null && family.jkt === jkt) || (family.x5t !== null && family.x5t === x5t)
  const isProved = !family.appIsPublic || holdsKey
  const known = family.seen.map((each) => ipKey(each.split(' ')[0] as string))
  return isProved && known.includes(ipKey(clientInfo.address))
}

/** Logs the reuse: for the developer, what the app did wrong; for the operator, what is known of a possible theft. */
function logReuse(
  { logger }: Services,
  { id: familyId, clientId }: FamilyRow,
  reuse: Reuse,
  { requestId }: ClientInfo,
): void {
  const advice = reuse.by === 'app' ? { advice: reuseAdvice(reuse) } : {}
  logger.warn(
    {
      ...(requestId !== undefined && { requestId }),
      event: 'refresh_token_reused',
      familyId,
      clientId,
      ...reuse,
      ...advice,
    },
    'event',
  )
}

/** How often a rotation of a current token is tried again. */
const TRIES = 3

/** The family that a genuine refresh token belongs to, living or not. Null for anything else. */
export async function findFamilyOf(
  services: Services,
  refreshToken: string,
): Promise<{ family: FamilyRow; standing: Standing['kind'] } | null> {
  const token = parseRefreshToken(refreshToken, services.secrets)
  if (token === null) return null
  const family = await findFamily(services, token.familyId)
  if (family === null) return null

  const presented = { generation: token.generation, hash: hashRefreshToken(refreshToken) }
  return { family, standing: standingOf(services, family, presented, services.clock()).kind }
}

/** A family, living or not. Null when there is none with this id. */
export async function findFamily(services: Services, id: string): Promise<FamilyRow | null> {
  return findRow(services.storage.pool, id, momentOf(services))
}

/** Null when there is no such family, or it has ended, expired, its identity or app is disabled, or the user may not enter the app. */
export async function findLivingFamily(services: Services, id: string): Promise<FamilyRow | null> {
  const family = await findFamily(services, id)
  return family !== null && isLiving(family, services.clock()) ? family : null
}

/** A family of this identity, living or not. Null when there is none, or it belongs to another identity. */
export async function findFamilyFor(services: Services, id: string, identityId: string): Promise<FamilyRow | null> {
  const family = await findFamily(services, id)
  return family?.identityId === identityId ? family : null
}

/** Newest first: all families of an identity (of one app, if given), or the ones of an app that have not ended. */
export async function searchFamilies(services: Services, query: FamilyQuery): Promise<FamilyRow[]> {
  return searchRows(services.storage.pool, query, momentOf(services))
}

export function isLiving(family: FamilyRow, now: Date): boolean {
  return endCauseOf(family, now) === null
}

/** The families that were opened in one identity session of this identity, those used last first. */
export async function listFamiliesOfSession(
  services: Services,
  identityId: string,
  sessionId: string,
): Promise<FamilyRow[]> {
  const families = await listFamilies(services.storage, identityId, momentOf(services), ENDED_SHOWN)
  return families.filter(({ identitySessionId }) => identitySessionId === sessionId)
}

/** An app with its families of one identity. */
export interface ConnectedApp {
  clientId: string
  name: string
  living: FamilyRow[]
  ended: FamilyRow[]
  /** How many ended families are not listed. */
  endedMore: number
}

const ENDED_SHOWN = 5

/** Apps that have or had families of this identity; those used last come first. */
export async function listConnectedApps(services: Services, identityId: string): Promise<ConnectedApp[]> {
  const moment = momentOf(services)
  const { now } = moment
  const families = await listFamilies(services.storage, identityId, moment, ENDED_SHOWN)
  const endedCounts = await countEndedFamilies(services.storage, identityId, now)

  const apps = Map.groupBy(families, (family) => family.clientId)
  return [...apps.entries()].map(([clientId, ofApp]) => {
    const living = ofApp.filter((family) => isLiving(family, now))
    const ended = ofApp.filter((family) => !isLiving(family, now))
    const name = ofApp[0]?.appName ?? clientId
    return { clientId, name, living, ended, endedMore: Math.max(0, (endedCounts.get(clientId) ?? 0) - ended.length) }
  })
}

import { randomUUID } from 'node:crypto'
import type { FamilyRow } from '../../storage/families.ts'
import { signJwtInBackground } from '../keys/jwts.ts'
import type { SigningAlg } from '../keys/signing-keys.ts'
import type { Confirmation } from '../service-token-claims.ts'
import type { Services } from '../services.ts'
import { epochSeconds } from '../time.ts'
import {
  actorsOf,
  type ApplicationTokenClaims,
  type InactiveReason,
  isOfFamily,
  judgeApplicationToken,
} from './application-tokens.ts'

/** Apps that act for a user one behind the other, at most: each makes it harder to see who does what. */
export const LONGEST_CHAIN = 4

/** An app that calls an API for the user whose token it was sent, or got itself (RFC 8693 §1.1). */
export interface Exchange {
  caller: { clientId: string; audience: string; applicationTokenTtl: number | null }
  /** The API, with the scopes that the registry lets this app have there. */
  target: ExchangeTarget
  /** Null asks for every scope that is possible. */
  scopes: string[] | null
  /** The key that the caller proves. That of the token that it was sent is another's, which it cannot prove. */
  confirmation: Confirmation
}

/** An API that an app may call for users. */
export interface ExchangeTarget {
  identifier: string
  scopes: string[]
  /** Seconds. */
  tokenTtl: number | null
  signingAlg: string
}

/** What of a family a token derived from it depends on. */
export type Root = Pick<FamilyRow, 'clientId' | 'roles'>

export type Refused =
  /** `reason` is null where the caller may learn nothing about the token. */
  | { kind: 'bad-subject'; reason: InactiveReason | null; familyId: string | null }
  | { kind: 'loop' | 'too-deep' }
  /** Scopes that the token may not have; empty where none is left. */
  | { kind: 'scope-exceeded'; scopes: string[] }

export type Derived = Exclude<Refused, { kind: 'bad-subject' }> | { kind: 'derived'; claims: ApplicationTokenClaims }

export type Exchanged = Refused | { kind: 'exchanged'; token: string; claims: ApplicationTokenClaims }

/**
 * Token exchange (RFC 8693): exchanges the application token of a user, which must be for the caller, for one for another API.
 * It belongs to the same family, so it ends with it. Nothing is stored.
 */
export async function exchangeToken(services: Services, subjectToken: string, exchange: Exchange): Promise<Exchanged> {
  const judged = await judgeApplicationToken(services, subjectToken)
  const { caller, target } = exchange
  // An app could sign a token with its shared key itself, with more in it than it was given.
  if (judged === null || judged.isShared || !isOfFamily(judged.claims) || judged.claims.aud !== caller.audience)
    return { kind: 'bad-subject', reason: null, familyId: null }
  const { claims: subject, inactive, family } = judged
  if (inactive !== null || family === null)
    return { kind: 'bad-subject', reason: inactive ?? 'family_ended', familyId: subject.fam }

  const ttl = target.tokenTtl ?? caller.applicationTokenTtl ?? services.lifetimes.applicationToken
  const derived = derive(subject, family, exchange, ttl, services.clock())
  if (derived.kind !== 'derived') return derived
  const { claims } = derived
  const key = services.keys.signer(target.signingAlg as SigningAlg)
  return { kind: 'exchanged', token: await signJwtInBackground(key, 'application', claims), claims }
}

/**
 * The rule of delegation, on the claims of a valid token for the caller: what is derived has no scope and no second more than
 * it, and no app acts twice. Of the subject's claims it has those about the sign-in and the user's roles everywhere; what the
 * first app has configured for its own audience concerns no other API.
 */
export function derive(
  subject: ApplicationTokenClaims,
  root: Root,
  { caller, target, scopes: asked, confirmation }: Exchange,
  ttl: number,
  now: Date,
): Derived {
  const actors = actorsOf(subject.act)
  // The first app of the chain is the family's own. It may exchange a token that it got itself, once.
  const isLoop = actors.includes(caller.clientId) || (actors.length > 0 && root.clientId === caller.clientId)
  if (isLoop) return { kind: 'loop' }
  if (actors.length >= LONGEST_CHAIN) return { kind: 'too-deep' }

  const held = subject.scope?.split(' ') ?? []
  const possible = target.scopes.filter((scope) => held.includes(scope))
  const exceeding = (asked ?? []).filter((scope) => !possible.includes(scope))
  const scopes = asked ?? possible
  if (exceeding.length > 0 || scopes.length === 0) return { kind: 'scope-exceeded', scopes: exceeding }

  const iat = epochSeconds(now)
  const claims: ApplicationTokenClaims = {
    iss: subject.iss,
    sub: subject.sub,
    aud: target.identifier,
    client_id: caller.clientId,
    iat,
    exp: Math.min(subject.exp, iat + ttl),
    jti: randomUUID(),
    scope: scopes.join(' '),
    roles: root.roles,
    claims_version: subject.claims_version,
    fam: subject.fam,
    auth_time: subject.auth_time,
    ...(subject.acr === undefined ? {} : { acr: subject.acr }),
    amr: subject.amr,
    act: { sub: caller.clientId, ...(subject.act === undefined ? {} : { act: subject.act }) },
    ...(Object.keys(confirmation).length === 0 ? {} : { cnf: confirmation }),
  }
  return { kind: 'derived', claims }
}

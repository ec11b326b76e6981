import type { IncomingMessage } from 'node:http'
import { listRequestableApis, type GrantedApi } from '../domain/apps/app-apis.ts'
import { type AppRow, findApp, isClientId } from '../domain/apps/apps.ts'
import type { RefusalReason } from '../domain/endings/end-causes.ts'
import type { InactiveReason } from '../domain/families/application-tokens.ts'
import type { FamilyFuture } from '../domain/families/family-lifetimes.ts'
import type { FamilyRow } from '../domain/families/families.ts'
import type { Services } from '../domain/services.ts'
import type { Challenge } from './authorize-challenge/challenges.ts'
import type { PendingFamily } from './code-records.ts'

/**
 * What one HTTP request carries past the protocol library: from a fast path to the library, between its adapters, and to the log and
 * the answer. The library has no place of its own for it.
 */
export interface ExchangeState {
  /** The apps that this request has read, by client id. */
  readonly apps: Map<string, Promise<AppRow | null>>
  /** The APIs that apps may ask for, by client id, as this request has read them. */
  readonly apis: Map<string, Promise<GrantedApi[]>>
  /** The fast path has tried to rotate, and nothing moved. */
  hasTriedRotation?: true
  /** The family that the code of this exchange may become; the grant and the refresh token of the exchange ask for it. */
  pendingFamily?: PendingFamily
  /** How long the family lasts that the code of this exchange has opened. */
  future?: FamilyFuture
  /** The living family of the token that the request shows, which the library asks for again as its grant. */
  presentedFamily?: FamilyRow
  /** Where the browser goes for the interaction that was begun. */
  interactionUrl?: string
  /** The redirect URI that the code was requested with. */
  codeRedirectUri?: string
  /** The app exists, and is disabled. */
  isAppDisabled?: true
  /** A refresh was answered with the token that had replaced the presented one. */
  isGraceHit?: boolean
  /** The family of a refresh, for the log. */
  familyId?: string | null
  /** The audience of a token that is not for the app itself, for the log. */
  audience?: string
  /** What an answer to a refused refresh or exchange says beside the error. */
  refusal?: { reason: RefusalReason | InactiveReason; reused_by?: string; fam?: string }
  /** The error that the request is refused with. */
  refusedWith?: Error
  /** The request failed because a store is away. */
  isUnavailable?: boolean
  /** What the next replay mark is of, other than a DPoP proof. */
  marks?: 'assertion'
  /** Why the keys that the client publishes could not be fetched. */
  keysProblem?: string
  /** The direct sign-in that this request goes on with. */
  challenge?: Challenge
  /** The client's credentials have been counted as an attempt. */
  isAttemptCounted?: true
}

const states = new WeakMap<IncomingMessage, ExchangeState>()

/** The state of this request. Where the library works outside of one there is nothing to share: an empty state each time. */
export function exchangeState(ctx: { req: IncomingMessage } | undefined): ExchangeState {
  const state = (ctx && states.get(ctx.req)) ?? { apps: new Map(), apis: new Map() }
  if (ctx !== undefined) states.set(ctx.req, state)
  return state
}

/** The APIs that this app may ask for; each request reads them once. */
export async function findApisOnce(
  services: Services,
  ctx: { req: IncomingMessage } | undefined,
  clientId: string,
): Promise<GrantedApi[]> {
  const { apis } = exchangeState(ctx)
  const found = apis.get(clientId) ?? listRequestableApis(services, clientId)
  apis.set(clientId, found)
  return found
}

/** The app of this id, also a disabled one; each request reads it once. */
export async function findAppOnce(
  services: Services,
  ctx: { req: IncomingMessage } | undefined,
  clientId: string,
): Promise<AppRow | null> {
  if (!isClientId(clientId)) return null
  const { apps } = exchangeState(ctx)
  const found = apps.get(clientId) ?? findApp(services, clientId)
  apps.set(clientId, found)
  return found
}

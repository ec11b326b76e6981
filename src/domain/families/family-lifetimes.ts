import type { FamilyLifetime } from '../../config.ts'
import type { AppRow } from '../../storage/apps.ts'
import type { FamilyRow } from '../../storage/families.ts'
import type { Services } from '../services.ts'
import { addSeconds, secondsBetween } from '../time.ts'

/** The lifetime of a new family of this app. With `browser`, the scope `offline_access` makes it `offline` (OIDC Core §11). */
export function lifetimeOf(services: Services, app: Pick<AppRow, 'familyLifetime'>, scope: string): FamilyLifetime {
  const lifetime = (app.familyLifetime as FamilyLifetime | null) ?? services.policy.familyLifetime
  return lifetime === 'browser' && scope.split(' ').includes('offline_access') ? 'offline' : lifetime
}

/** What is known of the end of a family (draft-ietf-oauth-refresh-token-expiration §6.1), in seconds from now. */
export interface FamilyFuture {
  /** Until it runs idle, unless it is refreshed. */
  refreshTokenTimeout: number
  /** Until it ends in any case. */
  authorizationExpiresIn: number
}

/**
 * How long a family lasts after a use at `usedAt`. Its end may come sooner: a family that follows an identity session ends with
 * it, and only its lifetimes are known. Using the app counts as using the session.
 */
export function futureOf(
  { lifetimes }: Pick<Services, 'lifetimes'>,
  { lifetime, idleExpiresAt, expiresAt }: Pick<FamilyRow, 'lifetime' | 'idleExpiresAt' | 'expiresAt'>,
  usedAt: Date,
  now: Date,
): FamilyFuture {
  const sessionIdle = lifetime === 'session' ? addSeconds(usedAt, lifetimes.identitySessionIdle) : idleExpiresAt
  const until = (end: Date) => Math.max(0, secondsBetween(now, end))
  return {
    refreshTokenTimeout: Math.min(until(idleExpiresAt), until(sessionIdle), until(expiresAt)),
    authorizationExpiresIn: until(expiresAt),
  }
}

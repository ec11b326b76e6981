import type { FamilyLifetime } from '../../config.ts'
import type { AppRow } from '../../storage/apps.ts'
import type { Portal } from '../services.ts'

/** What a family of this app follows; with `browser`, access that was asked for to go on offline does (OIDC Core §11). */
export function lifetimeOf(portal: Portal, app: Pick<AppRow, 'familyLifetime'>, scope: string): FamilyLifetime {
  const lifetime = (app.familyLifetime as FamilyLifetime | null) ?? portal.policy.familyLifetime
  return lifetime === 'browser' && scope.split(' ').includes('offline_access') ? 'offline' : lifetime
}

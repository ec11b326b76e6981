import type { FamilyLifetime } from '../../config.ts'
import type { AppRow } from '../../storage/apps.ts'
import type { Services } from '../services.ts'

/** What a family of this app follows; with `browser`, access that was asked for to go on offline does (OIDC Core §11). */
export function lifetimeOf(services: Services, app: Pick<AppRow, 'familyLifetime'>, scope: string): FamilyLifetime {
  const lifetime = (app.familyLifetime as FamilyLifetime | null) ?? services.policy.familyLifetime
  return lifetime === 'browser' && scope.split(' ').includes('offline_access') ? 'offline' : lifetime
}

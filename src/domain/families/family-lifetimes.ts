import type { FamilyLifetime } from '../../config.ts'
import type { AppRow } from '../../storage/apps.ts'
import type { Services } from '../services.ts'

/** The lifetime of a new family of this app. With `browser`, the scope `offline_access` makes it `offline` (OIDC Core §11). */
export function lifetimeOf(services: Services, app: Pick<AppRow, 'familyLifetime'>, scope: string): FamilyLifetime {
  const lifetime = (app.familyLifetime as FamilyLifetime | null) ?? services.policy.familyLifetime
  return lifetime === 'browser' && scope.split(' ').includes('offline_access') ? 'offline' : lifetime
}

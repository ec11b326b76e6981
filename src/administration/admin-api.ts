import { settleAdminApi as settle } from '../domain/apps/apis.ts'
import type { Services } from '../domain/services.ts'
import { RESOURCES } from './operation.ts'

/** Every scope of the admin API: for all of it, and for each resource. */
export const ADMIN_SCOPES: readonly string[] = ['admin', ...RESOURCES.map((resource) => `admin:${resource}`)].flatMap(
  (area) => [`${area}:read`, `${area}:write`],
)

/** Registers the admin API where it is missing, with every scope. */
export async function settleAdminApi(services: Services): Promise<void> {
  await settle(services, { name: 'Gatehouse administration', scopes: ADMIN_SCOPES })
}

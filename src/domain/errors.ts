import { isUnavailable as isStoreUnavailable } from '../storage/postgres.ts'
import { Overloaded } from './fair-queue.ts'
import { SourceUnavailable } from './identity-source.ts'

/**
 * True for what may succeed a little later (503): a store is unavailable, the portal is overloaded, or the identity source does not
 * answer. For `http/`, `oidc/` and `api/`, which do not import `storage/`.
 */
export function isUnavailable(error: unknown): boolean {
  return isStoreUnavailable(error) || error instanceof Overloaded || error instanceof SourceUnavailable
}

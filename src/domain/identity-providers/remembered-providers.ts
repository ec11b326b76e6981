import { type IdentityProviderRow, listIdentityProviders } from '../../storage/identity-providers.ts'
import { afterCommit, type Queryable } from '../../storage/postgres.ts'
import type { Services } from '../services.ts'

/** How long a process goes on showing what another process has changed (ms). */
const FRESH_FOR_MS = 5000

interface Remembered {
  rows: Promise<IdentityProviderRow[]>
  since: number
}

/** By database. */
const remembered = new WeakMap<Queryable, Remembered>()

/**
 * The providers as they were at most five seconds ago, for what is shown: every sign-in page asks. Who may sign in is decided by the
 * provider's row itself.
 */
export async function rememberedProviders({
  storage: { pool },
  clock,
}: Pick<Services, 'storage' | 'clock'>): Promise<IdentityProviderRow[]> {
  const now = clock().getTime()
  const known = remembered.get(pool)
  // A clock that was set back must not keep them for longer.
  if (known !== undefined && now >= known.since && now < known.since + FRESH_FOR_MS) return known.rows
  const read: Remembered = { rows: listIdentityProviders(pool), since: now }
  remembered.set(pool, read)
  read.rows.catch(() => {
    if (remembered.get(pool) === read) remembered.delete(pool)
  })
  return read.rows
}

/** The next page of this process shows what a transaction changed. */
export function forgetProviders({ storage: { pool } }: Pick<Services, 'storage'>, db: Queryable): void {
  afterCommit(db, () => remembered.delete(pool))
}

import { hasLivingHolder } from '../../storage/identities.ts'
import { lockAdministrators } from '../../storage/administrators.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { Refused } from '../refused.ts'
import { ADMIN } from './roles.ts'

/**
 * The last administrator cannot be removed: a transaction calls this after it took the role from an administrator, or disabled or
 * deleted one. Transactions that race do so one after the other. @throws Refused, and the transaction is rolled back
 */
export async function keepAnAdministrator(db: Queryable): Promise<void> {
  await lockAdministrators(db)
  if (!(await hasLivingHolder(db, ADMIN)))
    throw new Refused('this is the last administrator: make another one first', 'last_administrator')
}

import { hasAssignedAdministrator, hasLivingHolder } from '../../storage/identities.ts'
import { lockAdministrators } from '../../storage/administrators.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { ADMIN, SUPPORT } from './roles.ts'

/**
 * The last administrator cannot be removed: a transaction calls this after it took the role from an administrator, or disabled or
 * deleted one. Transactions that race do so one after the other. @throws Refused, and the transaction is rolled back
 */
export async function keepAnAdministrator(db: Queryable): Promise<void> {
  await lockAdministrators(db)
  if (!(await hasLivingHolder(db, ADMIN))) throw last()
}

/** The same after a group has lost the role, and before its members have. @throws Refused, and the transaction is rolled back */
export async function keepAnAssignedAdministrator(db: Queryable): Promise<void> {
  await lockAdministrators(db)
  if (!(await hasAssignedAdministrator(db))) throw last()
}

function last(): Refused {
  return new Refused('this is the last administrator: make another one first', 'last_administrator')
}

/**
 * Privilege escalation: a client of the admin API that has some scopes only must neither give these roles, which may be those of an
 * operator, nor change the account that has them. @throws Refused
 */
export function refuseNarrowOperator({ operator }: Pick<Services, 'operator'>, roles: readonly string[]): void {
  if (operator?.isNarrow === true && roles.some((role) => role === ADMIN || role === SUPPORT))
    throw new Refused('accounts of administrators and support need the scope admin:write', 'insufficient_scope')
}

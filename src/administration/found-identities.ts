import { z } from 'zod'
import { findIdentity, findIdentityByLogin, type IdentityRow } from '../domain/identities/identities.ts'
import { refuseNarrowOperator } from '../domain/identities/administrators.ts'
import { ADMIN, SUPPORT } from '../domain/identities/roles.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { isUuid } from '../domain/uuid.ts'
import { Forbidden } from './operation.ts'

/** An identity by its id, user name or e-mail address. */
export const IDENTITY = {
  identity: z.string().min(1).max(254).describe('The id, the user name or the e-mail address of the identity.'),
}

/** @throws Refused when there is none */
export async function theIdentity(services: Services, login: string): Promise<IdentityRow> {
  const byId = isUuid(login) ? await findIdentity(services, login) : null
  const identity = byId ?? (await findIdentityByLogin(services, login))
  if (identity === null) throw new Refused(`there is no identity ${login}`, 'not_found')
  return identity
}

/**
 * The identity that an operation changes. Support must not touch the accounts of administrators and other support: one that ends
 * their sign-ins or has mail sent to them could get into one. @throws Forbidden, Refused
 */
export async function theIdentityToChange(services: Services, login: string): Promise<IdentityRow> {
  const identity = await theIdentity(services, login)
  await protectOperators(services, identity)
  return identity
}

/** @throws Forbidden when the operator is support, and this account is one of an operator */
export async function protectOperators(services: Services, identity: IdentityRow): Promise<void> {
  const { roles } = identity
  if (!roles.includes(ADMIN) && !roles.includes(SUPPORT)) return
  refuseNarrowOperator(services, roles)
  if (await isSupport(services)) throw new Forbidden('support may not change the account of an administrator')
}

/** Whether the operator is a signed-in user without the role `admin`. A command and a client of the admin API have no roles. */
async function isSupport(services: Services): Promise<boolean> {
  const id = services.operator?.id ?? null
  const operator = id !== null && isUuid(id) ? await findIdentity(services, id) : null
  return operator !== null && !operator.roles.includes(ADMIN)
}

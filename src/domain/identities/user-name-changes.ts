import { insertAuditEvents } from '../../storage/audit.ts'
import { type IdentityRow, updateUserName } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { announceClaims } from './claim-changes.ts'
import { skeletonsOf } from './user-names.ts'

/** Gives an identity, which is locked, another user name. @throws a unique violation when it is taken */
export async function changeUserNameIn(
  services: Services,
  db: Queryable,
  { id: identityId, name }: IdentityRow,
  username: string,
): Promise<void> {
  const key = loginKeyOf(username)
  await updateUserName(
    db,
    identityId,
    { username, usernameKey: key, skeletons: skeletonsOf(username) },
    services.clock(),
  )
  // The name of a user who has given none is the user name.
  const claims = ['username', 'preferred_username', ...(name === null ? ['name'] : [])]
  const now = await announceClaims(services, db, identityId, { claims })
  await insertAuditEvents(db, [{ kind: 'user_name_changed', identityId, actor: services.operator }], now)
}

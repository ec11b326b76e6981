import { randomUUID } from 'node:crypto'
import { loginKeyOf } from '../../domain/limits/login-keys.ts'
import type { Services } from '../../domain/services.ts'
import { skeletonsOf } from '../../domain/identities/user-names.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { insertIdentity } from '../../storage/identities.ts'
import type { ada } from './people.ts'

/**
 * Stores an identity as a registration would, without judging the password: that would start a thread with all the words of a
 * language, which few tests are about. @returns the id
 */
export async function addIdentity(
  services: Services,
  { username, email, password }: typeof ada,
  { roles = [], emailVerified = false }: { roles?: string[]; emailVerified?: boolean } = {},
): Promise<string> {
  const now = services.clock()
  const identity = await insertIdentity(
    services.storage.pool,
    {
      id: randomUUID(),
      username,
      usernameKey: loginKeyOf(username),
      skeletons: skeletonsOf(username),
      email,
      emailKey: loginKeyOf(email),
      emailVerified,
      passwordHash: await services.hasher.hash(password, email),
      passwordStandsAlone: true,
      roles,
      createdAt: now,
      updatedAt: now,
    },
    false,
  )
  if (identity === null) throw new Error(`there is a ${username} already`)
  await insertAuditEvents(services.storage.pool, [{ kind: 'registered', identityId: identity.id }], now)
  return identity.id
}

import { randomBytes } from 'node:crypto'
import {
  findLivingIdentitySession,
  openIdentitySession,
  type SignedInRow,
} from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import { home } from './connections.ts'
import { addIdentity } from './identities.ts'
import { ada } from './people.ts'

/** A new user with Ada's password, who has just signed in. */
export async function newcomer(services: Services): Promise<SignedInRow> {
  const username = `newcomer-${randomBytes(6).toString('hex')}`
  const identityId = await addIdentity(services, { ...ada, username, email: `${username}@example.test` })
  const id = await openIdentitySession(services, { identityId, amr: ['pwd'] }, home, null)
  return (await findLivingIdentitySession(services, id as string, home)) as SignedInRow
}

import { randomBytes } from 'node:crypto'
import { register } from '../domain/identities.ts'
import { findLivingIdentitySession, openIdentitySession, type SignedInRow } from '../domain/identity-sessions.ts'
import type { Portal } from '../domain/portal.ts'
import { home } from './connections.ts'
import { ada } from './people.ts'

/** Somebody nobody has seen before, with Ada's password, who has just signed in. */
export async function newcomer(portal: Portal): Promise<SignedInRow> {
  const username = `newcomer-${randomBytes(6).toString('hex')}`
  const outcome = await register(portal, { ...ada, username, email: `${username}@example.test` }, home)
  if (outcome.kind !== 'registered') throw new Error(JSON.stringify(outcome))
  const id = await openIdentitySession(portal, outcome.identity.id, ['pwd'], home, null)
  return (await findLivingIdentitySession(portal, id as string, home)) as SignedInRow
}

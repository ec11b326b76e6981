import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { insertAuditEvents } from '../storage/audit.ts'
import {
  findIdentity,
  findIdentityByKey,
  type IdentityRow,
  insertIdentity,
  listIdentities,
  updateDisabledAt,
} from '../storage/identities.ts'
import { isUniqueViolation, transaction } from '../storage/postgres.ts'
import { endEverythingIn } from './identity-sessions.ts'
import type { PasswordVerdict } from './password-judge.ts'
import type { Place, Portal } from './portal.ts'

export type { IdentityRow }
export { findIdentity, listIdentities }

export interface Registration {
  username: string
  email: string
  password: string
}

export type RegistrationProblems = Partial<Record<keyof Registration, string>>

export type RegistrationOutcome =
  | { kind: 'registered'; identity: IdentityRow }
  | { kind: 'refused'; problems: RegistrationProblems; verdict: PasswordVerdict }

const email = z.email().max(254)

/** Creates an identity. `place` is null when an operator does it. @throws EstimatorBusy, HasherBusy */
export async function register(
  portal: Portal,
  registration: Registration,
  place: Place | null,
  extra: { roles?: string[]; emailVerified?: boolean } = {},
): Promise<RegistrationOutcome> {
  const username = registration.username.normalize('NFKC').trim()
  const address = registration.email.trim()
  const verdict = await portal.passwords.judge(registration.password, [username, address], false)
  const problems = problemsOf(username, address, verdict)
  if (Object.keys(problems).length > 0) return { kind: 'refused', problems, verdict }

  const passwordHash = await portal.hasher.hash(registration.password)
  const now = portal.clock()
  try {
    const identity = await insertIdentity(portal.storage, {
      id: randomUUID(),
      username,
      usernameKey: keyOf(username),
      email: address,
      emailKey: keyOf(address),
      emailVerified: extra.emailVerified ?? false,
      passwordHash,
      roles: extra.roles ?? [],
      createdAt: now,
      updatedAt: now,
    })
    await insertAuditEvents(portal.storage.pool, [{ kind: 'registered', identityId: identity.id, ...place }], now)
    return { kind: 'registered', identity }
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    const taken = (await findIdentityByKey(portal.storage, keyOf(username))) === null ? 'email' : 'username'
    const words = taken === 'email' ? 'There is an account with this address already.' : 'This user name is taken.'
    return { kind: 'refused', problems: { [taken]: words }, verdict }
  }
}

/** What makes two spellings of a user name or an address the same one. */
export function keyOf(login: string): string {
  return login.normalize('NFKC').trim().toLowerCase()
}

/** Null when nobody has this user name or address. */
export async function findIdentityByLogin(portal: Portal, login: string): Promise<IdentityRow | null> {
  return findIdentityByKey(portal.storage, keyOf(login))
}

/** Disables an identity: it can no longer sign in, and everything it had is over at once. */
export async function disableIdentity(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await transaction(portal.storage.pool, async (db) => {
    await updateDisabledAt(db, id, now, now)
    await insertAuditEvents(db, [{ kind: 'identity_disabled', identityId: id }], now)
    await endEverythingIn(db, id, 'identity_disabled', null, now)
  })
}

/** Lets an identity sign in again; what ended stays ended. */
export async function enableIdentity(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await transaction(portal.storage.pool, async (db) => {
    await updateDisabledAt(db, id, null, now)
    await insertAuditEvents(db, [{ kind: 'identity_enabled', identityId: id }], now)
  })
}

/** Signs an identity out of every browser and every app; it may sign in again. */
export async function revokeEverything(portal: Portal, id: string): Promise<void> {
  await transaction(portal.storage.pool, (db) => endEverythingIn(db, id, 'operator', null, portal.clock()))
}

function problemsOf(username: string, address: string, verdict: PasswordVerdict): RegistrationProblems {
  const problems: RegistrationProblems = {}
  if (!/^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]{1,63}$/u.test(username)) {
    problems.username = 'Use 2 to 64 letters, figures, dots, dashes or underscores, beginning with a letter or figure.'
  }
  if (!email.safeParse(address).success) problems.email = 'Enter an address like name@example.com.'
  if (verdict.problem !== null) problems.password = verdict.problem
  return problems
}

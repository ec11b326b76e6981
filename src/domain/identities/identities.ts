import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { insertAuditEvents } from '../../storage/audit.ts'
import { lockFamiliesOf, markFamiliesStale } from '../../storage/families.ts'
import {
  findIdentity,
  findIdentityByKey,
  type IdentityRow,
  insertIdentity,
  isSkeletonTaken,
  listIdentities,
  lockIdentity,
  type NewIdentity,
  updateDisabledAt,
  updateRoles,
} from '../../storage/identities.ts'
import { isUniqueViolation, transaction } from '../../storage/postgres.ts'
import { addressKey } from '../limits/ip-keys.ts'
import { addressProblem, canonicalAddress } from './emails.ts'
import { mayMail } from '../limits/login-throttling.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { keyOf, keyWithInvisible } from '../limits/login-keys.ts'
import { queueMail } from '../mail-jobs.ts'
import { announceStale } from '../endings/notifications.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'
import { canonicalUserName, skeletonsOf, userNameProblem } from './user-names.ts'

export type { IdentityRow }
export { findIdentity, listIdentities }

export interface Registration {
  username: string
  email: string
  password: string
}

export type RegistrationProblems = Partial<Record<keyof Registration, string>>

/** What keeps a registration from being made, all of it. */
export interface Examination {
  problems: RegistrationProblems
  verdict: PasswordVerdict
}

export type RegistrationOutcome = { kind: 'registered'; identity: IdentityRow } | ({ kind: 'refused' } & Examination)

/**
 * Looks at a registration without making it. What costs little is looked at first, and a person is told of everything at once;
 * whether an address has an account is no problem, because they must not learn it. `place` is null for an operator.
 */
export async function examineRegistration(
  portal: Portal,
  { username: typed, email, password }: Registration,
  place: Place | null,
): Promise<Examination> {
  const username = canonicalUserName(typed)
  const problems: RegistrationProblems = {}
  const nameProblem = userNameProblem(username) ?? (await takenProblem(portal, username))
  if (nameProblem !== null) problems.username = nameProblem
  const unreachable = addressProblem(canonicalAddress(email))
  if (unreachable !== null) problems.email = unreachable

  const verdict = await portal.passwords.judge(password, [username, canonicalAddress(email)], false, sourceOf(place))
  if (verdict.problem !== null) problems.password = verdict.problem
  return { problems, verdict }
}

/**
 * Creates an identity. Whoever registers an address that somebody has does not learn that: they get an account like
 * everybody, the mail that goes to the address says what there is to say, and the address is theirs once they prove it.
 * An operator, for whom `place` is null, is told. @throws Overloaded
 */
export async function register(
  portal: Portal,
  registration: Registration,
  place: Place | null,
  extra: { roles?: string[]; emailVerified?: boolean } = {},
): Promise<RegistrationOutcome> {
  const { problems, verdict } = await examineRegistration(portal, registration, place)
  if (Object.keys(problems).length > 0) return { kind: 'refused', problems, verdict }

  const username = canonicalUserName(registration.username)
  const email = canonicalAddress(registration.email)
  const passwordHash = await portal.hasher.hash(registration.password, sourceOf(place))
  const now = portal.clock()
  const identity: NewIdentity = {
    id: randomUUID(),
    username,
    usernameKey: keyOf(username),
    skeletons: skeletonsOf(username),
    email,
    emailKey: keyOf(email),
    emailVerified: extra.emailVerified ?? false,
    passwordHash,
    passwordStandsAlone: verdict.standsAlone,
    roles: extra.roles ?? [],
    createdAt: now,
    updatedAt: now,
  }
  // An address must not be drowned in mail by those who register it again and again.
  const isTold = place !== null && (await mayMail(portal, email))
  for (;;) {
    const registered = await insertRegistration(portal, identity, place, isTold)
    if (registered !== null) return { kind: 'registered', identity: registered }
    const taken = await takenProblem(portal, username)
    if (taken !== null) return { kind: 'refused', problems: { username: taken }, verdict }
    if (place === null)
      return { kind: 'refused', problems: { email: 'There is an account with this address already.' }, verdict }
    // Somebody registered the address between the look at it and the write, so from now on the look finds it.
  }
}

async function insertRegistration(
  portal: Portal,
  identity: NewIdentity,
  place: Place | null,
  isTold: boolean,
): Promise<IdentityRow | null> {
  return transaction(portal.storage.pool, async (db) => {
    const registered = await insertIdentity(db, identity, place !== null)
    if (registered === null) return null
    await insertAuditEvents(
      db,
      [{ kind: 'registered', identityId: identity.id, actor: portal.operator, ...place }],
      identity.createdAt,
    )
    if (isTold) await queueMail(portal, { kind: 'verify-address', identityId: identity.id }, db)
    return registered
  }).catch((error: unknown) => {
    // Somebody registered a name that looks like this one between the look at it and the write.
    if (isUniqueViolation(error)) return null
    throw error
  })
}

/** Null when nobody has this user name or address. */
export async function findIdentityByLogin(portal: Portal, login: string): Promise<IdentityRow | null> {
  const [key, keyBefore] = [keyOf(login), keyWithInvisible(login)]
  const identity = await findIdentityByKey(portal.storage, key)
  return identity === null && keyBefore !== key ? findIdentityByKey(portal.storage, keyBefore) : identity
}

/**
 * Gives an identity these roles and no others. The next refresh of every family carries them; tokens that are out are stale
 * from then on, and the apps are told.
 */
export async function changeRoles(portal: Portal, id: string, roles: string[]): Promise<void> {
  await transaction(portal.storage.pool, async (db) => {
    const identity = await lockIdentity(db, id)
    if (identity === null || isDeepStrictEqual(identity.roles, roles)) return
    // The clock is read when nobody can get a token with the roles there were: not by a refresh, nor by a new family.
    await lockFamiliesOf(db, id)
    const now = portal.clock()
    const version = await updateRoles(db, id, roles, now)
    const stale = await markFamiliesStale(db, id, version, now)
    await insertAuditEvents(
      db,
      [{ kind: 'roles_changed', identityId: id, detail: roles.join(', '), actor: portal.operator }],
      now,
    )
    await announceStale(portal, db, stale, now)
  })
}

/** Disables an identity: it can no longer sign in, and everything it had is over at once. */
export async function disableIdentity(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await transaction(portal.storage.pool, async (db) => {
    await updateDisabledAt(db, id, now, now)
    await insertAuditEvents(db, [{ kind: 'identity_disabled', identityId: id, actor: portal.operator }], now)
    await endEverythingIn(portal, db, id, { cause: 'identity_disabled', place: null }, now)
  })
}

/** Lets an identity sign in again; what ended stays ended. */
export async function enableIdentity(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await transaction(portal.storage.pool, async (db) => {
    await updateDisabledAt(db, id, null, now)
    await insertAuditEvents(db, [{ kind: 'identity_enabled', identityId: id, actor: portal.operator }], now)
  })
}

/** Signs an identity out of every browser and every app; it may sign in again. */
export async function revokeEverything(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await transaction(portal.storage.pool, async (db) => {
    await insertAuditEvents(db, [{ kind: 'everything_ended', identityId: id, actor: portal.operator }], now)
    await endEverythingIn(portal, db, id, { cause: 'operator', place: null }, now)
  })
}

async function takenProblem(portal: Portal, username: string): Promise<string | null> {
  const isAlike = await isSkeletonTaken(portal.storage, skeletonsOf(username))
  // Asked last: this very name, registered between the two questions, is taken and not only alike.
  if ((await findIdentityByKey(portal.storage, keyOf(username))) !== null) return 'This user name is taken.'
  return isAlike ? 'This user name looks like one that is taken. Choose another.' : null
}

/** Operators share one turn in the queues of costly work. */
function sourceOf(place: Place | null): string {
  return place === null ? 'operator' : addressKey(place.address)
}

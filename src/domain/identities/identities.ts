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
import { ipKey } from '../limits/ip-keys.ts'
import { emailProblem, canonicalEmail } from './emails.ts'
import { mayMail } from '../limits/login-throttling.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { keyOf, keyWithInvisible } from '../limits/login-keys.ts'
import { queueMail } from '../mail-jobs.ts'
import { announceStale } from '../endings/notifications.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
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
  services: Services,
  { username: typed, email, password }: Registration,
  clientInfo: ClientInfo | null,
): Promise<Examination> {
  const username = canonicalUserName(typed)
  const problems: RegistrationProblems = {}
  const nameProblem = userNameProblem(username) ?? (await takenProblem(services, username))
  if (nameProblem !== null) problems.username = nameProblem
  const unreachable = emailProblem(canonicalEmail(email))
  if (unreachable !== null) problems.email = unreachable

  const verdict = await services.passwords.judge(
    password,
    [username, canonicalEmail(email)],
    false,
    sourceOf(clientInfo),
  )
  if (verdict.problem !== null) problems.password = verdict.problem
  return { problems, verdict }
}

/**
 * Creates an identity. Whoever registers an address that somebody has does not learn that: they get an account like
 * everybody, the mail that goes to the address says what there is to say, and the address is theirs once they prove it.
 * An operator, for whom `place` is null, is told. @throws Overloaded
 */
export async function register(
  services: Services,
  registration: Registration,
  clientInfo: ClientInfo | null,
  extra: { roles?: string[]; emailVerified?: boolean } = {},
): Promise<RegistrationOutcome> {
  const { problems, verdict } = await examineRegistration(services, registration, clientInfo)
  if (Object.keys(problems).length > 0) return { kind: 'refused', problems, verdict }

  const username = canonicalUserName(registration.username)
  const email = canonicalEmail(registration.email)
  const passwordHash = await services.hasher.hash(registration.password, sourceOf(clientInfo))
  const now = services.clock()
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
  const isTold = clientInfo !== null && (await mayMail(services, email))
  for (;;) {
    const registered = await insertRegistration(services, identity, clientInfo, isTold)
    if (registered !== null) return { kind: 'registered', identity: registered }
    const taken = await takenProblem(services, username)
    if (taken !== null) return { kind: 'refused', problems: { username: taken }, verdict }
    if (clientInfo === null)
      return { kind: 'refused', problems: { email: 'There is an account with this address already.' }, verdict }
    // Somebody registered the address between the look at it and the write, so from now on the look finds it.
  }
}

async function insertRegistration(
  services: Services,
  identity: NewIdentity,
  clientInfo: ClientInfo | null,
  isTold: boolean,
): Promise<IdentityRow | null> {
  return transaction(services.storage.pool, async (db) => {
    const registered = await insertIdentity(db, identity, clientInfo !== null)
    if (registered === null) return null
    await insertAuditEvents(
      db,
      [{ kind: 'registered', identityId: identity.id, actor: services.operator, ...clientInfo }],
      identity.createdAt,
    )
    if (isTold) await queueMail(services, { kind: 'verify-address', identityId: identity.id }, db)
    return registered
  }).catch((error: unknown) => {
    // Somebody registered a name that looks like this one between the look at it and the write.
    if (isUniqueViolation(error)) return null
    throw error
  })
}

/** Null when nobody has this user name or address. */
export async function findIdentityByLogin(services: Services, login: string): Promise<IdentityRow | null> {
  const [key, keyBefore] = [keyOf(login), keyWithInvisible(login)]
  const identity = await findIdentityByKey(services.storage, key)
  return identity === null && keyBefore !== key ? findIdentityByKey(services.storage, keyBefore) : identity
}

/**
 * Gives an identity these roles and no others. The next refresh of every family carries them; tokens that are out are stale
 * from then on, and the apps are told.
 */
export async function changeRoles(services: Services, id: string, roles: string[]): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, id)
    if (identity === null || isDeepStrictEqual(identity.roles, roles)) return
    // The clock is read when nobody can get a token with the roles there were: not by a refresh, nor by a new family.
    await lockFamiliesOf(db, id)
    const now = services.clock()
    const version = await updateRoles(db, id, roles, now)
    const stale = await markFamiliesStale(db, id, version, now)
    await insertAuditEvents(
      db,
      [{ kind: 'roles_changed', identityId: id, detail: roles.join(', '), actor: services.operator }],
      now,
    )
    await announceStale(services, db, stale, now)
  })
}

/** Disables an identity: it can no longer sign in, and everything it had is over at once. */
export async function disableIdentity(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    await updateDisabledAt(db, id, now, now)
    await insertAuditEvents(db, [{ kind: 'identity_disabled', identityId: id, actor: services.operator }], now)
    await endEverythingIn(services, db, id, { cause: 'identity_disabled', clientInfo: null }, now)
  })
}

/** Lets an identity sign in again; what ended stays ended. */
export async function enableIdentity(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    await updateDisabledAt(db, id, null, now)
    await insertAuditEvents(db, [{ kind: 'identity_enabled', identityId: id, actor: services.operator }], now)
  })
}

/** Signs an identity out of every browser and every app; it may sign in again. */
export async function revokeEverything(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    await insertAuditEvents(db, [{ kind: 'everything_ended', identityId: id, actor: services.operator }], now)
    await endEverythingIn(services, db, id, { cause: 'operator', clientInfo: null }, now)
  })
}

async function takenProblem(services: Services, username: string): Promise<string | null> {
  const isAlike = await isSkeletonTaken(services.storage, skeletonsOf(username))
  // Asked last: this very name, registered between the two questions, is taken and not only alike.
  if ((await findIdentityByKey(services.storage, keyOf(username))) !== null) return 'This user name is taken.'
  return isAlike ? 'This user name looks like one that is taken. Choose another.' : null
}

/** Operators share one turn in the queues of costly work. */
function sourceOf(clientInfo: ClientInfo | null): string {
  return clientInfo === null ? 'operator' : ipKey(clientInfo.address)
}

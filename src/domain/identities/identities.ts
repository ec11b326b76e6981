// identities/: who has an account: identities, user names, e-mail addresses, and the links in mails.
//
// It owns registration, roles, disabling, the canonical form and homograph protection of user names and e-mail addresses, and
// the signed single-use links.
// It leaves what users change themselves to `accounts/`, and proving who they are to `sign-in/`.

import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type Message, message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { appClaimColumnsOf } from '../../storage/claim-sources.ts'
import {
  findIdentity as findRow,
  findIdentityByKey,
  type FoundIdentity,
  type IdentityPlace,
  type IdentityRow,
  type IdentityState,
  insertIdentity,
  isSkeletonTaken,
  listIdentities as listRows,
  listIdentityIds,
  lockIdentity,
  type NewIdentity,
  updateAssignedRoles,
  updateDisabledAt,
} from '../../storage/identities.ts'
import type { AppRow } from '../../storage/apps.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { updateDisabledBySource } from '../../storage/source-users.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { emailProblem, canonicalEmail } from './emails.ts'
import { mayMail } from '../limits/login-throttling.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { loginKeyOf, keyWithInvisible } from '../limits/login-keys.ts'
import type { AuditEvent } from '../audit-events.ts'
import { queueMail } from '../mail-jobs.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { Refused } from '../refused.ts'
import { keepAnAdministrator, refuseNarrowOperator } from './administrators.ts'
import { settleEntitlements } from './entitlements.ts'
import { ADMIN, readRoles } from './roles.ts'
import { domainProblem } from './open-registration.ts'
import { subjectIn } from './subjects.ts'
import { writeAcceptance } from './terms.ts'
import { canonicalUserName, skeletonsOf, userNameProblem } from './user-names.ts'

export { appClaimColumnsOf }
export type { IdentityPlace, IdentityRow, IdentityState }

/** Any identity, also one that is disabled or deleted. */
export async function findIdentity({ storage }: Services, id: string): Promise<IdentityRow | null> {
  return findRow(storage, id)
}

/**
 * The identity that an app knows by this `sub`; null when there is none. A pairwise subject cannot be turned back, so that of every
 * identity is computed.
 */
export async function findIdentityBySubject(
  services: Services,
  app: Pick<AppRow, 'isPairwise' | 'redirectUris'>,
  sub: string,
): Promise<IdentityRow | null> {
  const ids = await listIdentityIds(services.storage)
  const id = ids.find((each) => subjectIn(services, app, each) === sub)
  return id === undefined ? null : findIdentity(services, id)
}

/** Which identities to list, and from where on. */
export interface IdentityQuery {
  /** What the user name, e-mail address, name or family name begins with. */
  prefix: string
  state: IdentityState | null
  role: string | null
  groupId: string | null
  after: IdentityPlace | null
  limit: number
}

/**
 * Identities by user name; found ones by what was found, each once. A page may be shorter than `limit`, and yet there is more.
 * @returns `next` is where to go on; null at the end
 */
export async function listIdentities(
  { storage }: Services,
  { prefix, after, limit, ...filter }: IdentityQuery,
): Promise<{ identities: IdentityRow[]; next: IdentityPlace | null }> {
  const key = loginKeyOf(prefix)
  const found: IdentityRow[] = []
  let next = after
  // What is found by two of its keys comes twice, and is left out the second time.
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const rows: FoundIdentity[] = await listRows(storage, { prefix: key, ...filter, after: next, limit: limit + 1 })
    for (const [index, { foundBy, firstFoundBy, ...identity }] of rows.entries()) {
      if (found.length === limit) return { identities: found, next }
      if (index === limit) break
      next = { key: foundBy, id: identity.id }
      if (foundBy === firstFoundBy) found.push(identity)
    }
    if (rows.length <= limit) return { identities: found, next: null }
  }
  return { identities: found, next }
}

const MOST_ROUNDS = 5

export function stateOf({ disabledAt, erasedFrom }: Pick<IdentityRow, 'disabledAt' | 'erasedFrom'>): IdentityState {
  if (erasedFrom !== null) return 'deleted'
  return disabledAt === null ? 'enabled' : 'disabled'
}

export interface Registration {
  username: string
  email: string
  password: string
}

export type RegistrationProblems = Partial<Record<keyof Registration, Message>>

/** Every problem of a registration. */
export interface Examination {
  problems: RegistrationProblems
  verdict: PasswordVerdict
}

export type RegistrationOutcome = { kind: 'registered'; identity: IdentityRow } | ({ kind: 'refused' } & Examination)

/**
 * Validates a registration without making it, and finds all problems at once. That the e-mail address has an account already is
 * no problem here, because it would allow account enumeration. `clientInfo` is null for an operator. Only who registers without
 * being entitled to needs an address of an allowed domain.
 */
export async function examineRegistration(
  services: Services,
  { username: typed, email, password }: Registration,
  clientInfo: ClientInfo | null,
  { isEntitled = clientInfo === null }: { isEntitled?: boolean } = {},
): Promise<Examination> {
  const username = canonicalUserName(typed)
  const problems: RegistrationProblems = {}
  const nameProblem = userNameProblem(username) ?? (await takenProblem(services, username))
  if (nameProblem !== null) problems.username = nameProblem
  const badEmail =
    emailProblem(canonicalEmail(email)) ?? (isEntitled ? null : await domainProblem(services, canonicalEmail(email)))
  if (badEmail !== null) problems.email = badEmail

  const verdict = await services.passwords.judge(
    password,
    [username, canonicalEmail(email)],
    false,
    sourceOf(clientInfo),
  )
  if (verdict.problem !== null) problems.password = verdict.problem
  return { problems, verdict }
}

/** What else a registration comes with. */
export interface RegistrationTerms {
  roles?: string[]
  emailVerified?: boolean
  /** The version of the terms of use that was accepted. */
  termsVersion?: string | null
  /** What entitles to register, in the same transaction; what it throws undoes the registration. */
  entitle?: (db: Queryable, identity: IdentityRow) => Promise<void>
  /** Whether the address gets a mail that asks for its confirmation. */
  asksForProof?: boolean
  /** What else is written into the audit log, in the same statement. */
  events?: AuditEvent[]
}

/**
 * Creates an identity. No account enumeration: a user who registers an e-mail address that has an account gets an account like
 * any other, and the mail to that address tells its owner. The address is theirs once they prove it. An operator, for whom
 * `clientInfo` is null, is told at once. @throws Overloaded
 */
export async function register(
  services: Services,
  registration: Registration,
  clientInfo: ClientInfo | null,
  terms: RegistrationTerms = {},
): Promise<RegistrationOutcome> {
  refuseNarrowOperator(services, terms.roles ?? [])
  const isEntitled = clientInfo === null || terms.entitle !== undefined
  const { problems, verdict } = await examineRegistration(services, registration, clientInfo, { isEntitled })
  if (Object.keys(problems).length > 0) return { kind: 'refused', problems, verdict }

  const username = canonicalUserName(registration.username)
  const email = canonicalEmail(registration.email)
  const passwordHash = await services.hasher.hash(registration.password, sourceOf(clientInfo))
  const now = services.clock()
  const identity: NewIdentity = {
    ...newIdentity({ username, email, emailVerified: terms.emailVerified ?? false, passwordHash }, now),
    passwordStandsAlone: verdict.standsAlone,
    roles: terms.roles ?? [],
  }
  // Rate limit: strangers who register an e-mail address again and again must not flood it with mail.
  const { asksForProof = clientInfo !== null } = terms
  const isTold = asksForProof && (await mayMail(services, email))
  for (;;) {
    const registered = await insertRegistration(services, identity, clientInfo, { ...terms, asksForProof: isTold })
    if (registered !== null) return { kind: 'registered', identity: registered }
    const taken = await takenProblem(services, username)
    if (taken !== null) return { kind: 'refused', problems: { username: taken }, verdict }
    if (clientInfo === null) return { kind: 'refused', problems: { email: message('email.taken') }, verdict }
    // Another user registered the e-mail address between the check and the insert, so the next check finds it.
  }
}

/** A row to insert, without roles. `username` and `email` are canonical. */
export function newIdentity(
  known: Pick<NewIdentity, 'username' | 'email' | 'emailVerified' | 'passwordHash'>,
  now: Date,
): NewIdentity {
  return {
    ...known,
    id: randomUUID(),
    usernameKey: loginKeyOf(known.username),
    skeletons: skeletonsOf(known.username),
    emailKey: loginKeyOf(known.email),
    passwordStandsAlone: true,
    roles: [],
    createdAt: now,
    updatedAt: now,
  }
}

/**
 * Creates an identity without a password, whose e-mail address another provider has verified. The first user name that can be had is
 * taken. `entitle` runs in the same transaction, and undoes it with false. @returns null then, and when the address is taken
 */
export async function registerWithoutPassword(
  services: Services,
  { usernames, email }: { usernames: string[]; email: string },
  clientInfo: ClientInfo,
  entitle: (db: Queryable, identity: IdentityRow) => Promise<boolean>,
): Promise<IdentityRow | null> {
  const now = services.clock()
  const terms: RegistrationTerms = {
    asksForProof: false,
    async entitle(db, identity) {
      if (!(await entitle(db, identity))) throw new Refused('it was taken meanwhile', 'conflict')
    },
  }
  for (const username of usernames.map(canonicalUserName)) {
    if ((await takenProblem(services, username)) !== null) continue
    const identity = newIdentity(
      { username, email, emailVerified: true, passwordHash: services.hasher.unusable() },
      now,
    )
    const registered = await insertRegistration(services, identity, clientInfo, terms, false).catch(
      (error: unknown) => {
        if (error instanceof Refused) return null
        throw error
      },
    )
    if (registered !== null) return registered
  }
  return null
}

async function insertRegistration(
  services: Services,
  identity: NewIdentity,
  clientInfo: ClientInfo | null,
  { termsVersion = null, entitle, asksForProof, events = [] }: RegistrationTerms,
  sharesEmail = clientInfo !== null,
): Promise<IdentityRow | null> {
  return transaction(services.storage.pool, async (db) => {
    const registered = await insertIdentity(db, identity, sharesEmail)
    if (registered === null) return null
    await insertAuditEvents(
      db,
      [...events, { kind: 'registered', identityId: identity.id, actor: services.operator, ...clientInfo }],
      identity.createdAt,
    )
    if (termsVersion !== null) await writeAcceptance(db, identity.id, termsVersion, clientInfo, identity.createdAt)
    await entitle?.(db, registered)
    if (asksForProof)
      await queueMail(services, { kind: 'verify-address', identityId: identity.id, locale: clientInfo?.locale }, db)
    return registered
  }).catch((error: unknown) => {
    // Another user registered a name that looks like this one between the check and the insert.
    if (isUniqueViolation(error)) return null
    throw error
  })
}

/** The identity with this user name or e-mail address; null when there is none. */
export async function findIdentityByLogin(services: Services, login: string): Promise<IdentityRow | null> {
  const [key, keyBefore] = [loginKeyOf(login), keyWithInvisible(login)]
  const identity = await findIdentityByKey(services.storage, key)
  return identity === null && keyBefore !== key ? findIdentityByKey(services.storage, keyBefore) : identity
}

/**
 * Replaces the assigned roles of an identity; those of its groups stay. The next refresh of every family has the new ones;
 * application tokens that were issued before are stale from then on, and the apps are notified. @throws Refused
 */
export async function changeRoles(services: Services, id: string, roles: string[]): Promise<void> {
  const assigned = readRoles(roles)
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, id)
    if (identity === null || isDeepStrictEqual(identity.assignedRoles, assigned)) return
    refuseSourceUser(identity, 'give them roles there, or by a group here')
    await updateAssignedRoles(db, id, assigned)
    const now = await settleEntitlements(services, db, [id])
    await insertAuditEvents(
      db,
      [{ kind: 'roles_changed', identityId: id, detail: assigned.join(', '), actor: services.operator }],
      now,
    )
  })
}

/**
 * Disables an identity: it can no longer sign in, and its identity sessions and families end at once.
 * @throws Refused for the last administrator
 */
export async function disableIdentity(services: Services, id: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, id)
    if (identity === null) throw new Refused(`there is no identity ${id}`, 'not_found')
    await disableIn(services, db, identity)
  })
}

/** The same in a transaction that has locked the identity. @throws Refused */
export async function disableIn(
  services: Services,
  db: Queryable,
  { id, disabledAt, disabledBySource, roles }: IdentityRow,
): Promise<void> {
  if (disabledAt !== null && !disabledBySource) return
  const now = services.clock()
  // From now on it is the operator's act, which the source cannot undo.
  if (disabledBySource) await updateDisabledBySource(db, id, false)
  await updateDisabledAt(db, id, now, now)
  await insertAuditEvents(db, [{ kind: 'identity_disabled', identityId: id, actor: services.operator }], now)
  await endEverythingIn(services, db, id, { cause: 'identity_disabled', clientInfo: null }, now)
  if (roles.includes(ADMIN)) await keepAnAdministrator(db)
}

/** Lets an identity sign in again; what ended stays ended. */
export async function enableIdentity(services: Services, id: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, id)
    if (identity !== null) await enableIn(services, db, identity)
  })
}

/** The same in a transaction that has locked the identity. */
export async function enableIn(services: Services, db: Queryable, identity: IdentityRow): Promise<void> {
  const { id, disabledAt, disabledBySource } = identity
  if (disabledAt === null) return
  if (disabledBySource) refuseSourceUser(identity, 'it has disabled them, and only it can enable them')
  const now = services.clock()
  await updateDisabledAt(db, id, null, now)
  await insertAuditEvents(db, [{ kind: 'identity_enabled', identityId: id, actor: services.operator }], now)
}

/** What the identity source says of its users is not changed here: it would come back. @throws Refused */
export function refuseSourceUser({ sourceId, username }: IdentityRow, advice: string): void {
  if (sourceId !== null) throw new Refused(`${username} lives in the identity source: ${advice}`, 'conflict')
}

/** Signs an identity out of every browser and every app; it may sign in again. */
export async function revokeEverything(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    await insertAuditEvents(db, [{ kind: 'everything_ended', identityId: id, actor: services.operator }], now)
    await endEverythingIn(services, db, id, { cause: 'operator', clientInfo: null }, now)
  })
}

/** Why a user name cannot be had, because another identity has it or one that looks like it; `except` is left out of account. */
export async function takenProblem(
  services: Services,
  username: string,
  except: string | null = null,
): Promise<Message | null> {
  const isAlike = await isSkeletonTaken(services.storage, skeletonsOf(username), except)
  // Asked last: this very name, registered between the two questions, is taken and not only alike.
  const holder = await findIdentityByKey(services.storage, loginKeyOf(username))
  if (holder !== null && holder.id !== except) return message('user_name.taken')
  return isAlike ? message('user_name.alike') : null
}

/** The key of the caller in the fair queues of costly work. Operators share one. */
function sourceOf(clientInfo: ClientInfo | null): string {
  return clientInfo === null ? 'operator' : ipKey(clientInfo.address)
}

import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { message } from '../../i18n/messages.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import {
  countDirectoryUsers,
  type DirectoryCondition,
  type DirectoryPage,
  type DirectoryUserRow,
  findDirectoryUser as findRow,
  isDirectoryNameTaken,
  listDirectoryUsers as listRows,
  writeDirectoryEntry,
} from '../../storage/directory-users.ts'
import {
  type IdentityRow,
  insertIdentity,
  lockIdentity,
  updatePasswordHash,
  updateRegion,
} from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { endEverythingIn } from '../endings/endings.ts'
import { setAttributesIn } from '../identities/attributes.ts'
import { announceClaims } from '../identities/claim-changes.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { disableIn, enableIn, newIdentity, refuseSourceUser, takenProblem } from '../identities/identities.ts'
import { LINK_LIVES } from '../identities/mail-links.ts'
import { canonicalUserName, userNameProblem } from '../identities/user-names.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { Refused, refusedFields } from '../refused.ts'
import type { Services } from '../services.ts'
import { removeEverySecondFactorIn } from '../sign-in/second-factors.ts'
import { changeUserNameIn } from '../identities/user-name-changes.ts'
import { changeEmailIn } from './corrections.ts'
import { deleteAccount } from './deletions.ts'
import { takeEmailIn } from '../identities/email-ownership.ts'
import { refuseNarrowOperator } from '../identities/administrators.ts'
import { eraseAccount } from './erasure.ts'
import { changeProfileIn, examineProfile, type Profile } from '../identities/profiles.ts'

export type DirectoryUser = DirectoryUserRow
export type { DirectoryCondition, DirectoryPage }

/** What a directory writes of a user. */
export interface DirectoryWrite {
  /** The name in the directory, often an e-mail address. The user name is made of it. */
  userName: string
  externalId: string | null
  /** Everything that it wants to read back, under the names of SCIM. */
  attributes: Record<string, unknown>
  /** The directory vouches for it. Null leaves the one that there is. */
  email: string | null
  /** Null leaves it. */
  isActive: boolean | null
  /** What changes; an empty text removes a value. */
  profile: Partial<Profile>
  region: Partial<Pick<IdentityRow, 'locale' | 'zoneinfo'>>
  /** Attributes that change; null removes one. */
  facts: Record<string, string | null>
}

/** How often a change is tried again that lost a race for a user name. */
const TRIES = 5

/** Any user who is not being erased; null when there is none. */
export async function findDirectoryUser({ storage, clock }: Services, id: string): Promise<DirectoryUser | null> {
  return findRow(storage.pool, id, clock())
}

/** The users that meet every condition, by id, and how many there are in all. */
export async function listDirectoryUsers(
  { storage, clock }: Services,
  conditions: DirectoryCondition[],
  page: DirectoryPage,
): Promise<{ users: DirectoryUser[]; total: number }> {
  const keyed = conditions.map((each) =>
    each.field === 'userName' || each.field === 'email' ? { ...each, value: loginKeyOf(each.value) } : each,
  )
  const [users, total] = await Promise.all([
    listRows(storage, keyed, page, clock()),
    countDirectoryUsers(storage, keyed, clock()),
  ])
  return { users, total }
}

/**
 * Creates an identity for a user of a directory. It has no password: its user gets in by a password reset, a sign-in link or another
 * way that needs none. No mail is sent. An identity that has only claimed the e-mail address loses it. @throws Refused
 */
export async function createDirectoryUser(services: Services, write: DirectoryWrite): Promise<DirectoryUser> {
  check(write)
  if (write.email === null) throw new Refused('email: there is none, neither in emails nor as userName')
  const email = canonicalEmail(write.email)
  return whileNamesAreTaken(services, write.userName, null, async (db, username) => {
    const now = services.clock()
    const identity = await insertIdentity(
      db,
      newIdentity({ username, email, emailVerified: false, passwordHash: services.hasher.unusable() }, now),
      true,
    )
    if (identity === null) return null
    const { id: identityId } = identity
    await insertAuditEvents(db, [{ kind: 'registered', identityId, actor: services.operator }], now)
    if (!(await takeEmailIn(services, db, identityId, email, now)))
      throw refusedFields({ email: message('email.taken') }, 'conflict')
    const made = await reread(services, db, identityId)
    await writeIn(services, db, made, write)
    return reread(services, db, identityId)
  })
}

/**
 * Changes a user for a directory, all of it or nothing. The first write to an identity takes it over: unless its e-mail address was
 * confirmed and is that of the directory, everything that could sign in until then is void (account pre-hijacking).
 * @param decide what to write, from the user as it is under the lock; what it throws undoes everything @throws Refused
 */
export async function changeDirectoryUser(
  services: Services,
  id: string,
  decide: (user: DirectoryUser) => DirectoryWrite,
): Promise<DirectoryUser> {
  // The free user name is searched outside the transaction, so the name in the directory must be known there.
  for (let tries = 1; ; tries++) {
    const before = await findDirectoryUser(services, id)
    if (before === null) throw noUser(id)
    refuseSourceUser(before, 'a directory cannot change them as well')
    const asked = decide(before)
    check(asked)
    const username = await followingName(services, before, asked.userName)
    try {
      return await transaction(services.storage.pool, async (db) => {
        await lockIdentity(db, id)
        const user = await findRow(db, id, services.clock())
        if (user === null) throw noUser(id)
        refuseNarrowOperator(services, user.roles)
        const write = decide(user)
        check(write)
        // Another change came between; the name would not fit.
        const isOutdated = write.userName !== asked.userName || user.username !== before.username
        if (isOutdated) throw new Outdated()
        if (username !== user.username) await changeUserNameIn(services, db, user, username)
        if (write.email !== null) await changeEmailIn(services, db, user, canonicalEmail(write.email), true)
        await writeIn(services, db, user, write)
        if (user.directory === null && !isOwner(user, write)) await secureIn(services, db, id)
        return reread(services, db, id)
      })
    } catch (error) {
      if (!(error instanceof Outdated) && !isUniqueViolation(error)) throw error
      await refuseTakenName(services, asked.userName, id)
      if (tries === TRIES) throw refusedFields({ email: message('email.taken') }, 'conflict')
    }
  }
}

/** Deletes and erases a user at once: the names are free again (RFC 7644 §3.6). @throws Refused */
export async function deleteDirectoryUser(
  services: Services,
  id: string,
  decide: (user: DirectoryUser) => void,
): Promise<void> {
  const user = await findDirectoryUser(services, id)
  if (user === null) throw noUser(id)
  refuseNarrowOperator(services, user.roles)
  decide(user)
  await deleteAccount(services, id, null, 0)
  await eraseAccount(services, id)
}

class Outdated extends Error {}

/** What one transaction writes beside the names. */
async function writeIn(services: Services, db: Queryable, user: DirectoryUser, write: DirectoryWrite): Promise<void> {
  const { id: identityId } = user
  const { userName, externalId, attributes, isActive, region } = write
  const { cleaned } = examineProfile(write.profile)
  await changeProfileIn(services, db, identityId, cleaned, null)
  await setAttributesIn(services, db, identityId, write.facts)
  const next = { locale: user.locale, zoneinfo: user.zoneinfo, ...region }
  if (next.locale !== user.locale || next.zoneinfo !== user.zoneinfo) {
    await updateRegion(db, identityId, next, services.clock())
    await announceClaims(services, db, identityId, { claims: ['locale', 'zoneinfo'] })
  }
  const before = user.directory
  const entry = { userName, externalId, attributes }
  const changed = Object.keys({ ...before?.attributes, ...attributes, userName, externalId }).filter(
    (name) => !isDeepStrictEqual({ ...before?.attributes, ...before }[name], { ...attributes, ...entry }[name]),
  )
  if (before === null || changed.length > 0) {
    const now = services.clock()
    await writeDirectoryEntry(db, identityId, entry, loginKeyOf(userName), now)
    const event = {
      kind: 'profile_changed' as const,
      identityId,
      detail: changed.join(', ').slice(0, 500),
      actor: services.operator,
    }
    await insertAuditEvents(db, [event], now)
  }
  if (isActive === null) return
  if (isActive && user.erasedFrom !== null)
    throw new Refused(
      `${user.username} has deleted this account; it is erased on ${user.erasedFrom.toISOString()}`,
      'conflict',
    )
  if (isActive) await enableIn(services, db, user)
  else if (user.erasedFrom === null) await disableIn(services, db, user)
}

/** Whether the e-mail address that the directory vouches for was confirmed by the user of the account. */
function isOwner({ email, emailVerified }: IdentityRow, write: DirectoryWrite): boolean {
  return emailVerified && (write.email === null || loginKeyOf(email) === loginKeyOf(write.email))
}

/** Makes everything void that could sign in: the account may have been a stranger's until now. */
async function secureIn(services: Services, db: Queryable, id: string): Promise<void> {
  const identity = await lockIdentity(db, id)
  if (identity === null) return
  const to = services.hasher.unusable()
  await updatePasswordHash(db, id, { from: identity.passwordHash, to, standsAlone: true }, services.clock())
  await removeEverySecondFactorIn(services, db, id, null)
  await deleteDevices(db, id, { except: null })
  await deleteMailLinks(db, id, Object.keys(LINK_LIVES))
  await insertAuditEvents(
    db,
    [{ kind: 'everything_ended', identityId: id, actor: services.operator }],
    services.clock(),
  )
  await endEverythingIn(services, db, id, { cause: 'operator', clientInfo: null }, services.clock())
}

/** @throws Refused */
function check({ userName, email, profile }: DirectoryWrite): void {
  if (loginKeyOf(userName) === '' || Array.from(userName).length > LONGEST_NAME)
    throw new Refused(`userName: it has 1 to ${LONGEST_NAME} characters`)
  const unreachable = email === null ? null : emailProblem(canonicalEmail(email))
  if (unreachable !== null) throw refusedFields({ email: unreachable })
  const { problems } = examineProfile(profile)
  if (Object.keys(problems).length > 0) throw refusedFields(problems)
}

const LONGEST_NAME = 255

/** Runs a transaction that returns null when the user name is taken, with one user name after the other. @throws Refused */
async function whileNamesAreTaken(
  services: Services,
  userName: string,
  except: string | null,
  act: (db: Queryable, username: string) => Promise<DirectoryUser | null>,
): Promise<DirectoryUser> {
  for (let tries = 0; tries < TRIES; tries++) {
    await refuseTakenName(services, userName, except)
    const username = await freeUserName(services, userName, except)
    const made = await transaction(services.storage.pool, (db) => act(db, username)).catch((error: unknown) => {
      if (isUniqueViolation(error)) return null
      throw error
    })
    if (made !== null) return made
  }
  throw new Refused(`userName: ${userName} is taken`, 'conflict')
}

/** @throws Refused when another identity has this name in a directory */
async function refuseTakenName({ storage }: Services, userName: string, except: string | null): Promise<void> {
  if (await isDirectoryNameTaken(storage.pool, loginKeyOf(userName), except))
    throw new Refused(`userName: there is a user ${userName} already`, 'conflict')
}

/**
 * The user name after a change of the name in the directory: it follows, unless it is another one than the directory had made.
 */
async function followingName(services: Services, user: DirectoryUser, userName: string): Promise<string> {
  const before = user.directory?.userName
  if (before === undefined || loginKeyOf(before) === loginKeyOf(userName)) return user.username
  const [old, next] = [baseOf(before), baseOf(userName)]
  const isMade = user.username.startsWith(old) && /^\d*$/.test(user.username.slice(old.length))
  return !isMade || old === next ? user.username : freeUserName(services, userName, user.id)
}

/** A user name that is free for a name in a directory. @throws Refused when that is a user name itself, and taken */
async function freeUserName(services: Services, userName: string, except: string | null): Promise<string> {
  const base = baseOf(userName)
  if (base === canonicalUserName(userName)) {
    const taken = await takenProblem(services, base, except)
    if (taken !== null) throw refusedFields({ userName: taken }, 'conflict')
    return base
  }
  const numbered = Array.from({ length: 8 }, (_, index) => `${base}${index + 2}`)
  const random = Array.from({ length: 8 }, () => `${base}${randomInt(100_000, 1_000_000)}`)
  for (const name of [base, ...numbered, ...random]) {
    if (userNameProblem(name) === null && (await takenProblem(services, name, except)) === null) return name
  }
  throw new Refused(`userName: ${userName} is taken`, 'conflict')
}

/** The user name that fits a name in a directory: that name itself, or what stands before the @, without what no user name has. */
function baseOf(userName: string): string {
  const name = canonicalUserName(userName)
  if (userNameProblem(name) === null) return name
  const local = name.includes('@') ? name.slice(0, name.lastIndexOf('@')) : name
  const fitting = local
    .replaceAll(/[^\p{L}\p{Mn}\p{Mc}\p{Nd}._-]+/gu, '.')
    .replace(/^[^\p{L}\p{Nd}]+/u, '')
    .replace(/[._-]+$/, '')
  const short = Array.from(fitting).slice(0, LONGEST_BASE).join('')
  return userNameProblem(short) === null ? short : 'user'
}

/** Leaves space for figures. */
const LONGEST_BASE = 58

async function reread(services: Services, db: Queryable, id: string): Promise<DirectoryUser> {
  const user = await findRow(db, id, services.clock())
  if (user === null) throw noUser(id)
  return user
}

function noUser(id: string): Refused {
  return new Refused(`there is no user ${id}`, 'not_found')
}

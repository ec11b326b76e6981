import { hash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { insertAuditEvents } from '../../storage/audit.ts'
import {
  findIdentity,
  findIdentityByKey,
  type IdentityRow,
  insertIdentity,
  lockIdentity,
  updateAssignedRoles,
  updateDisabledAt,
  updateUnconfirmedEmail,
} from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import {
  findSourceUser as findRow,
  updateDisabledBySource,
  updateSourceId,
  withdrawEmailKey,
} from '../../storage/source-users.ts'
import type { ClientInfo } from '../client-info.ts'
import { endEverythingIn } from '../endings/endings.ts'
import type { IdentitySource, SourceStatus, SourceUser } from '../identity-source.ts'
import { queueMail } from '../mail-jobs.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import type { Services } from '../services.ts'
import { announceClaims } from './claim-changes.ts'
import { derivedUserNames } from './derived-user-names.ts'
import { OF_ADDRESS, takeEmailIn } from './email-ownership.ts'
import { canonicalEmail, emailProblem } from './emails.ts'
import { settleEntitlements } from './entitlements.ts'
import { newIdentity, takenProblem } from './identities.ts'
import { changeProfileIn, examineProfile, type Profile, PROFILE_FIELDS, profileOf } from './profiles.ts'
import { ADMIN, isRoleName, SUPPORT } from './roles.ts'
import { changeUserNameIn } from './user-name-changes.ts'
import { canonicalUserName, userNameProblem } from './user-names.ts'

/** What followed from what the source says of a user. */
export type Followed =
  | { kind: 'followed'; identity: IdentityRow }
  /** Another account has the user name or the e-mail address, or no account can have it. It is in the log. */
  | { kind: 'refused' }

/** The identity of the user with this id in the source; null before their first sign-in. */
export async function findSourceUser({ storage }: Services, sourceId: string): Promise<IdentityRow | null> {
  return findRow(storage, sourceId)
}

/**
 * Makes the identity of a user of the source at their first sign-in, and afterwards changes it to what the source says: user
 * name, e-mail address, claims, roles and status. It is found by the id in the source alone. Accounts that are here alone keep
 * their names and addresses, so that the source can take over none of them. @throws SourceUnavailable
 */
export async function followSourceUser(
  services: Services,
  source: IdentitySource,
  user: SourceUser,
  clientInfo: ClientInfo | null,
): Promise<Followed> {
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await findRow(services.storage, user.id)
    const wanted = await wantedOf(services, user, before)
    if (!('problem' in wanted) && before !== null && isCurrent(before, user, wanted))
      return { kind: 'followed', identity: before }
    try {
      const problem = 'problem' in wanted ? wanted.problem : await makeRoom(services, source, wanted, before)
      if (problem !== null || 'problem' in wanted) {
        // The same user, in a sign-in at the same moment, may be what has the name.
        if (before === null && (await findRow(services.storage, user.id)) !== null) continue
        return refuse(services, user, problem ?? '')
      }
      await transaction(services.storage.pool, async (db) => {
        const identity = before === null ? await makeIn(services, db, user, wanted, clientInfo) : before
        await writeIn(services, db, identity.id, user, wanted)
      })
    } catch (error) {
      // Another process was quicker with this user, or an account got the name or the address in the meantime.
      if (!isUniqueViolation(error) && !(error instanceof Taken)) throw error
      continue
    }
    const identity = await findRow(services.storage, user.id)
    if (identity !== null) return { kind: 'followed', identity }
  }
  return refuse(services, user, 'its user name or e-mail address belongs to another account')
}

/** Reads a user from the source again, and follows. @throws SourceUnavailable */
export async function rereadSourceUser(services: Services, source: IdentitySource, sourceId: string): Promise<void> {
  const user = await source.findById(sourceId)
  if (user === null) return settleSourceStatus(services, sourceId, 'gone')
  if (user.id !== sourceId)
    return void refuse(services, user, 'the source answers about another user than it was asked for')
  await settleSourceStatus(services, sourceId, user.status)
  if ((await findRow(services.storage, sourceId)) !== null) await followSourceUser(services, source, user, null)
}

/**
 * The source says so of a user: one who is disabled or gone is signed out of everything at once and cannot sign in, and one who
 * was disabled there can again. What an operator has disabled here stays disabled.
 */
export async function settleSourceStatus(services: Services, sourceId: string, status: SourceStatus): Promise<void> {
  const identity = await findRow(services.storage, sourceId)
  if (identity === null || !isNews(identity, status)) return
  await transaction(services.storage.pool, async (db) => {
    const row = await lockIdentity(db, identity.id)
    if (row !== null) await settleStatusIn(services, db, row, status)
  })
}

/**
 * Asks whether a user may still sign in who does so without the password, such as by passkey; a user who may not is disabled then.
 * Asks nothing about an account that is here alone. @throws SourceUnavailable
 */
export async function confirmSourceStatus(services: Services, identityId: string): Promise<void> {
  const { identitySource } = services
  if (identitySource === null) return
  const { sourceId } = (await findIdentity(services.storage, identityId)) ?? { sourceId: null }
  if (sourceId === null) return
  const status = (await identitySource.statusesOf([sourceId])).get(sourceId)
  if (status !== undefined) await settleSourceStatus(services, sourceId, status)
}

/** What the source says to a user, for a page: one line of readable text. */
export function readableReason(reason: string): string {
  return reason
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Bidi_Control}\s]+/gu, ' ')
    .trim()
    .slice(0, LONGEST_REASON)
}

const LONGEST_REASON = 200
const TRIES = 4

class Taken extends Error {}

/** What the identity is to be, in the form in which it is stored. */
interface Wanted {
  username: string
  email: string
  /** Also when its owner has confirmed it here. */
  emailVerified: boolean
  profile: Profile
  roles: string[]
}

async function wantedOf(
  services: Services,
  user: SourceUser,
  before: IdentityRow | null,
): Promise<Wanted | { problem: string }> {
  if (user.id === '' || user.id.length > LONGEST_ID || /\p{Cc}/u.test(user.id) || !user.id.isWellFormed())
    return { problem: `an id has 1 to ${LONGEST_ID} characters` }
  const email = canonicalEmail(user.email)
  if (emailProblem(email) !== null) return { problem: 'its e-mail address is none' }
  const username = await userNameOf(services, user, before)
  return username === null
    ? { problem: 'its user name, or one that looks like it, belongs to another account' }
    : {
        username,
        email,
        emailVerified: user.emailVerified || (before?.email === email && before.emailVerified),
        profile: profileIn(user),
        roles: rolesIn(user),
      }
}

const LONGEST_ID = 255

/** The name in the source, or one that is made of the address where that can be no user name here; null where it is taken. */
async function userNameOf(services: Services, user: SourceUser, before: IdentityRow | null): Promise<string | null> {
  const name = canonicalUserName(user.username)
  if (userNameProblem(name) === null) {
    if (before?.username === name) return name
    const holder = await findIdentityByKey(services.storage, loginKeyOf(name))
    if (holder !== null && holder.id !== before?.id && holder.sourceId !== null) return name
    return (await takenProblem(services, name, before?.id ?? null)) === null ? name : null
  }
  for (const derived of derivedUserNames(canonicalEmail(user.email)))
    if (before?.username === derived || (await takenProblem(services, derived, before?.id ?? null)) === null)
      return derived
  return null
}

function profileIn({ claims }: SourceUser): Profile {
  const address = typeof claims['address'] === 'object' ? (claims['address'] as Record<string, unknown> | null) : null
  const said = Object.fromEntries(
    PROFILE_FIELDS.map((name) => [name, claims[name] ?? address?.[name]]).filter(
      ([, value]) => typeof value === 'string',
    ),
  ) as Partial<Profile>
  const { cleaned, problems } = examineProfile(said)
  const usable = Object.entries(cleaned).filter(([name]) => !(name in problems))
  return { ...profileOf(null), ...(Object.fromEntries(usable) as Partial<Profile>) }
}

/** Operators of the portal are made here: a source that names itself one gets no key to this house. */
function rolesIn({ roles }: SourceUser): string[] {
  const usable = roles.filter((role) => isRoleName(role) && role !== ADMIN && role !== SUPPORT)
  return [...new Set(usable)].slice(0, MOST_ROLES).toSorted()
}

const MOST_ROLES = 100

function isCurrent(row: IdentityRow, user: SourceUser, wanted: Wanted): boolean {
  const { username, email, emailVerified, profile, roles } = wanted
  return (
    row.username === username &&
    row.email === email &&
    row.emailKey !== null &&
    row.emailVerified === emailVerified &&
    isDeepStrictEqual(profileOf(row), profile) &&
    isDeepStrictEqual(row.assignedRoles.toSorted(), roles) &&
    !isNews(row, user.status)
  )
}

/**
 * Users of the source who have the wanted name or address here, and no longer there, lose it. Null when there is room; else what
 * is in the way.
 */
async function makeRoom(
  services: Services,
  source: IdentitySource,
  { username, email }: Wanted,
  before: IdentityRow | null,
): Promise<string | null> {
  const byName = await findIdentityByKey(services.storage, loginKeyOf(username))
  if (byName !== null && byName.id !== before?.id) {
    if (!(await hasMoved(source, byName, (now) => loginKeyOf(canonicalUserName(now.username)) === byName.usernameKey)))
      return 'its user name belongs to another account'
    const [, spare] = derivedUserNames(`${byName.username}@${hash('sha256', byName.id).slice(0, 12)}`)
    await transaction(services.storage.pool, async (db) => {
      const row = await lockIdentity(db, byName.id)
      if (row?.usernameKey === byName.usernameKey) await changeUserNameIn(services, db, row, spare)
    })
  }
  const byEmail = await findIdentityByKey(services.storage, loginKeyOf(email))
  if (byEmail === null || byEmail.id === before?.id) return null
  if (!(await hasMoved(source, byEmail, (now) => loginKeyOf(canonicalEmail(now.email)) === byEmail.emailKey)))
    return 'its e-mail address belongs to another account'
  await transaction(services.storage.pool, async (db) => {
    const row = await lockIdentity(db, byEmail.id)
    if (row?.emailKey !== byEmail.emailKey) return
    await withdrawEmailKey(db, row.id, services.clock())
    await deleteMailLinks(db, row.id, OF_ADDRESS)
    const now = await announceClaims(services, db, row.id, { claims: ['email', 'email_verified'] })
    await insertAuditEvents(db, [{ kind: 'address_lost', identityId: row.id }], now)
  })
  return null
}

/** Whether a user of the source is gone, or no longer has there what they have here. */
async function hasMoved(
  source: IdentitySource,
  { sourceId }: IdentityRow,
  hasIt: (now: SourceUser) => boolean,
): Promise<boolean> {
  if (sourceId === null) return false
  const now = await source.findById(sourceId)
  return now === null || !hasIt(now)
}

/** @throws Taken, a unique violation */
async function makeIn(
  services: Services,
  db: Queryable,
  user: SourceUser,
  { username, email, emailVerified }: Wanted,
  clientInfo: ClientInfo | null,
): Promise<IdentityRow> {
  const now = services.clock()
  const made = await insertIdentity(
    db,
    newIdentity({ username, email, emailVerified: false, passwordHash: services.hasher.unusable() }, now),
    true,
  )
  if (made === null) throw new Taken()
  await updateSourceId(db, made.id, user.id)
  await insertAuditEvents(
    db,
    [{ kind: 'registered', identityId: made.id, detail: 'identity source', actor: services.operator, ...clientInfo }],
    now,
  )
  if (!emailVerified)
    await queueMail(services, { kind: 'verify-address', identityId: made.id, locale: clientInfo?.locale }, db)
  return made
}

/** @throws Taken, a unique violation */
async function writeIn(
  services: Services,
  db: Queryable,
  id: string,
  user: SourceUser,
  { username, email, emailVerified, profile, roles }: Wanted,
): Promise<void> {
  const before = await lockIdentity(db, id)
  if (before === null) throw new Taken()
  if (before.username !== username) await changeUserNameIn(services, db, before, username)
  await writeEmailIn(services, db, before, email, emailVerified)
  await changeProfileIn(services, db, id, profile, null)
  if (!isDeepStrictEqual(before.assignedRoles.toSorted(), roles)) {
    await updateAssignedRoles(db, id, roles)
    const now = await settleEntitlements(services, db, [id])
    await insertAuditEvents(db, [{ kind: 'roles_changed', identityId: id, detail: roles.join(', ') }], now)
  }
  await settleStatusIn(services, db, before, user.status)
}

async function writeEmailIn(
  services: Services,
  db: Queryable,
  before: IdentityRow,
  email: string,
  isVerified: boolean,
): Promise<void> {
  if (before.email === email && before.emailKey !== null && before.emailVerified === isVerified) return
  const now = services.clock()
  if (isVerified) {
    if (!(await takeEmailIn(services, db, before.id, email, now))) throw new Taken()
  } else {
    await updateUnconfirmedEmail(db, before.id, { email, key: loginKeyOf(email) }, now)
    await announceClaims(services, db, before.id, { claims: ['email', 'email_verified'] })
  }
  if (before.email === email) return
  if (!isVerified) await queueMail(services, { kind: 'verify-address', identityId: before.id }, db)
  await deleteMailLinks(db, before.id, [...OF_ADDRESS, 'change-address'])
  await insertAuditEvents(db, [{ kind: 'address_changed', identityId: before.id }], now)
}

function isNews({ disabledAt, disabledBySource }: IdentityRow, status: SourceStatus): boolean {
  return status === 'active' ? disabledBySource : disabledAt === null
}

async function settleStatusIn(
  services: Services,
  db: Queryable,
  identity: IdentityRow,
  status: SourceStatus,
): Promise<void> {
  if (!isNews(identity, status)) return
  const { id } = identity
  const now = services.clock()
  await updateDisabledBySource(db, id, status !== 'active')
  await updateDisabledAt(db, id, status === 'active' ? null : now, now)
  const kind = status === 'active' ? 'identity_enabled' : 'identity_disabled'
  await insertAuditEvents(db, [{ kind, identityId: id, detail: 'identity source' }], now)
  // Also the last administrator: a user who has left the organisation is signed out.
  if (status !== 'active')
    await endEverythingIn(services, db, id, { cause: 'identity_disabled', clientInfo: null }, now)
}

function refuse({ logger }: Services, user: SourceUser, problem: string): Followed {
  logger.warn(
    { sourceId: user.id.slice(0, LONGEST_ID), username: user.username.slice(0, 100) },
    `a user of the identity source cannot be taken over: ${problem}`,
  )
  return { kind: 'refused' }
}

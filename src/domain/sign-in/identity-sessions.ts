import { createHash, randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { findDevice, upsertDevice } from '../../storage/devices.ts'
import { adoptFamilies } from '../../storage/family-lifetimes.ts'
import { findIdentity, type IdentityRow, type SignInTerms } from '../../storage/identities.ts'
import {
  findLastSignIn as findLastSignInAt,
  findSessionOf,
  findSignedIn,
  holdSignedIn,
  type IdentitySessionRow,
  insertIdentitySession,
  listLivingIdentitySessions,
  lockIdentitySession,
  type OwnSessionRow,
  type SignedInRow,
  updateFollowed,
  updateLastSeen,
} from '../../storage/identity-sessions.ts'
import { markLinkedAccountUsed } from '../../storage/linked-accounts.ts'
import { moveEmailChanges } from '../../storage/mail-links.ts'
import { afterCommit, type Queryable, transaction } from '../../storage/postgres.ts'
import { countFactors } from '../../storage/second-factors.ts'
import { insertUpstreamSession, isSessionProven, moveUpstreamSession } from '../../storage/upstream-sessions.ts'
import { type EndChoice, type Ended, endIn } from '../endings/endings.ts'
import type { EndCause } from '../endings/end-causes.ts'
import { queueMail } from '../mail-jobs.ts'
import { countSignIn } from './sign-in-counts.ts'
import { methodsOf, type SignInMethod, writeSignInDetail } from './sign-in-methods.ts'
import type { ClientInfo } from '../client-info.ts'
import { noteUncheckedRefusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import { acrOf, FEDERATED } from './authentication-context.ts'

export type { IdentitySessionRow, OwnSessionRow, SignedInRow }

/**
 * The precision of `lastSeenAt` (seconds), so that not every page view writes a row. Where the idle time is a few minutes only,
 * the precision is finer, or a session in use would end.
 */
const SEEN_PRECISION = 60
const SEEN_PRECISION_OF_IDLE = 1 / 10
/** After how long the session of an app that took the sign-in itself is over when no family was opened in it (seconds). */
const APP_SESSION_UNUSED = 600
const DAY = 86_400

/** Which identity a user has proved to be, and how. Its conditions must still hold when a session is opened. */
export interface Proof {
  identityId: string
  amr: string[]
  /** What was proved just now, where `amr` does not tell; none of a session that is only opened anew. */
  methods?: SignInMethod[]
  /** Of the password that matched. */
  passwordMark?: string
  /** How often the identity had been signed out everywhere. */
  signOuts?: number
  /** The identity session whose sign-in it adds to, which must live. */
  identitySessionId?: string
  /** `used`: the browser is trusted, which stood for the second step. `wanted`: the user trusts it from now on. */
  browserTrust?: 'used' | 'wanted'
  /** The password came with a registration. `told`: the user gets a mail about it. */
  registeredAgain?: 'told' | 'untold'
  /** The account at another provider that was signed in with. */
  upstream?: UpstreamProof
}

export interface UpstreamProof {
  providerId: string
  /** Its name. */
  provider: string
  subject: string
  /** The session there, where it says so. */
  sid: string | null
  /** Whether the user has proved there anew who they are: a provider at which they were signed in already asks nothing. */
  isProven: boolean
}

/** The proof of a user who has just entered the password of this identity. */
export function proofByPassword({ id, passwordHash, signOuts }: IdentityRow): Proof {
  return { identityId: id, amr: ['pwd'], methods: ['password'], passwordMark: passwordMarkOf(passwordHash), signOuts }
}

/** A proof by being signed in, to which another is added. */
export function proofOf({ identityId, id, amr }: SignedInRow): Proof {
  return { identityId, amr, methods: [], identitySessionId: id }
}

/** Tells a password from an earlier one: a hash of its stored hash, which reveals nothing about it. */
export function passwordMarkOf(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('hex')
}

/**
 * Opens the identity session of a sign-in, and ends the one that the browser had before. Families that another user had opened
 * in that one end, too. Families that the same user had opened in this browser (by its device) follow the new session, also when
 * their old one is over. The user gets a mail about an unknown browser, unless it is their first. Null when the conditions of
 * the proof no longer hold, or the identity was disabled or deleted in the meantime.
 * @param clientId the app that took the sign-in itself, for which no browser gets a cookie
 */
export async function openIdentitySession(
  services: Services,
  proof: Proof,
  clientInfo: ClientInfo,
  before: SignedInRow | null,
  deviceHash: Buffer | null = null,
  clientId: string | null = null,
): Promise<string | null> {
  const now = services.clock()
  const id = randomUUID()
  const { identityId, amr, methods = methodsOf(amr), identitySessionId: base, browserTrust, upstream } = proof
  const opened = await transaction(services.storage.pool, async (db) => {
    if (base !== undefined && !(await holdSignIn(services, db, { id: base, identityId }, 'living'))) return null
    const expiresAt = addSeconds(now, services.lifetimes.identitySessionMax)
    const idleEnd = addSeconds(now, services.lifetimes.identitySessionIdle)
    const end = idleEnd < expiresAt ? idleEnd : expiresAt
    const unusedEnd = addSeconds(now, APP_SESSION_UNUSED)
    const reviewAt = clientId !== null && unusedEnd < end ? unusedEnd : end
    const session = {
      id,
      identityId,
      createdAt: now,
      lastSeenAt: now,
      expiresAt,
      reviewAt,
      amr,
      deviceHash,
      clientId,
      ...clientInfo,
    }
    if (!(await insertIdentitySession(db, session, termsOf(proof)))) return null
    // The session locks its identity, and so does everything that ends a trust.
    if (browserTrust === 'used' && !(await isStillTrusted(db, identityId, deviceHash, now))) return null
    if (upstream !== undefined && !(await openUpstreamIn(db, proof, upstream, id, now))) return null
    // What is added to a sign-in at a provider leaves the session one of that provider.
    if (upstream === undefined && base !== undefined && amr.includes(FEDERATED))
      await moveUpstreamSession(db, base, id, amr.includes('mfa'))
    const trustedUntil = browserTrust === 'wanted' ? addSeconds(now, services.policy.trustedBrowserDays * DAY) : null
    const device =
      deviceHash && (await upsertDevice(db, { identityId, hash: deviceHash, trustedUntil, ...clientInfo }, now))
    const isUnfamiliar = device !== null && device.isNew && device.hadOthers
    const isAgain = before !== null && before.identityId === identityId
    // A session that is opened anew, such as after a change of the password, is no sign-in.
    if (methods.length > 0 || !isAgain || isUnfamiliar) {
      const detail = writeSignInDetail({ isUnfamiliar, isAgain, methods, provider: upstream?.provider ?? null })
      const event = { kind: 'signed_in' as const, identityId, identitySessionId: id, clientId, detail, ...clientInfo }
      await insertAuditEvents(db, [event], now)
      afterCommit(db, () => countSignIn(services, 'signed_in', methods))
    }
    if (proof.registeredAgain === 'told')
      await queueMail(services, { kind: 'registered-again', identityId, clientInfo, at: now.toISOString() }, db)
    if (trustedUntil !== null)
      await insertAuditEvents(db, [{ kind: 'browser_trusted', identityId, ...clientInfo }], now)
    if (isUnfamiliar) {
      const at = now.toISOString()
      await queueMail(services, { kind: 'unfamiliar-sign-in', identityId, identitySessionId: id, clientInfo, at }, db)
    }
    if (before !== null) await lockIdentitySession(db, before.id)
    // An app has only the families that it opens.
    if (clientId === null)
      await adoptFamilies(
        db,
        {
          identityId,
          sessionId: id,
          sessionEnd: expiresAt,
          before: before?.id ?? null,
          deviceHash,
          familyIdle: services.lifetimes.familyIdle,
          familyMax: services.lifetimes.familyMax,
          familyRenewal: services.policy.familyRenewal,
        },
        { now, seenSince: seenSince(services, now) },
      )
    if (before === null) return id
    await moveEmailChanges(db, identityId, before.id, id)
    const sessions = { identityId: before.identityId, id: before.id }
    await endIn(services, db, { sessions, families: 'following' }, { cause: 'signed_in_again', clientInfo }, now)
    return id
  })
  if (opened === null && methods.length > 0) {
    const identity = await findIdentity(services.storage, identityId)
    const cause = identity === null || identity.disabledAt !== null ? 'disabled' : 'lapsed'
    await noteUncheckedRefusal(services, {
      kind: 'sign_in_refused',
      identityId: identity?.id ?? null,
      cause,
      clientInfo,
    })
  }
  return opened
}

/** False when the account was unlinked, or its provider disabled, in the meantime. */
async function openUpstreamIn(
  db: Queryable,
  { identityId, amr }: Proof,
  { providerId, subject, sid, isProven }: UpstreamProof,
  identitySessionId: string,
  now: Date,
): Promise<boolean> {
  if (!(await markLinkedAccountUsed(db, { providerId, subject, identityId }, now))) return false
  const session = { identitySessionId, providerId, subject, sid, isProven: isProven || amr.includes('mfa') }
  await insertUpstreamSession(db, session)
  return true
}

async function isStillTrusted(db: Queryable, identityId: string, hash: Buffer | null, now: Date): Promise<boolean> {
  const device = hash && (await findDevice(db, identityId, hash))
  return device !== null && device.trustedUntil !== null && device.trustedUntil > now
}

/**
 * The session, while it lives. Null when it has ended or expired or was idle for too long, and when its identity is disabled or
 * deleted.
 */
export async function findLivingIdentitySession(
  services: Services,
  id: string,
  clientInfo: ClientInfo,
): Promise<SignedInRow | null> {
  const now = services.clock()
  const session = await findSignedIn(services.storage, id, now, seenSince(services, now))
  if (session !== null && session.lastSeenAt <= seenBefore(services, now)) {
    await updateLastSeen(services.storage, id, now, clientInfo.address)
  }
  return session
}

/** Whether a sign-in may change what protects the account, as `whileSignedIn` asks it. */
export async function isFresh(services: Services, { id, identityId, createdAt, amr }: SignedInRow): Promise<boolean> {
  if (createdAt < addSeconds(services.clock(), -services.lifetimes.freshSignIn)) return false
  if (amr.includes(FEDERATED) && !(await isSessionProven(services.storage.pool, id))) return false
  return acrOf(amr) === 'mfa' || (await countFactors(services.storage.pool, identityId)).secondSteps === 0
}

/** Whether a sign-in is new enough to look at the admin pages. */
export function isRecent({ clock, lifetimes }: Services, { createdAt }: SignedInRow): boolean {
  return createdAt >= addSeconds(clock(), -lifetimes.adminSignIn)
}

/** The outcome of an act whose sign-in is over, or no longer fresh. Nothing was stored. */
export interface Lapsed {
  kind: 'lapsed'
}

export const LAPSED: Lapsed = { kind: 'lapsed' }

export function isLapsed(outcome: unknown): outcome is Lapsed {
  return outcome === LAPSED
}

/** An identity session with its identity. */
export type SignIn = Pick<SignedInRow, 'id' | 'identityId'>

/**
 * Runs `work` in a transaction that locks the sign-in it is done with. The session was read when the request came: an ending
 * since then wins, and one that comes now waits. `need` is `fresh` for what protects the account: a recent sign-in, with a second
 * factor if the account has one.
 */
export async function whileSignedIn<T>(
  services: Services,
  signIn: SignIn,
  need: 'living' | 'fresh',
  work: (db: Queryable) => Promise<T>,
): Promise<T | Lapsed> {
  return transaction(services.storage.pool, async (db) =>
    (await holdSignIn(services, db, signIn, need)) ? work(db) : LAPSED,
  )
}

/** Whether a sign-in still lives, for what lasts longer than one transaction; it does not count as a use of the session. */
export async function isStillSignedIn(services: Services, { id }: SignIn): Promise<boolean> {
  const now = services.clock()
  return (await findSignedIn(services.storage, id, now, seenSince(services, now))) !== null
}

/** Ends what a signed-in user asks to end. */
export async function endWhileSignedIn(
  services: Services,
  signIn: SignIn,
  choice: EndChoice,
  cause: EndCause,
  clientInfo: ClientInfo,
): Promise<Ended | Lapsed> {
  return whileSignedIn(services, signIn, 'living', (db) =>
    endIn(services, db, choice, { cause, clientInfo }, services.clock()),
  )
}

/** Using an app that follows an identity session counts as using that session. */
export async function noteSessionUsed(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await updateFollowed(services.storage, id, now, seenBefore(services, now))
}

export async function listIdentitySessions(services: Services, identityId: string): Promise<IdentitySessionRow[]> {
  const now = services.clock()
  return listLivingIdentitySessions(services.storage, identityId, now, seenSince(services, now))
}

/** When an identity signed in last; null when that was never, or too long ago to be remembered. */
export async function findLastSignIn({ storage }: Services, identityId: string): Promise<Date | null> {
  return findLastSignInAt(storage, identityId)
}

/** A session of this identity, living or not. Null when there is none, or it belongs to another identity. */
export async function findSessionFor(
  services: Services,
  id: string,
  identityId: string,
): Promise<OwnSessionRow | null> {
  const now = services.clock()
  return findSessionOf(services.storage, id, identityId, now, seenSince(services, now))
}

/** Locks a sign-in until the end of this transaction. False when it is over, or no longer fresh where it must be. */
export async function holdSignIn(
  services: Services,
  db: Queryable,
  signIn: SignIn,
  need: 'living' | 'fresh',
): Promise<boolean> {
  const now = services.clock()
  const signedInSince = need === 'fresh' ? addSeconds(now, -services.lifetimes.freshSignIn) : null
  return holdSignedIn(db, signIn, { now, seenSince: seenSince(services, now), signedInSince })
}

/** Whether a proof is still valid: no new password, and not signed out everywhere since. */
export function stillCounts({ passwordMark, signOuts }: Proof, identity: IdentityRow): boolean {
  return (
    (passwordMark === undefined || passwordMark === passwordMarkOf(identity.passwordHash)) &&
    (signOuts === undefined || signOuts === identity.signOuts)
  )
}

/** What must still be true of the identity for a proof to be valid. */
export function termsOf({ passwordMark, signOuts }: Proof): SignInTerms {
  return { passwordMark: passwordMark ?? null, signOuts: signOuts ?? null }
}

function seenSince(services: Services, now: Date): Date {
  return addSeconds(now, -services.lifetimes.identitySessionIdle)
}

/** A session that was seen after this moment need not be updated. */
function seenBefore(services: Services, now: Date): Date {
  return addSeconds(now, -Math.min(SEEN_PRECISION, services.lifetimes.identitySessionIdle * SEEN_PRECISION_OF_IDLE))
}

import { createHash, randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { upsertDevice } from '../../storage/devices.ts'
import { adoptFamilies } from '../../storage/families.ts'
import type { IdentityRow, SignInTerms } from '../../storage/identities.ts'
import {
  findSignedIn,
  holdSignedIn,
  type IdentitySessionRow,
  insertIdentitySession,
  listLivingIdentitySessions,
  lockIdentitySession,
  type SignedInRow,
  updateFollowed,
  updateLastSeen,
} from '../../storage/identity-sessions.ts'
import { moveAddressChanges } from '../../storage/mail-links.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { type EndChoice, type Ended, endIn } from '../endings/endings.ts'
import type { EndCause } from '../endings/end-causes.ts'
import { queueMail } from '../mail-jobs.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'
import { addSeconds } from '../time.ts'

export type { IdentitySessionRow, SignedInRow }

/**
 * How far behind it may be when a browser was last seen (seconds), so that reading pages does not write rows. Where a session
 * may idle for a few minutes only, it must not be far enough to end one that is used.
 */
const SEEN_PRECISION = 60
const SEEN_PRECISION_OF_IDLE = 1 / 10

/** Who somebody has proved to be, and how; what it rests on must still hold when a session is opened. */
export interface Proof {
  identityId: string
  amr: string[]
  /** Of the password that was right. */
  passwordMark?: string
  /** How often the identity had been signed out everywhere. */
  signOuts?: number
  /** The identity session whose sign-in it adds to, which must live. */
  identitySessionId?: string
}

/** The proof of somebody who has just given the password of this identity. */
export function proofByPassword({ id, passwordHash, signOuts }: IdentityRow): Proof {
  return { identityId: id, amr: ['pwd'], passwordMark: passwordMarkOf(passwordHash), signOuts }
}

/** A proof by being signed in, to which another is added. */
export function proofOf({ identityId, id, amr }: SignedInRow): Proof {
  return { identityId, amr, identitySessionId: id }
}

/** What tells a password from the one before it: of its hash, and worth nothing by itself. */
export function passwordMarkOf(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('hex')
}

/**
 * Opens the identity session of a sign-in. The one the same browser had before ends; what another person had opened in it
 * ends too. What the same person had opened in this browser (by its device) goes on under the new one, also when the one it
 * was opened in is over. The person is told of a browser they have not used before, unless it is their first. Null when what the
 * proof rests on is over, and when the identity was disabled or deleted in the meantime.
 */
export async function openIdentitySession(
  portal: Portal,
  proof: Proof,
  place: Place,
  before: SignedInRow | null,
  deviceHash: Buffer | null = null,
): Promise<string | null> {
  const now = portal.clock()
  const id = randomUUID()
  const { identityId, amr, identitySessionId: base } = proof
  return transaction(portal.storage.pool, async (db) => {
    if (base !== undefined && !(await holdSignIn(portal, db, { id: base, identityId }, 'living'))) return null
    const expiresAt = addSeconds(now, portal.lifetimes.identitySessionMax)
    const idleEnd = addSeconds(now, portal.lifetimes.identitySessionIdle)
    const reviewAt = idleEnd < expiresAt ? idleEnd : expiresAt
    const session = { id, identityId, createdAt: now, lastSeenAt: now, expiresAt, reviewAt, amr, deviceHash, ...place }
    if (!(await insertIdentitySession(db, session, termsOf(proof)))) return null
    const device = deviceHash && (await upsertDevice(db, { identityId, hash: deviceHash, ...place }, now))
    const isUnfamiliar = device !== null && device.isNew && device.hadOthers
    const detail = isUnfamiliar ? UNFAMILIAR : null
    await insertAuditEvents(db, [{ kind: 'signed_in', identityId, detail, ...place }], now)
    if (isUnfamiliar) {
      const at = now.toISOString()
      await queueMail(portal, { kind: 'unfamiliar-sign-in', identityId, identitySessionId: id, place, at }, db)
    }
    if (before !== null) await lockIdentitySession(db, before.id)
    await adoptFamilies(
      db,
      {
        identityId,
        sessionId: id,
        sessionEnd: expiresAt,
        before: before?.id ?? null,
        deviceHash,
        familyIdle: portal.lifetimes.familyIdle,
        familyMax: portal.lifetimes.familyMax,
        familyRenewal: portal.policy.familyRenewal,
      },
      { now, seenSince: seenSince(portal, now) },
    )
    if (before === null) return id
    await moveAddressChanges(db, identityId, before.id, id)
    const sessions = { identityId: before.identityId, id: before.id }
    await endIn(portal, db, { sessions, families: 'following' }, { cause: 'signed_in_again', place }, now)
    return id
  })
}

/** What the audit event of a sign-in says of a browser that was not known. */
export const UNFAMILIAR = 'unfamiliar'

/**
 * Null when nobody is signed in with this session any more: ended, expired, unseen for too long, identity disabled or
 * deleted.
 */
export async function findLivingIdentitySession(portal: Portal, id: string, place: Place): Promise<SignedInRow | null> {
  const now = portal.clock()
  const session = await findSignedIn(portal.storage, id, now, seenSince(portal, now))
  if (session !== null && session.lastSeenAt <= seenBefore(portal, now)) {
    await updateLastSeen(portal.storage, id, now, place.address)
  }
  return session
}

/** What an act answers when the sign-in it was asked with is over, or no longer fresh: nothing was stored. */
export interface Lapsed {
  kind: 'lapsed'
}

export const LAPSED: Lapsed = { kind: 'lapsed' }

export function isLapsed(outcome: unknown): outcome is Lapsed {
  return outcome === LAPSED
}

/** An identity session and whose it is. */
export type SignIn = Pick<SignedInRow, 'id' | 'identityId'>

/**
 * Runs `work` in a transaction that holds the sign-in it is done with. Who asks was found out when the request came; an
 * ending since then wins, and one that comes now waits. `need` is `fresh` for what protects the account.
 */
export async function whileSignedIn<T>(
  portal: Portal,
  signIn: SignIn,
  need: 'living' | 'fresh',
  work: (db: Queryable) => Promise<T>,
): Promise<T | Lapsed> {
  return transaction(portal.storage.pool, async (db) =>
    (await holdSignIn(portal, db, signIn, need)) ? work(db) : LAPSED,
  )
}

/** Whether a sign-in still lives, for what lasts longer than one transaction; it does not count as a use of the session. */
export async function isStillSignedIn(portal: Portal, { id }: SignIn): Promise<boolean> {
  const now = portal.clock()
  return (await findSignedIn(portal.storage, id, now, seenSince(portal, now))) !== null
}

/** Ends what somebody who is signed in wants ended. */
export async function endWhileSignedIn(
  portal: Portal,
  signIn: SignIn,
  choice: EndChoice,
  cause: EndCause,
  place: Place,
): Promise<Ended | Lapsed> {
  return whileSignedIn(portal, signIn, 'living', (db) => endIn(portal, db, choice, { cause, place }, portal.clock()))
}

/** Whoever uses an app that follows an identity session uses that session. */
export async function noteSessionUsed(portal: Portal, id: string): Promise<void> {
  const now = portal.clock()
  await updateFollowed(portal.storage, id, now, seenBefore(portal, now))
}

export async function listIdentitySessions(portal: Portal, identityId: string): Promise<IdentitySessionRow[]> {
  const now = portal.clock()
  return listLivingIdentitySessions(portal.storage, identityId, now, seenSince(portal, now))
}

/** Holds a sign-in until the end of this transaction. False when it is over, or no longer fresh where it must be. */
export async function holdSignIn(
  portal: Portal,
  db: Queryable,
  signIn: SignIn,
  need: 'living' | 'fresh',
): Promise<boolean> {
  const now = portal.clock()
  const signedInSince = need === 'fresh' ? addSeconds(now, -portal.lifetimes.freshSignIn) : null
  return holdSignedIn(db, signIn, { now, seenSince: seenSince(portal, now), signedInSince })
}

/** Whether nothing has happened to the identity since that makes a proof void. */
export function stillCounts({ passwordMark, signOuts }: Proof, identity: IdentityRow): boolean {
  return (
    (passwordMark === undefined || passwordMark === passwordMarkOf(identity.passwordHash)) &&
    (signOuts === undefined || signOuts === identity.signOuts)
  )
}

/** What the identity must still be like for a proof to count. */
export function termsOf({ passwordMark, signOuts }: Proof): SignInTerms {
  return { passwordMark: passwordMark ?? null, signOuts: signOuts ?? null }
}

function seenSince(portal: Portal, now: Date): Date {
  return addSeconds(now, -portal.lifetimes.identitySessionIdle)
}

/** A session that was seen after this moment need not be written down as seen again. */
function seenBefore(portal: Portal, now: Date): Date {
  return addSeconds(now, -Math.min(SEEN_PRECISION, portal.lifetimes.identitySessionIdle * SEEN_PRECISION_OF_IDLE))
}

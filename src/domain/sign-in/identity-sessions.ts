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
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
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
  services: Services,
  proof: Proof,
  clientInfo: ClientInfo,
  before: SignedInRow | null,
  deviceHash: Buffer | null = null,
): Promise<string | null> {
  const now = services.clock()
  const id = randomUUID()
  const { identityId, amr, identitySessionId: base } = proof
  return transaction(services.storage.pool, async (db) => {
    if (base !== undefined && !(await holdSignIn(services, db, { id: base, identityId }, 'living'))) return null
    const expiresAt = addSeconds(now, services.lifetimes.identitySessionMax)
    const idleEnd = addSeconds(now, services.lifetimes.identitySessionIdle)
    const reviewAt = idleEnd < expiresAt ? idleEnd : expiresAt
    const session = {
      id,
      identityId,
      createdAt: now,
      lastSeenAt: now,
      expiresAt,
      reviewAt,
      amr,
      deviceHash,
      ...clientInfo,
    }
    if (!(await insertIdentitySession(db, session, termsOf(proof)))) return null
    const device = deviceHash && (await upsertDevice(db, { identityId, hash: deviceHash, ...clientInfo }, now))
    const isUnfamiliar = device !== null && device.isNew && device.hadOthers
    const detail = isUnfamiliar ? UNFAMILIAR : null
    await insertAuditEvents(db, [{ kind: 'signed_in', identityId, detail, ...clientInfo }], now)
    if (isUnfamiliar) {
      const at = now.toISOString()
      await queueMail(services, { kind: 'unfamiliar-sign-in', identityId, identitySessionId: id, clientInfo, at }, db)
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
        familyIdle: services.lifetimes.familyIdle,
        familyMax: services.lifetimes.familyMax,
        familyRenewal: services.policy.familyRenewal,
      },
      { now, seenSince: seenSince(services, now) },
    )
    if (before === null) return id
    await moveAddressChanges(db, identityId, before.id, id)
    const sessions = { identityId: before.identityId, id: before.id }
    await endIn(services, db, { sessions, families: 'following' }, { cause: 'signed_in_again', clientInfo }, now)
    return id
  })
}

/** What the audit event of a sign-in says of a browser that was not known. */
export const UNFAMILIAR = 'unfamiliar'

/**
 * Null when nobody is signed in with this session any more: ended, expired, unseen for too long, identity disabled or
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

/** Ends what somebody who is signed in wants ended. */
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

/** Whoever uses an app that follows an identity session uses that session. */
export async function noteSessionUsed(services: Services, id: string): Promise<void> {
  const now = services.clock()
  await updateFollowed(services.storage, id, now, seenBefore(services, now))
}

export async function listIdentitySessions(services: Services, identityId: string): Promise<IdentitySessionRow[]> {
  const now = services.clock()
  return listLivingIdentitySessions(services.storage, identityId, now, seenSince(services, now))
}

/** Holds a sign-in until the end of this transaction. False when it is over, or no longer fresh where it must be. */
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

function seenSince(services: Services, now: Date): Date {
  return addSeconds(now, -services.lifetimes.identitySessionIdle)
}

/** A session that was seen after this moment need not be written down as seen again. */
function seenBefore(services: Services, now: Date): Date {
  return addSeconds(now, -Math.min(SEEN_PRECISION, services.lifetimes.identitySessionIdle * SEEN_PRECISION_OF_IDLE))
}

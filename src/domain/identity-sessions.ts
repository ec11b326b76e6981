import { createHash, randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../storage/audit.ts'
import { upsertDevice } from '../storage/devices.ts'
import { updateFamilySession } from '../storage/families.ts'
import {
  findSignedIn,
  type IdentitySessionChoice,
  type IdentitySessionRow,
  insertIdentitySession,
  listLivingIdentitySessions,
  markIdentitySessionsEnded,
  type SignedInRow,
  updateLastSeen,
} from '../storage/identity-sessions.ts'
import { type Queryable, transaction } from '../storage/postgres.ts'
import type { EndCause } from './end-causes.ts'
import { endFamiliesIn } from './families.ts'
import { queueMail } from './mail.ts'
import type { Place, Portal } from './portal.ts'
import { addSeconds } from './time.ts'

export type { IdentitySessionRow, SignedInRow }

/** A page may be a minute behind about when a browser was last seen, so that reading pages does not write rows. */
const SEEN_PRECISION_MS = 60_000

/** Who somebody has proved to be, and how. */
export interface Proof {
  identityId: string
  amr: string[]
  /** Of the password that was right; null when none was asked for. */
  passwordMark: string | null
}

/** What tells a password from the one before it: of its hash, and worth nothing by itself. */
export function passwordMarkOf(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('hex')
}

/**
 * Opens the identity session of a sign-in. The one the same browser had before ends; what the same person had opened in
 * it goes on under the new one, what another person had opened ends. The person is told of a browser (by its device) they
 * have not used before, unless it is their first. Null when the password whose mark is given has been changed since, and
 * when the identity was disabled or deleted in the meantime.
 */
export async function openIdentitySession(
  portal: Portal,
  identityId: string,
  amr: string[],
  place: Place,
  before: SignedInRow | null,
  deviceHash: Buffer | null = null,
  passwordMark: string | null = null,
): Promise<string | null> {
  const now = portal.clock()
  const id = randomUUID()
  return transaction(portal.storage.pool, async (db) => {
    const expiresAt = addSeconds(now, portal.lifetimes.identitySessionMax)
    const session = { id, identityId, createdAt: now, lastSeenAt: now, expiresAt, amr, deviceHash, ...place }
    if (!(await insertIdentitySession(db, session, passwordMark))) return null
    const device = deviceHash && (await upsertDevice(db, { identityId, hash: deviceHash, ...place }, now))
    const isUnfamiliar = device !== null && device.isNew && device.hadOthers
    const detail = isUnfamiliar ? UNFAMILIAR : null
    await insertAuditEvents(db, [{ kind: 'signed_in', identityId, detail, ...place }], now)
    if (isUnfamiliar) {
      const at = now.toISOString()
      await queueMail(portal, { kind: 'unfamiliar-sign-in', identityId, identitySessionId: id, place, at }, db)
    }
    if (before === null) return id

    if (before.identityId === identityId) await updateFamilySession(db, before.id, id)
    await endIn(db, { identityId: before.identityId, id: before.id }, 'signed_in_again', place, now)
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
  if (session !== null && now.getTime() - session.lastSeenAt.getTime() >= SEEN_PRECISION_MS) {
    await updateLastSeen(portal.storage, id, now, place.address)
  }
  return session
}

export async function listIdentitySessions(portal: Portal, identityId: string): Promise<IdentitySessionRow[]> {
  const now = portal.clock()
  return listLivingIdentitySessions(portal.storage, identityId, now, seenSince(portal, now))
}

/**
 * Ends signed-in browsers and the families opened in them, except those with `offline_access`, which were asked for to
 * outlive a sign-out (OpenID Connect Core §11). @returns how many browsers this call ended.
 */
export async function endIdentitySessions(
  portal: Portal,
  choice: IdentitySessionChoice,
  cause: EndCause,
  place: Place | null,
): Promise<number> {
  return transaction(portal.storage.pool, (db) => endIn(db, choice, cause, place, portal.clock()))
}

/**
 * Ends every signed-in browser and every family, `offline_access` or not, inside the caller's transaction. `except` is an
 * identity session that stays; its families do not.
 */
export async function endEverythingIn(
  db: Queryable,
  identityId: string,
  cause: EndCause,
  place: Place | null,
  now: Date,
  except?: string,
): Promise<void> {
  await endIn(db, { identityId, ...(except === undefined ? {} : { except }) }, cause, place, now)
  await endFamiliesIn(db, { identityId }, cause, place, now)
}

async function endIn(
  db: Queryable,
  choice: IdentitySessionChoice,
  cause: EndCause,
  place: Place | null,
  now: Date,
): Promise<number> {
  const ended = await markIdentitySessionsEnded(db, choice, cause, now)
  if (ended.length === 0) return 0

  const kind = cause === 'signed_out' ? 'signed_out' : 'session_ended'
  const event = { kind, identityId: choice.identityId, cause, ...place }
  if (cause !== 'signed_in_again')
    await insertAuditEvents(
      db,
      ended.map(() => event),
      now,
    )
  await endFamiliesIn(
    db,
    { identitySessionIds: ended, keepOffline: true },
    cause === 'ended_by_person' ? 'session_ended' : cause,
    place,
    now,
  )
  return ended.length
}

function seenSince(portal: Portal, now: Date): Date {
  return addSeconds(now, -portal.lifetimes.identitySessionIdle)
}

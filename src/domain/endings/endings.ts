// endings/: the one way in which identity sessions and families end, its causes, and expiry.
//
// It owns what ends with what, the causes and their words, and the queueing of back-channel notifications and mails in the same
// transaction (transactional outbox).
// It leaves the decision that something ends to its callers, and the sending to `backchannel/` and `accounts/mail-delivery.ts`.

import type { FamilyLifetime } from '../../config.ts'
import { insertAuditEvents, type NewAuditRow } from '../../storage/audit.ts'
import { endDeviceTrust, endDeviceTrustOf } from '../../storage/devices.ts'
import { type EndedFamily, type FamilyChoice, markFamiliesEnded } from '../../storage/family-ends.ts'
import { countSignOut } from '../../storage/identities.ts'
import {
  type IdentitySessionChoice,
  markAppSessionsEnded,
  markIdentitySessionsEnded,
} from '../../storage/identity-sessions.ts'
import { deleteMailLinks, deleteOrphanedEmailChanges } from '../../storage/mail-links.ts'
import { afterCommit, type Queryable, transaction } from '../../storage/postgres.ts'
import { END_CAUSES, type EndCause } from './end-causes.ts'
import { queueMail } from '../mail-jobs.ts'
import { announceEnded } from './notifications.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** What is to end. */
export type EndChoice =
  | { families: FamilyChoice }
  | {
      sessions: IdentitySessionChoice
      /**
       * Of the families of this identity: those that follow the sessions, those of every session but the one excepted,
       * or all there are.
       */
      families: 'following' | 'elsewhere' | 'all'
    }

/** Why, and from which client. `clientInfo` is null for what time or an operator ends. */
export interface Ending {
  cause: EndCause
  clientInfo: ClientInfo | null
  /** Of the refresh token that ended its family by being used again. */
  generation?: number
}

export interface Ended {
  /** How many identity sessions, and which families, this very call ended. */
  sessions: number
  families: EndedFamily[]
}

/**
 * The one way in which anything ends. One transaction marks what ends, writes the audit events, and queues the back-channel
 * notifications to the apps and the mails to the user (transactional outbox). Of callers that race, one ends each.
 *
 * The exception are families that are replaced as another one is opened (`OPENING` in storage/family-openings.ts): their
 * apps are not notified then.
 */
export async function end(services: Services, choice: EndChoice, ending: Ending): Promise<Ended> {
  return transaction(services.storage.pool, (db) => endIn(services, db, choice, ending, services.clock()))
}

/** Ends families. @returns those that this call ended */
export async function endFamilies(
  services: Services,
  families: FamilyChoice,
  cause: EndCause,
  clientInfo: ClientInfo | null,
): Promise<EndedFamily[]> {
  return (await end(services, { families }, { cause, clientInfo })).families
}

/** Logs and counts a family that was opened, and those that it has replaced, in the statement that opened it. */
export function noteOpened(
  { logger, tally }: Services,
  owner: Pick<EndedFamily, 'clientId' | 'identityId'>,
  familyIds: string[],
): void {
  const { clientId, identityId } = owner
  tally.count('family_opened', clientId)
  if (familyIds.length > 0) tally.count('family_ended', clientId, familyIds.length)
  for (const familyId of familyIds) {
    logger.info(
      { event: 'family_ended', familyId, clientId, identityId, cause: 'replaced' satisfies EndCause },
      'event',
    )
  }
}

/** Ends identity sessions (signed-in browsers), and the families that follow them. @returns how many this call ended */
export async function endIdentitySessions(
  services: Services,
  sessions: IdentitySessionChoice,
  cause: EndCause,
  clientInfo: ClientInfo | null,
): Promise<number> {
  return (await end(services, { sessions, families: 'following' }, { cause, clientInfo })).sessions
}

/**
 * Ends every identity session of an identity and every family, whatever it follows, inside the caller's transaction.
 * `except` is an identity session that stays; its families end.
 */
export async function endEverythingIn(
  services: Services,
  db: Queryable,
  identityId: string,
  ending: Ending,
  now: Date,
  except?: string,
): Promise<void> {
  const sessions = { identityId, ...(except === undefined ? {} : { except }) }
  await endIn(services, db, { sessions, families: 'all' }, ending, now)
}

/**
 * `end`, inside a transaction of the caller. An ending of more than single sessions also ends every sign-in that is half done, a
 * link in a mail included, and every trust in a browser.
 * A pending e-mail change ends with the identity session that asked for it: a thief who was signed in for a minute must not get
 * the account a day later.
 */
export async function endIn(
  services: Services,
  db: Queryable,
  choice: EndChoice,
  ending: Ending,
  now: Date,
): Promise<Ended> {
  if (!('sessions' in choice)) {
    return { sessions: 0, families: await endFamiliesIn(services, db, choice.families, ending, now) }
  }
  const { sessions, families } = choice
  if (families !== 'following') {
    await countSignOut(db, sessions.identityId)
    await deleteMailLinks(db, sessions.identityId, ['sign-in'])
    await endDeviceTrust(db, sessions.identityId, now)
  }
  const ended = await markIdentitySessionsEnded(db, sessions, ending.cause, now)
  await insertSessionEvents(services, db, sessions.identityId, ended, ending, now)
  // A browser that is signed out from another one may be in other hands.
  if (ending.cause === 'ended_by_person' || ending.cause === 'operator')
    await endDeviceTrustOf(db, sessions.identityId, ended)
  if (!LEAVES_PENDING.has(ending.cause)) await deleteOrphanedEmailChanges(db, sessions.identityId)
  return {
    sessions: ended.length,
    families: await endFamiliesIn(services, db, chosenFamilies(), followingOf(ending), now),
  }

  function chosenFamilies(): FamilyChoice {
    const { identityId, except } = sessions
    if (families === 'following') return { identitySessionIds: ended, lifetimes: followersOf(ending.cause) }
    if (families === 'all' || except === undefined) return { identityId }
    return { identityId, exceptSessionId: except }
  }
}

/**
 * Causes that leave a pending e-mail change: time, or the user in that same browser, who may open the link in the mail
 * afterwards. Every other ending comes from the user in another browser or from an operator, and cancels what the session began.
 */
const LEAVES_PENDING: ReadonlySet<EndCause> = new Set<EndCause>([
  'signed_out',
  'signed_out_by_app',
  'signed_in_again',
  'expired',
  'idle_expired',
])

/** An expired session ends only the families whose lifetime is `session`. */
function followersOf(cause: EndCause): FamilyLifetime[] {
  return END_CAUSES[cause].reason === 'expired' ? ['session'] : ['session', 'browser']
}

/** The ending of a family whose identity session ended: its cause says that the session did. */
function followingOf(ending: Ending): Ending {
  const cause = FOLLOWING[ending.cause]
  return cause === undefined ? ending : { ...ending, cause }
}

const FOLLOWING: Partial<Record<EndCause, EndCause>> = {
  ended_by_person: 'session_ended',
  expired: 'session_expired',
  idle_expired: 'session_expired',
}

async function insertSessionEvents(
  services: Services,
  db: Queryable,
  identityId: string,
  sessionIds: string[],
  { cause, clientInfo }: Ending,
  now: Date,
): Promise<void> {
  // The new sign-in has an audit event of its own.
  if (cause === 'signed_in_again') return
  const kind = cause === 'signed_out' ? 'signed_out' : 'session_ended'
  const event: NewAuditRow = { kind, identityId, cause, actor: services.operator, ...clientInfo }
  await insertAuditEvents(
    db,
    sessionIds.map((identitySessionId) => ({ ...event, identitySessionId })),
    now,
  )
  afterCommit(db, () => {
    for (const sessionId of sessionIds)
      logEnding(services, { event: kind, sessionId, identityId }, { cause, clientInfo })
  })
}

async function endFamiliesIn(
  services: Services,
  db: Queryable,
  choice: FamilyChoice,
  { cause, clientInfo, generation }: Ending,
  now: Date,
): Promise<EndedFamily[]> {
  const browser = clientInfo?.browser ?? null
  const ipAddress = clientInfo?.address ?? null
  const ended = await markFamiliesEnded(
    db,
    choice,
    { cause, browser, address: ipAddress, generation: generation ?? null },
    now,
  )
  await insertAuditEvents(
    db,
    ended.map(({ id: familyId, identityId, clientId }) => {
      const from = { browser, address: ipAddress }
      return { kind: 'family_ended', identityId, clientId, familyId, cause, ...from, actor: services.operator }
    }),
    now,
  )
  const endedIds = ended.map(({ id }) => id)
  if (endedIds.length > 0) await markAppSessionsEnded(db, endedIds, cause, now)
  await announceEnded(services, db, ended, cause, now)
  afterCommit(db, () => {
    for (const { id: familyId, identityId, clientId } of ended) {
      services.tally.count('family_ended', clientId)
      logEnding(services, { event: 'family_ended', familyId, clientId, identityId }, { cause, clientInfo })
    }
  })
  if (END_CAUSES[cause].reason === 'reused' && clientInfo !== null) {
    for (const { id } of ended) {
      await queueMail(services, { kind: 'family-reuse', familyId: id, clientInfo, at: now.toISOString() }, db)
    }
  }
  return ended
}

/** The one line in the log of each session and family that ends, with its cause and the request it ended in. */
function logEnding({ logger }: Services, what: Record<string, string>, { cause, clientInfo }: Ending): void {
  const { requestId, address } = clientInfo ?? {}
  logger.info({ ...(requestId !== undefined && { requestId }), ...what, cause, address: address ?? null }, 'event')
}

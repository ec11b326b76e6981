import type { FamilyLifetime } from '../../config.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type EndedFamily, type FamilyChoice, markFamiliesEnded } from '../../storage/families.ts'
import { countSignOut } from '../../storage/identities.ts'
import { type IdentitySessionChoice, markIdentitySessionsEnded } from '../../storage/identity-sessions.ts'
import { deleteLeftAddressChanges } from '../../storage/mail-links.ts'
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

/** Why, and from where; null when nobody was there, as with time and operators. */
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
 * The one way in which anything ends, but for families that are replaced as another one is opened (`OPENING` in
 * storage/families.ts), of which no app is told then. One transaction marks what ends, writes down why, and queues what the apps
 * and the person are told; of however many race, one ends each.
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

/** The log lines of families that ended by giving their place to a new one, in the very statement that opened it. */
export function logReplaced(
  { logger }: Services,
  owner: Pick<EndedFamily, 'clientId' | 'identityId'>,
  familyIds: string[],
): void {
  const { clientId, identityId } = owner
  for (const familyId of familyIds) {
    logger.info({ event: 'ended', familyId, clientId, identityId, cause: 'replaced' satisfies EndCause }, 'event')
  }
}

/** Ends signed-in browsers, and the families that follow them. @returns how many browsers this call ended */
export async function endIdentitySessions(
  services: Services,
  sessions: IdentitySessionChoice,
  cause: EndCause,
  clientInfo: ClientInfo | null,
): Promise<number> {
  return (await end(services, { sessions, families: 'following' }, { cause, clientInfo })).sessions
}

/**
 * Ends every signed-in browser of an identity and every family, whatever it follows, inside the caller's transaction.
 * `except` is an identity session that stays; its families do not.
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
 * `end`, inside a transaction that does more. What ends more than single sessions also ends every sign-in that is half done.
 * A change of the address that waits for its confirmation ends with the browser it was asked for in: a thief who was signed
 * in for a minute must not get the account a day later.
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
  if (families !== 'following') await countSignOut(db, sessions.identityId)
  const ended = await markIdentitySessionsEnded(db, sessions, ending.cause, now)
  await writeSessionsDown(services, db, sessions.identityId, ended.length, ending, now)
  if (!LEAVES_PENDING.has(ending.cause)) await deleteLeftAddressChanges(db, sessions.identityId)
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
 * Endings by time, or by the person in that very browser, who may open the link in their mail afterwards. Every other ending
 * of a session is by its owner elsewhere, or by an operator, who take from it whatever it has begun.
 */
const LEAVES_PENDING: ReadonlySet<EndCause> = new Set<EndCause>([
  'signed_out',
  'signed_out_by_app',
  'signed_in_again',
  'expired',
  'idle_expired',
])

/** A session that merely runs out takes with it only what was to last exactly as long. */
function followersOf(cause: EndCause): FamilyLifetime[] {
  return END_CAUSES[cause].reason === 'expired' ? ['session'] : ['session', 'browser']
}

/** A family did not do by itself what its session did. */
function followingOf(ending: Ending): Ending {
  const cause = FOLLOWING[ending.cause]
  return cause === undefined ? ending : { ...ending, cause }
}

const FOLLOWING: Partial<Record<EndCause, EndCause>> = {
  ended_by_person: 'session_ended',
  expired: 'session_expired',
  idle_expired: 'session_expired',
}

async function writeSessionsDown(
  services: Services,
  db: Queryable,
  identityId: string,
  count: number,
  { cause, clientInfo }: Ending,
  now: Date,
): Promise<void> {
  // The sign-in that takes over from the one before is written down itself.
  if (cause === 'signed_in_again') return
  const kind = cause === 'signed_out' ? 'signed_out' : 'session_ended'
  const event = { kind, identityId, cause, actor: services.operator, ...clientInfo }
  const events = Array.from({ length: count }, () => event)
  await insertAuditEvents(db, events, now)
}

async function endFamiliesIn(
  services: Services,
  db: Queryable,
  choice: FamilyChoice,
  { cause, clientInfo, generation }: Ending,
  now: Date,
): Promise<EndedFamily[]> {
  const browser = clientInfo?.browser ?? null
  const address = clientInfo?.address ?? null
  const ended = await markFamiliesEnded(db, choice, { cause, browser, address, generation: generation ?? null }, now)
  await insertAuditEvents(
    db,
    ended.map(({ id: familyId, identityId, clientId }) => {
      return { kind: 'family_ended', identityId, clientId, familyId, cause, browser, address, actor: services.operator }
    }),
    now,
  )
  await announceEnded(services, db, ended, cause, now)
  afterCommit(db, () => {
    for (const { id: familyId, identityId, clientId } of ended)
      services.logger.info({ event: 'ended', familyId, clientId, identityId, cause, address }, 'event')
  })
  if (END_CAUSES[cause].reason === 'reused' && clientInfo !== null) {
    for (const { id } of ended) {
      await queueMail(services, { kind: 'family-reuse', familyId: id, clientInfo, at: now.toISOString() }, db)
    }
  }
  return ended
}

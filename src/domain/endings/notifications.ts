import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type EndedFamily, listReplacedBy, type StaleFamily } from '../../storage/families.ts'
import {
  insertNotices,
  listNotices as listRows,
  listNoticesOfEnds as listRowsOfEnds,
  type NewNotice,
  NOTICE_STATES,
  type NoticeChoice,
  type NoticeRow,
  type NoticeState,
  reopenNotices,
} from '../../storage/notifications.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import type { EndCause } from './end-causes.ts'
import type { Portal } from '../services.ts'

/** `logout`: a logout token (OpenID Connect Back-Channel Logout). The others: events of CAEP, as RFC 8417 tokens. */
export type NoticeKind = 'logout' | 'session-revoked' | 'token-claims-change'

export { NOTICE_STATES, type NoticeChoice, type NoticeRow, type NoticeState }
export type Notice = NoticeRow & { state: NoticeState }

/** A job of the queues `notices` and `late-notices`. */
export interface NoticeJob {
  /** Its id. */
  notice: string
  /** When an operator had it sent again, ISO 8601; without it, it is told since it happened. */
  since?: string
}

/** Of those that are sent again, in one transaction. */
const BATCH = 500

/**
 * Queues what each app is told of families that have just ended, in the transaction that ends them. With them it is told of
 * those whose place they had taken: a session of the app may still go by the `sid` of such a one.
 */
export async function announceEnded(
  portal: Portal,
  db: Queryable,
  ended: EndedFamily[],
  cause: EndCause,
  now: Date,
): Promise<void> {
  const told = ended.filter(({ takesLogouts, takesEvents }) => takesLogouts || takesEvents)
  const replaced = await listReplacedBy(
    db,
    told.map(({ id }) => id),
  )
  await queueNotices(
    portal,
    db,
    [...replaced, ...told].flatMap((family) => [
      ...(family.takesLogouts ? [newNotice(family, 'logout', cause, now)] : []),
      ...(family.takesEvents ? [newNotice(family, 'session-revoked', cause, now)] : []),
    ]),
  )
}

/** Queues what each app is told of families whose tokens are not true any more, in the transaction that makes them so. */
export async function announceStale(portal: Portal, db: Queryable, stale: StaleFamily[], now: Date): Promise<void> {
  const told = stale.filter(({ takesEvents }) => takesEvents)
  const notices = told.map((family) => newNotice(family, 'token-claims-change', null, now))
  await queueNotices(portal, db, notices)
}

function newNotice(family: StaleFamily, kind: NoticeKind, cause: EndCause | null, now: Date): NewNotice {
  return {
    id: randomUUID(),
    kind,
    clientId: family.clientId,
    familyId: family.id,
    identityId: family.identityId,
    sid: family.sid,
    cause,
    happenedAt: now,
  }
}

async function queueNotices(portal: Portal, db: Queryable, notices: NewNotice[]): Promise<void> {
  if (notices.length === 0) return
  await insertNotices(db, notices)
  await putInLanes(portal, db, notices)
}

async function putInLanes(
  portal: Portal,
  db: Queryable,
  notices: Pick<NoticeRow, 'id' | 'clientId' | 'kind'>[],
  since?: Date,
): Promise<void> {
  const jobs = notices.map(({ id, clientId, kind }) => {
    const payload: NoticeJob = { notice: id, ...(since && { since: since.toISOString() }) }
    return { payload, key: laneOf(clientId, kind) }
  })
  await portal.storage.jobs.putAll('notices', jobs, db)
}

/** What is told in order: everything one address of an app gets. */
function laneOf(clientId: string, kind: string): string {
  return `${clientId} ${kind === 'logout' ? 'logouts' : 'events'}`
}

/** What apps were told, or are to be told; the newest, `limit` at most. */
export async function listNotices(portal: Portal, choice: NoticeChoice, limit: number): Promise<Notice[]> {
  const rows = await listRows(portal.storage, choice, limit)
  return rows.map(noticeOf)
}

/** What apps were told of the end of these families; of each, the logout first. */
export async function listNoticesOfEnds(portal: Portal, familyIds: string[]): Promise<Notice[]> {
  const rows = await listRowsOfEnds(portal.storage.pool, familyIds)
  return rows.map(noticeOf)
}

function noticeOf(row: NoticeRow): Notice {
  const { confirmedAt, givenUpAt } = row
  const state = confirmedAt !== null ? 'confirmed' : givenUpAt === null ? 'waiting' : 'given-up'
  return { ...row, state }
}

/**
 * Sends notices that were given up once more, as patiently as the first time: these, or all of an app.
 * @returns the ids of those that were given up
 */
export async function resendNotices(
  portal: Portal,
  choice: { ids: string[] } | { clientId: string },
): Promise<string[]> {
  const sent: string[] = []
  let reopened
  do {
    reopened = await transaction(portal.storage.pool, async (db) => {
      const notices = await reopenNotices(db, choice, BATCH)
      const now = portal.clock()
      await putInLanes(portal, db, notices, now)
      const events = [...Map.groupBy(notices, ({ clientId }) => clientId)].map(([clientId, { length }]) => {
        return { kind: 'notices_resent', clientId, detail: String(length), actor: portal.operator }
      })
      await insertAuditEvents(db, events, now)
      return notices
    })
    sent.push(...reopened.map(({ id }) => id))
  } while (reopened.length === BATCH)
  return sent
}

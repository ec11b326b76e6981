import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type EndedFamily, listReplacedBy, type StaleFamily } from '../../storage/families.ts'
import {
  insertNotifications,
  listNotifications as listRows,
  listNotificationsOfEnds as listRowsOfEnds,
  type NewNotification,
  NOTIFICATION_STATES,
  type NotificationChoice,
  type NotificationRow,
  type NotificationState,
  reopenNotifications,
} from '../../storage/notifications.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import type { EndCause } from './end-causes.ts'
import type { Services } from '../services.ts'

/** `logout`: a logout token (OpenID Connect Back-Channel Logout). The others: events of CAEP, as RFC 8417 tokens. */
export type NotificationKind = 'logout' | 'session-revoked' | 'token-claims-change'

export {
  NOTIFICATION_STATES as NOTICE_STATES,
  type NotificationChoice as NoticeChoice,
  type NotificationRow,
  type NotificationState as NoticeState,
}
export type Notification = NotificationRow & { state: NotificationState }

/** A job of the queues `notices` and `late-notices`. */
export interface NotificationJob {
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
  services: Services,
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
    services,
    db,
    [...replaced, ...told].flatMap((family) => [
      ...(family.takesLogouts ? [newNotice(family, 'logout', cause, now)] : []),
      ...(family.takesEvents ? [newNotice(family, 'session-revoked', cause, now)] : []),
    ]),
  )
}

/** Queues what each app is told of families whose tokens are not true any more, in the transaction that makes them so. */
export async function announceStale(services: Services, db: Queryable, stale: StaleFamily[], now: Date): Promise<void> {
  const told = stale.filter(({ takesEvents }) => takesEvents)
  const notices = told.map((family) => newNotice(family, 'token-claims-change', null, now))
  await queueNotices(services, db, notices)
}

function newNotice(family: StaleFamily, kind: NotificationKind, cause: EndCause | null, now: Date): NewNotification {
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

async function queueNotices(services: Services, db: Queryable, notices: NewNotification[]): Promise<void> {
  if (notices.length === 0) return
  await insertNotifications(db, notices)
  await putInLanes(services, db, notices)
}

async function putInLanes(
  services: Services,
  db: Queryable,
  notices: Pick<NotificationRow, 'id' | 'clientId' | 'kind'>[],
  since?: Date,
): Promise<void> {
  const jobs = notices.map(({ id, clientId, kind }) => {
    const payload: NotificationJob = { notice: id, ...(since && { since: since.toISOString() }) }
    return { payload, key: laneOf(clientId, kind) }
  })
  await services.storage.jobs.putAll('notices', jobs, db)
}

/** What is told in order: everything one address of an app gets. */
function laneOf(clientId: string, kind: string): string {
  return `${clientId} ${kind === 'logout' ? 'logouts' : 'events'}`
}

/** What apps were told, or are to be told; the newest, `limit` at most. */
export async function listNotifications(
  services: Services,
  choice: NotificationChoice,
  limit: number,
): Promise<Notification[]> {
  const rows = await listRows(services.storage, choice, limit)
  return rows.map(noticeOf)
}

/** What apps were told of the end of these families; of each, the logout first. */
export async function listNotificationsOfEnds(services: Services, familyIds: string[]): Promise<Notification[]> {
  const rows = await listRowsOfEnds(services.storage.pool, familyIds)
  return rows.map(noticeOf)
}

function noticeOf(row: NotificationRow): Notification {
  const { confirmedAt, givenUpAt } = row
  const state = confirmedAt !== null ? 'confirmed' : givenUpAt === null ? 'waiting' : 'given-up'
  return { ...row, state }
}

/**
 * Sends notices that were given up once more, as patiently as the first time: these, or all of an app.
 * @returns the ids of those that were given up
 */
export async function resendNotifications(
  services: Services,
  choice: { ids: string[] } | { clientId: string },
): Promise<string[]> {
  const sent: string[] = []
  let reopened
  do {
    reopened = await transaction(services.storage.pool, async (db) => {
      const notices = await reopenNotifications(db, choice, BATCH)
      const now = services.clock()
      await putInLanes(services, db, notices, now)
      const events = [...Map.groupBy(notices, ({ clientId }) => clientId)].map(([clientId, { length }]) => {
        return { kind: 'notices_resent', clientId, detail: String(length), actor: services.operator }
      })
      await insertAuditEvents(db, events, now)
      return notices
    })
    sent.push(...reopened.map(({ id }) => id))
  } while (reopened.length === BATCH)
  return sent
}

import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { type EndedFamily, listReplacedBy } from '../../storage/family-ends.ts'
import type { StaleFamily } from '../../storage/revocations.ts'
import {
  countOpenNotifications,
  insertNotifications,
  listNotifications as listRows,
  listNotificationsOfEnds as listRowsOfEnds,
  type NewNotification,
  NOTIFICATION_STATES,
  type NotificationChoice,
  type NotificationRow,
  type NotificationState,
  type OpenNotifications,
  reopenNotifications,
} from '../../storage/notifications.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import type { EndCause } from './end-causes.ts'
import type { Services } from '../services.ts'

/** `logout`: a logout token (OpenID Connect Back-Channel Logout). The others: events of CAEP, as RFC 8417 tokens. */
export type NotificationKind = 'logout' | 'session-revoked' | 'token-claims-change'

export {
  NOTIFICATION_STATES,
  type OpenNotifications,
  type NotificationChoice,
  type NotificationRow,
  type NotificationState,
}
export type Notification = NotificationRow & { state: NotificationState }

/** A job of the queue `notices`, or of its dead-letter queue `late-notices`. */
export interface NotificationJob {
  /** The id of the notification. */
  notice: string
  /** When an operator resent it, ISO 8601. Without it, retries count from when it happened. */
  since?: string
}

/** Notifications that one transaction resends. */
const BATCH = 500

/**
 * Queues the back-channel notifications about families that have just ended, in the transaction that ends them (transactional
 * outbox). The families that they had replaced are announced, too: a session of the app may still use the `sid` of one.
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
  await queueNotifications(
    services,
    db,
    [...replaced, ...told].flatMap((family) => [
      ...(family.takesLogouts ? [newNotification(family, 'logout', cause, now)] : []),
      ...(family.takesEvents ? [newNotification(family, 'session-revoked', cause, now)] : []),
    ]),
  )
}

/** Queues the events about families whose application tokens have become stale, in the transaction that makes them so. */
export async function announceStale(services: Services, db: Queryable, stale: StaleFamily[], now: Date): Promise<void> {
  const told = stale.filter(({ takesEvents }) => takesEvents)
  const notifications = told.map((family) => newNotification(family, 'token-claims-change', null, now))
  await queueNotifications(services, db, notifications)
}

function newNotification(
  family: StaleFamily,
  kind: NotificationKind,
  cause: EndCause | null,
  now: Date,
): NewNotification {
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

async function queueNotifications(services: Services, db: Queryable, notifications: NewNotification[]): Promise<void> {
  if (notifications.length === 0) return
  await insertNotifications(db, notifications)
  await enqueue(services, db, notifications)
}

async function enqueue(
  services: Services,
  db: Queryable,
  notifications: Pick<NotificationRow, 'id' | 'clientId' | 'kind'>[],
  since?: Date,
): Promise<void> {
  const jobs = notifications.map(({ id, clientId, kind }) => {
    const payload: NotificationJob = { notice: id, ...(since && { since: since.toISOString() }) }
    return { payload, key: orderingKey(clientId, kind) }
  })
  await services.storage.jobs.putAll('notices', jobs, db)
}

/** The ordering key: what one URI of an app receives is sent in order. */
function orderingKey(clientId: string, kind: string): string {
  return `${clientId} ${kind === 'logout' ? 'logouts' : 'events'}`
}

/** The newest notifications, sent or not, `limit` at most; `before` is the one to go on from. */
export async function listNotifications(
  services: Services,
  choice: NotificationChoice,
  limit: number,
  before: Pick<Notification, 'happenedAt' | 'id'> | null = null,
): Promise<Notification[]> {
  const rows = await listRows(services.storage, choice, limit, before)
  return rows.map(notificationOf)
}

/** Counting ends there, for each app. */
const MOST_COUNTED = 10_000

/** How many notifications of each app wait, or were given up; apps without any are left out. */
export async function countNotifications(services: Services): Promise<OpenNotifications[]> {
  return countOpenNotifications(services.storage.pool, MOST_COUNTED)
}

/** The notifications about the end of these families; of each family, the logout first. */
export async function listNotificationsOfEnds(services: Services, familyIds: string[]): Promise<Notification[]> {
  const rows = await listRowsOfEnds(services.storage.pool, familyIds)
  return rows.map(notificationOf)
}

function notificationOf(row: NotificationRow): Notification {
  const { confirmedAt, givenUpAt } = row
  const state = confirmedAt !== null ? 'confirmed' : givenUpAt === null ? 'waiting' : 'given-up'
  return { ...row, state }
}

/**
 * Resends notifications that were given up, with all their retries again: these, or all of an app.
 * @returns the ids of those that are sent again
 */
export async function resendNotifications(
  services: Services,
  choice: { ids: string[] } | { clientId: string },
): Promise<string[]> {
  const sent: string[] = []
  let reopened
  do {
    reopened = await transaction(services.storage.pool, async (db) => {
      const notifications = await reopenNotifications(db, choice, BATCH)
      const now = services.clock()
      await enqueue(services, db, notifications, now)
      const events = [...Map.groupBy(notifications, ({ clientId }) => clientId)].map(([clientId, { length }]) => {
        return { kind: 'notices_resent' as const, clientId, detail: String(length), actor: services.operator }
      })
      await insertAuditEvents(db, events, now)
      return notifications
    })
    sent.push(...reopened.map(({ id }) => id))
  } while (reopened.length === BATCH)
  return sent
}

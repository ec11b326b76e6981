import { type AppRow, findApp } from '../domain/apps/apps.ts'
import {
  deleteErasedNotification,
  findNotification,
  type DeliveryAttempt,
  type NotificationRow,
  settleNotification,
  updateDeliveryAttempt,
} from '../storage/notifications.ts'
import { transaction } from '../storage/postgres.ts'
import type { NotificationJob } from '../domain/endings/notifications.ts'
import type { Services } from '../domain/services.ts'
import { addSeconds } from '../domain/time.ts'

/**
 * Back-channel notifications are retried for this long (seconds). After it the notification is given up, and an operator can
 * send it again.
 */
const NOTICE_PATIENCE = 3 * 86_400
/**
 * After this many refused attempts, a notification moves to the dead-letter queue and no longer holds up those with its
 * ordering key.
 */
const ATTEMPTS_IN_ORDER = 5
/** From the dead-letter queue it is retried after this (seconds), then after twice this, and so on. */
const ASIDE_SECONDS = 60

/** The result of one attempt to send a back-channel notification. `problem` is a sentence without secrets. */
export type NotificationAnswer =
  | { kind: 'accepted' }
  /** The app answered, and did not accept this notification. */
  | { kind: 'refused'; problem: string }
  /** The app could not be reached. */
  | { kind: 'unreachable'; problem: string }

/** Null when there is nothing left to send, or the app has no URI for it. */
export type SendNotification = (notice: NotificationRow, app: AppRow) => Promise<NotificationAnswer | null>

export type NotificationDelivery =
  /** The app has confirmed it, now or before, or there is nothing left to send. */
  | { kind: 'done' }
  /** `waiting`: retry before the others of its ordering key. `aside`: retry from the dead-letter queue, the others pass. */
  | { kind: 'waiting' | 'aside' | 'given-up'; notice: NotificationRow; problem: string }

/**
 * Sends one queued back-channel notification and stores the result. `isAside` says that it comes from the dead-letter queue.
 * A worker that dies in the middle has the app notified again, under the same id (at-least-once delivery).
 */
export async function deliverNotification(
  services: Services,
  send: SendNotification,
  job: NotificationJob,
  isAside: boolean,
): Promise<NotificationDelivery> {
  const { pool } = services.storage
  const notice = await findNotification(pool, job.notice)
  if (notice === null || notice.confirmedAt !== null || notice.givenUpAt !== null) return { kind: 'done' }
  const app = await findApp(services, notice.clientId)
  const answer = app === null ? null : await send(notice, app)
  if (answer === null) {
    const { attempts } = notice
    return giveUp(services, notice, { at: services.clock(), attempts, problem: 'takes no such notices any more' })
  }
  services.metrics.notifications.add([notice.clientId, answer.kind])
  const made = { at: services.clock(), attempts: notice.attempts + 1 }
  if (answer.kind === 'accepted') {
    await settleOrForget(services, notice, { ...made, problem: null })
    return { kind: 'done' }
  }
  const { problem } = answer
  const attempt = { ...made, problem }
  const begun = job.since === undefined ? notice.happenedAt : new Date(job.since)
  if (attempt.at >= addSeconds(begun, NOTICE_PATIENCE)) return giveUp(services, notice, attempt)
  if (answer.kind === 'unreachable' || isAside || attempt.attempts < ATTEMPTS_IN_ORDER) {
    await updateDeliveryAttempt(pool, notice.id, attempt)
    return { kind: 'waiting', notice, problem }
  }
  await transaction(pool, async (db) => {
    await updateDeliveryAttempt(db, notice.id, attempt)
    await services.storage.jobs.put('late-notices', job, db, ASIDE_SECONDS)
  })
  return { kind: 'aside', notice, problem }
}

async function giveUp(
  services: Services,
  notice: NotificationRow,
  attempt: DeliveryAttempt & { problem: string },
): Promise<NotificationDelivery> {
  await settleOrForget(services, notice, attempt)
  services.metrics.notifications.add([notice.clientId, 'given_up'])
  return { kind: 'given-up', notice, problem: attempt.problem }
}

/** The delivery status of an erased user's notification is not kept. */
async function settleOrForget(services: Services, notice: NotificationRow, attempt: DeliveryAttempt): Promise<void> {
  if (!(await settleNotification(services.storage.pool, notice, attempt)))
    await deleteErasedNotification(services.storage.pool, notice.id)
}

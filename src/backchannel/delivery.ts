import { type AppRow, findApp } from '../storage/apps.ts'
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

/** An app is told for so long (seconds); what it has not confirmed by then, an operator can send again. */
const NOTICE_PATIENCE = 3 * 86_400
/** A notice that its app has refused, after so many attempts, lets those behind it pass. */
const ATTEMPTS_IN_ORDER = 5
/** It is then tried again after this (seconds), after twice this, … */
const ASIDE_SECONDS = 60

/** What came of telling an app. `problem` is in words, without anything secret. */
export type NotificationAnswer =
  | { kind: 'accepted' }
  /** Somebody is there, but does not take it: there is something about this notice. */
  | { kind: 'refused'; problem: string }
  /** Nobody is there to take any. */
  | { kind: 'unreachable'; problem: string }

/** Null when there is nothing to tell the app any more, or nowhere. */
export type SendNotification = (notice: NotificationRow, app: AppRow) => Promise<NotificationAnswer | null>

export type NotificationDelivery =
  /** The app has it, now or before, or there is nothing to tell any more. */
  | { kind: 'done' }
  /** `waiting`: to be tried again, before those behind it. `aside`: it lets them pass. */
  | { kind: 'waiting' | 'aside' | 'given-up'; notice: NotificationRow; problem: string }

/**
 * Tells an app what is queued for it and writes down what came of it; `isAside` says that the notice holds up no others.
 * Whoever dies in the middle has the app told again, under the same id.
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
  const app = await findApp(services.storage, notice.clientId)
  const answer = app === null ? null : await send(notice, app)
  if (answer === null) {
    const { attempts } = notice
    return giveUp(services, notice, { at: services.clock(), attempts, problem: 'takes no such notices any more' })
  }
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
  return { kind: 'given-up', notice, problem: attempt.problem }
}

/** What is over about somebody who has been erased in the meantime is not kept. */
async function settleOrForget(services: Services, notice: NotificationRow, attempt: DeliveryAttempt): Promise<void> {
  if (!(await settleNotification(services.storage.pool, notice, attempt)))
    await deleteErasedNotification(services.storage.pool, notice.id)
}

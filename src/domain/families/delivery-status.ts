import type { FamilyRow } from './families.ts'
import { listNotificationsOfEnds, type Notification } from '../endings/notifications.ts'
import { type Message, message } from '../../i18n/messages.ts'
import type { Services } from '../services.ts'
import { gracesOf } from './reuse-detection.ts'
import { addSeconds } from '../time.ts'

/** The delivery status of the notifications about the end of a family: whether its app has confirmed. */
export interface DeliveryStatus {
  sentence: Message
  /** `silent`: nothing was sent. */
  state: Notification['state'] | 'silent'
  /** One for each notification; the first decides. */
  ways: { notification: Notification; words: Message }[]
  /** From then on no application token of the family is valid. */
  tokensUntil: Date
}

/** By id of the family. A family has none while it lives, or when its row does not record its expiry yet. */
export async function findDeliveryStatuses(
  services: Services,
  families: FamilyRow[],
): Promise<Map<string, DeliveryStatus>> {
  const ended = families.filter((family): family is FamilyWithEnd => family.endedAt !== null)
  if (ended.length === 0) return new Map()
  const ids = ended.map((family) => family.id)
  const notifications = Map.groupBy(await listNotificationsOfEnds(services, ids), ({ familyId }) => familyId)
  return new Map(
    ended.map((family) => [family.id, deliveryStatusOf(services, family, notifications.get(family.id) ?? [])]),
  )
}

type FamilyWithEnd = FamilyRow & { endedAt: Date }

function deliveryStatusOf(services: Services, family: FamilyWithEnd, notifications: Notification[]): DeliveryStatus {
  const [deciding = null] = notifications
  const tokensUntil = lastTokenExpiry(services, family)
  const now = services.clock()
  return {
    sentence: deliveryStatusMessage(family, deciding, tokensUntil, now),
    state: deciding?.state ?? 'silent',
    ways: notifications.map((notification) => ({ notification, words: wayMessage(notification) })),
    tokensUntil,
  }
}

/** A replaced refresh token in its grace period gets one more application token. */
function lastTokenExpiry(services: Services, family: FamilyWithEnd): Date {
  const { window, proven } = gracesOf(services, family)
  const grace = family.generation === 0 ? 0 : Math.max(window, proven)
  const lastMinted = Math.min(Number(family.endedAt), Number(addSeconds(family.lastUsedAt, grace)))
  return addSeconds(new Date(lastMinted), family.applicationTokenTtl ?? services.lifetimes.applicationToken)
}

function deliveryStatusMessage(
  family: FamilyWithEnd,
  notification: Notification | null,
  tokensUntil: Date,
  now: Date,
): Message {
  const app = family.appName
  const isOver = tokensUntil <= now
  // Times on pages are to the minute, and the app may have its access until the end of that minute.
  const values = { app, time: isOver ? tokensUntil : endOfMinute(tokensUntil) }

  if (notification?.confirmedAt) return message('delivery.confirmed', { app, time: notification.confirmedAt })
  if (family.endCause === 'revoked_by_app') return message(BY_APP[isOver ? 'over' : 'open'], values)
  if (notification === null && family.endCause === 'replaced')
    return message(REPLACED[isOver ? 'over' : 'open'], values)
  if (notification === null) {
    // The app takes notifications and there is none: it had no URI then, or the row has been pruned.
    const texts = family.takesNotifications ? UNRECORDED : SILENT
    return message(texts[isOver ? 'over' : 'open'], values)
  }
  const texts = notification.state === 'given-up' ? GIVEN_UP : WAITING
  return message(texts[isOver ? 'over' : 'open'], { ...values, tries: triesOf(notification) })
}

/** The texts while the last application token may still be valid, and once it is not. */
const BY_APP = { open: 'delivery.by_app_open', over: 'delivery.by_app_over' } as const
const REPLACED = { open: 'delivery.replaced_open', over: 'delivery.replaced_over' } as const
const UNRECORDED = { open: 'delivery.unrecorded_open', over: 'delivery.unrecorded_over' } as const
const SILENT = { open: 'delivery.silent_open', over: 'delivery.silent_over' } as const
const GIVEN_UP = { open: 'delivery.given_up_open', over: 'delivery.given_up_over' } as const
const WAITING = { open: 'delivery.waiting_open', over: 'delivery.waiting_over' } as const

function wayMessage(notification: Notification): Message {
  const { kind, state, confirmedAt } = notification
  const isLogout = kind === 'logout'
  if (confirmedAt !== null)
    return message(isLogout ? 'delivery.logout_confirmed' : 'delivery.event_confirmed', { time: confirmedAt })
  const tries = triesOf(notification)
  if (state === 'given-up') return message(isLogout ? 'delivery.logout_given_up' : 'delivery.event_given_up', { tries })
  return message(isLogout ? 'delivery.logout_waiting' : 'delivery.event_waiting', { tries })
}

/** An app whose URI was removed is not tried. */
function triesOf({ problem, attempts }: Notification): number {
  return problem === null ? 0 : attempts
}

function endOfMinute(at: Date): Date {
  return new Date(Math.ceil(at.getTime() / 60_000) * 60_000)
}

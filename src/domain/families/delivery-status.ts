import type { FamilyRow } from './families.ts'
import { listNotificationsOfEnds, type Notification } from '../endings/notifications.ts'
import type { Services } from '../services.ts'
import { gracesOf } from './reuse-detection.ts'
import { addSeconds } from '../time.ts'
import { secondInWords } from '../time-words.ts'

/** The delivery status of the notifications about the end of a family: whether its app has confirmed. */
export interface DeliveryStatus {
  sentence: string
  /** `silent`: nothing was sent. */
  state: Notification['state'] | 'silent'
  /** One for each notification; the first decides. */
  ways: { notification: Notification; words: string }[]
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
    sentence: deliveryStatusInWords(family, deciding, tokensUntil, now),
    state: deciding?.state ?? 'silent',
    ways: notifications.map((notification) => ({ notification, words: wayInWords(notification, now) })),
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

function deliveryStatusInWords(
  family: FamilyWithEnd,
  notification: Notification | null,
  tokensUntil: Date,
  now: Date,
): string {
  const { appName } = family
  const verb = tokensUntil > now ? 'stops' : 'stopped'
  const lastToken = `its last token ${verb} working ${secondInWords(tokensUntil, now)}`

  if (notification?.confirmedAt) return `${appName} confirmed ${secondInWords(notification.confirmedAt, now)}.`
  if (family.endCause === 'revoked_by_app') return `${appName} ended it itself; ${lastToken}.`
  if (notification === null && family.endCause === 'replaced')
    return `${appName} asked for the newer one itself; ${lastToken}.`
  if (notification === null) {
    // The app takes notifications and there is none: it had no URI then, or the row has been pruned.
    const untold = family.takesNotifications
      ? `There is no record that ${appName} was told`
      : `${appName} takes no notices`
    return `${untold}; ${lastToken}.`
  }
  // An app whose URI was removed is not tried.
  const tries = notification.problem === null || notification.attempts === 0 ? null : triesInWords(notification)
  if (notification.state === 'given-up') {
    return `${appName} could not be told${tries === null ? '' : ` (given up after ${tries})`}; ${lastToken}.`
  }
  return `${appName} has not answered; ${lastToken}${tries === null ? '' : ` (${tries} so far)`}.`
}

function wayInWords(notification: Notification, now: Date): string {
  const way = notification.kind === 'logout' ? 'Told to sign out' : 'Told as an event'
  if (notification.confirmedAt !== null) return `${way}, and confirmed ${secondInWords(notification.confirmedAt, now)}.`
  const tries = notification.attempts === 0 ? '' : ` (${triesInWords(notification)})`
  return notification.state === 'given-up'
    ? `${way} in vain${tries}, and given up.`
    : `${way}, and not answered${tries}.`
}

function triesInWords({ attempts }: Notification): string {
  return attempts === 1 ? '1 try' : `${attempts} tries`
}

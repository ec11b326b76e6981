import type { FamilyRow } from './families.ts'
import { listNotificationsOfEnds, type Notification } from '../endings/notifications.ts'
import type { Services } from '../services.ts'
import { gracesOf } from './reuse-detection.ts'
import { addSeconds } from '../time.ts'
import { secondInWords } from '../time-words.ts'

/** Whether the app of a family that has ended has heard of that. */
export interface DeliveryStatus {
  sentence: string
  /** `silent`: nothing was sent. */
  state: Notification['state'] | 'silent'
  /** Each way the app is told; the first decides. */
  ways: { notice: Notification; words: string }[]
  /** From then on no application token of the family works, wherever it is. */
  tokensUntil: Date
}

/** By family, of those that have ended; one that ran out a moment ago, which is not written down yet, has none. */
export async function findDeliveryStatuses(
  services: Services,
  families: FamilyRow[],
): Promise<Map<string, DeliveryStatus>> {
  const ended = families.filter((family): family is FamilyWithEnd => family.endedAt !== null)
  if (ended.length === 0) return new Map()
  const ids = ended.map((family) => family.id)
  const notices = Map.groupBy(await listNotificationsOfEnds(services, ids), (notice) => notice.familyId)
  return new Map(ended.map((family) => [family.id, deliveryStatusOf(services, family, notices.get(family.id) ?? [])]))
}

type FamilyWithEnd = FamilyRow & { endedAt: Date }

function deliveryStatusOf(services: Services, family: FamilyWithEnd, notices: Notification[]): DeliveryStatus {
  const [deciding = null] = notices
  const tokensUntil = lastTokenExpiry(services, family)
  const now = services.clock()
  return {
    sentence: deliveryStatusInWords(family, deciding, tokensUntil, now),
    state: deciding?.state ?? 'silent',
    ways: notices.map((notice) => ({ notice, words: wayInWords(notice, now) })),
    tokensUntil,
  }
}

/** A refresh token that was replaced and is excused gets one more application token. */
function lastTokenExpiry(services: Services, family: FamilyWithEnd): Date {
  const { window, proven } = gracesOf(services, family)
  const grace = family.generation === 0 ? 0 : Math.max(window, proven)
  const lastMinted = Math.min(Number(family.endedAt), Number(addSeconds(family.lastUsedAt, grace)))
  return addSeconds(new Date(lastMinted), family.applicationTokenTtl ?? services.lifetimes.applicationToken)
}

function deliveryStatusInWords(
  family: FamilyWithEnd,
  notice: Notification | null,
  tokensUntil: Date,
  now: Date,
): string {
  const { appName } = family
  const verb = tokensUntil > now ? 'stops' : 'stopped'
  const lastToken = `its last token ${verb} working ${secondInWords(tokensUntil, now)}`

  if (notice?.confirmedAt) return `${appName} confirmed ${secondInWords(notice.confirmedAt, now)}.`
  if (family.endCause === 'revoked_by_app') return `${appName} ended it itself; ${lastToken}.`
  if (notice === null && family.endCause === 'replaced')
    return `${appName} asked for the newer one itself; ${lastToken}.`
  if (notice === null) {
    // Without a notice though it takes some: it had no address then, or the record has been pruned.
    const untold = family.takesNotices ? `There is no record that ${appName} was told` : `${appName} takes no notices`
    return `${untold}; ${lastToken}.`
  }
  // Nobody tries an app whose address was taken away.
  const tries = notice.problem === null || notice.attempts === 0 ? null : triesInWords(notice)
  if (notice.state === 'given-up') {
    return `${appName} could not be told${tries === null ? '' : ` (given up after ${tries})`}; ${lastToken}.`
  }
  return `${appName} has not answered; ${lastToken}${tries === null ? '' : ` (${tries} so far)`}.`
}

function wayInWords(notice: Notification, now: Date): string {
  const way = notice.kind === 'logout' ? 'Told to sign out' : 'Told as an event'
  if (notice.confirmedAt !== null) return `${way}, and confirmed ${secondInWords(notice.confirmedAt, now)}.`
  const tries = notice.attempts === 0 ? '' : ` (${triesInWords(notice)})`
  return notice.state === 'given-up' ? `${way} in vain${tries}, and given up.` : `${way}, and not answered${tries}.`
}

function triesInWords({ attempts }: Notification): string {
  return attempts === 1 ? '1 try' : `${attempts} tries`
}

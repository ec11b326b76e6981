import type { FamilyRow } from './families.ts'
import { listNoticesOfEnds, type Notice } from '../endings/notifications.ts'
import type { Portal } from '../services.ts'
import { gracesOf } from './reuse-detection.ts'
import { addSeconds } from '../time.ts'
import { secondInWords } from '../time-words.ts'

/** Whether the app of a family that has ended has heard of that. */
export interface Receipt {
  sentence: string
  /** `silent`: nothing was sent. */
  state: Notice['state'] | 'silent'
  /** Each way the app is told; the first decides. */
  ways: { notice: Notice; words: string }[]
  /** From then on no application token of the family works, wherever it is. */
  tokensUntil: Date
}

/** By family, of those that have ended; one that ran out a moment ago, which is not written down yet, has none. */
export async function findReceipts(portal: Portal, families: FamilyRow[]): Promise<Map<string, Receipt>> {
  const ended = families.filter((family): family is EndedFamily => family.endedAt !== null)
  if (ended.length === 0) return new Map()
  const ids = ended.map((family) => family.id)
  const notices = Map.groupBy(await listNoticesOfEnds(portal, ids), (notice) => notice.familyId)
  return new Map(ended.map((family) => [family.id, receiptOf(portal, family, notices.get(family.id) ?? [])]))
}

type EndedFamily = FamilyRow & { endedAt: Date }

function receiptOf(portal: Portal, family: EndedFamily, notices: Notice[]): Receipt {
  const [deciding = null] = notices
  const tokensUntil = lastTokenExpiry(portal, family)
  const now = portal.clock()
  return {
    sentence: receiptInWords(family, deciding, tokensUntil, now),
    state: deciding?.state ?? 'silent',
    ways: notices.map((notice) => ({ notice, words: wayInWords(notice, now) })),
    tokensUntil,
  }
}

/** A refresh token that was replaced and is excused gets one more application token. */
function lastTokenExpiry(portal: Portal, family: EndedFamily): Date {
  const { window, proven } = gracesOf(portal, family)
  const grace = family.generation === 0 ? 0 : Math.max(window, proven)
  const lastMinted = Math.min(Number(family.endedAt), Number(addSeconds(family.lastUsedAt, grace)))
  return addSeconds(new Date(lastMinted), family.applicationTokenTtl ?? portal.lifetimes.applicationToken)
}

function receiptInWords(family: EndedFamily, notice: Notice | null, tokensUntil: Date, now: Date): string {
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

function wayInWords(notice: Notice, now: Date): string {
  const way = notice.kind === 'logout' ? 'Told to sign out' : 'Told as an event'
  if (notice.confirmedAt !== null) return `${way}, and confirmed ${secondInWords(notice.confirmedAt, now)}.`
  const tries = notice.attempts === 0 ? '' : ` (${triesInWords(notice)})`
  return notice.state === 'given-up' ? `${way} in vain${tries}, and given up.` : `${way}, and not answered${tries}.`
}

function triesInWords({ attempts }: Notice): string {
  return attempts === 1 ? '1 try' : `${attempts} tries`
}

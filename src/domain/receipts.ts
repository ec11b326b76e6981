import { listReceipts, type ReceiptRow } from '../storage/notices.ts'
import type { FamilyRow } from './families.ts'
import type { Portal } from './portal.ts'
import { addSeconds } from './time.ts'
import { secondInWords } from './time-words.ts'

/** What has come of one way of telling an app that a family of it ended. */
export interface Receipt {
  way: 'logout' | 'events'
  state: 'confirmed' | 'waiting' | 'given-up'
  confirmedAt: Date | null
  attempts: number
  lastAttemptAt: Date | null
  /** What was in the way at the last attempt, in words for operators. */
  problem: string | null
}

/** Whether the app of an ended family has heard of that. */
export interface FamilyReceipts {
  sentence: string
  /** `silent`: nothing was sent, because the app takes nothing. */
  state: Receipt['state'] | 'silent'
  /** One for each way the app is told; the first decides. */
  receipts: Receipt[]
  /** From then on no application token of the family works, wherever it is. */
  tokensUntil: Date
}

/** By family, of those that have ended; one that expired a moment ago and is not written down yet has none. */
export async function findReceipts(portal: Portal, families: FamilyRow[]): Promise<Map<string, FamilyReceipts>> {
  const ended = families.filter((family): family is EndedFamily => family.endedAt !== null)
  if (ended.length === 0) return new Map()
  const rows = await listReceipts(
    portal.storage.pool,
    ended.map((family) => family.id),
  )
  const now = portal.clock()
  const receipts = Map.groupBy(rows, (row) => row.familyId)
  return new Map(ended.map((family) => [family.id, receiptsOf(portal, family, receipts.get(family.id) ?? [], now)]))
}

type EndedFamily = FamilyRow & { endedAt: Date }

function receiptsOf(portal: Portal, family: EndedFamily, rows: ReceiptRow[], now: Date): FamilyReceipts {
  const receipts = rows.map(receiptOf)
  const tokensUntil = lastTokenExpiry(portal, family)
  const [deciding = null] = receipts
  return {
    sentence: receiptInWords(family, deciding, tokensUntil, now),
    state: deciding?.state ?? 'silent',
    receipts,
    tokensUntil,
  }
}

function receiptOf({ kind, confirmedAt, givenUpAt, attempts, lastAttemptAt, problem }: ReceiptRow): Receipt {
  const state = confirmedAt !== null ? 'confirmed' : givenUpAt !== null ? 'given-up' : 'waiting'
  return { way: kind === 'logout' ? 'logout' : 'events', state, confirmedAt, attempts, lastAttemptAt, problem }
}

/** Inside the grace window the refresh token before the current one gets one more application token. */
function lastTokenExpiry(portal: Portal, family: EndedFamily): Date {
  const { applicationToken, rotationGrace } = portal.lifetimes
  const grace = family.generation === 0 ? 0 : (family.rotationGrace ?? rotationGrace)
  const lastMinted = Math.min(Number(family.endedAt), Number(addSeconds(family.lastUsedAt, grace)))
  return addSeconds(new Date(lastMinted), family.applicationTokenTtl ?? applicationToken)
}

function receiptInWords(family: EndedFamily, receipt: Receipt | null, tokensUntil: Date, now: Date): string {
  const { appName } = family
  const verb = tokensUntil > now ? 'stops' : 'stopped'
  const lastToken = `its last token ${verb} working ${secondInWords(tokensUntil, now)}`

  if (receipt?.confirmedAt) return `${appName} confirmed ${secondInWords(receipt.confirmedAt, now)}.`
  if (family.endCause === 'revoked_by_app') return `${appName} ended it itself; ${lastToken}.`
  if (receipt === null) {
    // Without a notice though it takes some: it had no address then, or the record has been pruned.
    const untold = family.takesNotices ? `There is no record that ${appName} was told` : `${appName} takes no notices`
    return `${untold}; ${lastToken}.`
  }
  if (receipt.state === 'given-up') {
    return `${appName} could not be told (given up after ${triesInWords(receipt)}); ${lastToken}.`
  }
  const soFar = receipt.problem === null ? '' : ` (${triesInWords(receipt)} so far)`
  return `${appName} has not answered; ${lastToken}${soFar}.`
}

function triesInWords({ attempts }: Receipt): string {
  return attempts === 1 ? '1 try' : `${attempts} tries`
}

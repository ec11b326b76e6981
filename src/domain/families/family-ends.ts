import type { FamilyRow } from '../../storage/families.ts'
import { type EndCause, endWords } from '../endings/end-causes.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { clientMessage } from '../geoip.ts'
import type { Services } from '../services.ts'
import { replacementOf } from './reuse-detection.ts'
import { secondsBetween } from '../time.ts'

/**
 * Why a family is over, also when its row does not record the end yet. Null while it lives. The only such rule outside of SQL, which
 * gives the same verdict (`familyLives` in storage/liveness.ts).
 */
export function endCauseOf(family: FamilyRow, now: Date): EndCause | null {
  if (family.endedAt !== null) return family.endCause as EndCause
  if (family.identityDisabled) return 'identity_disabled'
  if (family.appDisabled) return 'app_disabled'
  if (family.accessWithdrawn) return 'access_withdrawn'
  if (family.expiresAt <= now) return 'expired'
  if (family.idleExpiresAt <= now) return 'idle_expired'
  return family.sessionOver ? 'session_expired' : null
}

/** Since when; null when that is not known yet. */
export function endTimeOf(family: FamilyRow, now: Date): Date | null {
  if (family.endedAt !== null) return family.endedAt
  return family.idleExpiresAt <= now ? family.idleExpiresAt : null
}

/** From which client a family was ended, and with which refresh token. All null for what time or an operator ended. */
export type RecordedEnd = Pick<FamilyRow, 'generation' | 'endBrowser' | 'endAddress' | 'endGeneration'>

/**
 * The cause with all that is known of it, for operators: "you ended it, from Firefox on Linux, 192.0.2.1", or "… was used again …:
 * generation 41 came back after 43, from 203.0.113.7".
 */
export function endInWords(services: Pick<Services, 'geoip'>, cause: EndCause, end: RecordedEnd): string {
  const { endBrowser, endAddress, endGeneration, generation } = end
  const texts = englishTexts()
  const came = endGeneration === null ? '' : `: generation ${endGeneration} came back after ${generation}`
  const from =
    endAddress === null
      ? ''
      : `, from ${texts.say(clientMessage(services, { browser: endBrowser ?? '', address: endAddress }))}`
  return `${texts.say(endWords(cause, endAddress))}${came}${from}`
}

/** The same for the user: "you removed the app, from Firefox on Linux, 192.0.2.1". */
export function endMessage(services: Pick<Services, 'geoip'>, cause: EndCause, end: RecordedEnd): Message {
  const why = endWords(cause, end.endAddress)
  if (end.endAddress === null) return why
  const client = clientMessage(services, { browser: end.endBrowser ?? '', address: end.endAddress })
  return message('end_causes.with_client', { why, client })
}

/** A refresh token that ended its family by being used again. */
export interface Reuse {
  generation: number
  currentGeneration: number
  /** How long ago it had been replaced, at least (seconds). */
  lateSeconds: number
  address: string | null
  /** `app`: the app authenticated, from an IP address it has refreshed from before. `unknown`: it may have been a thief. */
  by: 'app' | 'unknown'
}

/** The reuse that ended this family; null when it lives, or has ended in another way. */
export function reuseOf(family: FamilyRow): Reuse | null {
  const { endedAt, endCause, endGeneration, endAddress, rotatedAt, earlierRotations, generation } = family
  if (endedAt === null || endGeneration === null || rotatedAt === null) return null
  const { at: replacedBy } = replacementOf(rotatedAt, earlierRotations, generation - endGeneration)
  return {
    generation: endGeneration,
    currentGeneration: generation,
    lateSeconds: secondsBetween(replacedBy, endedAt),
    address: endAddress,
    by: endCause === 'own_reuse' ? 'app' : 'unknown',
  }
}

/** For the developer of an app that presented an old refresh token of its own. */
export function reuseAdvice({ generation, currentGeneration, lateSeconds, address }: Reuse): string {
  const from = address === null ? '' : `, from ${address}`
  return (
    `the app presented generation ${generation} of its refresh token${from}, at least ${lateSeconds} s after it was replaced; ` +
    `the family was at generation ${currentGeneration}. Store each refresh token before using it, and run one refresh at a time`
  )
}

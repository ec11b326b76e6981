import type { FamilyRow } from '../domain/families/families.ts'
import { endCauseOf, endInWords, endTimeOf } from '../domain/families/family-ends.ts'
import type { Services } from '../domain/services.ts'
import { timeInWords } from '../domain/time-words.ts'

/** Why and since when a family has ended, in words; nulls while it lives. */
export function shapeEnd(services: Services, family: FamilyRow, now: Date) {
  const cause = endCauseOf(family, now)
  const at = endTimeOf(family, now)
  return {
    isLiving: cause === null,
    ended: at === null ? null : timeInWords(at, now),
    why: cause === null ? null : sentence(endInWords(services, cause, family)),
  }
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`
}

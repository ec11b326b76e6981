import type { FamilyRow } from '../domain/families/families.ts'
import { endCauseOf, endMessage, endTimeOf } from '../domain/families/family-ends.ts'
import type { Services } from '../domain/services.ts'
import { message } from '../i18n/messages.ts'
import type { Texts } from '../i18n/texts.ts'

/** Why and since when a family has ended; nulls while it lives. */
export function shapeEnd(services: Services, texts: Texts, family: FamilyRow, now: Date) {
  const cause = endCauseOf(family, now)
  const at = endTimeOf(family, now)
  return {
    isLiving: cause === null,
    ended: at === null ? null : texts.time(at, now),
    why: cause === null ? null : message('end_causes.sentence', { why: endMessage(services, cause, family) }),
  }
}

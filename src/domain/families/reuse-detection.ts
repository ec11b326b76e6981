import type { FamilyRow } from '../../storage/families.ts'
import { EARLIER_ROTATIONS_KEPT, RACE_SECONDS } from '../../storage/family-rotations.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'

/** What reuse detection says of a genuine refresh token. */
export type Standing =
  | { kind: 'current' }
  /** Of a generation that the row has not reached, as after a restored backup. */
  | { kind: 'ahead' }
  /** Replaced, and answered with the current token. `window`: replaced a moment ago. `proof`: the answer was lost. */
  | { kind: 'excused'; because: 'window' | 'proof'; replacedAt: Date }
  /** Replaced, and refused without an ending: the app sent it twice at once, and there is no window. */
  | { kind: 'duplicate' }
  /** Replaced, and refused without an ending: more rotations than are remembered lie inside the window. */
  | { kind: 'forgotten' }
  /** Replaced, and used again: the family ends. `replacedBy` is when it had been replaced at the latest. */
  | { kind: 'reused'; replacedBy: Date }

/**
 * The rule of refresh token reuse detection (RFC 9700 §4.14.2). A token that was replaced within the grace window, of any
 * generation, is excused. The immediate predecessor is excused for longer when its holder proves itself (client authentication
 * or DPoP): the answer was lost, and a thief without the proof gains nothing. That ends when the current token is presented,
 * because the predecessor is then two generations old.
 */
export function standingOf(
  services: Pick<Services, 'lifetimes'>,
  family: FamilyRow,
  { generation, hash }: { generation: number; hash: Buffer },
  now: Date,
): Standing {
  if (family.currentHash.equals(hash)) return { kind: 'current' }
  const behind = family.generation - generation
  if (behind <= 0 || family.rotatedAt === null) return { kind: 'ahead' }

  const { window, proven } = gracesOf(services, family)
  const isWithin = (from: Date, seconds: number) => now < addSeconds(from, seconds)
  const { at: replacedAt, isExact } = replacementOf(family.rotatedAt, family.earlierRotations, behind)
  if (!isExact) {
    const isFull = family.earlierRotations.length >= EARLIER_ROTATIONS_KEPT
    const isRecent = isWithin(replacedAt, Math.max(window, RACE_SECONDS))
    return isFull && isRecent ? { kind: 'forgotten' } : { kind: 'reused', replacedBy: replacedAt }
  }
  if (isWithin(replacedAt, window)) return { kind: 'excused', because: 'window', replacedAt }
  if (behind === 1 && isWithin(replacedAt, proven)) return { kind: 'excused', because: 'proof', replacedAt }
  if (window === 0 && isWithin(replacedAt, RACE_SECONDS)) return { kind: 'duplicate' }
  return { kind: 'reused', replacedBy: replacedAt }
}

/** When the token `behind` generations ago was replaced. Not exact: it was replaced at that moment or before. */
export function replacementOf(last: Date, earlier: Date[], behind: number): { at: Date; isExact: boolean } {
  const newestFirst = [last, ...earlier.toReversed()]
  const known = newestFirst[behind - 1]
  return { at: known ?? (newestFirst.at(-1) as Date), isExact: known !== undefined }
}

/** How long (seconds) a replaced token of this family is excused, and its immediate predecessor for its holder's proof. */
export function gracesOf(services: Pick<Services, 'lifetimes'>, family: FamilyRow): { window: number; proven: number } {
  const window = family.rotationGrace ?? services.lifetimes.rotationGrace
  if (!provesItself(family)) return { window, proven: 0 }
  // An app that sets its window to 0 has no proven grace either, unless it sets one.
  const preset = family.rotationGrace === 0 ? 0 : services.lifetimes.rotationGraceProven
  return { window, proven: family.rotationGraceProven ?? preset }
}

/** Whether each refresh comes with a proof: of the app (its secret or key), of a DPoP key (RFC 9449) or of a certificate (RFC 8705). */
export function provesItself(family: Pick<FamilyRow, 'appIsPublic' | 'jkt' | 'x5t'>): boolean {
  return !family.appIsPublic || family.jkt !== null || family.x5t !== null
}

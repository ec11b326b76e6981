import unhomoglyph from 'unhomoglyph'
import { type Message, message } from '../../i18n/messages.ts'
import { fillSkeletonsOf, listWithoutSkeletons } from '../../storage/identities.ts'
import { inBatches } from '../batches.ts'
import type { Services } from '../services.ts'

/** A user name as it is kept and shown: in one composition, full-width letters as ordinary ones. */
export function canonicalUserName(typed: string): string {
  return typed.normalize('NFKC').trim()
}

/** Why this is not a valid user name; null when it is. `name` is canonical. */
export function userNameProblem(name: string): Message | null {
  if (!isIdentifier(name)) return message('user_name.not_one')
  if (!isOfOneScript(name)) return message('user_name.scripts')
  if (new Set(Array.from(name.matchAll(/\p{Nd}/gu), ([digit]) => zeroOf(digit))).size > 1)
    return message('user_name.digits')
  // UTS 39 §5.4 counts four.
  if (/\p{M}{4}|(\p{M})\1/u.test(name.normalize('NFD'))) return message('user_name.accents')
  return null
}

/** Whether all letters are of one script, or of a combination that is used together (UTS 39 §5.2). */
export function isOfOneScript(text: string): boolean {
  return SCRIPT_PROFILES.some((profile) => profile.test(text))
}

/**
 * The skeletons of a name against homograph attacks (UTS 39 §4): of the name as it is shown, and of its case-folded form, because
 * names are compared without case. Two names look alike when they share one. A capital I
 * looks like l and is the capital of i, so one skeleton for all would make Neil and Nell one name. Skeletons are never shown.
 */
export function skeletonsOf(name: string): string[] {
  return [...new Set([comparable(confusableSkeleton(name)), comparable(caseFolded(name))])]
}

/**
 * Computes the skeletons of user names that were chosen before there were any. Names that look alike keep being names; the
 * oldest has the skeleton, and no new name gets it. @returns how many.
 */
export async function fillSkeletons(services: Services, signal?: AbortSignal): Promise<number> {
  return inBatches(
    async (limit) => {
      const identities = await listWithoutSkeletons(services.storage, limit)
      for (const { id, username } of identities) await fillSkeletonsOf(services.storage, id, skeletonsOf(username))
      return identities.length
    },
    { size: 250, pauseMs: 20, signal },
  )
}

/** UAX 31 with the exclusions of UTS 39 §3.1: nothing invisible, enclosing, or used only in compatibility forms. */
function isIdentifier(name: string): boolean {
  const length = [...name].length
  return (
    length >= 2 &&
    length <= 64 &&
    /^[\p{L}\p{Nd}][\p{L}\p{Mn}\p{Mc}\p{Nd}._-]*$/u.test(name) &&
    !/\p{Default_Ignorable_Code_Point}|\p{Deprecated}/u.test(name)
  )
}

/** UAX 31, table 5: scripts in wide use today. */
const RECOMMENDED_SCRIPTS = [
  'Arabic',
  'Armenian',
  'Bengali',
  'Bopomofo',
  'Cyrillic',
  'Devanagari',
  'Ethiopic',
  'Georgian',
  'Greek',
  'Gujarati',
  'Gurmukhi',
  'Han',
  'Hangul',
  'Hebrew',
  'Hiragana',
  'Kannada',
  'Katakana',
  'Khmer',
  'Lao',
  'Latin',
  'Malayalam',
  'Myanmar',
  'Oriya',
  'Sinhala',
  'Tamil',
  'Telugu',
  'Thaana',
  'Thai',
  'Tibetan',
]

/** One script, or one of the combinations that are "highly restrictive" (UTS 39 §5.2), with what belongs to all of them. */
const SCRIPT_PROFILES = [
  ...RECOMMENDED_SCRIPTS.map((script) => [script]),
  ['Latin', 'Han', 'Hiragana', 'Katakana'],
  ['Latin', 'Han', 'Bopomofo'],
  ['Latin', 'Han', 'Hangul'],
].map((scripts) => {
  const letters = [...scripts, 'Common', 'Inherited'].map((script) => `\\p{Script_Extensions=${script}}`)
  return new RegExp(`^[${letters.join('')}]*$`, 'u')
})

/** The code point of the zero of the same kind: decimal digits stand in runs of ten, from zero on. */
export function zeroOf(digit: string): number {
  const codePoint = digit.codePointAt(0) as number
  let start = codePoint
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--
  return codePoint - ((codePoint - start) % 10)
}

/** In small letters: capitals look alike in other ways than small letters do. */
function comparable(text: string): string {
  return confusableSkeleton(caseFolded(text)).toLowerCase()
}

function caseFolded(text: string): string {
  return text.toLowerCase().replaceAll('ς', 'σ')
}

function confusableSkeleton(name: string): string {
  const visible = name
    .normalize('NFD')
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
    // A dot above a letter that has one already cannot be seen, and İ is the capital of i where it has one.
    .replaceAll(/([\p{Soft_Dotted}ıȷl])\u0307/gu, '$1')
    .replaceAll('I\u0307', 'i')
  return unhomoglyph(visible).normalize('NFD')
}

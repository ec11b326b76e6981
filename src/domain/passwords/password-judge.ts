import { readFile } from 'node:fs/promises'
import type { Policy } from '../../config.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { BREACHED_PASSWORDS, foldPassword, isBreached } from './breached-passwords.ts'
import { createPasswordRange } from './password-range.ts'
import { createStrengthEstimator, type EstimatorLimits, type Score } from './password-strength.ts'
import { characterCount, isPasswordTooLong, MAXIMUM_PASSWORD_LENGTH } from './passwords.ts'

export interface PasswordVerdict {
  /** Why it is refused; null when the password will do. */
  problem: Message | null
  /** A refused password scores no more than its refusal allows. Null for no password, and when the estimator did not answer. */
  score: Score | null
  /** Sentences on how to choose a better one. */
  advice: Message[]
  /** Whether it would also do without a second factor. */
  standsAlone: boolean
}

export interface PasswordJudge {
  /**
   * Judges a new password. `personal` is the user name and the e-mail address, `source` the key of the caller in the fair queue
   * of estimates.
   */
  judge(password: string, personal: string[], hasSecondFactor: boolean, source: string): Promise<PasswordVerdict>
  close(): Promise<void>
}

export interface JudgeSettings {
  policy: Pick<Policy, 'passwordLength' | 'passwordLengthWithSecondFactor' | 'passwordRangeUrl'>
  publicUrl: string
  /** The name of the organisation, which is easy to guess here. */
  organisation: string
  /** Called when the estimator or the stolen-password service fails; the password is then judged without it. */
  onError: (error: Error) => void
  limits?: EstimatorLimits
}

interface Refusal {
  problem: Message
  /** What is shown beside the refusal says no better of the password. */
  atMost: Score
}

/** Length over rules (NIST SP 800-63B-4 §3.1.1.2): long enough, and nothing that is among the first guesses. */
export function createPasswordJudge({
  policy,
  publicUrl,
  organisation,
  onError,
  limits,
}: JudgeSettings): PasswordJudge {
  const estimator = createStrengthEstimator(onError, limits)
  const isInRange = policy.passwordRangeUrl === null ? null : createPasswordRange(policy.passwordRangeUrl, onError)
  const { hostname } = new URL(publicUrl)
  const portalWords = [
    'gatehouse',
    organisation.toLowerCase(),
    ...organisation.toLowerCase().split(/\s+/),
    hostname,
    ...hostname.split('.'),
  ]
  let breached: Promise<Buffer> | null = null

  return {
    async judge(password, personal, hasSecondFactor, source) {
      const words = [...portalWords, ...personal, ...personal.map((word) => word.split('@')[0] ?? '')]
      const minimum = hasSecondFactor ? policy.passwordLengthWithSecondFactor : policy.passwordLength
      const strength =
        password === '' ? null : await estimator.estimate(password.normalize('NFC'), words.filter(isTelling), source)
      const score = strength?.score ?? null
      const refusal =
        refusalOfLength(password, minimum) ??
        refusalOfFirstGuess(password, words) ??
        (isBreached(await (breached ??= readFile(BREACHED_PASSWORDS)), password) ? STOLEN : null) ??
        (isGuessable(score, hasSecondFactor) ? GUESSABLE : null) ??
        ((await isInRange?.(password)) ? STOLEN : null)

      return {
        problem: refusal?.problem ?? null,
        score: refusal === null || score === null ? score : lower(score, refusal.atMost),
        advice: (strength?.advice ?? []).map((key) => message(key)),
        standsAlone:
          refusal === null && characterCount(password) >= policy.passwordLength && !isGuessable(score, false),
      }
    },
    close: estimator.close,
  }
}

const GUESSABLE: Refusal = { problem: message('password.too_easy'), atMost: 2 }
const STOLEN: Refusal = { problem: message('password.stolen'), atMost: 0 }

function refusalOfLength(password: string, minimum: number): Refusal | null {
  if (characterCount(password) < minimum) return { problem: message('password.too_short', { minimum }), atMost: 2 }
  if (isPasswordTooLong(password))
    return { problem: message('password.too_long', { maximum: MAXIMUM_PASSWORD_LENGTH }), atMost: 4 }
  return null
}

/** Refuses the most likely passwords without the estimator, so also when that fails. */
function refusalOfFirstGuess(password: string, words: string[]): Refusal | null {
  const folded = foldPassword(password)
  const telling = words.filter(isTelling).map(foldPassword)
  if (telling.some((word) => folded.replaceAll(word, '').length < 8))
    return { problem: message('password.personal'), atMost: 1 }
  if (new Set(folded).size < 5 || COMMON.test(folded)) return { ...GUESSABLE, atMost: 1 }
  return null
}

// What people type to fill fifteen characters: a run, or one of the most used passwords with digits behind it.
const COMMON =
  /^(?:(?:password|passwort|qwerty|letmein|welcome|iloveyou|admin)\W*\d*)+$|^(?:0?123456789\d*|abcdefghijklm\w*)$/

/** Shorter words are part of too many others. */
function isTelling(word: string): boolean {
  return word.length >= 4
}

/**
 * Alone it must score 3, which is a hundred million guesses. Beside a second factor 2 will do, a million: the estimator gives
 * every unknown character ten possibilities, so eight that were drawn at random score no more.
 */
function isGuessable(score: Score | null, hasSecondFactor: boolean): boolean {
  return score !== null && score < (hasSecondFactor ? 2 : 3)
}

function lower(one: Score, other: Score): Score {
  return one < other ? one : other
}

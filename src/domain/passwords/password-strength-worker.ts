import { parentPort } from 'node:worker_threads'
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common'
import { dictionary as english, translations } from '@zxcvbn-ts/language-en'
import type { MessageKey } from '../../i18n/messages.ts'
import type { Question, Strength } from './password-strength.ts'

// A program of its own, beside the portal: one estimate takes up to a second of a core, and the dictionaries 150 MB.

const WARNINGS = {
  straightRow: 'password.warning.straight_row',
  keyPattern: 'password.warning.key_pattern',
  simpleRepeat: 'password.warning.simple_repeat',
  extendedRepeat: 'password.warning.extended_repeat',
  sequences: 'password.warning.sequences',
  recentYears: 'password.warning.recent_years',
  dates: 'password.warning.dates',
  topTen: 'password.warning.top_ten',
  topHundred: 'password.warning.top_hundred',
  common: 'password.warning.common',
  similarToCommon: 'password.warning.similar_to_common',
  wordByItself: 'password.warning.word_by_itself',
  namesByThemselves: 'password.warning.names_by_themselves',
  commonNames: 'password.warning.common_names',
  userInputs: 'password.warning.user_inputs',
  pwned: 'password.warning.pwned',
} as const satisfies Record<keyof typeof translations.warnings, MessageKey>

const SUGGESTIONS = {
  l33t: 'password.advice.l33t',
  reverseWords: 'password.advice.reverse_words',
  allUppercase: 'password.advice.all_uppercase',
  capitalization: 'password.advice.capitalization',
  dates: 'password.advice.dates',
  recentYears: 'password.advice.recent_years',
  associatedYears: 'password.advice.associated_years',
  sequences: 'password.advice.sequences',
  repeated: 'password.advice.repeated',
  longerKeyboardPattern: 'password.advice.longer_keyboard_pattern',
  anotherWord: 'password.advice.another_word',
  useWords: 'password.advice.use_words',
  noNeed: 'password.advice.no_need',
  pwned: 'password.advice.pwned',
} as const satisfies Record<keyof typeof translations.suggestions, MessageKey>

const estimator = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  // The preset of 100 makes the slowest passwords four times as slow and finds nothing more in those that people choose.
  l33tMaxSubstitutions: 20,
  // Not words: the page has those, in the user's language.
  translations: { ...translations, warnings: WARNINGS, suggestions: SUGGESTIONS },
})

parentPort?.on('message', ({ password, words }: Question) => {
  const { score, feedback } = estimator.check(password, words)
  const given = [...new Set([feedback.warning ?? '', ...feedback.suggestions])].filter((key) => key !== '')
  const advice = given as MessageKey[]
  parentPort?.postMessage({ score, advice } satisfies Strength)
})

parentPort?.postMessage('ready')

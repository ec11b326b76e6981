import { parentPort } from 'node:worker_threads'
import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common'
import { dictionary as english, translations } from '@zxcvbn-ts/language-en'
import type { Question, Strength } from './password-strength.ts'

// A program of its own, beside the portal: one estimate takes up to a second of a core, and the dictionaries 150 MB.

const estimator = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  // The preset of 100 makes the slowest passwords four times as slow and finds nothing more in those that people choose.
  l33tMaxSubstitutions: 20,
  translations: {
    ...translations,
    warnings: {
      ...translations.warnings,
      userInputs: 'Your name, your address and the name of this portal are easy to guess.',
    },
    suggestions: {
      ...translations.suggestions,
      anotherWord: 'Add a word or two that are less common.',
      allUppercase: 'Capital letters throughout are as easy to guess as small ones.',
      capitalization: 'A capital letter at the beginning helps little.',
    },
  },
})

parentPort?.on('message', ({ password, words }: Question) => {
  const { score, feedback } = estimator.check(password, words)
  const advice = [...new Set([feedback.warning ?? '', ...feedback.suggestions])].filter((sentence) => sentence !== '')
  parentPort?.postMessage({ score, advice } satisfies Strength)
})

parentPort?.postMessage('ready')

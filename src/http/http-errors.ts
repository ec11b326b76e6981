import type { Wait } from '../domain/limits/login-throttling.ts'
import { type Message, message, type MessageKey, type Words } from '../i18n/messages.ts'
import { englishTexts } from '../i18n/texts.ts'
import { waitInWords } from './too-many-attempts.ts'

/** The link on the error page. */
export interface WayOn {
  href: string
  label: Message
}

export const TO_APPS: WayOn = { href: '/dashboard', label: message('errors.apps_button') }

/** What happened and what to do, in words for the user. */
export interface RefusalWords {
  title: Message
  sentence: Words
  advice: Message
}

/** A request that is refused. */
export class RequestRefused extends Error {
  readonly status: number
  readonly words: RefusalWords
  readonly wayOn: WayOn

  constructor(status: number, words: RefusalWords, wayOn = TO_APPS) {
    super(englishTexts().say(words.sentence))
    this.status = status
    this.words = words
    this.wayOn = wayOn
  }
}

/** Too many attempts (429): the user has to wait. */
export class TooManyAttempts extends RequestRefused {
  readonly wait: Omit<Wait, 'kind'>

  constructor(wait: Omit<Wait, 'kind'>, now: Date) {
    super(429, waitInWords(wait, now))
    this.wait = wait
  }
}

export function badRequest(sentence: Message): RequestRefused {
  return new RequestRefused(400, {
    title: message('errors.bad.title'),
    sentence,
    advice: message('errors.bad.advice'),
  })
}

/** A posted authorization request that cannot become a GET. */
export function formRefused(kind: 'too-long' | 'not-a-form'): RequestRefused {
  return kind === 'too-long'
    ? new RequestRefused(
        413,
        wordsOf('errors.app_too_long.title', 'errors.app_too_long.sentence', 'errors.app_too_long.advice'),
      )
    : new RequestRefused(
        415,
        wordsOf('errors.bad.title', 'errors.app_not_a_form.sentence', 'errors.app_not_a_form.advice'),
      )
}

/** A user of the identity source whose password is right, and who cannot be let in. */
export function notAdmitted(sentence: Message, loginHref = '/login'): RequestRefused {
  const words = { title: message('source.not_admitted_title'), sentence, advice: message('source.not_admitted_advice') }
  return new RequestRefused(403, words, { href: loginHref, label: message('sign_in.button') })
}

/** What a user of the identity source has there, and cannot change here. */
export function keptElsewhere(): RequestRefused {
  return new RequestRefused(
    403,
    wordsOf('source.elsewhere_title', 'source.elsewhere_sentence', 'source.elsewhere_advice'),
    { href: '/settings', label: message('layout.settings') },
  )
}

export function notFound(): RequestRefused {
  return new RequestRefused(
    404,
    wordsOf('errors.not_found.title', 'errors.not_found.sentence', 'errors.not_found.advice'),
  )
}

/** Words that name nothing of the request. */
export function wordsOf(title: MessageKey, sentence: MessageKey, advice: MessageKey): RefusalWords {
  return { title: message(title), sentence: message(sentence), advice: message(advice) }
}

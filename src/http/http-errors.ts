import type { Wait } from '../domain/limits/login-throttling.ts'
import { waitInWords } from './too-many-attempts.ts'

/** The link on the error page. */
export interface WayOn {
  href: string
  label: string
}

export const TO_APPS: WayOn = { href: '/dashboard', label: 'Go to your apps' }

/** A request that is refused: what happened and what to do, in words for the user. */
export class RequestRefused extends Error {
  readonly status: number
  readonly title: string
  readonly advice: string
  readonly wayOn: WayOn

  constructor(status: number, title: string, sentence: string, advice: string, wayOn = TO_APPS) {
    super(sentence)
    this.status = status
    this.title = title
    this.advice = advice
    this.wayOn = wayOn
  }
}

/** Too many attempts (429): the user has to wait. */
export class TooManyAttempts extends RequestRefused {
  readonly wait: Omit<Wait, 'kind'>

  constructor(wait: Omit<Wait, 'kind'>, now: Date) {
    const { title, sentence, advice } = waitInWords(wait, now)
    super(429, title, sentence, advice)
    this.wait = wait
  }
}

export function badRequest(sentence: string): RequestRefused {
  return new RequestRefused(400, 'That did not work', sentence, 'Go back, reload the page and try once more.')
}

/** A posted authorization request that cannot become a GET. */
export function formRefused(kind: 'too-long' | 'not-a-form'): RequestRefused {
  return kind === 'too-long'
    ? new RequestRefused(
        413,
        'That request is too long',
        'The app sent more than fits into an address.',
        'Go back to the app. If this happens again, tell those who run it to send less, or a pushed authorization request.',
      )
    : new RequestRefused(
        415,
        'That did not work',
        'The app sent something that is not a form (application/x-www-form-urlencoded).',
        'Go back to the app and try once more.',
      )
}

export function notFound(): RequestRefused {
  return new RequestRefused(
    404,
    'Nothing here',
    'There is no page at this address.',
    'Check the address, or go to your apps.',
  )
}
